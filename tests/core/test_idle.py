"""The idle timer: against the optimum worked out by hand, against brute force, and against its own censoring."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scaler.core import idle
from scaler.core.idle import Gaps
from scaler.core.pods import Floats
from scaler.core.policy import Pace
from tests.core.pool import DAY, NOW

PACE = Pace()
RESTART = 60.0
NONE: Sequence[float] = ()
Draw = Callable[[np.random.Generator, int], Floats]


def taught(ended: Sequence[float] | Floats, left: Sequence[float] | Floats = NONE) -> Gaps:
    """What gaps that ended in work, and gaps that a removal cut, teach at one instant."""
    return idle.learn(
        Gaps.none(NOW, PACE), np.array(ended, dtype=float), np.array(left, dtype=float), now=NOW, pace=PACE
    )


def timer(gaps: Gaps, restart: float = RESTART) -> float:
    """The timer learnt from the gaps."""
    return idle.best_timer(gaps, restart=restart, pace=PACE)


def price(gaps: Floats, after: float, restart: float = RESTART) -> float:
    """Mean pod-seconds that one gap costs under a timer: idling, and a restart where the gap was longer."""
    return float(np.mean(np.minimum(gaps, after) + restart * (gaps > after)))


def best_price(gaps: Floats, restart: float = RESTART) -> float:
    """The least price of any timer within the clamp, by trying a thousand of them."""
    timers = np.geomspace(restart / PACE.timer_clamp, restart * PACE.timer_clamp, 1_000)
    return min(price(gaps, t, restart) for t in timers)


def exponential(random: np.random.Generator, n: int) -> Floats:
    """Memoryless gaps of two minutes in the mean, for which every second of idling is wasted."""
    return random.exponential(120.0, n)


def busy_exponential(random: np.random.Generator, n: int) -> Floats:
    """Memoryless gaps of twenty seconds in the mean, for which no removal ever pays."""
    return random.exponential(20.0, n)


def even_exponential(random: np.random.Generator, n: int) -> Floats:
    """Memoryless gaps a fifth shorter than a restart: waiting pays, by little."""
    return random.exponential(48.0, n)


def bimodal(random: np.random.Generator, n: int) -> Floats:
    """Pauses within a conversation (about twenty seconds) and pauses between working days."""
    return np.where(random.random(n) < 0.8, random.normal(20.0, 4.0, n).clip(1.0), random.normal(4_000.0, 500.0, n))


def heavy(random: np.random.Generator, n: int) -> Floats:
    """Gaps with a tail: the longer one has lasted, the longer it will."""
    return 10.0 * (1.0 + random.pareto(1.1, n))


DRAWS: tuple[Draw, ...] = (exponential, busy_exponential, even_exponential, bimodal, heavy)


def test_until_fifty_gaps_the_prior_stands() -> None:
    """Forty-nine gaps prove nothing; the fiftieth replaces three break-evens by what was learnt."""
    assert timer(taught([10.0] * 49)) == 3 * RESTART
    assert timer(taught([10.0] * 50)) != 3 * RESTART


def test_a_gap_that_was_cut_counts_where_none_has_ended() -> None:
    """Most removals come while nobody returns to work."""
    assert taught(NONE, [500.0]).left.sum() == 1.0


def test_cut_gaps_are_no_proof_of_when_work_returns() -> None:
    """A thousand removals with forty-nine returns of work still leave the prior."""
    assert timer(taught([10.0] * 49, [500.0] * 1_000)) == 3 * RESTART


@pytest.mark.parametrize(
    ("ended", "least", "most"),
    [
        # Waiting 20 s costs 20, giving up at once costs 15 + 60; waiting longer costs nothing, for none lasts longer.
        pytest.param([20.0] * 100, 20.0, 240.0, id="GapsThatAlwaysEndSoonAreWaitedOut"),
        # No gap ends within 240 s, the upper clamp, so each second of idling is lost: the lower clamp is best.
        pytest.param([5_000.0] * 100, 15.0, 15.0, id="GapsThatNeverEndSoonAreNotWaitedOut"),
        # Waiting 20 s saves 80 % of the restarts: 20 + 12 against 15 + 60 at the clamp; after that nothing is won.
        pytest.param([20.0] * 80 + [5_000.0] * 20, 20.0, 30.0, id="TheShortModeIsWaitedOutAndTheLongOneIsNot"),
        # With 5 % short gaps, waiting 20 s costs 20 + 57, giving up at once 15 + 60.
        pytest.param([20.0] * 5 + [5_000.0] * 95, 15.0, 15.0, id="AFewShortGapsDoNotPayForWaiting"),
    ],
)
def test_the_timer_is_the_optimum_worked_out_by_hand(ended: list[float], least: float, most: float) -> None:
    """Two-point distributions, restart 60 s: the bins are a quarter wide, so the timer may overshoot by as much."""
    assert least <= timer(taught(ended)) <= most


@pytest.mark.parametrize("draw", DRAWS, ids=lambda draw: draw.__name__)
@pytest.mark.parametrize("restart", [20.0, 125.0, 600.0])
def test_the_timer_costs_what_the_best_one_costs(draw: Draw, restart: float) -> None:
    """Learnt on one half of the gaps and priced on the other, it is within 5 % of the best of a thousand timers."""
    random = np.random.default_rng(7)
    known, unseen = draw(random, 4_000), draw(random, 4_000)
    learnt = timer(taught(known), restart)
    assert price(unseen, learnt, restart) <= 1.05 * best_price(unseen, restart)


def best_by_columns(gaps: Gaps, restart: float) -> float:
    """The same timer by numpy: the product-limit estimate, and the area below it between its edges."""
    edges, total = np.array(idle.EDGES), gaps.ended + gaps.left
    at_risk = total[::-1].cumsum()[::-1]
    survival = np.concatenate(([1.0], (1.0 - gaps.ended / np.maximum(at_risk, math.ulp(0.0)))[:-1].cumprod()))
    idling = np.concatenate(([0.0], ((survival[:-1] + survival[1:]) / 2 * np.diff(edges)).cumsum()))
    low, high = restart / PACE.timer_clamp, restart * PACE.timer_clamp
    timers = np.concatenate(([low, high], edges[(low < edges) & (high > edges)]))
    alive = survival[edges.searchsorted(timers, side="right") - 1]
    return float(timers[(np.interp(timers, edges, idling) + alive * restart).argmin()])


LENGTHS = st.one_of(st.floats(0.0, 600.0), st.floats(0.0, 3 * DAY), st.sampled_from(idle.EDGES))


@given(
    st.one_of(st.lists(LENGTHS, min_size=50, max_size=80), LENGTHS.map(lambda length: 50 * [length])),
    st.lists(LENGTHS, max_size=80),
    st.one_of(st.floats(1.0, DAY), st.sampled_from([edge / PACE.timer_clamp for edge in idle.EDGES[1:]])),
)
def test_the_timer_is_what_whole_columns_come_to(ended: list[float], left: list[float], restart: float) -> None:
    """To the last bit, for restarts of any length: from a gap that is as long as an edge to those of days."""
    gaps = taught(ended, left)
    assert timer(gaps, restart) == best_by_columns(gaps, restart)


@given(st.lists(st.floats(min_value=0.0, max_value=10 * DAY), min_size=50, max_size=80), st.floats(1.0, 3_600.0))
def test_the_timer_stays_within_its_clamp(ended: list[float], restart: float) -> None:
    """Whatever was seen, it lies between a quarter of the break-even and four times it."""
    assert restart / 4 <= timer(taught(ended), restart) <= restart * 4


@given(st.lists(st.floats(min_value=0.0, max_value=DAY), min_size=1, max_size=50), st.floats(1.0, 3_600.0))
def test_a_timer_of_one_break_even_costs_at_most_twice_the_clairvoyant(gaps: list[float], restart: float) -> None:
    """Ski rental: idling for as long as a restart costs is never more than twice what knowing the gap would cost."""
    lengths = np.array(gaps)
    assert price(lengths, restart, restart) <= 2.0 * float(np.mean(np.minimum(lengths, restart))) * (1 + 1e-12)


@given(st.lists(st.floats(min_value=0.0, max_value=DAY), min_size=1, max_size=50), st.floats(15.0, 240.0))
def test_a_clamped_timer_costs_at_most_five_times_the_clairvoyant(gaps: list[float], after: float) -> None:
    """However wrong the learner, the clamp bounds the damage: 1 + 4 at either end of it."""
    lengths = np.array(gaps)
    assert price(lengths, after) <= (1 + PACE.timer_clamp) * float(np.mean(np.minimum(lengths, RESTART))) * (1 + 1e-12)


def retaught(draw: Draw, days: int, *, count_cut: bool) -> float:
    """The timer after days of two hundred gaps, where each day's removals cut what outlasts the timer then in force."""
    random, gaps, after = np.random.default_rng(1), Gaps.none(NOW, PACE), PACE.timer_prior * RESTART
    for day in range(days):
        lengths = draw(random, 200)
        over = lengths > after
        cut = np.full(np.count_nonzero(over), after) if count_cut else np.zeros(0)
        gaps = idle.learn(gaps, lengths[~over], cut, now=NOW + day * DAY, pace=PACE)
        after = timer(gaps)
    return after


