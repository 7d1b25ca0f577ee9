"""The live loop: every pool is read and ticked on a schedule of its own, which nothing shifts.

Each source of a pool, and its tick, is one task on a grid of absolute instants. A reading or a tick that takes long
misses instants and does not move the ones after it, and missed ones are not made up for. Ticks never wait for a
reading: they use what was read last, whose age the decision judges. So a slow source delays nobody, not even its pool.
The instants follow from the pool's name, which spreads many pools over the period.

A pool also ticks at once when work that waits rises, when all its sources have been read for the first time, and when
it is given a hint.
"""

from __future__ import annotations

import asyncio
import logging
import math
import zlib
from collections.abc import Awaitable, Callable, Coroutine, Iterator
from dataclasses import dataclass, field
from functools import partial
from typing import Protocol, TypeVar

from scaler.config.pool import JsonNumber, PodSource, PoolKey, PoolSpec, SignalSource
from scaler.core.pods import Pods
from scaler.core.types import Instant, Sample, Seconds, Signal, Unknown
from scaler.live.clock import Clock
from scaler.live.registry import EDGES, Pool, Registry
from scaler.live.ticker import Ticker
from scaler.sources.timing import Timing

LOG = logging.getLogger(__name__)
T = TypeVar("T")

TICK: Seconds = 5.0  # between two ticks of a pool, at the most
WATCH: Seconds = 1.0  # between two readings of a signal whose rise is answered at once
LEAD: Seconds = 1.0  # the pods are read so long before each tick, which then sees them fresh
EARLY: Seconds = 0.05  # timers and the clock disagree by less about a wait; more is a clock that was set back


class Reader(Protocol):
    """Where signals and pods are read. Failure that is to be expected is a value, not an exception."""

    async def signal(self, source: SignalSource, now: Instant) -> Sample:
        """The signal's value, asked at ``now``."""
        ...

    async def pods(self, source: PodSource, now: Instant) -> Pods | Unknown:
        """The pool's pods, asked at ``now``."""
        ...


@dataclass(frozen=True, slots=True)
class Grid:
    """The instants ``start + k * period`` for every whole k."""

    start: Instant
    period: Seconds

    def after(self, now: Instant) -> Instant:
        """The first of them later than ``now``."""
        k = math.floor((now - self.start) / self.period) + 1
        at = self.start + k * self.period
        return at if at > now else self.start + (k + 1) * self.period  # the division came out a hair too low


def phase(name: str, period: Seconds) -> Seconds:
    """An instant within the period that depends on the name alone, so that many are spread and one keeps its own."""
    return period * zlib.crc32(name.encode()) / 2**32


@dataclass(slots=True)
class Counts:
    """What the loop has done since it was made.

    Attributes:
        ticks: decided; ``at_once`` of them off the schedule.
        failures: ticks and readings that raised.
        took: how long each tick took.
        late: by how much each scheduled tick came late.
    """

    ticks: int = 0
    at_once: int = 0
    failures: int = 0
    took: Timing = field(default_factory=Timing)
    late: Timing = field(default_factory=Timing)


@dataclass(frozen=True, slots=True)
class _Running:
    """A pool's tasks, and what they were started for."""

    pool: Pool
    spec: PoolSpec
    tasks: tuple[asyncio.Task[None], ...]


