"""The schedule: absolute instants, each visited once, spread by name."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from scaler.live.grid import Grid, phase

PERIODS = st.sampled_from([0.1, 0.3, 1.0, 5.0, 7.7])
NOWS = st.floats(0, 1e4) | st.floats(1.7e9, 1.9e9)


@given(start=st.floats(-10, 10), period=PERIODS, now=NOWS)
def test_the_next_instant_is_later_and_within_a_period(start: float, period: float, now: float) -> None:
    """Waiting for it always ends, and never lasts longer than a period."""
    at = Grid(start, period).after(now)
    assert now < at <= now + period * (1 + 1e-6)


@example(start=0.5676407587878688, period=7.7, now=8.0)
@given(start=st.floats(-10, 10), period=PERIODS, now=NOWS)
def test_no_instant_is_skipped_or_repeated(start: float, period: float, now: float) -> None:
    """From one instant to the next is a period, a hundred times over, and the hundredth has not drifted."""
    grid = Grid(start, period)
    first = at = grid.after(now)
    for _ in range(100):
        at = grid.after(at)
    assert at == pytest.approx(first + 100 * period, abs=1e-5)


def test_many_names_are_spread_evenly() -> None:
    """Of a thousand pools about a tenth falls into each tenth of the period, and each keeps its own place."""
    places = [phase(f"agents/pool-{i}", 5.0) for i in range(1000)]
    tenths = [sum(k <= 2 * p < k + 1 for p in places) for k in range(10)]
    assert sum(tenths) == 1000
    assert min(tenths) > 60
    assert places[7] == phase("agents/pool-7", 5.0)
