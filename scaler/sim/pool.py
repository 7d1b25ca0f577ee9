"""The life of the pool's pods: created, given a node, ready, told to go, gone. And the guard before a deletion."""

from __future__ import annotations

import math
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from scaler.core.pods import NO_ACK, Phase
from scaler.core.types import PodUid, Seconds
from scaler.sim.backend import Backend
from scaler.sim.dispatch import Serving
from scaler.sim.events import Agenda
from scaler.sim.fleet import NO_NODE, Fleet
from scaler.sim.nodes import Nodes, Supplying
from scaler.sim.work import Work
from scaler.sim.workload import STARTUP, Lognormal, Tasks

GRACE: Final[Seconds] = 30.0  # Kubernetes' default


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """What the world is made of.

    Attributes:
        guarded: whether a pod that is not drained can be deleted at all.
        ordinals: whether the pods are a StatefulSet's; ``parallel``: whether that starts and deletes all at once.
        startup: seconds from a pod's creation, or from when it has a node, until it is ready.
        nodes: as many that are always there, or how they are bought.
        grace: seconds a deleted pod may go on with its tasks, and agents use all of it.
        idle_only: whether the controller itself takes only pods without a task, as Agones' does.
        blind: spans, in seconds from the start, in which nothing can be measured.
        quota: tokens a second that the model's backend gives to all agents together; None for no bound.
    """

    guarded: bool
    serving: Serving = field(default_factory=Serving)
    ordinals: bool = False
    parallel: bool = False
    startup: Lognormal = STARTUP
    nodes: int | Supplying = 8
    grace: Seconds = GRACE
    idle_only: bool = False
    blind: tuple[tuple[Seconds, Seconds], ...] = ()
    quota: float | None = None


class Pool:
    """The pods, and the work in them.

    Attributes:
        created: pods started so far; ``wasted`` those that are gone and never ran a task.
        removals: deletions that went through; ``denied`` those that the guard refused.
        evicted: pods that a node took with it when it went.
        changed: called when there are fewer pods, or one more is ready.
    """

    def __init__(
        self, setting: Setting, tasks: Tasks, agenda: Agenda, *, seed: int, changed: Callable[[], None]
    ) -> None:
        self.setting, self.agenda, self.changed = setting, agenda, changed
        self.fleet = Fleet()
        self.work = Work(agenda, tasks, setting.serving, seed=seed, freed=self._at_rest)
        if setting.quota is not None:
            Backend(agenda, self.work, setting.quota)
        self.nodes = Nodes(agenda, setting.nodes, self, seed=seed)
        self.created = self.wasted = self.removals = self.denied = self.evicted = 0
        self._random = random.Random(seed)
        self._gone_seconds: Seconds = 0.0

    @property
    def seconds(self) -> Seconds:
        """Seconds that pods have stood so far, from creation until gone."""
        standing = self.agenda.now - self.fleet.created_at[self.fleet.rows()]
        return self._gone_seconds + float(standing.sum())

    def create(self, row: int) -> None:
        """Start a pod in this row."""
        self.created += 1
        uid = f"{self._random.getrandbits(128):032x}"
        node = self.nodes.place(uid)
        self.fleet.add(uid, row, now=self.agenda.now, node=node)
        self.work.settle_in(row)
        if node != NO_NODE:
            self._start(uid)

    def delete(self, row: int) -> bool:
        """Ask the API server to delete the pod; False where the guard denies it."""
        if self.setting.guarded and int(self.fleet.phase[row]) != Phase.DRAINED:
            self.denied += 1
            return False
        self.removals += 1
        self._leave(row, self.setting.grace)
        return True

    def close(self, row: int, epoch: int) -> None:
        """Close the pod's gate for this epoch; it acknowledges as soon as it holds no work."""
        self.fleet.closed_for[row] = epoch
        self.work.close(row)
        self._at_rest(row)

    def reopen(self, row: int) -> None:
        """Open its gate again, if it was closed."""
        if self.fleet.closed_for[row] != NO_ACK:
            self.fleet.closed_for[row] = NO_ACK
            if not math.isnan(self.fleet.ready_at[row]):
                self.work.open(row)

    def bind(self, uid: PodUid, node: int) -> bool:
        """A pod that waited for a node has one, and starts."""
        row = self.fleet.row(uid)
        if row is None or self.fleet.leaving[row]:
            return False
        self.fleet.place(row, node)
        self._start(uid)
        return True

    def evict(self, node: int, notice: Seconds) -> None:
        """The cloud takes the node back, whoever runs on it; no guard is asked."""
        for row in self.fleet.stays().tolist():
            if self.fleet.node[row] == node:
                self.evicted += 1
                self._leave(row, notice)

    def _start(self, uid: PodUid) -> None:
        startup = self.setting.startup
        ready = self.agenda.now + self._random.lognormvariate(startup.mu, startup.sigma)
        self.agenda.at(ready, self._ready, uid)

    def _ready(self, uid: PodUid) -> None:
        row = self.fleet.row(uid)
        if row is None or self.fleet.leaving[row]:
            return
        self.fleet.become_ready(row, self.agenda.now)
        if self.fleet.closed_for[row] == NO_ACK:
            self.work.open(row)
        self.changed()

    def _leave(self, row: int, grace: Seconds) -> None:
        """The pod is told to go: at once where it holds no work, and after the grace whatever it holds."""
        uid = self.fleet.uid(row)
        self.fleet.leave(row)
        self.work.leave(row)
        self.nodes.leave(int(self.fleet.node[row]))
        if self.work.at_rest(row):
            self._gone(row)
        else:
            self.agenda.at(self.agenda.now + grace, self._end_grace, uid)
        self.changed()

    def _at_rest(self, row: int) -> None:
        """A slot of a pod that takes no more tasks is free; the last one lets it acknowledge, or go."""
        if not self.work.at_rest(row):
            return
        if self.fleet.leaving[row]:
            self._gone(row)
        elif self.setting.serving.once:
            self.fleet.leave(row)
            self.nodes.leave(int(self.fleet.node[row]))
            self._gone(row)
        else:
            self.fleet.acknowledge(row)

    def _end_grace(self, uid: PodUid) -> None:
        """Whatever still runs in a pod that was deleted is cut."""
        row = self.fleet.row(uid)
        if row is not None:
            self.work.lose(row)
            self._gone(row)

    def _gone(self, row: int) -> None:
        self.wasted += not self.work.served(row)
        self._gone_seconds += self.agenda.now - float(self.fleet.created_at[row])
        self.fleet.drop(row)
        self.changed()
