"""Nobody waits: the price against the level sets by definition, against a linear program, and by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest
import scipy.optimize
from hypothesis import given, settings
from hypothesis import strategies as st

from scaler.sim.optimum.case import Case
from scaler.sim.optimum.zero_wait import zero_wait

END = 200
JOBS = st.lists(st.tuples(st.integers(30, 150), st.integers(1, 49)), min_size=1, max_size=12)


def case(jobs: list[tuple[int, int]], *, startup: int, slots: int = 1) -> Case:
    """Tasks of (arrival, seconds)."""
    at, seconds = np.array(sorted(jobs), dtype=np.float64).T
    return Case(arrived_at=at, seconds=seconds, startup=float(startup), wait_price=10.0, end=float(END), slots=slots)


def needed(asked: Case) -> list[int]:
    """Pods that the tasks of each second need."""
    running = [0] * END
    for at, seconds in zip(asked.arrived_at, asked.seconds, strict=True):
        for second in range(int(at), int(at + seconds)):
            running[second] += 1
    return [math.ceil(tasks / asked.slots) for tasks in running]


def level_sets(asked: Case) -> float:
    """The sum over levels of time needed, one startup, and for each gap the cheaper of idling and another startup."""
    pods, price = needed(asked), 0.0
    for level in range(1, max(pods) + 1):
        seconds = [second for second in range(END) if pods[second] >= level]
        gaps = np.diff(seconds) - 1
        price += len(seconds) + asked.startup + float(np.minimum(gaps, asked.startup).sum())
    return price


def linear_program(asked: Case) -> float:
    """The least sum of x + startup * rises of x, over all x that are never less than needed."""
    steps = np.eye(END) - np.eye(END, k=-1)
    result = scipy.optimize.linprog(
        np.concatenate((np.ones(END), np.full(END, asked.startup))),
        A_ub=np.hstack((steps, -np.eye(END))),
        b_ub=np.zeros(END),
        bounds=[*((least, None) for least in needed(asked)), *((0, None) for _ in range(END))],
    )
    return float(result.fun)


@given(JOBS, st.integers(0, 30), st.sampled_from([1, 2, 4]))
@settings(deadline=None)
def test_the_price_is_that_of_the_level_sets(jobs: list[tuple[int, int]], startup: int, slots: int) -> None:
    """In one pass over begins and ends, for any number of slots."""
    asked = case(jobs, startup=startup, slots=slots)
    assert zero_wait(asked).least == pytest.approx(level_sets(asked))


@given(JOBS, st.integers(0, 30))
@settings(max_examples=20, deadline=None)
def test_no_choice_of_pods_is_cheaper(jobs: list[tuple[int, int]], startup: int) -> None:
    """The linear program over every second finds nothing better."""
    asked = case(jobs, startup=startup)
    assert zero_wait(asked).least == pytest.approx(linear_program(asked))


@given(JOBS, st.integers(0, 30), st.sampled_from([2, 4]))
@settings(deadline=None)
def test_first_fit_stands_above_what_ignores_that_tasks_cannot_move(
    jobs: list[tuple[int, int]], startup: int, slots: int
) -> None:
    """The bracket is never empty, and a pod for each task lies above both."""
    found = zero_wait(case(jobs, startup=startup, slots=slots))
    assert found.least <= found.most + 1e-6
    assert found.most <= sum(seconds + startup for _, seconds in jobs) + 1e-6


@pytest.mark.parametrize(("gap", "price"), [(15, 20 + 10 + 15 + 10), (20, 60), (50, 60)])
def test_a_pod_idles_through_a_gap_shorter_than_its_startup(gap: int, price: int) -> None:
    """Two tasks of ten seconds, a startup of twenty: from a gap of twenty on it is started anew."""
    assert zero_wait(case([(50, 10), (60 + gap, 10)], startup=20)).least == price


def test_what_runs_beyond_the_end_is_paid_for_until_then() -> None:
    """And what would arrive later is nobody's affair."""
    assert zero_wait(case([(190, 49), (200, 10)], startup=20)).least == 30


def test_tasks_that_one_pod_cannot_hold_together_make_a_bracket() -> None:
    """Two long ones in two pods, each beside a short one: were they to move, one pod would do for the rest."""
    asked = case([(30, 10), (31, 90), (41, 10), (32, 95)], startup=5, slots=2)
    found = zero_wait(asked)
    assert (found.least, found.most) == pytest.approx((level_sets(asked), found.most))
    assert found.least < found.most
