"""The world: a pool's pods, the ReplicaSet that starts and deletes them, and the guard that stands before a deletion.

Everything happens by ``run_until``; between two calls the world stands still and can be looked at, scaled, and given
drain orders.
"""

from __future__ import annotations

import math
import random
from dataclasses import dataclass

from scaler.core.pods import Phase
from scaler.core.types import Instant, PodUid, Seconds
from scaler.sim.events import Agenda
from scaler.sim.replica import Replica
from scaler.sim.replicaset import PodPhase, Standing, victims
from scaler.sim.work import Work
from scaler.sim.workload import STARTUP, Lognormal, Tasks

LAG: Seconds = 0.1  # from a write until the ReplicaSet's controller has seen it and acted
RETRY_FIRST: Seconds = 0.005  # a controller whose deletion is denied tries again, each time after twice as long
RETRY_LONGEST: Seconds = 1000.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """What the world is made of.

    Attributes:
        guarded: whether a pod that is not drained can be deleted at all.
        slots: tasks that a pod runs at once.
        startup: seconds from a pod's creation until it is ready.
        nodes: nodes that pods are spread over.
        grace: seconds a deleted pod may go on with its tasks: Kubernetes' default, and agents use all of it.
    """

    guarded: bool
    slots: int = 1
    startup: Lognormal = STARTUP
    nodes: int = 8
    grace: Seconds = 30.0


class World:
    """One pool.

    Attributes:
        replicas: ``spec.replicas``.
        pods: by uid, those that are leaving included.
        scaled: each change of ``spec.replicas``, with its instant.
        removals: deletions that went through; ``denied`` those that the guard refused.
    """

    def __init__(self, setting: Setting, tasks: Tasks, *, start: Instant, seed: int) -> None:
        self.setting = setting
        self.agenda = Agenda(start)
        self.start = start
        self.work = Work(self.agenda, tasks, slots=setting.slots, freed=self._at_rest)
        self.replicas = 0
        self.pods: dict[PodUid, Replica] = {}
        self.scaled: list[tuple[Instant, int]] = []
        self.removals = self.denied = 0
        self._random = random.Random(seed)
        self._loads = [0] * setting.nodes
        self._gone_seconds = 0.0
        self._due = math.inf
        self._denied_in_a_row = 0

    @property
    def now(self) -> Instant:
        """What time it is here."""
        return self.agenda.now

    @property
    def status_replicas(self) -> int:
        """Pods that are not on their way out."""
        return sum(self._loads)

    @property
    def pod_seconds(self) -> Seconds:
        """Seconds that pods have stood so far, from creation until gone."""
        return self._gone_seconds + sum(self.now - pod.created_at for pod in self.pods.values())

    def run_until(self, end: Instant) -> None:
        """Let time pass."""
        self.agenda.run_until(end)

    def scale(self, replicas: int) -> None:
        """Write ``spec.replicas``."""
        if replicas != self.replicas:
            self.replicas = replicas
            self.scaled.append((self.now, replicas))
            self._wake()

    def delete(self, pod: Replica) -> bool:
        """Ask the API server to delete the pod; False where the guard denies it."""
        if self.setting.guarded and pod.phase is not Phase.DRAINED:
            self.denied += 1
            return False
        self.removals += 1
        self._loads[pod.node] -= 1
        pod.leaving = True
        pod.settle()
        if pod.running:
            self.agenda.at(self.now + self.setting.grace, self._end_grace, pod)
        else:
            self._gone(pod)
        self._wake()
        return True

    def _wake(self, after: Seconds = LAG) -> None:
        """Have the ReplicaSet's controller look, once however many reasons there are."""
        when = self.now + after
        if when < self._due:
            self._due = when
            self.agenda.at(when, self._reconcile, when)

    def _reconcile(self, due: Instant) -> None:
        """Start what is missing, or delete what is too much."""
        if due != self._due:
            return  # an earlier look has taken its place
        self._due = math.inf
        excess = self.status_replicas - self.replicas
        if excess <= 0:
            for _missing in range(-excess):
                self._create()
            return
        granted = [self.delete(self.pods[uid]) for uid in victims(self._standings(), excess, self.now)]
        if all(granted):
            self._denied_in_a_row = 0
        else:
            self._wake(min(RETRY_LONGEST, RETRY_FIRST * 2.0**self._denied_in_a_row))
            self._denied_in_a_row += 1

    def _standings(self) -> list[Standing]:
        """The pods as the ReplicaSet's controller sees them."""
        return [
            Standing(
                uid=pod.uid,
                phase=PodPhase.PENDING if pod.ready_at is None else PodPhase.RUNNING,
                ready=pod.ready_at is not None,
                deletion_cost=pod.deletion_cost,
                neighbours=self._loads[pod.node],
                ready_since=pod.ready_at,
                created_at=pod.created_at,
            )
            for pod in self.pods.values()
            if not pod.leaving
        ]

    def _create(self) -> None:
        """Start a pod on the emptiest node."""
        node = self._loads.index(min(self._loads))
        self._loads[node] += 1
        pod = Replica(f"{self._random.getrandbits(128):032x}", node=node, created_at=self.now)
        self.pods[pod.uid] = pod
        startup = self.setting.startup
        self.agenda.at(self.now + self._random.lognormvariate(startup.mu, startup.sigma), self._ready, pod)

    def _ready(self, pod: Replica) -> None:
        if not pod.leaving:
            pod.ready_at = self.now
            pod.settle()
            self.work.offer(pod)

    def _at_rest(self, pod: Replica) -> None:
        """A task has ended in a pod that takes no more."""
        if not pod.running and pod.leaving:
            self._gone(pod)
        else:
            pod.settle()

    def _end_grace(self, pod: Replica) -> None:
        """Whatever still runs in a pod that was deleted is cut."""
        if pod.uid in self.pods:
            self._gone(pod)
            self.work.lose(pod)

    def _gone(self, pod: Replica) -> None:
        del self.pods[pod.uid]
        self._gone_seconds += self.now - pod.created_at
