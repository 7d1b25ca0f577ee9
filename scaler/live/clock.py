"""Time, as an argument: what the live world asks instead of the wall. Only this file reads it, and the agent's own.

``steady`` is for lengths of time that no step of the wall may shorten or stretch.

A ``Clock`` says what time it is and rings alarms. The system's follows the wall; the virtual one stands still until it
is advanced, and then rings every alarm at its own instant, so hours pass in seconds and the same for the same input.
"""

from __future__ import annotations

import asyncio
import heapq
import itertools
import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final, Protocol

from scaler.core.types import Instant, Seconds

RASTER: Final[Seconds] = 0.02  # of the system's alarms
_STEADY: Final[int] = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)  # the latter stands still in a suspension


def steady() -> Seconds:
    """Seconds since an instant that stays the same for this machine; they pass while it is suspended, too."""
    return time.clock_gettime(_STEADY)


class Alarm(Protocol):
    """Something that will ring once."""

    def cancel(self) -> None:
        """Keep it from ringing; without effect once it has rung."""


class Clock(Protocol):
    """What time it is, and how to wait for another."""

    def now(self) -> Instant:
        """Seconds since the epoch."""
        ...

    def alarm(self, at: Instant, ring: Callable[[], None]) -> Alarm:
        """Call ``ring`` on the running event loop at ``at``, or in the loop's next round where that has passed."""
        ...

    async def sleep_until(self, at: Instant) -> None:
        """Return at ``at``; at once where that has passed."""
        if at <= self.now():
            return
        woken = asyncio.Event()
        alarm = self.alarm(at, woken.set)
        try:
            await woken.wait()
        finally:
            alarm.cancel()


class SystemClock(Clock):
    """The wall's time. An alarm waits for its length as it was when it was set, so a step of the wall moves it.

    It rings up to ``RASTER`` late, with all others of that while: thousands of alarms a second that rang one by one
    would each cost a turn of the event loop, and leave few short ones for everything else.
    """

    def now(self) -> Instant:
        """Seconds since the epoch."""
        return time.time()

    def alarm(self, at: Instant, ring: Callable[[], None]) -> Alarm:
        """A timer of the running event loop."""
        together = math.ceil(at / RASTER) * RASTER
        return asyncio.get_running_loop().call_later(max(0.0, together - self.now()), ring)


@dataclass(order=True, slots=True)
class _VirtualAlarm:
    """Ordered by instant, then by when it was set. ``ring`` is None once it was cancelled."""

    at: Instant
    turn: int
    ring: Callable[[], None] | None = field(compare=False)

    def cancel(self) -> None:
        self.ring = None


class VirtualClock(Clock):
    """Time that passes only when it is advanced."""

    def __init__(self, start: Instant) -> None:
        self._now = start
        self._alarms: list[_VirtualAlarm] = []
        self._turns = itertools.count()

    def now(self) -> Instant:
        """Seconds since the epoch, as of the last advance."""
        return self._now

    def alarm(self, at: Instant, ring: Callable[[], None]) -> Alarm:
        """Ring during the advance that reaches ``at``; where that has passed, during the next one."""
        alarm = _VirtualAlarm(at, next(self._turns), ring)
        heapq.heappush(self._alarms, alarm)
        return alarm

    async def advance_to(self, at: Instant) -> None:
        """Let time pass until ``at``, ringing alarms in the order of their instants.

        After each ring whoever waited for it runs to its next pause before the next alarm rings, so that a sleeper who
        sleeps again within the advance wakes again within it.

        Raises:
            ValueError: ``at`` has passed; time does not run backwards here.
        """
        if at < self._now:
            raise ValueError(f"cannot advance to {at:.3f}: it is already {self._now:.3f}")
        while self._alarms and self._alarms[0].at <= at:
            alarm = heapq.heappop(self._alarms)
            if alarm.ring is not None:
                self._now = max(self._now, alarm.at)
                alarm.ring()
                await asyncio.sleep(0)
        self._now = at
