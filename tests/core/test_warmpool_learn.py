"""What a warm pool learns: lead times, rates, the time of day, and how far each of its forecasts is to be trusted."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scaler.core import warmpool_foresee as foresee
from scaler.core import warmpool_learn as learnt
from scaler.core.policy import Pace
from scaler.core.record import from_json, to_json
from scaler.core.types import Instant, Seconds, Unknown
from scaler.core.warmpool_explain import lines
from scaler.core.warmpool_learn import Belief, Stretch, dispersion, leads, learn, unwatched
from scaler.core.warmpool_memory import CANDIDATES, CONSTANTS, Claims, Errors, Late, Leads, Trial, WarmMemory
from scaler.core.warmpool_types import WarmOutcome, WarmPolicy
from tests.core.pool import DAY, HOUR, NOW
from tests.core.warm import SAME_LEADS, Watched, batches, poisson

LEAD: Seconds = 20.0
POLICY = WarmPolicy()
MIDNIGHT: Instant = NOW - 12 * HOUR


def fed(counts: list[int], *, step: Seconds = 5.0, start: Instant = NOW, claims: Claims | None = None) -> Claims:
    """What is known after so many claims in each of these steps."""
    known = claims or Claims.none(start)
    if claims is None:
        known = learn(known, POLICY, LEAD, Stretch(0.0, start, start))
    for n, count in enumerate(counts):
        known = learn(known, POLICY, LEAD, Stretch(float(count), start + n * step, start + (n + 1) * step))
    return known


def believed(claims: Claims, now: Instant) -> Belief:
    """What is believed by a pool that knows this of claims."""
    memory = WarmMemory.fresh(NOW, POLICY.pace)
    return learnt.believe(replace(memory, leads=Leads(memory.leads.last, LEAD, 9), claims=claims), POLICY, now)


def test_rates_are_plain_means_until_they_have_as_much_past_as_they_remember() -> None:
    """And begin with one lead time without any: four claims in a minute are four in eighty seconds."""
    claims = fed([0, 1, 0, 0, 0, 1, 0, 0, 1, 0, 0, 1])
    assert claims.rates[1:] == pytest.approx([0.05] * (len(CONSTANTS) - 1))
    assert claims.seen == 4.0


def test_rates_forget_by_time_and_not_by_tick() -> None:
    """One long tick teaches what ten short ones do."""
    short = fed([0] * 600, claims=fed([10] * 720), start=NOW + HOUR)
    long = fed([0] * 60, step=50.0, claims=fed([10] * 720), start=NOW + HOUR)
    assert short.rates == pytest.approx(long.rates, rel=1e-4)
    assert short.rates[2] == pytest.approx(2.0 * math.exp(-3000.0 / 300.0), rel=1e-4)


def test_claims_that_come_in_no_time_count_with_the_next() -> None:
    """Two ticks at one instant lose nothing, and divide by nothing."""
    claims = fed([10] * 720)
    at = NOW + HOUR
    same = learn(claims, POLICY, LEAD, Stretch(5.0, at, at))
    assert same.rates == claims.rates
    assert (same.last, same.unread) == (at, 5.0)
    both = learn(same, POLICY, LEAD, Stretch(5.0, at, at + 5.0))
    assert both.rates == learn(claims, POLICY, LEAD, Stretch(10.0, at, at + 5.0)).rates
    assert both.seen == claims.seen + 10.0


@pytest.mark.parametrize("each", [1, 4, 8])
def test_the_dispersion_is_that_of_the_batches(each: int) -> None:
    """Variance over mean of a compound Poisson count is the size of its batches, where each has the same."""
    claims = fed(batches(0.5, each, 2000))
    assert dispersion(claims.errors) == pytest.approx(each, rel=0.35)


def rising(minutes: int, *, by: float) -> list[int]:
    """Counts of five seconds each, of claims that come ever oftener: one a second at first, ``by`` more each minute."""
    rates = 1.0 + by * np.arange(12 * minutes) / 12.0
    return [int(n) for n in np.random.default_rng(2).poisson(rates * 5.0)]


def test_a_rate_that_stands_is_foreseen_by_long_averages_and_one_that_moves_by_what_follows() -> None:
    """All are believed together, so the rate is nobody's alone; and what nobody foresees is in the dispersion."""
    waves = [int(n) for n in np.random.default_rng(2).poisson(5.0 + 4.5 * np.sin(np.arange(1600) / 60))]
    steady, moved = fed(poisson(1.0, 1600)), fed(waves)
    still, moving = believed(steady, NOW + 8_000.0), believed(moved, NOW + 8_000.0)
    assert still.rate == pytest.approx(1.0, rel=0.05)
    assert still.offered.dispersion == 1.0
    short = {f"{kind} over {constant} s" for kind in ("average", "trend") for constant in (60, 120, 300)}
    assert CANDIDATES[moving.candidate] in short
    assert steady.losses[CANDIDATES.index("average over 60 s")] > 1.0
    assert moved.losses[CANDIDATES.index("average over 10800 s")] == foresee.WORST
    assert moving.offered.dispersion < 2.5  # of the long average alone: above 5


