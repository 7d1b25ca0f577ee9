"""The load on a pool: tasks that arrive at random at a rate, and in bursts. It can be turned at any time."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from functools import partial
from itertools import count
from random import Random
from typing import Final

from scaler.core.types import Instant, Seconds
from scaler.live.clock import Alarm, Clock
from scaler.sim.workload import GAP, SUBAGENT, TASK
from tests.cluster.harness.work import Pool, Task

LONGEST: Final[Seconds] = 3600.0  # before it is shortened: agents' own time limits cut off what takes longer
LATE: Final[Seconds] = 10.0  # arrivals of a longer pause, as of a machine that was asleep, are left out
MOST_AT_ONCE: Final = 100_000


class LoadError(ValueError):
    """A load that cannot be; the message names key, value and range."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """How much comes.

    Attributes:
        rate: tasks per second that arrive on average, at random instants.
        shorten: how much shorter than real ones the tasks and pauses are.
        subagents: share of tasks that are as short as sub-agents' tasks are.
        follows: probability that a task is followed by another one of its session.
    """

    rate: float = 0.0
    shorten: float = 60.0
    subagents: float = 0.6
    follows: float = 0.0

    def changed(self, wishes: Mapping[str, str]) -> Load:
        """The load with some of its figures changed.

        Raises:
            LoadError: a key is none, or a value is out of its range.
        """
        return replace(self, **{key: _figure(key, value) for key, value in wishes.items()})


_RANGES: Final = {
    "rate": (0.0, 10_000.0),
    "shorten": (1.0, 100_000.0),
    "subagents": (0.0, 1.0),
    "follows": (0.0, 0.95),
}


def _figure(key: str, value: str) -> float:
    if key not in _RANGES:
        raise LoadError(f"{key} is no figure of a load; there are {', '.join(_RANGES)}")
    return within(key, value, _RANGES[key])


def within(key: str, value: str, bounds: tuple[float, float]) -> float:
    """The number that ``value`` spells.

    Raises:
        LoadError: it spells none, or one outside of the bounds.
    """
    try:
        number = float(value)
    except ValueError:
        number = math.nan
    if not bounds[0] <= number <= bounds[1]:
        raise LoadError(f"{key} is {value!r}; it must be a number from {bounds[0]:g} to {bounds[1]:g}")
    return number


class Generator:
    """Sends tasks to one pool. The same seed sends the same tasks in the same order."""

    def __init__(self, pool: Pool, clock: Clock, numbers: count[int], seed: int) -> None:
        self._pool = pool
        self._clock = clock
        self._numbers = numbers
        self._random = Random(seed)
        self._load = Load()
        self._next: Alarm | None = None

    @property
    def load(self) -> Load:
        """What comes now."""
        return self._load

    def turn(self, load: Load) -> None:
        """Another load from now on."""
        self._load = load
        if self._next is not None:
            self._next.cancel()
        self._next = self._await_next(self._clock.now()) if load.rate else None

    def burst(self, tasks: int, seconds: Seconds | None = None) -> None:
        """So many tasks at once, each as long as it is told, or as the load has them."""
        for _ in range(tasks):
            self._pool.submit(self._task() if seconds is None else self._plain(seconds))

    def _plain(self, seconds: Seconds) -> Task:
        """A task of this length that nothing follows."""
        return Task(number=next(self._numbers), seconds=seconds, queued_at=self._clock.now())

    def _await_next(self, last: Instant) -> Alarm:
        """Arrivals follow from one another, not from when each was noticed: a busy machine makes none of them fewer."""
        due = max(last, self._clock.now() - LATE) + self._random.expovariate(self._load.rate)
        return self._clock.alarm(due, partial(self._arrive, due))

    def _arrive(self, due: Instant) -> None:
        self._next = self._await_next(due)
        self._pool.submit(self._task())

    def _task(self) -> Task:
        """A task and, where its session goes on, all that follow it."""
        goes_on = self._random.random() < self._load.follows
        fit = SUBAGENT if self._random.random() < self._load.subagents else TASK
        return Task(
            number=next(self._numbers),
            seconds=self._draw(fit.mu, fit.sigma),
            queued_at=self._clock.now(),
            pause=self._draw(GAP.mu, GAP.sigma),
            then=self._task() if goes_on else None,
        )

    def _draw(self, mu: float, sigma: float) -> Seconds:
        return min(LONGEST, self._random.lognormvariate(mu, sigma)) / self._load.shorten


def described(load: Load) -> Mapping[str, float]:
    """A load by its figures."""
    return asdict(load)
