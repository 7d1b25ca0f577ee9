"""Drain orders in a world that goes on meanwhile."""

from __future__ import annotations

import pytest

from scaler.core.pods import NO_ACK, Phase
from scaler.core.types import Order, Verb
from scaler.sim.drains import Drains
from scaler.sim.fleet import CHEAPEST
from scaler.sim.pool import Setting
from scaler.sim.workload import Tasks
from scaler.sim.world import World
from tests.sim.conftest import T0, TEN_SECONDS, MakeWorld, tasks

SETTING = Setting(guarded=True, startup=TEN_SECONDS)


class Pool:
    """One pod that stands for a minute before it is told anything."""

    def __init__(self, make_world: MakeWorld, work: Tasks) -> None:
        self.world: World = make_world(SETTING, work)
        self.drains = Drains(self.world)
        self.world.scale(1)
        self.world.run_until(T0 + 60)
        self.uid = self.world.fleet.uid(0)

    def said(self) -> tuple[Phase, int, int, int]:
        """Its phase and epoch, the epoch its gate is closed for, and the one it acknowledged."""
        fleet = self.world.fleet
        phase, epoch, closed_for, acked = (int(c[0]) for c in (fleet.phase, fleet.epoch, fleet.closed_for, fleet.acked))
        return Phase(phase), epoch, closed_for, acked

    def tell(self, verb: Verb, epoch: int) -> None:
        """Give an order and let a second pass."""
        self.drains.carry([Order(verb, self.uid, epoch)])
        self.world.run_until(self.world.now + 1.0)


def test_an_idle_pod_drains_and_goes(make_world: MakeWorld) -> None:
    """Marked, and its gate closed with that; committed, deleted: each step can be seen, and asking twice is nothing."""
    pool = Pool(make_world, tasks())
    pool.tell(Verb.MARK, 1)
    assert pool.said() == (Phase.DRAINING, 1, 1, 1)
    pool.tell(Verb.CLOSE, 1)
    assert pool.said() == (Phase.DRAINING, 1, 1, 1)
    pool.tell(Verb.COMMIT, 1)
    assert (pool.said(), pool.world.fleet.cost[0]) == ((Phase.DRAINED, 1, 1, 1), CHEAPEST)
    pool.tell(Verb.DELETE, 1)
    assert (pool.world.pool.removals, pool.world.fleet.row(pool.uid)) == (1, None)
    assert pool.world.status_replicas == 1  # nobody lowered the replicas, so another has come


def test_a_pod_that_takes_work_before_its_gate_closes_acknowledges_when_that_is_done(make_world: MakeWorld) -> None:
    """Choosing it was wrong, which costs time and no work."""
    pool = Pool(make_world, tasks((60.1, 30.0), (70.0, 5.0)))
    pool.tell(Verb.MARK, 1)
    pool.tell(Verb.CLOSE, 1)
    assert (pool.said()[3], pool.world.work.running) == (NO_ACK, 1)
    pool.world.run_until(T0 + 95)
    assert (pool.said()[3], pool.world.work.running, [task for task, *_ in pool.world.work.queue]) == (1, 0, [1])


def test_a_pod_called_back_serves_again(make_world: MakeWorld) -> None:
    """Its gate opens under a new epoch, and it pulls what has queued meanwhile."""
    pool = Pool(make_world, tasks((63.0, 30.0)))
    pool.tell(Verb.MARK, 1)
    pool.tell(Verb.CLOSE, 1)
    pool.world.run_until(T0 + 65)
    assert pool.world.work.running == 0
    pool.tell(Verb.CANCEL, 2)
    assert pool.said()[:3] == (Phase.ACTIVE, 2, NO_ACK)
    assert pool.world.work.running == 1


def test_a_pod_called_back_before_its_gate_closed_serves_as_if_nothing_had_been(make_world: MakeWorld) -> None:
    """It stands once in the row of those who wait for work, and runs one task at a time."""
    pool = Pool(make_world, tasks((63.0, 30.0), (64.0, 30.0)))
    pool.tell(Verb.MARK, 1)
    pool.tell(Verb.CANCEL, 2)
    pool.world.run_until(T0 + 70)
    assert (pool.said()[0], pool.world.work.running, len(pool.world.work.queue)) == (Phase.ACTIVE, 1, 1)


@pytest.mark.parametrize(
    ("verb", "epoch"),
    [(Verb.CLOSE, 1), (Verb.COMMIT, 1), (Verb.COMMIT, 2), (Verb.CANCEL, 3), (Verb.MARK, 2), (Verb.DELETE, 1)],
)
def test_orders_of_a_drain_that_was_called_back_do_nothing(make_world: MakeWorld, verb: Verb, epoch: int) -> None:
    """Old acknowledgements and late orders find another epoch or phase."""
    pool = Pool(make_world, tasks())
    pool.tell(Verb.MARK, 1)
    pool.tell(Verb.CLOSE, 1)
    pool.tell(Verb.CANCEL, 2)
    pool.tell(verb, epoch)
    assert pool.said()[:3] == (Phase.ACTIVE, 2, NO_ACK)
    assert pool.world.pool.removals == 0


def test_an_order_for_a_pod_that_is_gone_does_nothing(make_world: MakeWorld) -> None:
    """Nor does one that comes twice."""
    pool = Pool(make_world, tasks())
    for verb in (Verb.MARK, Verb.MARK, Verb.CLOSE, Verb.CLOSE, Verb.COMMIT, Verb.COMMIT, Verb.DELETE, Verb.DELETE):
        pool.tell(verb, 1)
    assert (pool.world.pool.removals, pool.world.pool.denied) == (1, 0)


def test_deleting_a_pod_that_is_not_drained_is_denied(make_world: MakeWorld) -> None:
    """The guard does not care who asks."""
    pool = Pool(make_world, tasks((60.1, 100.0)))
    pool.tell(Verb.MARK, 1)
    pool.tell(Verb.DELETE, 1)
    assert (pool.world.pool.removals, pool.world.pool.denied, pool.world.work.running) == (0, 1, 1)
