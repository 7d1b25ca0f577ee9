"""Turns at the event loop: what is due is done at once while there is time for it, and otherwise a little later.

Calls that KEDA makes wait on the same event loop. gRPC takes in one call for every two or three turns of it, and so has
to have many short ones: work that comes together (see ``SystemClock``) is done in slices, with a rest for everything
else between two of them.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Final, TypeAlias

from scaler.core.types import Seconds
from scaler.sources.timing import stopwatch

SLICE: Final[Seconds] = 0.01  # some thirty ticks, and what a call waits for at the most
REST: Final[Seconds] = 0.005  # short enough to catch up with what is due
Work: TypeAlias = Callable[[], object]


class Turns:
    """Does pieces of work in the order in which they are given. Belongs to one event loop."""

    def __init__(self, length: Seconds = SLICE) -> None:
        self._length = length
        self._spent: Seconds = 0.0  # in this turn of the event loop
        self._waiting: deque[Work] = deque()
        self._next: asyncio.Handle | None = None

    def do(self, work: Work) -> None:
        """Do it now, or after what waits already. It must not raise."""
        if self._spent >= self._length:  # as it is while anything waits
            self._waiting.append(work)
            return
        self._work(work)
        if self._next is None:
            self._next = asyncio.get_running_loop().call_soon(self._turn)

    def close(self) -> None:
        """Leave undone what waits."""
        self._waiting.clear()

    def _turn(self) -> None:
        """Another turn: do what waits, for as long as a slice, and come back if that was not enough."""
        self._spent, self._next = 0.0, None
        while self._waiting and self._spent < self._length:
            self._work(self._waiting.popleft())
        loop = asyncio.get_running_loop()
        if self._waiting:
            self._next = loop.call_later(REST, self._turn)
        elif self._spent:
            self._next = loop.call_soon(self._turn)

    def _work(self, work: Work) -> None:
        begun = stopwatch()
        work()
        self._spent += stopwatch() - begun
