"""How warm pools are sized elsewhere, each by its project's own figures."""

from __future__ import annotations

import pytest

from scaler.sim.warm_peers import BufferSizer, FixedSizer, HistogramSizer, Rate, RateSizer, ValueSizer
from scaler.sim.warm_sight import Sizer, Stock


def stock(now: float, claims: int, *, size: int = 0, ready: int | None = None, in_use: int = 0) -> Stock:
    """What is seen; all members are ready unless it is said otherwise."""
    shown = size if ready is None else ready
    return Stock(
        now=now,
        size=size,
        ready=shown,
        starting=size - shown,
        claims=claims,
        in_use=in_use,
        cold=0,
        unready=0,
        leads=(),
    )


def sizes(sizer: Sizer, rates: list[float], size: int) -> list[int]:
    """The sizes that it asks for, one period after another, under these rates of claims."""
    told, claims = [], 0.0
    for n, rate in enumerate(rates):
        size = sizer.decide(stock(n * sizer.period, int(claims), size=size))
        told.append(size)
        claims += rate * sizer.period
    return told


def test_the_rate_is_the_increase_over_the_last_minute() -> None:
    """By scrapes every 15 s; nothing before there are two."""
    rate = Rate()
    assert [rate.read(15.0 * n, 30 * n) for n in range(4)] == [0.0, 2.0, 2.0, 2.0]
    assert [rate.read(45.0 + 15.0 * n, 90) for n in range(1, 5)] == pytest.approx([1.5, 1.0, 0.5, 0.0])


def test_the_keda_example_asks_for_twenty_seconds_of_claims() -> None:
    """agent-sandbox's examples/keda-scale-to-zero: AverageValue 0.05 is the rate times 20 s."""
    assert sizes(RateSizer(20.0, 100), [1.0] * 8, 0)[-1] == 20
    assert sizes(RateSizer(20.0, 100), [0.2] * 60, 0)[-1] == 4
    assert sizes(RateSizer(20.0, 10), [1.0] * 8, 0)[-1] == 10


def test_the_keda_example_goes_to_zero_five_minutes_after_the_last_claim() -> None:
    """Its cooldown."""
    told = sizes(RateSizer(20.0, 100), [1.0] * 8 + [0.0] * 40, 20)
    assert told[7 + 16] > 0
    assert told[-1] == 0


def test_the_hpa_example_runs_away_to_its_maximum() -> None:
    """The trace in agent-sandbox's README: one claim a second at a target of 0.5 drove 10 to 100 within minutes."""
    told = sizes(ValueSizer(0.5, low=10, high=100), [1.0] * 20, 10)
    assert told[0] == 10
    assert told == sorted(told)
    assert told[-1] == 100


def test_at_its_target_any_size_stays() -> None:
    """So that example's equilibrium says nothing of lead times."""
    assert sizes(ValueSizer(0.5, low=10, high=100), [0.5] * 10, 37)[-1] == 37


def test_a_buffer_is_the_same_whatever_is_in_use_and_a_share_of_it_is_not() -> None:
    """Agones: 20 % of a fleet with 80 in use is 20 ready ones."""
    assert BufferSizer(5, 0, 100).decide(stock(0.0, 0, in_use=80)) == 5
    assert BufferSizer(0, 20, 100).decide(stock(0.0, 0, in_use=80)) == 20
    assert BufferSizer(0, 20, 10).decide(stock(0.0, 0, in_use=80)) == 10


def test_the_histogram_keeps_what_came_within_its_longest_gaps() -> None:
    """Claims a minute apart: a replacement is due after a minute and goes after two."""
    sizer = HistogramSizer(60.0, 100)
    told = [sizer.decide(stock(5.0 * n, n // 12)) for n in range(12 * 40)]
    assert set(told[-24:]) <= {1, 2}
    assert all(sizer.decide(stock(5.0 * n, 39)) <= 10 for n in range(480, 500))


def test_until_the_histogram_says_something_it_keeps_for_ten_minutes() -> None:
    """As fixed keep-alives do; and where gaps are longer than it holds."""
    sizer = HistogramSizer(60.0, 3)
    assert sizer.decide(stock(0.0, 5)) == 3
    assert sizer.decide(stock(595.0, 5)) == 3
    assert sizer.decide(stock(605.0, 5)) == 0
    for n in range(1, 15):
        sizer.decide(stock(20_000.0 * n, 5 + n))
    assert sizer.decide(stock(20_000.0 * 14 + 595.0, 19)) == 1
    assert sizer.decide(stock(20_000.0 * 14 + 605.0, 19)) == 0


def test_a_fixed_size_is_fixed() -> None:
    """Whatever comes."""
    assert FixedSizer(7).decide(stock(0.0, 10_000, size=3)) == 7
