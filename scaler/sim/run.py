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
from scaler.core.passing import maker
from scaler.core.policy import Policy
from scaler.core.tick import tick
from scaler.core.types import Instant, Observation, Outcome, Seconds, Signal, Unknown
from scaler.sim.drains import Drains
from scaler.sim.hpa import FOLLOW, SYNC, Metric, Scale
from scaler.sim.keda import POLL, ScaledObject
from scaler.sim.peers.sight import Knobs, Pool
from scaler.sim.peers.sight import Sight as PeerSight
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


_new_answer, _new_metric, _new_scale = maker(Answer), maker(Metric), maker(Scale)
Decide: TypeAlias = Callable[[Policy, Memory, Observation, Instant], Outcome]


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
        metric = _new_metric(answer.value, answer.target)
        world.scale(scaled.sync(now, metric, scale=_new_scale(spec, world.status_replicas)))


class Peer:
    """Another autoscaler at work in a world: it is shown the pool at its own pace and says how many replicas it wants.

    What it is shown is true at that instant; a real one sees it later.
    """

    def __init__(self, world: World, knobs: Knobs, pool: Pool) -> None:
        self._world, self._scaler, self._high = world, knobs.scaler(pool), pool.high
        self._due, self._sight = (
            world.now,
            PeerSight(now=world.now, replicas=0, ready=0, starting=0, queued=0, inflight=0),
        )

    def run(self, end: Instant) -> None:
        """Go on until ``end``."""
        while self._due <= end:
            self._world.run_until(self._due)
            if not self._world.blind:  # who cannot measure changes nothing
                self._world.scale(min(self._high, max(0, self._scaler.decide(self._look()))))
            self._due += self._scaler.period
        self._world.run_until(end)

    def _look(self) -> PeerSight:
        world, sight = self._world, self._sight
        work, rows = world.work, world.fleet.stays()
        ready = rows[world.fleet.ready()]
        sight.now, sight.replicas = world.now, world.replicas
        sight.ready, sight.starting = len(ready), len(rows) - len(ready)
        sight.queued, sight.inflight = len(work.queue), work.running
        sight.arrivals, sight.completions = work.arrived, work.finished
        sight.oldest = world.now - work.queue[0][1] if work.queue else 0.0
        sight.loads = work.taken()[ready].tolist()
        return sight


class Ours:
    """Our decision in a world without a network: what the board and the door do live, in two fields.

    ``decide`` is ``tick``, but for whoever plays without a part of it.
    """

    def __init__(self, world: World, policy: Policy, signals: frozenset[Signal], *, decide: Decide = tick) -> None:
        self.outcome: Outcome | None = None
        self._world, self._policy, self._decide = world, policy, decide
        self._sight, self._drains = Sight(world, sorted(signals)), Drains(world)
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
        self.outcome = self._decide(self._policy, self._memory, self._sight.observe(), now)
        self._memory = self.outcome.memory
        self._drains.carry(self.outcome.orders)
        if not self._world.replicas and self.outcome.active is True:  # the stream tells KEDA at once, unasked
            scale(self._world, self._scaled, Beat.POLL, self._answer())

    def _answer(self) -> Answer:
        if self.outcome is None:
            unready = Unknown("not evaluated yet")
            return _new_answer(unready, 1.0, unready)
        report = self.outcome.report
        return _new_answer(report if isinstance(report, Unknown) else float(report), 1.0, self.outcome.active)
