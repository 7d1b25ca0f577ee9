"""The arithmetic that several stages share, each against its definition."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scaler.core.numbers import pinball, quantile, whole

Values = st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=60)


@given(Values, st.floats(0.01, 1.0))
def test_the_quantile_is_the_smallest_value_that_enough_reach(values: list[float], q: float) -> None:
    """By counting: at least q of the values lie at or below it, and below it fewer do."""
    found = quantile(np.array(values), q)
    at_or_below, below = sum(v <= found for v in values), sum(v < found for v in values)
    assert found in values
    assert at_or_below >= q * len(values) - 1e-6
    assert below < q * len(values)


@given(Values, st.floats(0.01, 1.0))
def test_who_asks_for_a_quantile_keeps_his_values_in_their_order(values: list[float], q: float) -> None:
    """The oldest are forgotten first, so their order means something."""
    asked = np.array(values)
    quantile(asked, q)
    assert asked.tolist() == values


@given(Values, st.floats(0.01, 0.99))
def test_no_value_has_less_pinball_loss_than_the_quantile(values: list[float], q: float) -> None:
    """What makes the loss a fair judge: the honest quantile minimises it."""
    losses = {v: sum(pinball(q, actual, v) for actual in values) for v in values}
    assert losses[quantile(np.array(values), q)] <= min(losses.values()) * (1 + 1e-9) + 1e-6


@pytest.mark.parametrize(
    ("demand", "pods"),
    [
        pytest.param(0.0, 0, id="NothingNeedsNothing"),
        pytest.param(0.01, 1, id="AnyPartNeedsAPod"),
        pytest.param(3.0, 3, id="WholePodsAreEnough"),
        pytest.param(3.0 + 1e-12, 3, id="TheErrorOfAMeanCostsNoPod"),
        pytest.param(3.001, 4, id="ARealPartDoes"),
    ],
)
def test_whole_pods_hold_demand(demand: float, pods: int) -> None:
    """Each row: demand in pods, and how many pods hold it."""
    assert whole(demand) == pods
