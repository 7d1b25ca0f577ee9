"""The live loop: every pool is read and ticked on a schedule of its own, which nothing shifts.

A pool's ticks, its pods and each of its signals have instants of their own on a grid. A reading or a tick that takes
long misses instants and does not move the ones after it, and missed ones are not made up for. Ticks never wait for a
reading: they use what was read last, whose age the decision judges. So a slow source delays nobody, not even its pool.
The instants follow from the pool's name, which spreads many pools over the period.

A pool also ticks at once when work that waits rises, when all its sources have been read for the first time, and when
it is given a hint.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Protocol, TypeVar

from scaler.config.pool import PodSource, PoolKey, PoolSpec, SignalSource
from scaler.core.pods import Pods
from scaler.core.types import Instant, Sample, Seconds, Signal, Unknown
from scaler.live.clock import Alarm, Clock
from scaler.live.grid import Grid, is_early, phase, reach
from scaler.live.registry import Pool, Registry
from scaler.live.rounds import SHARED, Rounds, Want
from scaler.live.ticker import Ticker
from scaler.live.turns import Turns
from scaler.sources.timing import Timing, stopwatch

LOG = logging.getLogger(__name__)
T = TypeVar("T")

TICK: Seconds = SHARED  # between two ticks of a pool, at the most
WATCH: Seconds = 1.0  # between two readings of a signal whose rise is answered at once
LEAD: Seconds = 1.0  # the pods are read so long before each tick, which then sees them fresh


class Reader(Protocol):
    """Where signals and pods are read. Failure that is to be expected is a value, not an exception."""

    async def signals(self, sources: Sequence[SignalSource], now: Instant) -> Sequence[Sample]:
        """The values of signals that share a call, in their order, asked at ``now``."""
        ...

    async def pods(self, source: PodSource, now: Instant) -> Pods | Unknown:
        """The pool's pods, asked at ``now``."""
        ...


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


@dataclass(slots=True)
class _Running:
    """A pool at work, and what it was started for.

    Attributes:
        wants: the signals that are read for it.
        pods: the task that reads its pods, if it has any.
        next: the alarm of its next tick.
    """

    pool: Pool
    spec: PoolSpec
    wants: tuple[Want, ...]
    pods: asyncio.Task[None] | None
    next: Alarm | None = None


