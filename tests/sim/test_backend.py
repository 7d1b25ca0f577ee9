"""The model's quota: everybody slows down alike, that counts as waiting, and more pods do not help."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scaler.sim.backend import Progress
from scaler.sim.dispatch import Serving
from scaler.sim.match import Match, play
from scaler.sim.pool import Setting
from scaler.sim.scenario import changed, read_scenario
from scaler.sim.workload import Tasks
from tests.sim.conftest import T0, TEN_SECONDS, MakeWorld, tasks
from tests.sim.expected import FOLDER

PACES = st.lists(st.tuples(st.floats(0.5, 50.0), st.floats(1.0, 8.0)), min_size=1, max_size=6)
ENOUGH, FEW, MANY = 20, 8, 60


def limited(quota: float | None, hold: float = 0.0) -> Setting:
    """Pods that start in ten seconds, before a backend."""
    return Setting(guarded=False, startup=TEN_SECONDS, quota=quota, serving=Serving(hold=hold))


def test_two_who_want_twice_the_quota_take_twice_as_long(make_world: MakeWorld) -> None:
    """Each streams ten tokens a second, and there are ten in all: what it takes beyond its own length is waiting."""
    world = make_world(limited(10.0), tasks((20, 30), (20, 30)))
    world.scale(2)
    world.run_until(T0 + 79)
    assert world.work.finished == 0
    world.run_until(T0 + 81)
    assert world.work.finished == 2
    assert world.work.waits() == pytest.approx([30.0, 30.0], abs=1.1)


def test_who_goes_on_alone_goes_on_at_its_own_speed(make_world: MakeWorld) -> None:
    """The longer one is slowed down only as long as the other runs."""
    world = make_world(limited(10.0), tasks((20, 10), (20, 60)))
    world.scale(2)
    world.run_until(T0 + 200)
    assert world.work.waits() == pytest.approx([10.0, 10.0], abs=1.1)


def test_one_that_is_cut_has_waited_for_all_of_it(make_world: MakeWorld) -> None:
    """The run that counts begins anew, at the speed of then."""
    world = make_world(limited(5.0), tasks((20, 40)))
    world.scale(1)
    world.run_until(T0 + 30)
    world.scale(0)
    world.run_until(T0 + 100)
    assert world.work.killed == 1
    world.scale(1)
    world.run_until(T0 + 300)
    assert world.work.finished == 1
    began = world.work.began[0] - T0
    assert began > 100
    assert world.work.waits() == pytest.approx([began - 20 + 40], abs=1.1)


def test_a_session_keeps_its_slot_by_the_clock(make_world: MakeWorld) -> None:
    """However slow the backend is meanwhile."""
    talk = Tasks.of([T0 + 20, T0 + 21], [10, 400], tokens=[5.0, 20.0], session=[7, 8])
    world = make_world(limited(10.0, hold=30.0), talk)
    world.scale(2)
    world.run_until(T0 + 44)
    assert world.work.finished == 1
    held = []
    for after in (44, 71, 76):
        world.run_until(T0 + after)
        held.append(not world.work.at_rest(0))
    assert held == [True, True, False]


def test_a_quota_that_never_binds_changes_nothing() -> None:
    """Bit for bit: the same row as without one."""
    plain = changed(read_scenario(FOLDER / "from-zero.yaml"), {"policies": ["ours"], "lasts": "2h"})
    without, within = (
        play(Match(scenario=changed(plain, quota), policy="ours", seed=1)).row for quota in ({}, {"quota": 1e9})
    )
    assert dataclasses.asdict(without) == dataclasses.asdict(within)


@given(PACES, st.lists(st.tuples(st.floats(0.0, 100.0), st.floats(0.1, 90.0)), min_size=1, max_size=5), st.data())
def test_delays_are_what_a_slow_walk_says(
    changes: list[tuple[float, float]], runs: list[tuple[float, float]], data: st.DataObject
) -> None:
    """Step by step: a task does its own seconds, each at the pace of then; one that has not ended is late so far."""
    progress, at, spans = Progress(0.0), 0.0, []
    for after, pace in changes:
        spans.append((at, at + after, progress.pace))
        at += after
        progress.change(at, pace)
    now = at + data.draw(st.floats(0.0, 60.0))
    spans.append((at, now, progress.pace))
    begun = [(began, seconds) for began, seconds in runs if began <= now]
    began, lengths = np.array([b for b, _ in begun] or [np.nan]), np.array([s for _, s in begun] or [1.0])
    walked = [late(spans, b, s) for b, s in begun] or [0.0]
    assert progress.delays(began, lengths, now) == pytest.approx(walked, abs=1e-6)


def late(spans: list[tuple[float, float, float]], began: float, seconds: float) -> float:
    """How much longer a run has taken, walked from span to span."""
    done = took = 0.0
    for first, last, pace in spans:
        there = max(0.0, last - max(first, began))
        here = min(there, (seconds - done) * pace)
        done, took = done + here / pace, took + here
    return took - done


def test_more_pods_than_the_quota_carries_are_worth_nothing() -> None:
    """What the scenario answers: too few pods wait at our door, too many at the backend's, and stand paid for there."""
    asked = read_scenario(FOLDER / "token-limited-backend.yaml")
    few, enough, many = (
        play(Match(scenario=changed(asked, {"max": pods}), policy="ours", seed=1)).row for pods in (FEW, ENOUGH, MANY)
    )
    assert enough.price < many.price < few.price
    assert many.pod_hours > 1.5 * enough.pod_hours
    assert many.wait_p95_s > 0.9 * enough.wait_p95_s
    assert [row.killed for row in (few, enough, many)] == [0, 0, 0]
