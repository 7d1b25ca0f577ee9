"""The limits with a price on waiting: by hand, by brute force, and below whatever a real schedule pays."""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Iterable
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scaler.sim.optimum import limits as limiting
from scaler.sim.optimum import program
from scaler.sim.optimum.case import Case
from scaler.sim.optimum.full import crowded, turns
from scaler.sim.optimum.grid import Mesh, lay
from scaler.sim.optimum.limits import bound, limits
from scaler.sim.optimum.program import solve
from scaler.sim.optimum.zero_wait import zero_wait

FINE = Mesh(step=1.0, grain=0.0, size=10_000)
TENS = Mesh(step=10.0, grain=0.0)
JOBS = st.lists(
    st.tuples(st.floats(40.0, 400.0), st.floats(0.5, 200.0)), min_size=1, max_size=8, unique_by=lambda job: job[0]
)
MESHES = st.builds(Mesh, step=st.floats(4.0, 30.0), grain=st.sampled_from([0.0, 0.02, 0.2]), size=st.integers(20, 900))


def case(
    jobs: Iterable[tuple[float, float]],
    *,
    startup: float = 20.0,
    price: float = 10.0,
    slots: int = 1,
    high: int | None = None,
    end: float = 700.0,
    look: float = 15.0,
) -> Case:
    """Tasks of (arrival, seconds)."""
    at, seconds = np.array(sorted(jobs), dtype=np.float64).T
    return Case(
        arrived_at=at,
        seconds=seconds,
        startup=startup,
        wait_price=price,
        end=end,
        slots=slots,
        high=high,
        look=look,
    )


def test_one_task_costs_its_pod_and_blind_its_wait_as_well() -> None:
    """Foresight is worth ten times the startup here."""
    found = limits(case([(100, 200)]), TENS)
    assert (found.zero_wait.least, found.priced) == pytest.approx((220, 220))
    assert found.blind == pytest.approx(220 + 10 * 20)


@pytest.mark.parametrize(("idle", "between"), [(20, 20), (200, 200), (240, 20 + 200)])
def test_blind_a_pod_idles_for_as_long_as_a_startup_and_its_wait_would_cost(idle: int, between: int) -> None:
    """Twenty pod-seconds and ten times twenty of waiting: that is the longest gap worth idling through."""
    asked = case([(100, 60), (180 + idle, 60)])
    assert bound(asked, Mesh(step=20.0), blind=True) == pytest.approx(220 + 60 + between + 60)


def test_cheap_waiting_makes_tasks_share_a_pod() -> None:
    """At a price of 0.3 the second waits for the first to end; at 10 it gets a pod of its own."""
    jobs = [(100, 50), (110, 50)]
    assert bound(case(jobs, price=0.3), TENS, blind=False) == pytest.approx(20 + 100 + 0.3 * 40)
    assert bound(case(jobs), TENS, blind=False) == pytest.approx(2 * 70)


@pytest.mark.parametrize(("tasks", "pods"), [(1, 1), (4, 1), (5, 2)])
def test_pods_are_whole_even_where_their_slots_are_not_full(tasks: int, pods: int) -> None:
    """A task alone in a pod of four slots pays for all of it."""
    assert bound(case([(100, 50)] * tasks, slots=4), TENS, blind=False) == pytest.approx(pods * 70)


def test_a_bound_on_the_pods_makes_tasks_wait() -> None:
    """Two tasks and one pod: the second begins when the first has ended."""
    asked = case([(100, 50), (100, 50)], high=1)
    assert bound(asked, TENS, blind=False) == pytest.approx(20 + 100 + 10 * 50)


def test_what_is_not_worth_a_pod_before_the_end_waits() -> None:
    """Ten seconds before the end no pod could serve it any more."""
    assert bound(case([(100, 50)], end=110.0), TENS, blind=True) == pytest.approx(100)


def test_where_waiting_is_cheap_the_limit_is_found_as_well(monkeypatch: pytest.MonkeyPatch) -> None:
    """In a few rounds, though tasks may wait until the end of the run; and it is that of all columns at once."""
    tasks = [(200.0 * number, 60.0) for number in range(3)]
    asked = case(tasks, startup=93.0, price=0.1, end=3900.0)
    (grid,) = lay(asked, Mesh())
    monkeypatch.setattr(program, "MOST_ROUNDS", 10)
    found = solve(asked, grid, blind=False).price
    monkeypatch.setattr(program, "AHEAD", grid.steps)
    assert found == pytest.approx(solve(asked, grid, blind=False).price, rel=2e-4)


def brute(asked: Case, latest: int) -> float:
    """The least price over every choice of whole instants at which the tasks begin, each at most so late."""
    best = np.inf
    for late in itertools.product(range(latest + 1), repeat=len(asked.arrived_at)):
        begun = asked.arrived_at + np.array(late)
        order = np.argsort(begun, kind="stable")
        pods = zero_wait(
            Case(
                arrived_at=begun[order],
                seconds=asked.seconds[order],
                startup=asked.startup,
                wait_price=0.0,
                end=asked.end,
            )
        )
        best = min(best, pods.least + asked.wait_price * sum(late))
    return float(best)


