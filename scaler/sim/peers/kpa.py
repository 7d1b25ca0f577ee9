"""Knative's pod autoscaler: a stable window for calm, a panic window for bursts.

From knative/serving (pkg/autoscaler/scaling/autoscaler.go, pkg/autoscaler/config/config.go, 2026-08): concurrency is
sampled, averaged over both windows and held against a target per pod. While the short average asks for twice the ready
pods or more, nothing falls.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Annotated, ClassVar

from scaler.core.types import Instant, Seconds
from scaler.sim.peers.sight import Leaving, Pool, Range, Sight
from scaler.sim.peers.windows import Buckets, Highest

TICK: Seconds = 2.0
ZERO_GRACE: Seconds = 30.0  # an idle revision keeps its last pods for so long
NEVER: Instant = -math.inf


@dataclass(frozen=True, slots=True, kw_only=True)
class Decider:
    """What one revision is scaled by, once its configuration is resolved.

    Attributes:
        target: concurrency per pod.
        up_rate, down_rate: most a decision may multiply or divide the ready pods by.
        panic_threshold: ready pods times this, asked for by the panic window, begin a panic.
        stable_window: seconds, also how long a panic lasts after the last such moment.
        delay: seconds for which the highest wish of the past is kept.
        activation: fewest pods once there is any traffic.
        reachable: whether requests can reach it; falls are not slowed where none can.
    """

    target: float
    up_rate: float = 1000.0
    down_rate: float = 2.0
    panic_threshold: float = 2.0
    stable_window: Seconds = 60.0
    delay: Seconds = 0.0
    activation: int = 1
    reachable: bool = True


class Autoscaler:
    """The decision. It starts in panic where there are pods already, for it has no past to fall on."""

    __slots__ = ("_delayed", "decider", "most", "panicked_at")

    def __init__(self, decider: Decider, *, ready: int, now: Instant) -> None:
        self.decider, self.most = decider, ready
        self.panicked_at = now if ready > 1 else NEVER
        self._delayed = Highest(decider.delay, TICK) if decider.delay > 0 else None

    def scale(self, now: Instant, ready: int, stable: float, panic: float) -> int:
        """Pods for these averages of concurrency over the two windows."""
        pods = max(1, ready)
        wish, hasty = self._wishes(pods, stable, panic)
        self._look(now, math.ceil(panic / self.decider.target) / pods)
        if self.panicked_at != NEVER:
            wish = self.most = max(self.most, wish, hasty)
        return wish if self._delayed is None else self._delayed.record(now, wish)

    def _wishes(self, pods: int, stable: float, panic: float) -> tuple[int, int]:
        """What either window asks for, within the rates."""
        spec = self.decider
        top = math.ceil(spec.up_rate * pods)
        bottom = math.floor(pods / spec.down_rate) if spec.reachable else 0
        first, second = (self._held(math.ceil(value / spec.target), bottom, top) for value in (stable, panic))
        return first, second

    def _held(self, wish: int, bottom: int, top: int) -> int:
        held = min(max(wish, bottom), top)
        return max(held, self.decider.activation) if wish > 0 else held

    def _look(self, now: Instant, load: float) -> None:
        """Begin, prolong or end a panic."""
        if load >= self.decider.panic_threshold:
            self.panicked_at = now
        elif self.panicked_at + self.decider.stable_window < now:
            self.panicked_at, self.most = NEVER, 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Kpa:
    """Configuration, by the names and defaults of ``config-autoscaler``.

    A pod of ours has as many slots as its containerConcurrency. The grace of a deleted pod is the revision's timeout.
    """

    leaving: ClassVar[Leaving] = Leaving.BY_RANK
    grace: ClassVar[Seconds] = 300.0

    utilization: Annotated[float, Range(0.3, 1.0)] = 0.7
    stable_window: Annotated[Seconds, Range(6.0, 600.0, log=True)] = 60.0
    panic_window_percentage: Annotated[float, Range(1.0, 100.0, log=True)] = 10.0
    panic_threshold: Annotated[float, Range(1.1, 10.0, log=True)] = 2.0
    scale_down_delay: Annotated[Seconds, Range(0.0, 3600.0)] = 0.0
    max_scale_down_rate: Annotated[float, Range(1.1, 10.0, log=True)] = 2.0
    min_scale: Annotated[int, Range(0, 32)] = 0

    def scaler(self, pool: Pool) -> KpaScaler:
        """One at work, on a revision without pods."""
        return KpaScaler(self, pool)

    def decider(self, slots: int) -> Decider:
        """What it resolves to for pods of so many slots."""
        return Decider(
            target=self.utilization * slots,
            down_rate=self.max_scale_down_rate,
            panic_threshold=self.panic_threshold,
            stable_window=self.stable_window,
            delay=self.scale_down_delay,
        )


class KpaScaler:
    """Samples concurrency (what runs, and what waits for a pod) at each tick, and decides."""

    period: ClassVar[Seconds] = TICK

    def __init__(self, knobs: Kpa, pool: Pool) -> None:
        window = knobs.stable_window
        panic = max(TICK, window * knobs.panic_window_percentage / 100.0)
        self._stable, self._panic = Buckets(window, TICK), Buckets(panic, TICK)
        self._autoscaler = Autoscaler(knobs.decider(pool.slots), ready=0, now=0.0)
        self._low, self._high = max(knobs.min_scale, pool.low), pool.high
        self._wanted_at: Instant = NEVER

    def decide(self, sight: Sight) -> int:
        """Pods wanted now, within the bounds; the last ones stay for the grace of scaling to zero."""
        concurrency = float(sight.queued + sight.inflight)
        self._stable.record(sight.now, concurrency)
        self._panic.record(sight.now, concurrency)
        averages = self._stable.average(sight.now), self._panic.average(sight.now)
        wish = self._autoscaler.scale(sight.now, sight.ready, *averages)
        if wish > 0:
            self._wanted_at = sight.now
        elif sight.now < self._wanted_at + ZERO_GRACE:
            wish = 1
        return min(max(wish, self._low), self._high)
