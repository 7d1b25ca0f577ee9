"""What is to happen, and when: a heap ordered by instant, and by the order of scheduling where instants are equal.

That second part is what makes a run repeatable: no tie is ever broken by chance or by an object's address.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable
from typing import TypeVar

from scaler.core.types import Instant

Subject = TypeVar("Subject")


class Agenda:
    """Events to come. An event is a function and the one thing it is about, so scheduling allocates one tuple."""

    __slots__ = ("_coming", "_turn", "now")

    def __init__(self, start: Instant) -> None:
        self.now = start
        self._coming: list[tuple[Instant, int, Callable[..., None], object]] = []
        self._turn = 0

    def at(self, when: Instant, act: Callable[[Subject], None], subject: Subject) -> None:
        """Have ``act(subject)`` called at ``when``, after whatever was scheduled for that instant before.

        Raises:
            ValueError: ``when`` has passed; an event there would turn time back.
        """
        if when < self.now:
            raise ValueError(f"cannot schedule for {when:.3f}: it is already {self.now:.3f}")
        self._turn += 1
        heapq.heappush(self._coming, (when, self._turn, act, subject))

    def run_until(self, end: Instant) -> None:
        """Let everything happen that is due by ``end``, and stand there."""
        coming = self._coming
        while coming and coming[0][0] <= end:
            self.now, _, act, subject = heapq.heappop(coming)
            act(subject)
        self.now = max(self.now, end)
