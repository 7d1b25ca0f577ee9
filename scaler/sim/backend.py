"""The model's quota: tokens a second for all agents together, beyond which everybody goes on more slowly, alike.

More pods do not help there. A task that has begun and is slow is waiting as well, only at another door, so what the
backend adds to its run counts as its wait.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from scaler.core.pods import Floats
from scaler.core.types import Instant, Seconds
from scaler.sim.events import Agenda

if TYPE_CHECKING:
    from scaler.sim.work import Work

SHARES: Final[Seconds] = 1.0  # how often the backend shares anew what it gives


class Progress:
    """How far tasks have come: each goes on at its own speed over ``pace``, which changes at times.

    Attributes:
        pace: seconds that a second of a task takes now, from 1 on.
    """

    def __init__(self, start: Instant) -> None:
        self.pace = 1.0
        self._changed: list[Instant] = [start]
        self._done: list[Seconds] = [0.0]  # seconds that a task would have done since the start, at each change

    def change(self, now: Instant, pace: float) -> None:
        """Go on at another pace."""
        self._done.append(self._at(now))
        self._changed.append(now)
        self.pace = pace

    def delays(self, began: Floats, seconds: Floats, now: Instant) -> Floats:
        """By how much runs that began then, NaN where none has, have taken longer so far than their own length."""
        if len(self._changed) == 1:
            return np.zeros(len(began))
        at, done = np.array([*self._changed, now]), np.array([*self._done, self._at(now)])
        first = np.interp(began, at, done)
        last = np.minimum(first + seconds, done[-1])
        delays: Floats = np.interp(last, done, at) - began - (last - first)
        return np.where(np.isnan(began), 0.0, np.maximum(delays, 0.0))

    def _at(self, now: Instant) -> Seconds:
        return self._done[-1] + (now - self._changed[-1]) / self.pace


class Backend:
    """Gives so many tokens a second to the running tasks. Where these want no more, nobody is slowed down."""

    def __init__(self, agenda: Agenda, work: Work, quota: float) -> None:
        self._agenda, self._work, self._quota = agenda, work, quota
        self._share(None)

    def _share(self, _: None) -> None:
        """See what is wanted now, and come again."""
        inside = self._work.inside
        wanted = float(self._work.tasks.tokens[inside[inside >= 0]].sum())
        pace = max(1.0, wanted / self._quota)
        if pace != self._work.progress.pace:
            self._work.slow(pace)
        self._agenda.at(self._agenda.now + SHARES, self._share, None)