def test_a_slope_is_foreseen_by_its_trend() -> None:
    """An average lags behind by as long as it remembers; the belief does not."""
    claims = fed(rising(120, by=0.05))
    belief = believed(claims, NOW + 7_200.0)
    assert CANDIDATES[belief.candidate].startswith("trend")
    assert belief.rate == pytest.approx(7.0, rel=0.06)
    assert claims.rates[CONSTANTS.index(1800.0)] < 6.0
    trend = CANDIDATES.index("trend over 1800 s")
    now, later = (foresee.said(claims, horizon, NOW + 7_200.0)[trend] for horizon in (0.0, 600.0))
    assert now == pytest.approx(7.0, rel=0.05)
    assert later == pytest.approx(7.5, rel=0.05)


def test_who_was_wrong_for_long_is_heard_again_when_he_is_right() -> None:
    """After a jump the short averages are right at once, and after an hour of peace the long ones are again."""
    jumped = fed([5] * 1_440 + [20] * 24)
    assert believed(jumped, NOW + 7_320.0).rate == pytest.approx(4.0, rel=0.15)
    long = CANDIDATES.index("average over 1800 s")
    assert jumped.losses[long] == foresee.WORST
    calm = fed(poisson(4.0, 2_160), claims=jumped, start=NOW + 7_320.0)
    assert calm.losses[long] < 1.0


@given(
    st.lists(st.floats(0.0, foresee.WORST), min_size=len(CANDIDATES), max_size=len(CANDIDATES)),
    st.lists(st.none() | st.floats(0.0, 50.0), min_size=len(CANDIDATES), max_size=len(CANDIDATES)),
    st.floats(0.0, 50.0),
    st.floats(1.0, 40.0),
)
def test_belief_is_shared_among_those_who_speak(
    losses: list[float], rates: list[float | None], came: float, spread: float
) -> None:
    """It is one in all; all together expect what lies between the words of two; and none is doubted wholly."""
    rates[0] = 1.0 if rates[0] is None else rates[0]
    spoken = [rate for rate in rates if rate is not None]
    trusts = foresee.trusted(tuple(losses), tuple(rates))
    rate = foresee.together(trusts, tuple(rates))
    assert math.fsum(trusts) == pytest.approx(1.0)
    assert min(spoken) - 1e-9 <= rate <= max(spoken) + 1e-9
    assert all((trust == 0.0) is (said is None) for trust, said in zip(trusts, rates, strict=True))
    trial = Trial(NOW, NOW + LEAD, 0.0, tuple(rates), rate)
    after = foresee.judged(tuple(losses), trial, came=came, spread=spread)
    assert min(after) == 0.0
    assert max(after) <= foresee.WORST


def test_who_said_what_came_gains_on_the_rest_and_in_batches_by_less() -> None:
    """And who had no word neither gains nor loses by it."""
    told = (1.0, 2.0, *(None for _ in CANDIDATES[2:]))
    trial = Trial(NOW, NOW + LEAD, 0.0, told, 1.5)
    none = (0.0,) * len(CANDIDATES)
    alone, together = (foresee.judged(none, trial, came=2.0, spread=spread) for spread in (1.0, 8.0))
    assert alone[1] == 0.0
    assert alone[0] > alone[2] > 0.0
    assert together[0] == pytest.approx(alone[0] / 8.0)


def test_too_little_is_known_at_first_to_think_that_claims_come_alone() -> None:
    """The prior has them in small batches, and fades with what is seen."""
    assert dispersion(Errors()) == 4.0
    assert dispersion(fed(poisson(1.0, 1000)).errors) == 1.0


def test_errors_that_chance_explains_are_no_batches() -> None:
    """Two standard errors of a variance, of as many lead times as were seen."""
    seen = Errors(squares=130.0, windows=50.0, claims=100.0, came=100.0)
    assert dispersion(seen) == 1.0
    assert dispersion(replace(seen, squares=150.0)) == 1.5
    assert dispersion(replace(seen, squares=150.0, came=120.0)) == 1.0  # who expected too few is not told of batches


def test_few_large_bursts_are_taken_from_the_unfavourable_end() -> None:
    """The same squares from a hundred errors say how large the next is; from sixteen they hardly do."""
    many, few = (
        Errors(squares=1_000.0, fourths=n * (1_000.0 / n) ** 2, windows=50.0, claims=100.0, came=100.0)
        for n in (100, 16)
    )
    assert dispersion(many) == pytest.approx(10.0 * (1.0 + math.sqrt(4 / 100)))
    assert dispersion(few) == pytest.approx(10.0 * (1.0 + math.sqrt(4 / 16)))
    assert dispersion(replace(many, fourths=1e6)) == 20.0  # a single one: twice what it was