@pytest.mark.parametrize("draw", DRAWS, ids=lambda draw: draw.__name__)
def test_a_timer_that_cuts_its_own_gaps_does_not_go_astray(draw: Draw) -> None:
    """After a month of seeing only what it let happen, it still costs within a tenth of the best."""
    unseen = draw(np.random.default_rng(2), 20_000)
    assert price(unseen, retaught(draw, 30, count_cut=True)) <= 1.10 * best_price(unseen)


def test_without_the_cut_gaps_the_timer_would_wait_for_what_never_comes() -> None:
    """Nineteen gaps in twenty were cut at 20 s. Those that ended, taken alone, say that waiting is always rewarded."""
    ended, cut = [18.0] * 50, [20.0] * 950
    assert timer(taught(ended, cut)) == RESTART / PACE.timer_clamp
    assert timer(taught(ended)) >= 18.0


def test_old_gaps_fade() -> None:
    """Half of what a day taught is forgotten a day later, so a pool whose work changes is learnt anew within days."""
    gaps = taught([20.0] * 200)
    for day in range(1, 6):
        gaps = idle.learn(gaps, np.full(60, 5_000.0), np.zeros(0), now=NOW + day * DAY, pace=PACE)
    assert timer(gaps) == RESTART / PACE.timer_clamp
    assert gaps.ended.sum() == pytest.approx(200 / 32 + 60 * sum(0.5**n for n in range(5)))