class Loop:
    """Keeps every pool of a registry read and ticked."""

    def __init__(self, registry: Registry, reader: Reader, ticker: Ticker, clock: Clock) -> None:
        self.counts = Counts()
        self._registry = registry
        self._reader = reader
        self._ticker = ticker
        self._clock = clock
        self._running: dict[PoolKey, _Running] = {}

    async def run(self) -> None:
        """Follow the registry until cancelled."""
        async with asyncio.TaskGroup() as group:
            while True:
                self._stop_those_that_changed()
                self._start_those_that_rest(group)
                await self._registry.changed()

    def prompt(self, key: PoolKey) -> None:
        """Tick a pool at once, because of something that was announced. One that has not been read yet waits for it."""
        pool = self._registry.get(key)
        if pool is not None and pool.is_read:
            self.counts.at_once += 1
            self._tick(pool, self._clock.now())

    def _stop_those_that_changed(self) -> None:
        for key, running in tuple(self._running.items()):
            pool = self._registry.get(key)
            if pool is not running.pool or pool.spec is not running.spec:
                del self._running[key]
                for task in running.tasks:
                    task.cancel()
            if pool is None:
                self._ticker.forget(key)

    def _start_those_that_rest(self, group: asyncio.TaskGroup) -> None:
        for pool in self._registry:
            key = pool.spec.key
            if key not in self._running:
                tasks = tuple(group.create_task(work, name=str(key)) for work in self._work(pool))
                self._running[key] = _Running(pool, pool.spec, tasks)

    def _work(self, pool: Pool) -> Iterator[Coroutine[None, None, None]]:
        """What runs for a pool: its ticks, and each of its sources."""
        spec = pool.spec
        ticks = Grid(phase(str(spec.key), TICK), TICK)
        slow, quick = (min(period, spec.policy.scrape_interval) for period in (TICK, WATCH))
        yield self._tick_on(ticks, pool)
        for name, source in spec.signals.items():
            grid = _shared_grid(source, quick if name in EDGES else slow)
            yield self._read_on(grid, pool, partial(self._read_signal, pool, name, source))
        if spec.replicas is not None:
            grid = _shared_grid(spec.replicas, slow)
            yield self._read_on(grid, pool, partial(self._read_replicas, pool, spec.replicas))
        if spec.pods is not None:
            grid = Grid(ticks.start - LEAD, slow)
            yield self._read_on(grid, pool, partial(self._read_pods, pool, spec.pods))

    async def _tick_on(self, grid: Grid, pool: Pool) -> None:
        """Tick at each instant of the grid."""
        while True:
            at = grid.after(self._clock.now())
            now = await self._reach(at)
            self.counts.late.add(max(0.0, now - at))
            self._tick(pool, now)

    async def _read_on(self, grid: Grid, pool: Pool, read: Callable[[Instant], Awaitable[bool]]) -> None:
        """Read now and at each instant of the grid, and tick at once where a reading calls for it."""
        now = self._clock.now()
        while True:
            if await read(now):
                self.counts.at_once += 1
                self._tick(pool, self._clock.now())
            now = await self._reach(grid.after(self._clock.now()))

    async def _reach(self, at: Instant) -> Instant:
        """Wait for an instant; returns what time it is then."""
        await self._clock.sleep_until(at)
        while 0 < at - (now := self._clock.now()) < EARLY:
            await self._clock.sleep_until(at)
        return now

    def _tick(self, pool: Pool, now: Instant) -> None:
        """Tick once. A failure is this pool's alone: its last outcome ages on the board until it is stale."""
        if pool.is_blind:
            return
        stopwatch = asyncio.get_running_loop().time
        begun = stopwatch()
        try:
            self._ticker.tick(pool, pool.observe(now), now)
        except Exception:
            self.counts.failures += 1
            LOG.exception("a tick failed, and the last outcome ages", extra={"pool": str(pool.spec.key)})
        else:
            self.counts.ticks += 1
            self.counts.took.add(stopwatch() - begun)

    async def _read_signal(self, pool: Pool, name: Signal, source: SignalSource, now: Instant) -> bool:
        sample = await self._guarded(self._reader.signal(source, now), pool)
        return pool.take_signal(name, source, sample, now)

    async def _read_replicas(self, pool: Pool, source: SignalSource, now: Instant) -> bool:
        return pool.take_replicas(source, await self._guarded(self._reader.signal(source, now), pool), now)

    async def _read_pods(self, pool: Pool, source: PodSource, now: Instant) -> bool:
        return pool.take_pods(source, await self._guarded(self._reader.pods(source, now), pool))

    async def _guarded(self, reading: Awaitable[T | Unknown], pool: Pool) -> T | Unknown:
        """A reading, or Unknown where the reader fails in a way it should not."""
        try:
            return await reading
        except Exception as error:
            self.counts.failures += 1
            LOG.exception("a reading failed unexpectedly", extra={"pool": str(pool.spec.key)})
            return Unknown(f"the reading failed unexpectedly: {error!r}")


def _shared_grid(source: SignalSource, period: Seconds) -> Grid:
    """What is answered by the same call is read at the same instants, every second and every five, to share it."""
    call = source.url if isinstance(source, JsonNumber) else repr(source)
    return Grid(phase(call, TICK), period)
