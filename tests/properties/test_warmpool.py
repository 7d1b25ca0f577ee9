"""The laws of warm pools, whatever comes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import islice, pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scaler.core.reasons import Reason
from scaler.core.types import ScaleTo
from scaler.core.warmpool import tick_pool
from scaler.core.warmpool_budget import Stake, share
from scaler.core.warmpool_model import Offered, idle, miss, shares, size_for_fractile, size_for_misses
from scaler.core.warmpool_types import WarmPolicy
from tests.properties.effort import tries
from tests.properties.warm import LOOKS, POLICIES, STORIES, Look, Told, keeps_every_law, played

OFFERED = st.builds(
    Offered,
    claims=st.floats(0.0, 60.0),
    dispersion=st.one_of(st.just(1.0), st.floats(1.0, 40.0)),
    adopted=st.one_of(st.just(0.0), st.floats(0.0, 1.0)),
)
TARGETS = st.floats(0.0005, 0.5)
STAKES = st.builds(
    Stake,
    rate=st.floats(0.0, 5.0),
    offered=OFFERED,
    price=st.floats(0.1, 10.0),
    least=st.integers(0, 2),
    most=st.integers(0, 12),
)


@given(OFFERED)
@tries(100)
def test_one_sandbox_more_never_misses_more_and_gains_less_than_the_one_before(offered: Offered) -> None:
    """The share that starts cold falls, ever more slowly, from one on; that is what makes the shared budget exact."""
    first = list(islice(shares(offered), 80))
    assert (first[0].cold, first[0].late) == pytest.approx((1.0, 1.0))
    assert all(each.late >= each.cold - 1e-9 for each in first)
    assert all(more.late <= less.late + 1e-9 for less, more in pairwise(first))
    gains = [less.cold - more.cold for less, more in pairwise(first)]
    assert min(gains) >= 0.0
    assert all(later <= earlier + 1e-12 for earlier, later in pairwise(gains))


@given(OFFERED, TARGETS)
@tries(100)
def test_no_size_is_larger_than_needed(offered: Offered, target: float) -> None:
    """It keeps the target, and one sandbox fewer would not."""
    size = size_for_misses(offered, target, 10_000)
    assert miss(offered, size) <= target
    assert size == 0 or miss(offered, size - 1) > target


@given(OFFERED, TARGETS, st.floats(0.0, 30.0))
@tries(100)
def test_more_claims_never_need_fewer_sandboxes(offered: Offered, target: float, more: float) -> None:
    """By either rule, at the same dispersion."""
    busier = replace(offered, claims=offered.claims + more)
    assert size_for_misses(busier, target, 10_000) >= size_for_misses(offered, target, 10_000) - 1e-9
    assert size_for_fractile(busier, 1 - target, 10_000) >= size_for_fractile(offered, 1 - target, 10_000)


@given(OFFERED, st.integers(0, 100))
@tries(60)
def test_no_more_stand_idle_than_there_are(offered: Offered, size: int) -> None:
    """And none less than none."""
    assert 0.0 <= idle(offered, size, miss(offered, size)) <= size


@given(POLICIES, st.lists(LOOKS, min_size=1, max_size=25))
@tries(150, long=True)
def test_every_tick_keeps_every_law(policy: WarmPolicy, looks: list[Look]) -> None:
    """Bounds, holds on ignorance, no addition beside what finds no node, no fall while unsettled."""
    for told in played(policy, looks):
        keeps_every_law(told)


@given(POLICIES, st.lists(LOOKS, min_size=2, max_size=25))
@tries(100, long=True)
def test_a_fall_is_never_faster_than_the_timer(policy: WarmPolicy, looks: list[Look]) -> None:
    """For as long as the timer says, and in three ticks at least, no more was wanted before any sandbox goes."""
    past = played(policy, looks)
    for i, told in enumerate(past):
        trail = told.outcome.trail
        falls = [s for s in trail if s.reason in {Reason.SURPLUS, Reason.UNCLAIMED}]
        if not falls:
            continue
        since, timer = told.memory.at_or_before(told.now).watch.since, told.outcome.evidence.timer
        assert since is not None
        assert told.now - since >= timer
        assert i >= 2
        within = [
            t.outcome.evidence.wanted for j, t in enumerate(past[: i + 1]) if j > i - 3 or _recent(past[j : i + 1])
        ]
        assert all(isinstance(wanted, int) and wanted <= falls[0].after for wanted in within)


def _recent(past: Sequence[Told]) -> bool:
    """Whether the first of these was less than a timer before the last, by the shortest timer in between."""
    passed = sum(max(0.0, later.now - sooner.now) for sooner, later in pairwise(past))
    return passed < min(told.outcome.evidence.timer for told in past)


@given(POLICIES, st.lists(LOOKS, max_size=15), st.integers(1, 50))
@tries(100, long=True)
def test_more_claims_in_a_tick_never_mean_a_smaller_pool(policy: WarmPolicy, looks: list[Look], more: int) -> None:
    """All else being equal: what they teach about dispersion counts from the next tick on."""
    last = played(policy, [*looks, Look(claims=1)])[-1]
    assert isinstance(last.seen.claims, int)
    busier = tick_pool(policy, last.memory, replace(last.seen, claims=last.seen.claims + more), last.now)
    if isinstance(last.outcome.decision, ScaleTo):
        assert isinstance(busier.decision, ScaleTo)
        assert busier.decision.replicas >= last.outcome.decision.replicas


@given(POLICIES, st.lists(LOOKS, max_size=10))
@tries(60, long=True)
def test_the_same_arguments_give_the_same_outcome(policy: WarmPolicy, looks: list[Look]) -> None:
    """Twice told."""
    one, other = (played(policy, [*looks, Look()])[-1].outcome for _ in range(2))
    assert (one.decision, one.trail, one.evidence) == (other.decision, other.trail, other.evidence)


@given(st.integers(0, 20), st.dictionaries(st.sampled_from("abc"), STAKES, max_size=3))
@tries(80)
def test_a_shared_budget_is_kept_and_no_exchange_betters_it(budget: int, stakes: dict[str, Stake]) -> None:
    """Beyond what each has in any case; and what is moved from one pool to another would only miss more."""
    given_ = share(budget, stakes)
    least = {name: min(stake.least, stake.most) for name, stake in stakes.items()}
    assert all(least[name] <= n <= stakes[name].most for name, n in given_.items())
    assert sum(given_.values()) <= max(budget, sum(least.values()))

    def cost(name: str, n: int) -> float:
        stake = stakes[name]
        return stake.rate * stake.price * miss(replace(stake.offered, adopted=0.0), n)

    for one in given_:
        for other in given_:
            if one != other and given_[one] > least[one] and given_[other] < stakes[other].most:
                before = cost(one, given_[one]) + cost(other, given_[other])
                after = cost(one, given_[one] - 1) + cost(other, given_[other] + 1)
                assert after >= before - 1e-9


@pytest.mark.parametrize("reason", STORIES)
def test_every_reason_of_a_warm_pool_has_a_story(reason: Reason) -> None:
    """It is said in its last tick."""
    assert reason in {step.reason for step in STORIES[reason].trail}
