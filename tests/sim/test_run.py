"""Whole runs: repeatable, nothing lost, and nobody cut behind the guard whoever writes the replicas."""

from __future__ import annotations

import itertools
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scaler.core.policy import Policy
from scaler.core.types import Signal
from scaler.sim.dispatch import Serving
from scaler.sim.peers.catalogue import PEERS
from scaler.sim.peers.sight import Pool
from scaler.sim.pool import Setting
from scaler.sim.run import Beat, Ours, Peer, beats
from scaler.sim.score import Score, score
from scaler.sim.workload import Workload, generate
from scaler.sim.world import World
from tests.sim.conftest import T0, MakeWorld, tasks
from tests.sim.laws import broken

SIGNALS = frozenset({Signal.QUEUE, Signal.OLDEST_WAIT, Signal.WAIT_P95})
HOUR = 3600.0


def ours(seed: int, seconds: float = HOUR) -> World:
    """A run under our decision."""
    work = generate(Workload(), start=T0, seconds=seconds, seed=seed)
    world = World(Setting(guarded=True), work, start=T0, seed=seed)
    Ours(world, Policy(max_replicas=100), SIGNALS).run(T0 + seconds)
    assert broken(world) == []
    return world


def hpa(seed: int, seconds: float = HOUR) -> World:
    """A run under a plain HPA."""
    work = generate(Workload(), start=T0, seconds=seconds, seed=seed)
    world = World(Setting(guarded=False), work, start=T0, seed=seed)
    Peer(world, PEERS["hpa"], Pool()).run(T0 + seconds)
    assert broken(world) == []
    return world


def trace(world: World) -> tuple[Score, list[tuple[float, int]], list[int], list[float]]:
    """All that a run left behind."""
    return score(world), world.scaled, list(world.work.ended), world.work.waits().tolist()


@pytest.mark.parametrize("run", [ours, hpa], ids=["ours", "hpa"])
def test_the_same_seed_is_the_same_run_to_the_last_bit(run: Callable[[int], World]) -> None:
    """Every write, every start and every wait; another seed is another run."""
    one, same, other = (trace(run(seed)) for seed in (3, 3, 4))
    assert one == same
    assert one != other


@pytest.mark.parametrize("seed", range(1, 4))
def test_ours_cuts_nothing_where_a_plain_hpa_does(seed: int) -> None:
    """On the same arrivals, with pods that come and go."""
    mine, theirs = score(ours(seed, 2 * HOUR)), score(hpa(seed, 2 * HOUR))
    assert mine.tasks == theirs.tasks >= 200
    assert mine.killed == 0 < theirs.killed
    assert min(mine.removals, theirs.removals) >= 20


@given(
    seed=st.integers(0, 1000),
    slots=st.sampled_from([1, 3]),
    writes=st.lists(st.integers(0, 30), min_size=1, max_size=12),
)
@settings(max_examples=15, deadline=None)
def test_whoever_writes_the_replicas_nothing_is_cut_behind_the_guard(seed: int, slots: int, writes: list[int]) -> None:
    """A stranger sets them as he likes every five minutes; the drain protocol and the guard hold all the same."""
    end = T0 + 300.0 * len(writes)
    work = generate(Workload(per_hour=400.0), start=T0, seconds=end - T0, seed=seed)
    world = World(Setting(guarded=True, serving=Serving(slots=slots)), work, start=T0, seed=seed)
    run = Ours(world, Policy(max_replicas=30, slots_per_pod=slots), SIGNALS)
    for turn, replicas in enumerate(writes):
        run.run(T0 + 300.0 * turn + 150.0)
        world.scale(replicas)
        run.run(T0 + 300.0 * (turn + 1))
        assert broken(world) == []


@pytest.mark.parametrize("run", [ours, hpa], ids=["ours", "hpa"])
def test_the_pools_follow_their_work(run: Callable[[int], World]) -> None:
    """Every task that arrived in the first half is done or running by the end: nobody starves."""
    world = run(2)
    early = {task for task in range(world.work.arrived) if world.work.tasks.arrived_at[task] < T0 + HOUR / 2}
    assert early
    assert not early & {task for task, *_ in world.work.queue}


@pytest.mark.parametrize("driven", ["ours", "hpa"])
def test_a_pool_without_work_is_empty_in_the_end(make_world: MakeWorld, driven: str) -> None:
    """One task, and an hour later nothing stands: neither replicas nor pods."""
    world = make_world(Setting(guarded=driven == "ours"), tasks((100.0, 60.0)))
    if driven == "ours":
        Ours(world, Policy(), SIGNALS).run(T0 + HOUR)
    else:
        Peer(world, PEERS["hpa"], Pool()).run(T0 + HOUR)
    assert (world.work.finished, world.replicas, len(world.fleet)) == (1, 0, 0)


def test_a_pod_whose_long_task_has_ended_leaves_though_none_began_lately(make_world: MakeWorld) -> None:
    """Two hours after the last one came nobody has waited lately, and that is no reason to keep who is idle."""
    world = make_world(Setting(guarded=True), tasks((0.0, 2 * HOUR), (10.0, 4 * HOUR)))
    Ours(world, Policy(max_replicas=10), SIGNALS).run(T0 + 3 * HOUR)
    assert (world.work.running, world.replicas, len(world.fleet)) == (1, 1, 1)


def test_who_comes_when() -> None:
    """Each keeps to its own clock, none moves another, and nobody comes after the end."""
    came = list(beats(T0, T0 + 60.0, *Beat))
    assert [at for at, _ in came] == sorted(at for at, _ in came)
    assert [at - T0 for at, beat in came if beat is Beat.SYNC] == [11, 26, 41, 56]
    assert [at - T0 for at, beat in came if beat is Beat.POLL] == [7, 37]
    ticks = [at for at, beat in came if beat is Beat.TICK]
    assert {round(b - a, 6) for a, b in itertools.pairwise(ticks)} == {5.0}


def test_before_the_first_tick_nobody_knows(make_world: MakeWorld) -> None:
    """A door that has nothing to say yet is an error to KEDA, which leaves the replicas as they are."""
    world = make_world(Setting(guarded=True), tasks())
    world.scale(3)
    Ours(world, Policy(), SIGNALS).run(T0 + 0.5)
    assert world.replicas == 3
