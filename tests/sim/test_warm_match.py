"""Warm pools side by side: figures that others can be held to, and what ours must reach on claims that we know well."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TypeAlias

import numpy as np
import pytest

from scaler.core.warmpool_model import Offered, idle, miss
from scaler.core.warmpool_types import WarmPolicy
from scaler.sim.compose import Recipe
from scaler.sim.warm import Tally
from scaler.sim.warm_equal import smallest
from scaler.sim.warm_limit import even, priced
from scaler.sim.warm_match import NAMES, Played, Question, check, matches, played, summary, work_out
from scaler.sim.warm_sight import Stock
from scaler.sim.workload import SUBAGENT, Lognormal

Curve: TypeAlias = tuple[tuple[float, float], ...]

LEAD = Lognormal(math.log(10.0), 0.3, "a sandbox whose image is there")
STEADY: Curve = ((0.0, 60.0), (7_200.0, 60.0))
DAY: Curve = tuple((200.0 * n, 31.0 - 30.0 * math.cos(n / 72 * math.pi)) for n in range(145))  # of eight hours


def question(curve: Curve, *, bursts: float = 1.0, policies: tuple[str, ...] = ("ours",)) -> Question:
    """What is asked of pools under such claims."""
    recipe = Recipe(arrivals=curve, bursts=bursts, lengths=SUBAGENT)
    return Question(recipe=recipe, lead=LEAD, policy=WarmPolicy(max_size=300), policies=policies, seeds=1)


def won(asked: Question) -> tuple[Played, dict[str, float]]:
    """Ours, and by how much less time sandboxes stand idle than where as few miss, as a share."""
    (found,) = work_out(matches(asked), None, told=lambda: None)
    reached = {peer: equal for peer, equal in found.equals.items() if equal is not None}
    assert reached.keys() >= {"fixed", "rate", "buffer"}
    idle = found.row.idle_sandbox_hours * 3600.0
    return found, {peer: 1.0 - idle / equal.idle for peer, equal in reached.items()}


def test_steady_claims_keep_the_target_at_no_more_idle_time_than_the_best_fixed_size() -> None:
    """Which was found by looking at these very claims; nor than the best constant that a rate is multiplied by."""
    found, saved = won(question(STEADY))
    assert found.row.miss_rate <= 0.015
    assert saved["fixed"] >= 0.0
    assert saved["rate"] >= 0.0


def test_claims_in_bursts_keep_the_target() -> None:
    """Their dispersion is learnt."""
    found, saved = won(question(STEADY, bursts=16.0))
    assert found.row.miss_rate <= 0.015
    assert saved["fixed"] >= 0.0


def test_a_day_keeps_the_target_at_a_quarter_less_idle_time_than_the_best_fixed_size() -> None:
    """One claim a minute at night, and one a second at noon."""
    found, saved = won(question(DAY))
    assert found.row.miss_rate <= 0.015
    assert saved["fixed"] >= 0.25
    assert saved["hpa"] >= 0.25
    assert saved["histogram"] >= 0.25
    assert saved["buffer"] >= 0.0
    assert saved["rate"] >= -0.1  # whose constant was found afterwards, on these very claims


def test_a_day_is_followed_nearly_as_well_as_by_somebody_who_knows_the_rate() -> None:
    """And he cannot save a quarter of what a rate times the best constant needs: nobody could."""
    found, saved = won(question(DAY))
    assert saved["knowing"] >= -0.2  # a part of that is the night that began with the best fixed size
    even, priced, rate = (found.equals[peer] for peer in ("knowing", "priced", "rate"))
    assert even is not None
    assert priced is not None
    assert rate is not None
    assert priced.idle <= 1.05 * even.idle
    assert priced.idle >= 0.75 * rate.idle


def test_who_knows_the_rate_stands_where_erlang_says() -> None:
    """On a flat curve that is the best fixed size; and a sandbox is worth its price where it prevents enough misses."""
    rates = np.array([0.0, 1.0, 1.0, 5.0])
    sizes = [even(rates, 10.0, 1_000, 0.01).decide(stock(5.0 * step)) for step in range(5)]
    assert sizes == [1, 18, 18, 64, 64]
    for price in (10.0, 300.0):
        sizes = [priced(rates, 10.0, 1_000, price).decide(stock(5.0 * step)) for step in range(4)]
        assert sizes[0] == 0
        for claims, size in ((10.0, sizes[1]), (50.0, sizes[3])):
            missed = [miss(Offered(claims), size + more) for more in (-1, 0, 1)]
            costs = [
                idle(Offered(claims), size + more, share) + price * claims / 10.0 * share
                for more, share in zip((-1, 0, 1), missed, strict=True)
            ]
            assert min(costs) == costs[1]


def stock(now: float) -> Stock:
    """A look at this instant; whatever else is seen does not matter."""
    return Stock(now=now, size=0, ready=0, starting=0, claims=0, in_use=0, cold=0, unready=0, leads=())


def test_a_row_holds_what_a_planner_asks() -> None:
    """By these names, in this order first; and what was missed is what was cold or not ready."""
    names = [*["policy", "seed", "claims", "misses", "miss_rate", "wait_p95_s", "idle_sandbox_hours", "max_size"]]
    asked = question(((0.0, 30.0), (1_800.0, 30.0)), policies=NAMES)
    found = work_out(matches(asked), None, told=lambda: None)
    rows = [each.row for each in found]
    assert list(type(rows[0]).__dataclass_fields__)[: len(names)] == names
    assert {row.policy for row in rows} == set(NAMES)
    assert len({row.claims for row in rows}) == 1
    for row in rows:
        assert row.misses == row.cold + row.unready
        assert row.miss_rate == pytest.approx(row.misses / row.claims, abs=1e-6)
        assert row.idle_sandbox_hours <= row.pool_sandbox_hours


def test_the_summary_is_of_all_seeds() -> None:
    """Means by policy, and the knobs at which others miss as few."""
    asked = replace(question(((0.0, 30.0), (900.0, 30.0)), policies=("ours", "fixed=20")), seeds=2)
    found = work_out(matches(asked), None, told=lambda: None)
    told = summary(asked, found)
    means, equals = told["policies"], told["at_equal_misses"]
    assert isinstance(means, dict)
    assert isinstance(equals, dict)
    claims = [each.row.claims for each in found if each.row.policy == "ours"]
    assert means["ours"]["claims"] == sum(claims) / 2
    assert set(equals) == {*NAMES, "knowing", "priced"} - {"ours"}


def test_what_cannot_be_reached_is_told_as_such() -> None:
    """A pool of at most ten misses half of these claims, and no constant helps."""
    small = question(((0.0, 60.0), (900.0, 60.0)))
    asked = replace(small, policy=WarmPolicy(max_size=10), start=0)
    (found,) = work_out(matches(asked), None, told=lambda: None)
    assert found.row.miss_rate > 0.3
    told = summary(asked, [replace(found, equals={"rate": None})])
    assert told["at_equal_misses"] == {"rate": {"knob": None, "idle_saved": None}}


def test_the_best_fixed_size_is_the_smallest_that_keeps_the_target() -> None:
    """One fewer misses more."""
    asked = question(STEADY, policies=("fixed",))
    best = played(matches(asked)[0]).row
    fewer = played(matches(replace(asked, policies=(f"fixed={best.max_size - 1}",)))[0]).row
    assert best.miss_rate <= 0.01 < fewer.miss_rate


def test_a_search_ends_at_its_bound() -> None:
    """Where no size keeps the target."""
    assert smallest(lambda sizer, start: Tally(claims=1, cold=1), 0.01, 50) == 50


@pytest.mark.parametrize(
    "name", ["ours", "fixed", "fixed=40", "rate=30.5", "hpa=2", "buffer=20", "buffer=10%", "histogram", "histogram=30"]
)
def test_policies_go_by_these_names(name: str) -> None:
    """With their knobs."""
    assert check(name, 100) == name


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("hpb", "policies: hpb is none; there are ours, fixed, rate, hpa, buffer, histogram"),
        ("fixed=101", "policies: fixed=101: 101 is out of range, from 0 to 100; write fixed=SIZE"),
        ("rate=soon", "policies: rate=soon: 'soon' is no number; write fixed=SIZE, rate=SECONDS"),
        ("rate=", "policies: rate=: '' is no number"),
        ("buffer=100%", "policies: buffer=100%: 100 is out of range, from 1 to 99"),
        ("histogram=0", "policies: histogram=0: 0 is out of range, from 1 to 1000"),
        ("ours=3", "policies: ours=3: it has no knob; write ours"),
    ],
)
def test_a_policy_that_is_none_says_what_there_is(name: str, said: str) -> None:
    """And a knob out of its range says the range."""
    with pytest.raises(ValueError, match="policies") as raised:
        check(name, 100)
    assert str(raised.value).startswith(said)
