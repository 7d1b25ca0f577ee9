"""Waits by the hour, and how closely supply follows demand."""

from __future__ import annotations

from dataclasses import astuple

import numpy as np
import pytest

from scaler.sim.optimum.case import Case
from scaler.sim.optimum.grid import Mesh
from scaler.sim.optimum.limits import limits
from scaler.sim.score_elasticity import elasticity
from scaler.sim.score_waits import hours, kept


def test_each_hour_has_its_own_quantile() -> None:
    """Twenty arrivals in the first hour, one of which waits; none in the second; one in the third."""
    at = np.array([*np.linspace(0.0, 3599.0, 20), 7300.0])
    waits = np.array([*[0.0] * 18, 40.0, 90.0, 7.0])
    assert hours(at, waits) == {0: 40.0, 2: 7.0}
    assert hours(at, waits, share=0.5) == {0: 0.0, 2: 7.0}


def test_a_row_may_stand_for_many() -> None:
    """Nineteen tasks without a wait outweigh one with; eighteen do not."""
    at, waits = np.zeros(2), np.array([0.0, 60.0])
    assert hours(at, waits, weights=np.array([19.0, 1.0])) == {0: 0.0}
    assert hours(at, waits, weights=np.array([18.0, 1.0])) == {0: 60.0}


def test_only_hours_in_which_the_best_keeps_the_target_count() -> None:
    """One of three is kept; nobody could have kept the third."""
    p95 = {0: 10.0, 1: 50.0, 2: 80.0}
    assert (kept(p95, 30.0).hours, kept(p95, 30.0).of) == (1, 3)
    held = kept(p95, 30.0, best={0: 0.0, 1: 20.0, 2: 60.0})
    assert (held.hours, held.of, held.share) == (1, 2, 0.5)
    assert kept({}, 30.0).share == 1.0


def test_the_best_without_foresight_waits_for_the_first_pod_and_for_none_after() -> None:
    """Three tasks an hour apart: the first two each pay a startup; in the third hour the pod of the second is there."""
    asked = Case(
        arrived_at=np.array([100.0, 3700.0, 7210.0]),
        seconds=np.array([60.0, 3480.0, 60.0]),
        startup=20.0,
        wait_price=10.0,
        end=9000.0,
    )
    assert limits(asked, Mesh(step=10.0, grain=0.0)).blind_p95 == pytest.approx({0: 20.0, 1: 20.0, 2: 0.0})


@pytest.mark.parametrize(
    ("demand", "supply", "said"),
    [
        ([4, 4, 4], [4, 4, 4], (0.0, 0.0, 0.0, 0.0, 0.0)),
        ([4, 4, 4], [2, 2, 2], (50.0, 0.0, 100.0, 0.0, 0.0)),
        ([2, 2, 2], [2, 5, 5], (0.0, 75.0, 0.0, 50.0, 50.0)),
        ([0, 0, 0], [1, 1, 1], (0.0, 100.0, 0.0, 100.0, 0.0)),
        ([1.2, 3.0, 3.0], [2, 2, 3], (100 / 6, 0.0, 50.0, 0.0, 100.0)),
    ],
    ids=["exact", "half", "too many later", "without demand", "one behind"],
)
def test_the_figures_of_elasticity(demand: list[float], supply: list[int], said: tuple[float, ...]) -> None:
    """By hand, on two steps of ten seconds."""
    found = elasticity(
        np.array([0.0, 10.0, 20.0]), np.array(demand, dtype=np.float64), np.array(supply, dtype=np.float64)
    )
    assert astuple(found) == pytest.approx(said)
