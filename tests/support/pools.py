"""Pools to evaluate, and the world of one test: sources that say what they are told, a board that keeps a diary."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType

from scaler.config.pool import (
    ActivityEndpoints,
    JobStrategy,
    PodSource,
    PoolKey,
    PoolSpec,
    PrometheusQuery,
    SignalSource,
)
from scaler.core.pods import Pods
from scaler.core.policy import Policy
from scaler.core.types import Instant, Known, Outcome, Sample, Seconds, Signal, Unknown
from scaler.live.board import Board
from scaler.live.clock import Alarm, VirtualClock

NOON = 1_760_011_200.0  # 2025-10-09 12:00:00 UTC
LIVE = Known(1.0, NOON)


def query(name: str) -> PrometheusQuery:
    """A source with this query."""
    return PrometheusQuery(query=name, url="http://prometheus:9090")


QUEUE, REPLICAS = query("queue"), query("replicas")
PODS = ActivityEndpoints(urls=("http://a", "http://b"))


def spec(
    name: str = "coder",
    *,
    signals: Mapping[Signal, SignalSource] | None = None,
    pods: PodSource | None = None,
    replicas: SignalSource | None = REPLICAS,
    policy: Policy | None = None,
    job_strategy: JobStrategy | None = None,
) -> PoolSpec:
    """A pool measured by its queue, unless it says otherwise."""
    return PoolSpec(
        key=PoolKey("agents", name),
        class_name=None,
        policy=policy or Policy(),
        signals=MappingProxyType(dict(signals or {Signal.QUEUE: QUEUE})),
        pods=pods,
        replicas=replicas,
        job_strategy=job_strategy,
        schedule=(),
        origin=MappingProxyType({}),
    )


@dataclass
class Oracle:
    """A reader that answers from tables, keeps when it was asked, and hangs or breaks where the test says so."""

    samples: dict[SignalSource, Sample] = field(default_factory=dict)
    pods_at: dict[PodSource, Pods | Unknown] = field(default_factory=dict)
    hung: set[SignalSource | PodSource] = field(default_factory=set)
    broken: set[SignalSource | PodSource] = field(default_factory=set)
    asked: list[tuple[SignalSource | PodSource, Instant]] = field(default_factory=list)

    async def signals(self, sources: Sequence[SignalSource], now: Instant) -> list[Sample]:
        """The samples in the table, true at ``now``."""
        for source in sources:
            await self._note(source, now)
        found = (self.samples.get(source, LIVE) for source in sources)
        return [Known(sample.value, now) if isinstance(sample, Known) else sample for sample in found]

    async def pods(self, source: PodSource, now: Instant) -> Pods | Unknown:
        """The pods in the table."""
        await self._note(source, now)
        return self.pods_at[source]

    async def _note(self, source: SignalSource | PodSource, now: Instant) -> None:
        self.asked.append((source, now))
        if source in self.broken:
            raise RuntimeError("a mistake of ours")
        if source in self.hung:
            await asyncio.Event().wait()

    def instants(self, source: SignalSource | PodSource) -> list[Instant]:
        """When this source was asked."""
        return [now for asked, now in self.asked if asked == source]


class Diary(Board):
    """A board that keeps every outcome, and refuses those of the pools in ``refused``."""

    def __init__(self) -> None:
        super().__init__()
        self.outcomes: dict[PoolKey, list[Outcome]] = {}
        self.refused: set[PoolKey] = set()

    def publish(self, key: PoolKey, outcome: Outcome) -> None:
        """Note the outcome and post it."""
        if key in self.refused:
            raise RuntimeError("this pool cannot be posted")
        self.outcomes.setdefault(key, []).append(outcome)
        super().publish(key, outcome)

    def instants(self, key: PoolKey) -> list[Instant]:
        """When the pool was ticked."""
        return [outcome.at for outcome in self.outcomes.get(key, [])]


class Wall(VirtualClock):
    """A virtual clock whose hands can be moved while its timers run on, as a wall clock's can.

    ``early`` is by how much a timer rings too soon, if it is longer than that.
    """

    def __init__(self) -> None:
        super().__init__(NOON)
        self.moved: Seconds = 0.0
        self.early: Seconds = 0.0

    def now(self) -> Instant:
        """What the hands show."""
        return super().now() + self.moved

    def alarm(self, at: Instant, ring: Callable[[], None]) -> Alarm:
        """A timer as long as the hands say now."""
        early = self.early if at - self.now() > self.early else 0.0
        return super().alarm(at - self.moved - early, ring)

    async def pass_time(self, seconds: Seconds) -> None:
        """Let time pass, and whatever it starts come to rest."""
        end = super().now() + seconds
        while super().now() < end:
            await settle()
            await self.advance_to(min(end, super().now() + 0.125))
        await settle()


async def settle() -> None:
    """Let every task run until all of them wait."""
    for _ in range(10):
        await asyncio.sleep(0)
