"""A Deployment's rollout: two ReplicaSets at once, old pods that the guards keep, and new ones that start beside them.

What is observed does not say which pod is of which ReplicaSet, so nobody drains a pod because it is old.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field, replace

from scaler.core.drain import acknowledge, carry
from scaler.core.memory import Memory
from scaler.core.pods import Activity, Phase, Pod, Stage
from scaler.core.policy import Guarantee, Policy
from scaler.core.tick import tick
from scaler.core.types import Instant, Order, Outcome, PodUid, Seconds, Signal, Unknown, Verb
from tests.core.pool import HOUR, NOW, TICK, busy, free, heard, idle, observe, seasoned, starting

STARTUP: Seconds = 20.0
SURGE = 2  # a quarter of eight, as by default, and so is how many may be missing


@dataclass(kw_only=True)
class Deployment:
    """A workload in the middle of a rollout, whose guards let only drained pods go.

    Its arithmetic goes by what its ReplicaSets were asked for, so pods that are kept do not slow the new ones.
    """

    pods: dict[PodUid, Pod]
    replicas: int
    memory: Memory
    policy: Policy = field(default_factory=lambda: Policy(max_replicas=40))
    queue: float = 0.0
    now: Instant = NOW
    old: int = 0
    new: int = 0
    deleted: Counter[str] = field(default_factory=Counter)

    @classmethod
    def of(cls, *pods: Pod) -> Deployment:
        """These pods are old from now on."""
        size = len(pods)
        return cls(pods={p.uid: p for p in pods}, replicas=size, memory=seasoned(size), old=size)

    def run(self, lasting: Seconds) -> Outcome:
        """Tick every five seconds for so long."""
        end = self.now + lasting
        while self.now < end:
            outcome = self.step()
        return outcome

    def step(self) -> Outcome:
        """One tick, and what its target, its orders and the controllers then do."""
        self.now += TICK
        for uid, pod in self.pods.items():
            if pod.stage is Stage.STARTING and pod.since + STARTUP <= self.now:
                done = pod.since + STARTUP
                self.pods[uid] = replace(pod, stage=Stage.READY, since=done, activity=Activity(inflight=0, at=done))
        seen = observe(self.pods.values(), {Signal.QUEUE: self.queue}, at=self.now, replicas=self.replicas)
        outcome = tick(self.policy, self.memory, seen, self.now)
        self.memory = outcome.memory
        for order in outcome.orders:
            self._carry(order)
        if not isinstance(outcome.report, Unknown):
            self.replicas = outcome.report
        self._roll()
        return outcome

    def _carry(self, order: Order) -> None:
        pod = carry(self.pods[order.uid], order)
        if pod is None:
            self.deleted[order.uid.split()[0]] += 1
            del self.pods[order.uid]
        else:
            self.pods[order.uid] = acknowledge(pod, order.epoch) if order.verb is Verb.CLOSE and free(pod) else pod

    def _roll(self) -> None:
        """Ask for new pods within the surge, and for fewer old ones as the new become available."""
        self.new = min(self.replicas, max(self.new, self.replicas + SURGE - self.old))
        ready = sum(p.stage is Stage.READY for uid, p in self.pods.items() if uid.startswith("new"))
        self.old = max(0, min(self.old, self.replicas - SURGE - min(ready, self.new)))
        have = Counter(uid.split()[0] for uid in self.pods)
        for kind, wanted in (("old", self.old), ("new", self.new)):
            for n in range(have[kind], wanted):
                uid = f"{kind} started {self.now:.0f} {n}"
                self.pods[uid] = starting(uid, self.now)

    def count(self, kind: str) -> int:
        """Pods of the old or the new ReplicaSet."""
        return sum(uid.startswith(kind) for uid in self.pods)


def test_busy_old_pods_are_kept_and_new_ones_are_left_in_peace() -> None:
    """Eight old pods work for hours, the new ones stand idle beside them: nobody drains them to see others start."""
    deployment = Deployment.of(*(busy(f"old {n}") for n in range(8)))
    outcome = deployment.run(3 * HOUR)
    assert outcome.report == 8
    assert (deployment.count("old"), deployment.count("new")) == (8, 8)
    assert not deployment.deleted
    assert {pod.phase for pod in deployment.pods.values()} == {Phase.ACTIVE}


def test_old_pods_that_end_their_work_leave_first() -> None:
    """One after the other the old pods end their work, for which new ones are there: the rollout comes to its end."""
    deployment = Deployment.of(*(busy(f"old {n}") for n in range(8)))
    deployment.run(600.0)
    for n in range(8):
        deployment.pods[f"old {n}"] = heard(idle(f"old {n}"), deployment.now)
        free_new = next(uid for uid, pod in deployment.pods.items() if uid.startswith("new") and free(pod))
        deployment.pods[free_new] = replace(deployment.pods[free_new], activity=busy("x").activity)
        deployment.run(600.0)
    assert (deployment.count("old"), deployment.count("new"), deployment.replicas) == (0, 8, 8)
    assert deployment.deleted == {"old": 8}


def test_of_a_pool_with_too_many_pods_the_old_ones_leave() -> None:
    """Three of eight pods work when the rollout begins. The other old ones leave; then the pool waits for those three.

    Only when they have ended it shrinks: a new pod that were taken away before would be started again.
    """
    deployment = Deployment.of(*(busy(f"old {n}") for n in range(3)), *(idle(f"old {n}") for n in range(3, 8)))
    deployment.run(2 * HOUR)
    assert (deployment.count("old"), deployment.count("new"), deployment.replicas) == (3, 8, 8)
    for n in range(3):
        deployment.pods[f"old {n}"] = heard(idle(f"old {n}"), deployment.now)
    deployment.run(2 * HOUR)
    assert (deployment.pods, deployment.replicas) == ({}, 0)
    assert deployment.deleted == {"old": 8, "new": 8}


def test_a_best_effort_pool_goes_by_who_is_idle() -> None:
    """It drains nobody, so nobody starts again: its target falls by the idle pods that nobody needs, surge or not."""
    deployment = Deployment.of(*(busy(f"old {n}") for n in range(4)), *(idle(f"old {n}") for n in range(4, 8)))
    deployment.policy = replace(deployment.policy, guarantee=Guarantee.BEST_EFFORT)
    outcomes = [deployment.step() for _ in range(100)]
    assert min(o.report for o in outcomes if isinstance(o.report, int)) == 4