class Loop:
    """Keeps every pool of a registry read and ticked."""

    def __init__(self, registry: Registry, reader: Reader, ticker: Ticker, clock: Clock) -> None:
        self.counts = Counts()
        self._registry = registry
        self._reader = reader
        self._ticker = ticker
        self._clock = clock
        self._turns = Turns()
        self._rounds = Rounds(self._signals, clock, self._turns)
        self._running: dict[PoolKey, _Running] = {}

    async def run(self) -> None:
        """Follow the registry until cancelled."""
        try:
            async with asyncio.TaskGroup() as group:
                while True:
                    for key in await self._registry.changed():
                        self._turns.do(partial(self._follow, key, group))
                    self._turns.do(partial(self._rounds.begin, group))
        finally:
            self._turns.close()
            while self._running:
                self._stop(self._running.popitem()[1])

    def prompt(self, key: PoolKey) -> None:
        """Tick a pool at once, because of something that was announced. One that has not been read yet waits for it."""
        pool = self._registry.get(key)
        if pool is not None and pool.is_read:
            self._tick_at_once(pool)

    def _follow(self, key: PoolKey, group: asyncio.TaskGroup) -> None:
        """Bring what runs for a pool to what the pool is now."""
        pool, running = self._registry.get(key), self._running.get(key)
        if running is not None and (pool is not running.pool or pool.spec is not running.spec):
            self._stop(self._running.pop(key))
            running = None
        if pool is None:
            self._ticker.forget(key)
        elif running is None:
            self._running[key] = self._start(pool, group)

    def _start(self, pool: Pool, group: asyncio.TaskGroup) -> _Running:
        spec = pool.spec
        wants = tuple(self._wants(pool))
        for want in wants:
            self._rounds.add(want)
        pods = None
        if spec.pods is not None:
            pods = group.create_task(self._read_pods(pool, spec.pods), name=str(spec.key))
        running = _Running(pool, spec, wants, pods)
        self._schedule(running)
        return running

    def _stop(self, running: _Running) -> None:
        for want in running.wants:
            self._rounds.discard(want)
        if running.pods is not None:
            running.pods.cancel()
        if running.next is not None:
            running.next.cancel()

    def _wants(self, pool: Pool) -> Iterator[Want]:
        """The signals that are read for a pool, and its live replicas."""
        spec = pool.spec
        slow, quick = (min(period, spec.policy.scrape_interval) for period in (TICK, WATCH))
        for name, source in spec.signals.items():
            yield Want(source, quick if pool.is_watched(name) else slow, partial(self._take_signal, pool, name, source))
        if spec.replicas is not None:
            yield Want(spec.replicas, slow, partial(self._take_replicas, pool, spec.replicas))

    def _schedule(self, running: _Running) -> None:
        """Tick at the next instant, and so on."""
        at = Grid(phase(str(running.spec.key), TICK), TICK).after(self._clock.now())
        running.next = self._clock.alarm(at, partial(self._ring, running, at))

    def _ring(self, running: _Running, at: Instant) -> None:
        if is_early(self._clock.now(), at):
            running.next = self._clock.alarm(at, partial(self._ring, running, at))
        else:
            self._turns.do(partial(self._tick_scheduled, running, at))

    def _tick_scheduled(self, running: _Running, at: Instant) -> None:
        if self._running.get(running.spec.key) is running:
            now = self._clock.now()
            self.counts.late.add(max(0.0, now - at))
            self._tick(running.pool, now)
            self._schedule(running)

    def _tick_at_once(self, pool: Pool) -> None:
        self.counts.at_once += 1
        self._tick(pool, self._clock.now())

    def _tick(self, pool: Pool, now: Instant) -> None:
        """Tick once. A failure is this pool's alone: its last outcome ages on the board until it is stale."""
        if pool.is_blind:
            return
        begun = stopwatch()
        try:
            self._ticker.tick(pool, pool.observe(now), now)
        except Exception:
            self.counts.failures += 1
            LOG.exception("a tick failed, and the last outcome ages", extra={"pool": str(pool.spec.key)})
        else:
            self.counts.ticks += 1
            self.counts.took.add(stopwatch() - begun)

    def _take_signal(self, pool: Pool, name: Signal, source: SignalSource, sample: Sample, now: Instant) -> None:
        if pool.take_signal(name, source, sample, now):
            self._tick_at_once(pool)

    def _take_replicas(self, pool: Pool, source: SignalSource, sample: Sample, now: Instant) -> None:
        if pool.take_replicas(source, sample, now):
            self._tick_at_once(pool)

    def _take_pods(self, pool: Pool, source: PodSource, pods: Pods | Unknown) -> None:
        if pool.take_pods(source, pods):
            self._tick_at_once(pool)

    async def _signals(self, sources: Sequence[SignalSource], now: Instant) -> Sequence[Sample]:
        found = await self._guarded(self._reader.signals(sources, now), sources[0].url)
        return [found] * len(sources) if isinstance(found, Unknown) else found

    async def _read_pods(self, pool: Pool, source: PodSource) -> None:
        """Read the pods now, and then a while before each tick."""
        spec = pool.spec
        grid = Grid(phase(str(spec.key), TICK) - LEAD, min(TICK, spec.policy.scrape_interval))
        now = self._clock.now()
        while True:
            pods = await self._guarded(self._reader.pods(source, now), str(spec.key))
            self._turns.do(partial(self._take_pods, pool, source, pods))
            now = await reach(self._clock, grid.after(self._clock.now()))

    async def _guarded(self, reading: Awaitable[T], source: str) -> T | Unknown:
        """A reading, or Unknown where the reader fails in a way it should not."""
        try:
            return await reading
        except Exception as error:
            self.counts.failures += 1
            LOG.exception("a reading failed unexpectedly", extra={"source": source})
            return Unknown(f"the reading failed unexpectedly: {error!r}")
