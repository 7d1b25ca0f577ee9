"""A peer at the wait of ours: read off the line through what its search found, and never off what nobody played."""

from __future__ import annotations

import dataclasses
import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scaler.sim.equal import at_equal_wait, front, hours_at
from scaler.sim.match import Row

POINTS = st.lists(st.tuples(st.floats(0.0, 500.0), st.floats(1.0, 200.0)), min_size=1, max_size=12)


def row(seed: int, wait: float, hours: float) -> Row:
    """A run that waited so long and cost so much."""
    plain = dict.fromkeys((field.name for field in dataclasses.fields(Row)), 0)
    return Row(**{**plain, "policy": "p", "seed": seed, "wait_p95_s": wait, "pod_hours": hours})  # type: ignore[arg-type]


@given(POINTS)
def test_what_stands_on_the_front_is_better_than_all_else_at_something(points: list[tuple[float, float]]) -> None:
    """Who waits longer there is cheaper, and for whoever is not there one is that is no worse at either."""
    line = front(points, lambda point: point)
    assert all(a[0] < b[0] and a[1] > b[1] for a, b in itertools.pairwise(line))
    assert all(any(a <= x and b <= y for a, b in line) for x, y in points)


@given(POINTS, st.floats(0.0, 600.0))
def test_the_line_lies_between_its_points(points: list[tuple[float, float]], wait: float) -> None:
    """Nothing is read below the cheapest or above the best that waits no longer; and the more may wait, the less."""
    hours = hours_at(wait, points)
    able = [dear for waited, dear in points if waited <= wait]
    if not able:
        assert hours is None
        return
    assert hours is not None
    assert min(dear for _, dear in points) <= hours + 1e-9
    assert hours <= min(able) + 1e-9
    assert (hours_at(wait + 10.0, points) or 0.0) <= hours + 1e-9


@given(POINTS)
def test_a_point_costs_what_it_cost(points: list[tuple[float, float]]) -> None:
    """At its own wait, where nobody is better."""
    for wait, dear in front(points, lambda point: point):
        assert hours_at(wait, points) == dear


def test_seeds_are_compared_with_themselves() -> None:
    """Half way between two configurations of the peer; a seed on which it never waits as little is none."""
    ours = [row(1, 20.0, 8.0), row(2, 20.0, 18.0), row(3, 5.0, 8.0)]
    theirs = [row(seed, wait, hours * seed) for seed in (1, 2, 3) for wait, hours in ((10.0, 12.0), (30.0, 8.0))]
    equal = at_equal_wait(ours, theirs)
    assert (equal.seeds, equal.of) == (2, 3)
    assert equal.pod_hours is not None
    assert equal.pod_hours["mean"] == pytest.approx((8 / 10 + 18 / 20) / 2 - 1, abs=1e-4)
    assert at_equal_wait([row(3, 5.0, 8.0)], theirs).pod_hours is None
