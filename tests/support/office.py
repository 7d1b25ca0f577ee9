"""An office that the test gives and takes."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

from scaler.core.types import Seconds
from scaler.live.office import Term

FIRST = Term("this", 1)


@dataclass
class Chair:
    """Whoever has it in a test; nobody has it at first, and ``other`` is known to lead elsewhere."""

    term: Term | None = None
    other: str = "other-pod_1"
    begun: int = 0
    failures: int = 0
    _turned: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def holder(self) -> str:
        """Who leads."""
        return self.other if self.term is None else self.term.holder

    def give(self, term: Term | None) -> None:
        """Begin a term, or end the one there is."""
        self.lapse(term)
        self._turned.set()

    def lapse(self, term: Term | None = None) -> None:
        """End the term as the clock does, so that only who asks finds out."""
        self.begun += term is not None
        self.term = term

    async def turned(self, term: Term | None, *, within: Seconds | None = None) -> Term | None:
        """Wait until the term is another than this one."""
        async with asyncio.timeout(within):
            while self.term == term:
                self._turned.clear()
                await self._turned.wait()
        return self.term