def test_the_timer_in_force_is_renewed_when_it_is_due() -> None:
    """It is worked out again after half a minute, and at once when a restart has become dearer."""
    gaps = taught([20.0] * 60)
    first = idle.refresh(gaps, restart=RESTART, now=NOW, pace=PACE)
    taught_more = idle.learn(first, np.full(600, 5_000.0), np.zeros(0), now=NOW + 1, pace=PACE)
    soon = idle.refresh(taught_more, restart=RESTART, now=NOW + 29.0, pace=PACE)
    due = idle.refresh(taught_more, restart=RESTART, now=NOW + 30.0, pace=PACE)
    dearer = idle.refresh(taught_more, restart=2 * RESTART, now=NOW + 2.0, pace=PACE)
    assert first.timer == soon.timer == timer(gaps)
    assert (due.timer, dearer.timer) == (RESTART / 4, 2 * RESTART / 4)


def test_gaps_beyond_a_day_count_as_a_day() -> None:
    """A pod that idled for a week is in the last bin, and nothing is lost or counted twice."""
    gaps = taught([7 * DAY, 0.0], [7 * DAY])
    assert (gaps.ended[-1], gaps.ended[0], gaps.left[-1], gaps.ended.sum(), gaps.left.sum()) == (1, 1, 1, 2, 1)
