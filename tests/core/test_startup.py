"""How long pods take to start: a prior until five did, then three empirical quantiles of the last sixty-four."""

from __future__ import annotations

import numpy as np
import pytest

from scaler.core import startup
from scaler.core.policy import Pace
from scaler.core.record import from_json, to_json
from scaler.core.startup import Startups

PACE = Pace()


def taught(*measured: float) -> Startups:
    """What these startups teach, seen one after the other."""
    startups = Startups.none(PACE)
    for seconds in measured:
        startups = startup.learn(startups, np.array([seconds]), PACE)
    return startups


@pytest.mark.parametrize(
    ("measured", "usual", "p90", "p99"),
    [
        pytest.param((), 120.0, 120.0, 120.0, id="NothingMeasuredLeavesThePrior"),
        pytest.param((20.0,) * 4, 120.0, 120.0, 120.0, id="FourAreTooFew"),
        pytest.param((20.0,) * 5, 20.0, 20.0, 20.0, id="FiveReplaceThePrior"),
        pytest.param(tuple(float(n) for n in range(1, 11)), 5.0, 9.0, 10.0, id="TheQuantilesAreValuesThatWereSeen"),
        pytest.param((300.0, *(20.0,) * 64), 20.0, 20.0, 20.0, id="TheSixtyFifthForgetsTheFirst"),
        pytest.param((300.0, *(20.0,) * 63), 20.0, 20.0, 300.0, id="OneSlowStartMovesOnlyTheTail"),
        pytest.param((20.0,) * 6 + (300.0,) * 4, 20.0, 300.0, 300.0, id="AFewSlowOnesAreNotTheUsual"),
        pytest.param((0.0,) * 5, 1.0, 1.0, 1.0, id="AtLeastASecondIsBelieved"),
    ],
)
def test_startup_quantiles(measured: tuple[float, ...], usual: float, p90: float, p99: float) -> None:
    """Each row: startups in seconds, and the three figures that decide with them."""
    learnt = taught(*measured)
    assert (learnt.usual, learnt.p90, learnt.p99) == (usual, p90, p99)


def test_what_was_kept_before_there_was_a_median_is_read() -> None:
    """Then the slow start stands for the usual one, as it did there, until the next one is seen."""
    kept = to_json(taught(*(20.0,) * 6 + (300.0,) * 4))
    del kept["median"]
    before = from_json(Startups, kept)
    assert (before.usual, startup.learn(before, np.array([20.0]), PACE).usual) == (300.0, 20.0)


def test_pods_that_arrive_together_count_each() -> None:
    """A burst of five pods ready in one tick is five startups, and a tick without one changes nothing."""
    startups = startup.learn(Startups.none(PACE), np.array([30.0, 10.0, 20.0, 40.0, 50.0]), PACE)
    assert (startups.p90, startups.samples) == (50.0, (30.0, 10.0, 20.0, 40.0, 50.0))
    assert startup.learn(startups, np.zeros(0), PACE) is startups
