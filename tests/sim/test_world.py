"""Stories of pods and tasks: who runs what, who is deleted, and what that costs."""

from __future__ import annotations

import pytest

from scaler.core.pods import Phase
from scaler.core.types import Order, Verb
from scaler.sim.dispatch import Serving
from scaler.sim.drains import Drains
from scaler.sim.owner import LAG
from scaler.sim.pool import Setting
from tests.sim.conftest import T0, TEN_SECONDS, MakeWorld, tasks
from tests.sim.laws import running

PLAIN = Setting(guarded=False, startup=TEN_SECONDS)
GUARDED = Setting(guarded=True, startup=TEN_SECONDS)
READY = T0 + LAG + 10.0


def test_pods_start_when_asked_for_and_pull_what_waits(make_world: MakeWorld) -> None:
    """A task that is there before its pod waits for the pod's startup, and no longer."""
    world = make_world(PLAIN, tasks((2.0, 60.0)))
    world.scale(1)
    world.run_until(T0 + 10)
    assert (len(world.work.queue), world.work.running) == (1, 0)
    world.run_until(T0 + 11)
    assert (len(world.work.queue), world.work.running) == (0, 1)
    assert world.work.waits() == [pytest.approx(LAG + 8.0)]
    world.run_until(T0 + 72)
    assert list(world.work.ended) == [0]


def test_whoever_has_waited_longest_for_a_task_gets_it(make_world: MakeWorld) -> None:
    """Consumers stand in a row, so idleness is spread, and nobody picks the pod that is best to keep."""
    world = make_world(PLAIN, tasks((20.0, 3.0), (30.0, 3.0), (40.0, 3.0), (50.0, 3.0)))
    world.scale(3)
    served = []
    for at in (21.0, 31.0, 41.0, 51.0):
        world.run_until(T0 + at)
        served += [row for row, inside in running(world).items() if inside]
    assert len(set(served[:3])) == 3
    assert served[3] == served[0]


def test_a_pod_runs_as_many_tasks_as_it_has_slots(make_world: MakeWorld) -> None:
    """Two of three run at once, and the third as soon as one ends."""
    world = make_world(Setting(guarded=False, serving=Serving(slots=2), startup=TEN_SECONDS), tasks(*[(0.0, 30.0)] * 3))
    world.scale(1)
    world.run_until(T0 + 20)
    assert (world.work.running, len(world.work.queue)) == (2, 1)
    world.run_until(READY + 30)
    assert (world.work.running, len(world.work.queue)) == (1, 0)


def test_the_replicaset_takes_a_busy_pod_and_the_work_is_lost(make_world: MakeWorld) -> None:
    """Thirty seconds after the deletion the run is cut; the task goes to the head of the queue and begins anew."""
    world = make_world(PLAIN, tasks((0.0, 100.0), (40.0, 10.0)))
    world.scale(1)
    world.run_until(T0 + 50)
    world.scale(0)
    world.run_until(T0 + 50 + LAG)
    assert (world.pool.removals, world.status_replicas, world.work.running) == (1, 0, 1)
    world.run_until(T0 + 80 + LAG)
    assert (world.work.killed, [task for task, *_ in world.work.queue], len(world.fleet)) == (1, [0, 1], 0)
    world.scale(1)
    world.run_until(T0 + 300)
    assert list(world.work.ended) == [0, 1]
    assert world.work.waits()[0] == pytest.approx(80 + 2 * LAG + 10.0)


def test_a_run_that_ends_within_the_grace_is_not_cut(make_world: MakeWorld) -> None:
    """A deleted pod takes nothing new, but may finish what it can in thirty seconds, and then it is gone."""
    world = make_world(PLAIN, tasks((0.0, 60.0), (55.0, 5.0)))
    world.scale(1)
    world.run_until(T0 + 50)
    world.scale(0)
    world.run_until(READY + 60)
    assert (list(world.work.ended), world.work.killed, len(world.fleet)) == ([0], 0, 0)
    assert [task for task, *_ in world.work.queue] == [1]
    assert world.pool.seconds == pytest.approx(70.0)


def test_the_end_of_a_run_that_was_cut_ends_nothing(make_world: MakeWorld) -> None:
    """The first run's end comes due while the second is under way, and does not finish it."""
    world = make_world(PLAIN, tasks((0.0, 100.0)))
    world.scale(1)
    world.run_until(T0 + 30)
    world.scale(0)
    world.run_until(T0 + 61)
    world.scale(1)
    world.run_until(READY + 101)
    assert (world.work.running, world.work.finished) == (1, 0)
    world.run_until(T0 + 61 + LAG + 111)
    assert list(world.work.ended) == [0]


def test_a_pod_deleted_while_it_starts_never_serves(make_world: MakeWorld) -> None:
    """It was pending, so it was the first to go, and it costs what it stood."""
    world = make_world(PLAIN, tasks((30.0, 10.0)))
    world.scale(1)
    world.run_until(READY)
    world.scale(2)
    world.run_until(READY + 5)
    world.scale(1)
    world.run_until(T0 + 60)
    assert list(world.work.ended) == [0]
    assert world.pool.seconds == pytest.approx(60 - LAG + 5)


def test_the_guard_denies_the_deletion_of_a_pod_that_is_not_drained(make_world: MakeWorld) -> None:
    """The ReplicaSet tries ever more rarely and takes nobody; the work goes on."""
    world = make_world(GUARDED, tasks((0.0, 500.0)))
    world.scale(2)
    world.run_until(T0 + 60)
    world.scale(0)
    world.run_until(T0 + 400)
    assert (world.pool.removals, world.status_replicas, world.work.running) == (0, 2, 1)
    assert 10 <= world.pool.denied <= 40
    tried = world.pool.denied
    world.scale(2)
    world.run_until(T0 + 3000)
    assert world.pool.denied == tried


def test_the_guard_lets_a_drained_pod_go(make_world: MakeWorld) -> None:
    """And the ReplicaSet, which the deletion cost shows the way, takes that one."""
    world = make_world(GUARDED, tasks())
    world.scale(3)
    world.run_until(T0 + 60)
    drained, drains = world.fleet.uid(1), Drains(world)
    for verb in (Verb.MARK, Verb.CLOSE, Verb.COMMIT):
        drains.carry([Order(verb, drained, 1)])
        world.run_until(world.now + 0.2)
    assert world.fleet.phase[1] == Phase.DRAINED
    world.scale(2)
    world.run_until(T0 + 61)
    assert world.fleet.row(drained) is None
    assert (world.pool.removals, world.pool.denied, world.status_replicas) == (1, 0, 2)


def test_a_pod_that_is_gone_is_replaced_while_the_replicas_stand(make_world: MakeWorld) -> None:
    """Deleting a pod without lowering the replicas brings a new one, on the emptiest node."""
    world = make_world(PLAIN, tasks())
    world.scale(4)
    world.run_until(T0 + 60)
    victim, node = world.fleet.uid(2), world.fleet.node[2]
    assert world.pool.delete(2)
    world.run_until(T0 + 61)
    assert (world.status_replicas, world.fleet.row(victim), world.fleet.node[2]) == (4, None, node)


def test_pods_cost_from_creation_until_they_are_gone(make_world: MakeWorld) -> None:
    """Startup and grace are paid for too."""
    world = make_world(PLAIN, tasks((0.0, 1000.0)))
    world.scale(2)
    world.run_until(T0 + 100)
    world.scale(0)
    world.run_until(T0 + 200)
    assert world.pool.seconds == pytest.approx(100 + 100 + 30)
