"""A budget shared by pools goes where it prevents the most misses."""

from __future__ import annotations

from itertools import product

import pytest

from scaler.core.warmpool_budget import Stake, share
from scaler.core.warmpool_model import Offered, miss

BUSY = Stake(rate=1.0, offered=Offered(20.0), most=40)
QUIET = Stake(rate=0.05, offered=Offered(1.0), most=40)
BATCHED = Stake(rate=0.2, offered=Offered(4.0, 6.0), most=40)


def cost(stakes: dict[str, Stake], given: dict[str, int]) -> float:
    """Priced misses per second."""
    return sum(s.rate * s.price * miss(s.offered, given[name]) for name, s in stakes.items())


def test_no_other_split_of_the_budget_misses_less() -> None:
    """Every one of them is tried."""
    stakes = {"busy": BUSY, "quiet": QUIET, "batched": BATCHED}
    given = share(30, stakes)
    assert sum(given.values()) == 30
    best = min(
        cost(stakes, {"busy": a, "quiet": b, "batched": 30 - a - b})
        for a, b in product(range(31), repeat=2)
        if a + b <= 30
    )
    assert cost(stakes, given) == pytest.approx(best, abs=1e-12)


def test_a_dearer_miss_draws_sandboxes() -> None:
    """From the pool whose misses cost less."""
    even = share(20, {"a": BUSY, "b": BUSY})
    dear = share(20, {"a": BUSY, "b": Stake(rate=1.0, offered=Offered(20.0), price=5.0, most=40)})
    assert even == {"a": 10, "b": 10}
    assert dear["b"] > dear["a"]


def test_each_has_its_least_and_none_more_than_its_most() -> None:
    """Also where the budget does not reach for that; and what nobody can use is left."""
    least, most = Stake(rate=0.0, offered=Offered(0.0), least=3, most=9), Stake(rate=1.0, offered=Offered(9.0), most=4)
    assert share(0, {"least": least, "most": most}) == {"least": 3, "most": 0}
    assert share(100, {"least": least, "most": most}) == {"least": 3, "most": 4}
    assert share(10, {}) == {}
