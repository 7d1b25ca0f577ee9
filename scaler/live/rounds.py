"""Signals are read in rounds: one call, and each number of its answer handed to the pool that wants it.

Thousands of pools may find their numbers on one page, or in one query. They share the call, its instants and the task
that makes it; what each of them costs is looking its number up.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import islice
from typing import Final, TypeAlias

from scaler.config.pool import Call, PrometheusQuery, SignalSource
from scaler.core.types import Instant, Sample, Seconds
from scaler.live.clock import Clock
from scaler.live.grid import Grid, phase, reach
from scaler.live.turns import Turns

SHARED: Final[Seconds] = 5.0  # what is read oftener is read at these instants too, so that one call serves both
HANDFUL: Final = 10  # numbers handed over in one piece of work, each of which may tick its pool
Read: TypeAlias = Callable[[Sequence[SignalSource], Instant], Awaitable[Sequence[Sample]]]


@dataclass(frozen=True, slots=True, eq=False)
class Want:
    """A number that is wanted every ``period``. ``take`` is given it and when it was asked for; it must not raise."""

    source: SignalSource
    period: Seconds
    take: Callable[[Sample, Instant], None]

    @property
    def round(self) -> tuple[Call, Seconds]:
        """Wants that share it are read together."""
        return self.source.call, self.period


class Rounds:
    """All rounds. One begins when somebody wants a number of its call, and ends when nobody does.

    ``read`` asks for numbers that one call answers; it must not raise.
    """

    def __init__(self, read: Read, clock: Clock, turns: Turns) -> None:
        self._read, self._clock, self._turns = read, clock, turns
        self._wants: dict[tuple[Call, Seconds], dict[Want, None]] = {}
        self._tasks: dict[tuple[Call, Seconds], asyncio.Task[None]] = {}
        self._new: dict[tuple[Call, Seconds], list[Want]] = {}

    def add(self, want: Want) -> None:
        """Read this, from the next ``begin`` on."""
        self._wants.setdefault(want.round, {})[want] = None
        self._new.setdefault(want.round, []).append(want)

    def discard(self, want: Want) -> None:
        """Read this no more. An answer that is under way is not handed over."""
        wants = self._wants[want.round]
        del wants[want]
        if not wants:
            del self._wants[want.round]
            self._new.pop(want.round, None)
            if want.round in self._tasks:
                self._tasks.pop(want.round).cancel()

    def begin(self, group: asyncio.TaskGroup) -> None:
        """Read what is new at once, and again with its round."""
        for round_, wants in self._new.items():
            if round_ not in self._tasks:
                self._tasks[round_] = group.create_task(self._keep(self._wants[round_], wants[0]))
            group.create_task(self._ask(self._wants[round_], tuple(wants)))
        self._new.clear()

    async def _keep(self, wants: dict[Want, None], like: Want) -> None:
        """Read all that is wanted at each instant of their grid."""
        source = like.source
        place = repr(source) if isinstance(source, PrometheusQuery) else source.url
        grid = Grid(phase(place, SHARED), like.period)
        while True:
            await reach(self._clock, grid.after(self._clock.now()))
            await self._ask(wants, tuple(wants))

    async def _ask(self, wanted: dict[Want, None], wants: Sequence[Want]) -> None:
        """Read now, and hand over what is still wanted then."""
        now = self._clock.now()
        samples = await self._read([want.source for want in wants], now)
        found = zip(wants, samples, strict=True)
        while some := tuple(islice(found, HANDFUL)):
            self._turns.do(partial(_hand, wanted, some, now))


def _hand(wanted: dict[Want, None], found: Iterable[tuple[Want, Sample]], now: Instant) -> None:
    for want, sample in found:
        if want in wanted:
            want.take(sample, now)
