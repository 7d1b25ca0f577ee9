"""How long a pool takes until it begins to replace what was taken: the part of the lead time that no sandbox shows.

A pool makes one sandbox for each that a claim takes. Which one replaces which nobody says, so the first is matched with
the first: the mean is that of any matching.
"""

from __future__ import annotations

from collections import deque
from typing import Final

from scaler.core.types import Instant, Seconds

GIVEN_UP: Final[Seconds] = 30.0  # what was not replaced within so long is matched with nothing any more


class Refills:
    """What left each pool and was not replaced yet, by the uid of the pool."""

    def __init__(self) -> None:
        self._open: dict[str, deque[Instant]] = {}

    def left(self, pool: str, now: Instant) -> None:
        """A claim has taken one."""
        self._open.setdefault(pool, deque()).append(now)

    def came(self, pool: str, now: Instant) -> Seconds:
        """Another was begun: for how long one had been missing, nought where none was."""
        waiting = self._open.get(pool, deque())
        while waiting and not 0.0 <= now - waiting[0] <= GIVEN_UP:
            waiting.popleft()
        return now - waiting.popleft() if waiting else 0.0

    def fewer(self, pool: str, by: int) -> None:
        """The pool was asked for fewer: so many are replaced by none."""
        waiting = self._open.get(pool, deque())
        for _ in range(min(by, len(waiting))):
            waiting.popleft()

    def drop(self, pool: str) -> None:
        """The pool is gone."""
        self._open.pop(pool, None)
