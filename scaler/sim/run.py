"""Runs of a world: who asks whom, and when.

KEDA polls, the HPA syncs and we tick, each by a clock of its own, a little apart from one another as in a cluster. An
autoscaler is whoever answers them.
"""

from __future__ import annotations

import enum
import heapq
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TypeAlias

from scaler.core.memory import Memory
from scaler.core.policy import Policy
from scaler.core.tick import tick
from scaler.core.types import Instant, Outcome, Seconds, Signal, Unknown
from scaler.sim.drains import Drains
from scaler.sim.hpa import FOLLOW, SYNC, Metric, Scale
from scaler.sim.keda import POLL, ScaledObject
from scaler.sim.sight import Sight
from scaler.sim.world import World

TICK: Seconds = 5.0


class Beat(enum.Enum):
    """Who comes: the value is seconds between two comings, and seconds until the first."""

    TICK = (TICK, 1.0)
    SYNC = (SYNC, 11.0)
    POLL = (POLL, 7.0)


@dataclass(frozen=True, slots=True)
class Answer:
    """What a trigger says: the metric's value and its target per replica, and whether there is work."""

    value: float | Unknown
    target: float
    active: bool | Unknown


Door: TypeAlias = Callable[[Beat], Answer | None]


def beats(start: Instant, end: Instant, *which: Beat) -> Iterator[tuple[Instant, Beat]]:
    """When these come from ``start`` until ``end``, in order."""
    return ((at, which[row]) for at, row in heapq.merge(*(_every(start, end, row, b) for row, b in enumerate(which))))


def _every(start: Instant, end: Instant, row: int, beat: Beat) -> Iterator[tuple[Instant, int]]:
    period, first = beat.value
    count = 0
    while (at := start + first + count * period) <= end:
        yield at, row
        count += 1


def scale(world: World, scaled: ScaledObject, beat: Beat, answer: Answer) -> None:
    """Let KEDA or the HPA act on an answer."""
    now, spec = world.now, world.replicas
    if beat is Beat.POLL:
        world.scale(scaled.poll(now, spec=spec, active=answer.active))
    elif beat is Beat.SYNC:
        metric = Metric(answer.value, answer.target)
        world.scale(scaled.sync(now, metric, scale=Scale(spec, world.status_replicas)))


def run_plain_hpa(world: World, end: Instant) -> None:
    """Run until ``end`` under KEDA and an HPA with their defaults, on queue depth.

    A plain queue depth forgets the tasks that run, and would take their pods at once; so that this is a fair peer it
    counts waiting and running tasks together, read without delay.
    """
    scaled = ScaledObject()
    for at, beat in beats(world.now, end, Beat.POLL, Beat.SYNC):
        world.run_until(at)
        depth = len(world.work.queue) + world.work.running
        scale(world, scaled, beat, Answer(float(depth), float(world.setting.slots), depth > 0))
    world.run_until(end)


class Ours:
    """Our decision in a world without a network: what the board and the door do live, in two fields."""

    def __init__(self, world: World, policy: Policy, signals: frozenset[Signal]) -> None:
        self.outcome: Outcome | None = None
        self._world, self._policy, self._signals = world, policy, signals
        self._sight, self._drains = Sight(world), Drains(world)
        self._memory = Memory.fresh(world.now, policy.pace)
        self._scaled = ScaledObject(low=policy.min_replicas, high=policy.max_replicas, behavior=FOLLOW)

    def run(self, end: Instant) -> None:
        """Run until ``end``, under the ScaledObject that we ship."""
        world = self._world
        for at, beat in beats(world.now, end, *Beat):
            world.run_until(at)
            if beat is Beat.TICK:
                self._tick(at)
            else:
                scale(world, self._scaled, beat, self._answer())
        world.run_until(end)

    def _tick(self, now: Instant) -> None:
        self.outcome = tick(self._policy, self._memory, self._sight.observe(self._signals), now)
        self._memory = self.outcome.memory
        self._drains.carry(self.outcome.orders)

    def _answer(self) -> Answer:
        if self.outcome is None:
            unready = Unknown("not evaluated yet")
            return Answer(unready, 1.0, unready)
        report = self.outcome.report
        return Answer(report if isinstance(report, Unknown) else float(report), 1.0, self.outcome.active)
