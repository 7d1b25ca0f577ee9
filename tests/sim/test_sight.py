"""What can be seen of the world, and how late."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scaler.core.pods import Activity, Phase, Stage
from scaler.core.types import Known, PodUid, Signal, Unknown
from scaler.sim.dispatch import Serving
from scaler.sim.owner import LAG
from scaler.sim.pool import Setting
from scaler.sim.sight import SCRAPE, Sight
from scaler.sim.work import HELD
from scaler.sim.workload import Tasks
from scaler.sim.world import World
from tests.sim.conftest import T0, TEN_SECONDS, MakeWorld, tasks

SETTING = Setting(guarded=True, startup=TEN_SECONDS)


def test_signals_are_those_of_the_last_scrape(make_world: MakeWorld) -> None:
    """A task that came a moment ago is not seen until the next one, and the sample says how old it is."""
    world = make_world(SETTING, tasks((1.0, 60.0), (6.0, 60.0)))
    sight = Sight(world, Signal)
    world.run_until(T0 + 4)
    assert sight.signal(Signal.QUEUE) == Known(0.0, T0)
    world.run_until(T0 + 7)
    assert sight.signal(Signal.QUEUE) == Known(1.0, T0 + SCRAPE)
    assert sight.signal(Signal.OLDEST_WAIT) == Known(4.0, T0 + SCRAPE)


def test_every_signal_tells_of_the_world(make_world: MakeWorld) -> None:
    """One task ended, one runs, one waits."""
    world = make_world(SETTING, tasks((0.0, 20.0), (40.0, 100.0), (62.0, 10.0)))
    sight = Sight(world, Signal)
    world.scale(1)
    world.run_until(T0 + 70)
    told = sight.observe().signals
    assert {name: sample.value for name, sample in told.items() if isinstance(sample, Known)} == {
        Signal.QUEUE: 1.0,
        Signal.PENDING: 2.0,
        Signal.INFLIGHT: 1.0,
        Signal.TOKENS: 10.0,
        Signal.OLDEST_WAIT: 8.0,
        Signal.WAIT_P95: pytest.approx(0.95 * (10.0 + LAG)),
        Signal.ARRIVALS: pytest.approx(2 / 60),
        Signal.SERVICE: 20.0,
        Signal.COMPLETIONS: 1.0,
    }


def test_what_has_not_happened_is_unknown_not_zero(make_world: MakeWorld) -> None:
    """No wait and no service time before any task has started or ended."""
    sight = Sight(make_world(SETTING, tasks()), Signal)
    assert isinstance(sight.signal(Signal.WAIT_P95), Unknown)
    assert isinstance(sight.signal(Signal.SERVICE), Unknown)


def test_old_waits_are_forgotten(make_world: MakeWorld) -> None:
    """The 95th percentile is of the last half hour, so a calm pool's says nothing."""
    world = make_world(SETTING, tasks((0.0, 5.0)))
    sight = Sight(world, Signal)
    world.scale(1)
    world.run_until(T0 + 1700)
    assert isinstance(sight.signal(Signal.WAIT_P95), Known)
    world.run_until(T0 + 1900)
    assert isinstance(sight.signal(Signal.WAIT_P95), Unknown)


def test_pods_are_seen_now_and_heard_as_of_the_last_scrape(make_world: MakeWorld) -> None:
    """Labels come by a watch, activity by asking; a pod that starts has not been heard."""
    world = make_world(SETTING, tasks((22.0, 60.0)))
    sight = Sight(world, Signal)
    world.scale(1)
    world.run_until(T0 + 18)
    world.scale(2)
    world.run_until(T0 + 24)
    first, second = sight.pods()
    world.fleet.label(0, Phase.DRAINING, 1)
    assert (first.stage, second.stage) == (Stage.READY, Stage.STARTING)
    assert isinstance(second.activity, Unknown)
    columns = sight.pods()
    assert columns.inflight[0] == 0  # the task came after the scrape at 20 s
    assert columns.seen_at[0] == T0 + 20
    assert columns.phase.tolist() == [Phase.DRAINING, Phase.ACTIVE]
    world.run_until(T0 + 25)
    assert sight.pods().inflight[0] == 1


