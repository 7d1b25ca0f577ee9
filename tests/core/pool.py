"""Pools to tell stories about: pods by what they do, what is observed of them, and a small cluster that obeys."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import count
from types import MappingProxyType
from typing import TypeAlias

import numpy as np

from scaler.core import explain
from scaler.core.drain import acknowledge, carry
from scaler.core.fleet import Fleet
from scaler.core.memory import Memory
from scaler.core.pods import NO_ACK, NO_ORDINAL, Activity, Phase, Pod, Pods, Stage
from scaler.core.policy import Policy, Workload
from scaler.core.reasons import Reason
from scaler.core.senses import Given, take
from scaler.core.tick import tick
from scaler.core.types import (
    Announcement,
    Instant,
    Known,
    Observation,
    Order,
    Outcome,
    PodUid,
    Sample,
    Seconds,
    Signal,
    Unknown,
    Verb,
)

NOW: Instant = 1_772_452_800.0  # Monday, 2 March 2026, 12:00 UTC
HOUR: Seconds = 3_600.0
DAY: Seconds = 86_400.0
TICK: Seconds = 5.0
LONG_AGO: Instant = NOW - DAY

Level: TypeAlias = float | Sample  # a bare number is known at the instant it is observed
Levels: TypeAlias = Mapping[Signal, Level]
NOTHING: Levels = MappingProxyType({})


def busy(uid: PodUid, running: int = 1) -> Pod:
    """A pod that has served for long and runs this many tasks."""
    return Pod(uid=uid, created_at=LONG_AGO, since=LONG_AGO + 60.0, activity=Activity(inflight=running, at=NOW))


def idle(uid: PodUid) -> Pod:
    """A pod that has served for long and runs nothing."""
    return busy(uid, 0)


def unheard(uid: PodUid) -> Pod:
    """A ready pod that does not answer."""
    return replace(busy(uid), activity=Unknown("connection refused"))


def starting(uid: PodUid, since: Instant = NOW) -> Pod:
    """A pod that was created and is not ready."""
    return Pod(uid=uid, created_at=since, since=since, stage=Stage.STARTING, activity=Unknown("not ready"))


def draining(pod: Pod, epoch: int = 1, acked: int = NO_ACK) -> Pod:
    """The pod after it was marked, and perhaps after its agent acknowledged."""
    return replace(pod, phase=Phase.DRAINING, epoch=epoch, acked=acked)


def drained(pod: Pod, epoch: int = 1) -> Pod:
    """The pod after its release was committed."""
    return replace(pod, phase=Phase.DRAINED, epoch=epoch, acked=epoch)


def numbered(pods: Iterable[Pod], start: int = 0) -> list[Pod]:
    """The pods as those of a StatefulSet, in the order of their ordinals."""
    return [replace(pod, ordinal=start + i) for i, pod in enumerate(pods)]


def heard(pod: Pod, at: Instant) -> Pod:
    """The pod, having said the same again at this instant; one that does not answer stays silent."""
    return pod if isinstance(pod.activity, Unknown) else replace(pod, activity=replace(pod.activity, at=at))


def observe(
    pods: Iterable[Pod] | Unknown,
    signals: Levels = NOTHING,
    *,
    at: Instant = NOW,
    replicas: int | None = None,
    announced: tuple[Announcement, ...] = (),
) -> Observation:
    """What is known at an instant. Pods that answer do so now; the replicas are as many as the pods unless said."""
    rows = pods if isinstance(pods, Unknown) else Pods.of(heard(p, at) for p in pods)
    known = len(rows) if replicas is None and not isinstance(rows, Unknown) else replicas
    return Observation(
        replicas=Unknown("nobody said") if known is None else Known(known, at),
        pods=rows,
        signals={s: Known(v, at) if isinstance(v, int | float) else v for s, v in signals.items()},
        announced=announced,
    )


def given(policy: Policy, observation: Observation, *, memory: Memory | None = None, at: Instant = NOW) -> Given:
    """What one tick is given, for the stages that are asked one by one."""
    return take(policy, memory or seasoned(), observation, at)


def fleet(*pods: Pod, idle_for: Sequence[Seconds] = (), named: Sequence[int] = ()) -> Fleet:
    """The pods as seen now; those that are idle have been so for this long, and were named so often."""
    seen = given(Policy(), observe(pods)).fleet
    assert isinstance(seen, Fleet)
    since = NOW - np.array(idle_for or [1_000.0] * len(pods))
    return replace(
        seen,
        idle_since=np.where(seen.idle, since, np.nan),
        named=np.array(named or [0] * len(pods), dtype=np.int64),
    )


def seasoned(target: int | None = None, at: Instant = NOW) -> Memory:
    """The memory of a process that has seen the pool for a day and learnt nothing from it."""
    return replace(Memory.fresh(at - DAY), target=target)


@dataclass(kw_only=True)
class Story:
    """A pool that lives through ticks, in a cluster that obeys at once.

    The workload has the replicas that were last reported. Its controller starts what is missing, each pod ready
    ``startup`` seconds later, and takes none away by itself: the guards let only drained ones go, and those we delete.
    Orders are carried; an agent that is asked to close its gate acknowledges if it is idle.
    """

    policy: Policy
    pods: dict[PodUid, Pod]
    replicas: int
    memory: Memory
    signals: dict[Signal, Level]
    announced: tuple[Announcement, ...] = ()
    unseen: Unknown | None = None
    now: Instant = NOW
    startup: Seconds = 20.0
    born: int = 0

    @classmethod
    def of(cls, policy: Policy, *pods: Pod) -> Story:
        """A pool that has stood like this for a day, with an empty queue."""
        memory = seasoned(target=len(pods))
        return cls(
            policy=policy, pods={p.uid: p for p in pods}, replicas=len(pods), memory=memory, signals={Signal.QUEUE: 0.0}
        )

    def runs(self, uid: PodUid, tasks: int) -> None:
        """The pod runs this many tasks from now on."""
        self.pods[uid] = replace(self.pods[uid], activity=Activity(inflight=tasks, at=self.now))

    def dispatch(self) -> None:
        """Every pod that takes work and is free takes a queued task, as consumers of a queue do."""
        waiting = self.signals[Signal.QUEUE]
        assert isinstance(waiting, float), "the queue must be known to be dispatched from"
        for uid, pod in self.pods.items():
            if waiting and free(pod) and pod.phase is Phase.ACTIVE:
                self.runs(uid, 1)
                waiting -= 1
        self.signals[Signal.QUEUE] = waiting

    def observation(self) -> Observation:
        """What is known now."""
        return observe(
            self.unseen or self.pods.values(),
            self.signals,
            at=self.now,
            replicas=self.replicas,
            announced=self.announced,
        )

    def tick(self, after: Seconds = TICK) -> Outcome:
        """Let time pass, decide, and let the cluster do what was decided."""
        self.now += after
        self._become_ready()
        outcome = tick(self.policy, self.memory, self.observation(), self.now)
        self.memory = outcome.memory
        self._obey(outcome)
        return outcome

    def expect(self, target: int, reason: Reason, *orders: str, after: Seconds = TICK) -> Outcome:
        """Tick, and expect this target to be reported, for this reason, with these orders (verb and pod)."""
        outcome = self.tick(after)
        found = (outcome.report, explain.reason(outcome), told(outcome))
        assert found == (target, reason, list(orders)), "\n".join(explain.lines(outcome))
        return outcome

    def expect_calm(self, lasting: Seconds) -> None:
        """Tick every five seconds for so long, and expect that no target moves and no order is given."""
        end, target = self.now + lasting, self.memory.target
        while self.now < end:
            outcome = self.tick()
            assert (outcome.report, told(outcome)) == (target, []), "\n".join(explain.lines(outcome))

    def _become_ready(self) -> None:
        for uid, pod in self.pods.items():
            at = pod.since + self.startup
            if pod.stage is Stage.STARTING and at <= self.now:
                self.pods[uid] = replace(pod, stage=Stage.READY, since=at, activity=Activity(inflight=0, at=at))

    def _obey(self, outcome: Outcome) -> None:
        if not isinstance(outcome.report, Unknown):
            self.replicas = outcome.report
        for order in outcome.orders:
            self._carry(order)
        for _ in range(len(self.pods), self.replicas):
            self._create()

    def _carry(self, order: Order) -> None:
        pod = carry(self.pods[order.uid], order)
        if pod is None:
            del self.pods[order.uid]
        else:
            self.pods[order.uid] = acknowledge(pod, order.epoch) if order.verb is Verb.CLOSE and free(pod) else pod

    def _create(self) -> None:
        self.born += 1
        taken = {p.ordinal for p in self.pods.values()}
        free_ordinal = next(n for n in count(self.policy.ordinals_start) if n not in taken)
        ordinal = free_ordinal if self.policy.workload is Workload.STATEFUL_SET else NO_ORDINAL
        uid = f"new-{self.born}"
        self.pods[uid] = replace(starting(uid, self.now), ordinal=ordinal)


def free(pod: Pod) -> bool:
    """Whether the pod's agent would say that it runs nothing and holds no session."""
    return isinstance(pod.activity, Activity) and not pod.activity.inflight and not pod.activity.sessions


def told(outcome: Outcome) -> list[str]:
    """The orders as words: verb and pod."""
    return [f"{order.verb} {order.uid}" for order in outcome.orders]