@given(
    st.lists(st.tuples(st.integers(6, 20), st.integers(1, 9)), min_size=1, max_size=3),
    st.integers(1, 5),
    st.sampled_from([0.6, 2.0, 5.0]),
)
@settings(max_examples=12, deadline=None)
def test_whole_pods_and_tasks_cost_what_brute_force_finds(
    jobs: list[tuple[int, int]], startup: int, price: float
) -> None:
    """And the linear program, which may cut them in pieces, costs no more."""
    asked = case(jobs, startup=startup, price=price, end=60)
    (grid,) = lay(asked, FINE)
    least = brute(asked, latest=11)
    assert solve(asked, grid, blind=False, whole=True).price == pytest.approx(least, abs=1e-4)
    assert bound(asked, FINE, blind=False) <= least + 1e-4


def reactive(asked: Case, looks: list[float]) -> float:
    """What a rule without foresight pays: at each look pods are ordered if more wait than start, and none ever goes."""
    price, starting = 0.0, 0
    queue: list[float] = []
    happens = [(at, 0) for at in asked.arrived_at] + [(at, 3) for at in looks]
    lasting, free = list(asked.seconds), 0
    heapq.heapify(happens)
    while happens:
        at, kind = heapq.heappop(happens)
        if kind == 0:
            queue.append(at)
        elif kind == 1:
            starting -= 1
            free += asked.slots
        elif kind == 2:
            free += 1
        while queue and free:
            price += asked.wait_price * (at - queue.pop(0))
            heapq.heappush(happens, (at + lasting.pop(0), 2))
            free -= 1
        while kind == 3 and len(queue) > starting:
            starting += 1
            price += asked.end - at
            heapq.heappush(happens, (at + asked.startup, 1))
    return price + asked.wait_price * sum(asked.end - at for at in queue)


def looks_at(asked: Case, mesh: Mesh) -> list[float]:
    """The instants at which this mesh has pods ordered."""
    windows = list(lay(asked, mesh))
    return [float(w.step * (w.first + slot)) for w in windows for slot in np.flatnonzero(w.looks)]


@given(MESHES, st.floats(1.0, 100.0), st.floats(1.0, 60.0))
def test_looks_are_no_more_than_their_turn_apart(mesh: Mesh, startup: float, look: float) -> None:
    """And there is one at the beginning, whatever the mesh."""
    looks = looks_at(case([(100, 200)], startup=startup, look=look), mesh)
    assert looks[0] == 0.0
    assert max(np.diff(looks)) <= look * (1 + 1e-6)


def test_a_start_that_is_over_at_once_makes_no_more_slots_than_others() -> None:
    """It counts as none, which only lowers the limit; in slots as short as itself an hour would take for ever."""
    asked = case([(100, 200)], startup=0.001)
    assert sum(grid.steps for grid in lay(asked, Mesh())) == 700 / Mesh().step
    assert bound(asked, Mesh(), blind=False) == pytest.approx(200, abs=0.01)


def test_who_looks_more_rarely_pays_more() -> None:
    """A task that comes just after a look waits for the next one as well."""
    asked = case([(101, 200)])
    often, rarely = (bound(replace(asked, look=look), Mesh(step=1.0), blind=True) for look in (1.0, 20.0))
    assert often == pytest.approx(220 + 10 * 20, rel=0.01)
    assert rarely == pytest.approx(220 + 10 * (20 + 19), rel=0.01)


@given(JOBS, MESHES, st.floats(1.0, 60.0), st.sampled_from([1, 3]), st.sampled_from([0.5, 10.0]), st.floats(2.0, 60.0))
@settings(max_examples=25, deadline=None)
def test_no_mesh_lifts_a_limit_above_what_a_schedule_pays(
    jobs: list[tuple[float, float]], mesh: Mesh, startup: float, slots: int, price: float, look: float
) -> None:
    """Whatever mesh: below a pod for each task, below a pool that only grows, and blind not below priced."""
    asked = case(jobs, startup=startup, slots=slots, price=price, look=look, end=900.0)
    looks = looks_at(asked, mesh)
    late = [min(at for at in looks if at >= arrived) - arrived for arrived, _ in jobs]
    alone = sum(startup + seconds + price * (startup + wait) for (_, seconds), wait in zip(jobs, late, strict=True))
    priced, blind = (bound(asked, mesh, blind=blind) for blind in (False, True))
    assert priced <= blind * (1 + 1e-6) + 1e-6
    assert blind <= min(alone, reactive(asked, looks)) * (1 + 1e-6)
    if startup <= 40.0:  # else the first pod could not be there when the first task arrives
        assert priced <= zero_wait(asked).most * (1 + 1e-6)


