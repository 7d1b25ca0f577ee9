"""The controller that owns the pool's pods: how many are missing, and who goes when there are too many."""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence

import numpy as np

from scaler.core.pods import Ints
from scaler.core.types import Instant, PodUid, Seconds
from scaler.sim.fleet import NO_NODE, Fleet
from scaler.sim.pool import Pool
from scaler.sim.replicaset import PodPhase, Standing, victims
from scaler.sim.statefulset import Member, ordered, parallel

LAG: Seconds = 0.1  # from a write until the controller has seen it and acted
RETRY_FIRST: Seconds = 0.005  # a controller whose deletion is denied tries again, each time after twice as long
RETRY_LONGEST: Seconds = 1000.0
LOOK_AGAIN: Seconds = 1.0  # at pods that are too many and busy, where only idle ones go


class Controller:
    """Brings the pods to ``spec.replicas``: a ReplicaSet, a StatefulSet, or whoever else owns them.

    Attributes:
        replicas: ``spec.replicas``.
    """

    def __init__(self, pool: Pool) -> None:
        self.replicas = 0
        self._pool = pool
        self._due = math.inf
        self._denied_in_a_row = self._owed = 0

    def scale(self, replicas: int) -> None:
        """Write ``spec.replicas``. Where pods end by themselves, that is how many shall stand at this moment."""
        self.replicas = replicas
        self._owed = max(0, replicas - len(self._pool.fleet.stays()))
        self.wake()

    def wake(self, after: Seconds = LAG) -> None:
        """Look at the pods soon, once however many reasons there are."""
        when = self._pool.agenda.now + after
        if when < self._due:
            self._due = when
            self._pool.agenda.at(when, self._look, when)

    def _look(self, due: Instant) -> None:
        """Start what is missing, or delete what is too much."""
        if due != self._due:
            return  # an earlier look has taken its place
        self._due = math.inf
        setting = self._pool.setting
        if setting.serving.once:
            self._start(self._owed)
            self._owed = 0
        elif setting.ordinals:
            self._follow()
        else:
            excess = len(self._pool.fleet.stays()) - self.replicas
            self._start(-excess)
            self._reduce(excess)

    def _start(self, count: int) -> None:
        for _ in range(count):
            self._pool.create(self._pool.fleet.lowest_free())

    def _reduce(self, excess: int) -> None:
        """Delete so many, those first whom the ReplicaSet gives up first."""
        if excess <= 0:
            return
        pool = self._pool
        rows = pool.fleet.stays()
        if pool.setting.idle_only:
            rows = rows[[pool.work.at_rest(row) for row in rows.tolist()]]
            if len(rows) < excess:
                self.wake(LOOK_AGAIN)
        load = pool.nodes.loads.get
        loads = np.array([load(node, 0) for node in pool.fleet.node[rows].tolist()], dtype=np.int64)
        first = candidates(pool.fleet, rows, loads, excess)
        likely = standings(pool.fleet, rows[first].tolist(), loads[first].tolist())
        self._delete(victims(likely, excess, pool.agenda.now))

    def _follow(self) -> None:
        """One look of a StatefulSet's controller; its ordinals are the rows."""
        fleet, choose = self._pool.fleet, parallel if self._pool.setting.parallel else ordered
        step = choose(members(fleet), self.replicas)
        for row in step.start:
            self._pool.create(row)
        for batch in step.batches():
            if not self._delete([fleet.uid(row) for row in batch]):
                break

    def _delete(self, uids: Sequence[PodUid]) -> bool:
        """Delete these pods; whether all deletions were granted."""
        fleet = self._pool.fleet
        granted = [self._pool.delete(row) for uid in uids if (row := fleet.row(uid)) is not None]
        if all(granted):
            self._denied_in_a_row = 0
            return True
        self.wake(min(RETRY_LONGEST, RETRY_FIRST * 2.0**self._denied_in_a_row))
        self._denied_in_a_row += 1
        return False


def candidates(fleet: Fleet, rows: Ints, loads: Ints, count: int) -> Ints:
    """Positions in ``rows`` of those among whom the first ``count`` victims are, by what needs no comparison of two.

    Building a ``Standing`` for each of a thousand pods would cost more than all else that a deletion does.
    """
    if count >= len(rows):
        return np.arange(len(rows))
    ready = ~np.isnan(fleet.ready_at[rows])
    criteria = (-loads, fleet.cost[rows], ready, fleet.node[rows] != NO_NODE)
    order: Ints = np.lexsort(criteria)
    last = order[count - 1]
    alike = functools.reduce(np.logical_and, (column == column[last] for column in criteria))
    return order[: int(alike[order].nonzero()[0][-1]) + 1]


def standings(fleet: Fleet, rows: Sequence[int], loads: Sequence[int]) -> list[Standing]:
    """These pods, and how many stand beside each, as a ReplicaSet's controller sees them."""
    return [_standing(fleet, row, load) for row, load in zip(rows, loads, strict=True)]


def _standing(fleet: Fleet, row: int, neighbours: int) -> Standing:
    ready_at = float(fleet.ready_at[row])
    ready = not math.isnan(ready_at)
    return Standing(
        uid=fleet.uid(row),
        assigned=bool(fleet.node[row] != NO_NODE),
        phase=PodPhase.RUNNING if ready else PodPhase.PENDING,
        ready=ready,
        deletion_cost=int(fleet.cost[row]),
        neighbours=neighbours,
        ready_since=ready_at if ready else None,
        created_at=float(fleet.created_at[row]),
    )


def members(fleet: Fleet) -> dict[int, Member]:
    """The pods of a StatefulSet by ordinal, those that are leaving included."""
    rows = fleet.rows()
    states = zip(rows.tolist(), ~np.isnan(fleet.ready_at[rows]), fleet.leaving[rows], strict=True)
    return {row: Member(ready=bool(ready), leaving=bool(leaving)) for row, ready, leaving in states}