def test_a_pod_that_became_ready_since_the_last_scrape_has_not_been_heard(make_world: MakeWorld) -> None:
    """It is seen to be ready, and what it does is not known yet, though it works already."""
    world = make_world(SETTING, tasks((0.0, 60.0)))
    sight = Sight(world, [])
    world.scale(1)
    world.run_until(T0 + 14)
    (pod,) = sight.pods()
    assert (pod.stage, world.work.running) == (Stage.READY, 1)
    assert isinstance(pod.activity, Unknown)


def test_a_pod_says_since_when_it_is_what_it_is(make_world: MakeWorld) -> None:
    """From creation while it starts, then from when it became ready: the difference is the startup that is learnt."""
    world = make_world(SETTING, tasks())
    sight = Sight(world, Signal)
    world.scale(1)
    world.run_until(T0 + 5)
    assert sight.pods().since.tolist() == [T0 + LAG]
    world.run_until(T0 + 15)
    pods = sight.pods()
    assert (pods.since - pods.created_at).tolist() == [pytest.approx(10.0)]
    assert np.isfinite(pods.seen_at).all()
    assert not math.isnan(pods.created_at[0])


def test_replicas_are_those_that_stand(make_world: MakeWorld) -> None:
    """Read at the moment of asking, as a deployment's spec is."""
    world = make_world(SETTING, tasks())
    sight = Sight(world, Signal)
    world.scale(3)
    assert sight.replicas() == Known(3.0, T0)
    assert sight.observe().replicas == Known(3.0, T0)


class Asked:
    """What each ready pod does, asked one by one at every scrape."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.told = self.ask()
        world.agenda.at(world.now + SCRAPE, self.come, world)

    def come(self, world: World) -> None:
        """Ask, and come again."""
        world.agenda.at(world.now + SCRAPE, self.come, world)
        self.told = self.ask()

    def ask(self) -> dict[PodUid, Activity]:
        """The tasks and the sessions in its slots."""
        world, slots = self.world, self.world.setting.serving.slots
        ready = [row for row in world.fleet.rows().tolist() if not math.isnan(world.fleet.ready_at[row])]
        inside = {row: world.work.places[row * slots : (row + 1) * slots] for row in ready}
        return {
            world.fleet.uid(row): Activity(
                inflight=sum(place >= 0 for place in inside[row]), sessions=inside[row].count(HELD), at=world.now
            )
            for row in ready
        }


@given(
    slots=st.integers(1, 3),
    moves=st.lists(st.tuples(st.integers(0, 4), st.sampled_from((0.4, 2.0, 12.0))), min_size=9, max_size=40),
    seed=st.integers(0, 1000),
)
def test_what_is_seen_of_the_pods_is_what_each_of_them_said(
    slots: int, moves: list[tuple[int, float]], seed: int
) -> None:
    """Whoever came and went since then: a new pod in the place of another says nothing of that one's work."""
    chance = np.random.default_rng(seed)
    session = chance.integers(-1, 20, 40)
    work = Tasks.of(
        T0 + np.cumsum(chance.exponential(4.0, 40)), chance.exponential(20.0, 40), tokens=10.0, session=session
    )
    serving = Serving(slots=slots, hold=8.0)
    world = World(Setting(guarded=False, serving=serving, startup=TEN_SECONDS, grace=1.0), work, start=T0, seed=seed)
    sight, asked = Sight(world, []), Asked(world)
    for replicas, passed in moves:
        world.scale(replicas)
        world.run_until(world.now + passed)
        pods = sight.pods()
        for pod in pods:
            assert pod.activity == asked.told.get(pod.uid, Unknown("the pod has not been heard"))
        assert not (pods.inflight + pods.sessions)[np.isnan(pods.seen_at)].any()