@pytest.mark.parametrize("blind", [False, True])
def test_windows_take_little_off(blind: bool) -> None:
    """A busy hour in pieces of a few minutes comes to within one in fifty of the whole, and not above it."""
    rng = np.random.default_rng(5)
    jobs = zip(np.sort(rng.random(80) * 3600).tolist(), rng.lognormal(5.0, 1.0, 80).tolist(), strict=True)
    asked = case(jobs, end=3600.0)
    whole = bound(asked, Mesh(step=20.0, size=10_000), blind=blind)
    cut = bound(asked, Mesh(step=20.0, size=80), blind=blind)
    assert 0.98 * whole <= cut <= whole * (1 + 1e-6)


@pytest.mark.parametrize(
    ("at", "seconds", "startup", "said"),
    [
        ([1.0], [1.0, 2.0], 1.0, "1 arrivals and 2"),
        ([2.0, 1.0], [1.0, 1.0], 1.0, "must rise"),
        ([1.0], [1.0], -1.0, ">="),
    ],
)
def test_a_case_that_cannot_be_is_refused(at: list[float], seconds: list[float], startup: float, said: str) -> None:
    """With what is wrong about it."""
    with pytest.raises(ValueError, match=said):
        Case(arrived_at=np.array(at), seconds=np.array(seconds), startup=startup, wait_price=1.0, end=10.0)


# --- a maximum that binds ---------------------------------------------------------------------------------------------


def in_a_row(asked: Case) -> float:
    """What a pool at its maximum pays that stands from the first task until the end, first come, first served."""
    assert asked.high is not None
    stands = asked.end - asked.arrived_at[0] + asked.startup
    waits = np.minimum(turns(asked), asked.end - asked.arrived_at)
    return float(asked.high * stands + asked.wait_price * waits.sum())


@given(JOBS, MESHES, st.integers(1, 4), st.sampled_from([1, 3]), st.floats(0.5, 10.0), st.sampled_from([450.0, 4000.0]))
@settings(max_examples=40, deadline=None)
def test_no_limit_lies_above_what_a_full_pool_pays(
    jobs: list[tuple[float, float]], mesh: Mesh, high: int, slots: int, price: float, end: float
) -> None:
    """However the run is cut, wherever it ends, and whichever windows take too long to be solved."""
    asked = case(jobs, high=high, slots=slots, price=price, end=end)
    paid = in_a_row(asked) * (1 + 1e-6)
    assert bound(asked, mesh, blind=False) <= paid
    assert crowded(asked) <= paid
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(limiting, "MOST", -1)
        assert bound(asked, mesh, blind=False) <= paid


@given(
    st.lists(st.tuples(st.integers(6, 14), st.integers(1, 9)), min_size=1, max_size=4),
    st.integers(1, 2),
    st.sampled_from([0.6, 5.0]),
)
@settings(max_examples=12, deadline=None)
def test_in_windows_a_maximum_costs_no_more_than_in_one(jobs: list[tuple[int, int]], high: int, price: float) -> None:
    """The whole run at once, with whole pods and tasks, is what a schedule really pays."""
    asked = case(jobs, startup=3.0, price=price, end=60, high=high)
    (grid,) = lay(asked, FINE)
    paid = solve(asked, grid, blind=False, whole=True).price + 1e-4
    assert bound(asked, replace(FINE, size=12), blind=False) <= paid
    assert crowded(asked) <= paid


def test_a_maximum_that_binds_for_minutes_is_seen_through_the_windows() -> None:
    """A busy hour of some twelve tasks at once, and nine pods: in pieces most of what it costs is found."""
    rng = np.random.default_rng(5)
    jobs = zip(np.sort(rng.random(200) * 3600).tolist(), rng.lognormal(5.0, 0.7, 200).tolist(), strict=True)
    asked = case(jobs, end=5000.0, high=9)
    whole = bound(asked, Mesh(step=20.0, grain=0.1, size=10_000), blind=False)
    cut = bound(asked, Mesh(step=20.0, grain=0.1, size=200), blind=False)
    assert bound(asked, Mesh(step=20.0, grain=0.1, size=200), blind=True) < 0.6 * whole
    assert 0.65 * whole <= cut <= whole * (1 + 1e-6)


def test_where_most_tasks_wait_for_hours_the_limit_is_what_a_queue_costs() -> None:
    """Two pods for twenty: the windows are not solved, and the limit is still most of what a schedule pays."""
    rng = np.random.default_rng(7)
    jobs = zip(np.sort(rng.random(400) * 3600).tolist(), rng.lognormal(5.0, 0.7, 400).tolist(), strict=True)
    asked = case(jobs, end=8000.0, high=2)
    shortest_first = crowded(asked)
    assert 0.6 * in_a_row(asked) < shortest_first < in_a_row(asked)
    found = limits(asked)
    assert found.blind >= found.priced >= shortest_first


def test_only_a_pool_with_a_maximum_can_be_full() -> None:
    """There is nothing to wait for in one that has none."""
    with pytest.raises(ValueError, match="maximum"):
        turns(case([(100, 50)]))
