"""Stories of what a world may be made of: sessions, jobs, nodes, ordinals, and ways to dispatch."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scaler.core.pods import Stage
from scaler.core.types import Known, Signal
from scaler.sim.dispatch import Dispatch, Serving
from scaler.sim.nodes import Supplying
from scaler.sim.pool import Setting
from scaler.sim.sight import Sight
from scaler.sim.workload import Lognormal, Tasks
from scaler.sim.world import World
from tests.sim.conftest import T0, TEN_SECONDS, MakeWorld, tasks
from tests.sim.laws import broken, running

PLAIN = Setting(guarded=False, startup=TEN_SECONDS)
A_MINUTE = Lognormal(math.log(60.0), 0.0, "every node comes after a minute")


def sticky(hold: float, slots: int = 1) -> Setting:
    """Pods that keep their sessions."""
    return Setting(guarded=False, startup=TEN_SECONDS, serving=Serving(slots=slots, hold=hold))


def talking(*rows: tuple[float, float, int]) -> Tasks:
    """Tasks from (seconds after T0, seconds it takes, its session)."""
    at, seconds, session = zip(*rows, strict=True)
    return Tasks.of(T0 + np.array(at), seconds, session=session)


def began(world: World) -> list[float]:
    """When the run of each task began, in seconds after T0."""
    return [round(at - T0, 3) for at in world.work.began]


def test_a_session_comes_back_to_its_slot(make_world: MakeWorld) -> None:
    """While it is held nobody else gets it, though others wait; who comes after that stands in the queue."""
    world = make_world(sticky(60.0), talking((20, 10, 7), (40, 5, -1), (50, 10, 7)))
    world.scale(1)
    world.run_until(T0 + 300)
    assert began(world) == [20.0, 120.0, 50.0]


def test_a_session_that_does_not_come_back_loses_its_slot(make_world: MakeWorld) -> None:
    """After the hold and not before; coming late it is served like anybody."""
    world = make_world(sticky(30.0), talking((20, 10, 7), (40, 100, -1), (70, 10, 7)))
    world.scale(1)
    world.run_until(T0 + 300)
    assert began(world) == [20.0, 60.0, 160.0]


def test_a_session_s_tasks_run_one_after_the_other(make_world: MakeWorld) -> None:
    """Though there are free slots; and what stands behind an earlier task is no queue that more pods would shorten."""
    world = make_world(sticky(0.0, slots=4), talking((20, 30, 7), (25, 10, 7), (30, 10, 7), (31, 5, -1)))
    world.scale(1)
    world.run_until(T0 + 40)
    assert (len(world.work.queue), world.work.behind, world.work.running) == (0, 2, 1)
    world.run_until(T0 + 300)
    assert began(world) == [20.0, 50.0, 60.0, 31.0]


def test_a_held_session_is_seen_and_holds_a_drain_up(make_world: MakeWorld) -> None:
    """A pod that keeps one for later is not idle, and acknowledges when it has given it up."""
    world = make_world(
        Setting(guarded=True, startup=TEN_SECONDS, serving=Serving(hold=60.0)), talking((20, 10, 7), (200, 1, -1))
    )
    sight = Sight(world, [])
    world.scale(1)
    world.run_until(T0 + 36)
    assert (sight.pods().sessions.tolist(), sight.pods().inflight.tolist()) == ([1], [0])
    world.pool.close(0, 1)
    assert world.fleet.acked[0] == -1
    world.run_until(T0 + 91)
    assert world.fleet.acked[0] == 1


def test_a_session_whose_pod_is_cut_begins_elsewhere(make_world: MakeWorld) -> None:
    """Its run is lost and goes to the head of the queue; what stood behind it follows it there."""
    world = make_world(sticky(60.0), talking((20, 100, 7), (25, 10, 7), (30, 5, -1)))
    world.scale(1)
    world.run_until(T0 + 50)
    world.scale(0)
    world.run_until(T0 + 90)
    assert (world.work.killed, world.work.behind, [task for task, *_ in world.work.queue]) == (1, 1, [0, 2])
    world.scale(1)
    world.run_until(T0 + 400)
    assert (world.work.finished, world.work.killed) == (3, 1)


def test_a_job_runs_one_task_and_is_gone(make_world: MakeWorld) -> None:
    """Nobody replaces it, and asking for fewer takes none away."""
    setting = Setting(guarded=False, startup=TEN_SECONDS, serving=Serving(once=True))
    world = make_world(setting, tasks((0.0, 20.0), (0.0, 60.0), (100.0, 5.0)))
    world.scale(2)
    world.run_until(T0 + 40)
    assert (world.status_replicas, world.work.finished) == (1, 1)
    world.scale(0)
    world.run_until(T0 + 50)
    assert (world.status_replicas, world.work.running) == (1, 1)
    world.run_until(T0 + 105)
    assert (world.status_replicas, world.work.killed, len(world.work.queue)) == (0, 0, 1)
    world.scale(1)
    world.run_until(T0 + 130)
    assert (world.work.finished, world.pool.wasted) == (3, 0)


def test_where_only_idle_pods_go_the_busy_stay_until_they_are_idle(make_world: MakeWorld) -> None:
    """And go then, as long as they are too many."""
    setting = Setting(guarded=False, startup=TEN_SECONDS, idle_only=True)
    world = make_world(setting, tasks((20.0, 100.0)))
    world.scale(2)
    world.run_until(T0 + 40)
    world.scale(0)
    world.run_until(T0 + 45)
    assert (world.status_replicas, world.work.running) == (1, 1)
    world.run_until(T0 + 122)
    assert (world.status_replicas, world.work.finished, world.work.killed) == (0, 1, 0)


def test_pods_wait_for_nodes_and_nodes_go_when_nobody_needs_them(make_world: MakeWorld) -> None:
    """Four pods, three to a node: two nodes are bought at once, and kept for a while after."""
    nodes = Supplying(room=3, delay=A_MINUTE, stays=100.0)
    world = make_world(Setting(guarded=False, startup=TEN_SECONDS, nodes=nodes), tasks())
    world.scale(4)
    world.run_until(T0 + 59)
    assert (world.pool.nodes.bought, len(world.pool.nodes.waiting)) == (2, 4)
    world.run_until(T0 + 71)
    assert (world.fleet.ready().sum(), sorted(world.pool.nodes.loads.values())) == (4, [1, 3])
    world.scale(0)
    world.run_until(T0 + 160)
    assert sorted(world.pool.nodes.loads.values()) == [0, 0]
    world.run_until(T0 + 180)
    assert world.pool.nodes.loads == {}


def test_a_node_that_is_taken_back_takes_its_pods_with_it(make_world: MakeWorld) -> None:
    """After its notice, guard or not; what ends within that is saved, and the pods come again elsewhere."""
    nodes = Supplying(room=2, delay=A_MINUTE, reclaimed=1.0, notice=30.0)
    setting = Setting(guarded=True, startup=TEN_SECONDS, nodes=nodes)
    world = make_world(setting, tasks((0.0, 5.0), (0.0, 5000.0)))
    world.scale(2)
    world.run_until(T0 + 300)
    assert world.pool.evicted >= 2
    assert world.work.running + len(world.work.queue) + world.work.finished == 2


def test_a_stateful_set_starts_in_order_and_loses_its_top(make_world: MakeWorld) -> None:
    """One pod after another up, the highest ordinal first down, busy or not."""
    world = make_world(Setting(guarded=False, startup=TEN_SECONDS, ordinals=True), tasks((60.0, 500.0)))
    world.scale(3)
    world.run_until(T0 + 15)
    assert len(world.fleet) == 2
    world.run_until(T0 + 100)
    assert len(world.fleet) == 3
    world.scale(1)
    world.run_until(T0 + 200)
    assert world.fleet.rows().tolist() == [0]


@pytest.mark.parametrize(("dispatch", "served"), [(Dispatch.LATEST, {2}), (Dispatch.LOWEST, {0})])
def test_cleverer_dispatch_spares_the_others(make_world: MakeWorld, dispatch: Dispatch, served: set[int]) -> None:
    """One task at a time always goes to the same pod, so that the others can go."""
    setting = Setting(guarded=False, startup=TEN_SECONDS, serving=Serving(dispatch=dispatch))
    world = make_world(setting, tasks(*((20.0 + 10 * n, 3.0) for n in range(8))))
    world.scale(3)
    seen = set()
    for n in range(8):
        world.run_until(T0 + 21 + 10 * n)
        seen |= {row for row, inside in running(world).items() if inside}
    assert len(seen) == 1
    assert dispatch is Dispatch.LATEST or seen == served


def test_random_dispatch_knows_no_favourite(make_world: MakeWorld) -> None:
    """Each of three pods gets about a third."""
    setting = Setting(guarded=False, startup=TEN_SECONDS, serving=Serving(dispatch=Dispatch.RANDOM))
    world = make_world(setting, tasks(*((20.0 + 10 * n, 3.0) for n in range(600))))
    world.scale(3)
    counts = np.zeros(3)
    for n in range(600):
        world.run_until(T0 + 21 + 10 * n)
        counts += [bool(inside) for inside in running(world).values()]
    assert counts.min() > 160


def test_nothing_is_measured_while_it_is_blind(make_world: MakeWorld) -> None:
    """The samples stand, and grow old."""
    world = make_world(Setting(guarded=False, startup=TEN_SECONDS, blind=((10.0, 60.0),)), tasks((20.0, 5.0)))
    sight = Sight(world, [Signal.QUEUE])
    world.run_until(T0 + 58)
    assert sight.signal(Signal.QUEUE) == Known(0.0, T0 + 5)
    world.run_until(T0 + 61)
    assert sight.signal(Signal.QUEUE) == Known(1.0, T0 + 60)


@given(
    seed=st.integers(0, 10_000),
    slots=st.sampled_from([1, 3]),
    hold=st.sampled_from([0.0, 20.0]),
    dispatch=st.sampled_from(list(Dispatch)),
    replicas=st.lists(st.integers(0, 6), min_size=1, max_size=8),
)
@settings(max_examples=60, deadline=None)
def test_whatever_happens_no_task_is_lost_or_done_twice(
    seed: int, slots: int, hold: float, dispatch: Dispatch, replicas: list[int]
) -> None:
    """Sessions, kills, nodes that vanish and a stranger who scales: all laws hold all the time, and all ends well."""
    rng = np.random.default_rng(seed)
    at, session = np.sort(T0 + rng.uniform(0, 600, 60)), rng.integers(-1, 6, 60)
    setting = Setting(
        guarded=False,
        startup=TEN_SECONDS,
        serving=Serving(slots=slots, hold=hold, dispatch=dispatch),
        nodes=Supplying(room=2, delay=A_MINUTE, reclaimed=900.0),
        grace=5.0,
    )
    work = Tasks.of(at, rng.exponential(40.0, 60), session=session)
    world = World(setting, work, start=T0, seed=seed)
    for turn, count in enumerate(replicas):
        world.scale(count)
        world.run_until(T0 + 100.0 * (turn + 1))
        assert broken(world) == []
    world.scale(6)
    world.run_until(T0 + 50_000.0)
    assert broken(world) == []
    assert (world.work.done, world.work.running, world.work.behind, len(world.work.queue)) == (True, 0, 0, 0)


def test_a_pod_that_gets_its_node_is_seen_so_at_once(make_world: MakeWorld) -> None:
    """It waits for one, then it starts; nothing else about the pool has changed meanwhile."""
    setting = Setting(guarded=False, startup=TEN_SECONDS, nodes=Supplying(room=4, delay=A_MINUTE))
    world = make_world(setting, tasks((500, 1)))
    sight = Sight(world, [])
    world.scale(1)
    world.run_until(T0 + 59)
    assert sight.pods().stage.tolist() == [Stage.PENDING]
    world.run_until(T0 + 61)
    assert sight.pods().stage.tolist() == [Stage.STARTING]
