"""What is to happen to the pool, and when: a heap ordered by instant, and by the order of scheduling where those tie.

That second part is what makes a run repeatable: no tie is ever broken by chance or by an object's address. Tasks are
not here: there are a thousand of them to one of these, and ``work`` has a quicker way with them.
"""

from __future__ import annotations

import heapq
import math
from collections.abc import Callable
from typing import TypeVar

from scaler.core.types import Instant

Subject = TypeVar("Subject")


class Agenda:
    """Events to come. An event is a function and the one thing it is about, so scheduling allocates one tuple.

    Attributes:
        now: what time it is. It never goes back.
        due: when the next event is due; infinity where none is to come.
    """

    __slots__ = ("_coming", "_turn", "due", "now")

    def __init__(self, start: Instant) -> None:
        self.now, self.due = start, math.inf
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
        self.due = self._coming[0][0]

    def step(self) -> None:
        """Let the next event happen."""
        self.now, _, act, subject = heapq.heappop(self._coming)
        self.due = self._coming[0][0] if self._coming else math.inf
        act(subject)
