"""The right to answer and to act, which one of several replicas has at a time.

Whoever answers KEDA or changes something in the cluster asks for it each time, for it may be over at any instant.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Final, Protocol

from scaler.core.types import Seconds


@dataclass(frozen=True, slots=True)
class Term:
    """One stretch of having the right. A later one, whoever's, has a higher epoch."""

    holder: str
    epoch: int


class Office(Protocol):
    """Whether this process has the right."""

    @property
    def term(self) -> Term | None:
        """The term that lasts at this instant, by the clock; None where another has the right, or nobody."""
        ...

    @property
    def holder(self) -> str:
        """Who has the right as far as is known, empty where nobody is known to."""
        ...

    @property
    def begun(self) -> int:
        """Terms that this process has begun."""
        ...

    @property
    def failures(self) -> int:
        """Calls by which the right is sought and kept that did not work."""
        ...

    async def turned(self, term: Term | None, *, within: Seconds | None = None) -> Term | None:
        """Wait until the term is another than this one, or so many seconds have passed; returns the one that lasts."""
        ...


class Alone:
    """A process beside which there is no other."""

    term: Final = Term("", 0)
    holder: Final = ""
    begun: Final = 1
    failures: Final = 0

    async def turned(self, _: Term | None, *, within: Seconds | None = None) -> Term | None:
        """Wait for what does not happen."""
        try:
            async with asyncio.timeout(within):
                await asyncio.Event().wait()
        except TimeoutError:
            pass
        return self.term


ALONE: Final[Office] = Alone()