def test_yesterday_speaks_where_it_was_watched_whole() -> None:
    """And is used where it beats the averages: here the claims come in the same five minutes of each hour."""
    day = [60 if n % 60 < 5 else 0 for n in range(1_440)]
    claims = fed(day[:700], step=60.0, start=MIDNIGHT)
    assert claims.trials[-1].rates[-1] is None
    claims = fed(day[700:], step=60.0, start=MIDNIGHT + 42_000.0, claims=claims)
    claims = fed(day[:720], step=60.0, start=MIDNIGHT + DAY, claims=claims)
    assert claims.trials[-1].rates[-1] is not None
    belief = believed(claims, MIDNIGHT + DAY + 12 * HOUR)
    assert CANDIDATES[belief.candidate] == "yesterday"
    assert belief.trust > 0.5
    assert 0.5 < belief.rate < 0.8  # the fifth minute ends in the next bucket, and averages are not yet disproved


def test_yesterday_is_not_trusted_where_the_averages_know_better() -> None:
    """Steady claims are foreseen by their average, and yesterday's few are chance."""
    claims = fed(poisson(0.2, 2_160, step=60.0), step=60.0, start=MIDNIGHT)
    assert claims.trials[-1].rates[-1] is not None
    belief = believed(claims, MIDNIGHT + 1.5 * DAY)
    assert CANDIDATES[belief.candidate].startswith("average")
    assert belief.rate == pytest.approx(0.2, rel=0.1)


def test_there_are_four_trials_in_a_lead_time_however_often_it_ticks() -> None:
    """And none in the first three, in which the rate itself is not known yet."""
    assert fed([1] * 59, step=1.0).trials == ()
    at = [trial.at for trial in fed([1] * 200, step=1.0).trials]
    assert [later - earlier for earlier, later in pairwise(at)] == [5.0, 5.0, 5.0]


def test_a_trial_that_came_due_long_ago_proves_nothing() -> None:
    """Nor does one that was open while nobody counted."""
    claims = fed(poisson(2.0, 100))
    late = learn(claims, POLICY, LEAD, Stretch(40.0, NOW + 500.0, NOW + 900.0))
    assert (late.errors, late.losses) == (claims.errors, claims.losses)
    assert unwatched(claims).trials == ()


def test_claims_that_found_none_ready_say_what_a_miss_is() -> None:
    """Lost sales until adoptions were seen; the last few hundred decide."""
    known = Late()
    assert known.adopted == 0.0
    for _ in range(60):
        known = learnt.late(known, cold=1, unready=9)
    assert known.adopted == pytest.approx(0.9, abs=0.02)
    for _ in range(300):
        known = learnt.late(known, cold=10, unready=0)
    assert known.adopted < 0.01


def test_the_mean_lead_time_stands_on_many_and_its_quantiles_on_the_last() -> None:
    """Noise of the last few moves the quantiles, and the mean little."""
    pace = Pace(startup_prior=30.0)
    known = WarmMemory.fresh(NOW, pace).leads
    assert leads(known, (), pace) is known
    assert leads(known, (10.0,) * 4, pace) == Leads(leads(known, (10.0,) * 4, pace).last, 30.0, 4)
    known = leads(known, (10.0,) * 400, pace)
    assert (known.mean, known.last.p90, known.count) == (10.0, 10.0, 400)
    known = leads(known, (60.0,) * 8, pace)
    assert known.mean == pytest.approx(11.0, abs=0.1)
    assert known.last.p90 == 60.0
    assert leads(known, (20.0,) * 900, pace).mean == 20.0


def test_an_outcome_comes_back_from_its_record() -> None:
    """Memory, evidence and trail, to be replayed; and what is decided next is the same."""
    pool = Watched()
    pool.tick(0, leads=SAME_LEADS)
    outcome = pool.run(poisson(2.0, 120))
    again = from_json(WarmOutcome, json.loads(json.dumps(to_json(outcome), allow_nan=False)))
    assert to_json(again) == to_json(outcome)
    one, other = (Watched(size=pool.size, now=pool.now, memory=o.memory) for o in (outcome, again))
    assert to_json(one.tick(10)) == to_json(other.tick(10))


def test_an_outcome_is_told_with_the_figures_it_stands_on() -> None:
    """And says what is not known as such."""
    pool = Watched()
    first = "\n".join(lines(pool.tick(0, leads=SAME_LEADS)))
    assert "most trusted: average over 60 s (8%)" in first  # nobody has shown anything yet
    told = "\n".join(lines(pool.run(poisson(2.0, 400))))
    assert "claims in a lead time, dispersion" in told
    assert "a second, most trusted: average over " in told
    assert "lead time: 20.0 s on average, p90 20.0 s (5 seen)" in told
    assert "wanted: unknown, no watch" in "\n".join(lines(pool.tick(Unknown("no watch"))))
