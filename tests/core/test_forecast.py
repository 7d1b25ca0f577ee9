"""The forecast: used only where it has earned it, scored only on what came after it was made."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scaler.core import forecast as forecasts
from scaler.core.forecast import BUCKET, FADE, Bid, ForecastMemory, Question, Record
from scaler.core.memory import Memory
from scaler.core.numbers import quantile
from scaler.core.policy import Pace, Policy
from scaler.core.record import from_json, to_json
from scaler.core.tick import tick
from scaler.core.types import Forecast, Instant, Known, Sample, Seconds, Signal, Unknown
from tests.core.pool import DAY, HOUR, NOW, TICK, busy, draining, heard, observe

POLICY = Policy()
HORIZON: Seconds = 60.0
Q = 10 / 11
RATE: dict[Signal, Sample] = {
    Signal.ARRIVALS: Known(0.5, NOW),
    Signal.SERVICE: Known(40.0, NOW),
    Signal.COMPLETIONS: Known(1_000, NOW),
}


@dataclass(kw_only=True)
class Watch:
    """A forecast that watches demand, one value each ``step`` seconds."""

    policy: Policy = POLICY
    horizon: Seconds = HORIZON
    q: float = Q
    step: Seconds = TICK
    now: Instant = NOW
    signals: dict[Signal, Sample] = field(default_factory=dict)
    memory: ForecastMemory = field(default_factory=ForecastMemory.none)

    def see(self, demands: Iterable[float]) -> list[Forecast]:
        """What is forecast at each of these values, each learnt before the next is seen."""
        return [self._see(demand) for demand in demands]

    def _see(self, demand: float) -> Forecast:
        ask = Question(demand=demand, horizon=self.horizon, q=self.q, now=self.now, signals=self.signals)
        said = forecasts.points(self.memory, self.policy, ask)
        self.memory = forecasts.learn(self.memory, self.policy, ask, said)
        self.now += self.step
        return forecasts.forecast(self.memory, self.policy, ask, said)


def bursts(n: int, seed: int = 5) -> list[float]:
    """Demand that rises at random by a few pods and falls back slowly."""
    random, demand, seen = np.random.default_rng(seed), 2.0, []
    for _ in range(n):
        demand = demand + random.integers(2, 6) if random.random() < 0.06 else max(2.0, demand - 0.25)
        seen.append(float(demand))
    return seen


def rises(demands: Sequence[float], bids: int) -> list[float]:
    """How far demand rose above its value within the next horizon, for each of the first bids, by looking."""
    ahead = int(HORIZON / TICK)
    return [max(demands[i : i + ahead + 1]) - demands[i] for i in range(bids)]


def empirical(values: Sequence[float], q: float) -> float:
    """The smallest value that at least this share of the values does not exceed, by counting."""
    return next(v for v in sorted(values) if sum(w <= v for w in values) >= q * len(values))


def pinball(actual: float, said: float) -> float:
    """What falls short costs q, what exceeds costs 1 - q."""
    return Q * (actual - said) if actual > said else (1 - Q) * (said - actual)


def pods(forecast: Forecast) -> float:
    """The pods of a forecast that is in use."""
    assert not isinstance(forecast.pods, Unknown), forecast
    return forecast.pods


def test_the_margin_is_the_empirical_quantile_of_the_rise() -> None:
    """After each value, the forecast adds what demand rose by within a horizon, at q, over all horizons that ended."""
    seen = bursts(300)
    last = Watch().see(seen)[-1]
    matured = len(seen) - int(HORIZON / TICK) - 1
    assert pods(last) == pytest.approx(seen[-1] + empirical(rises(seen, matured + 1), Q))


def test_skill_is_the_pinball_loss_beside_persistence() -> None:
    """Every bid is priced when its horizon ends, with the margin it was made with; older prices fade."""
    seen = bursts(200)
    ahead = int(HORIZON / TICK)
    own = persistence = 0.0
    for bid in range(len(seen) - ahead):
        known = rises(seen, max(0, bid - ahead + 1))  # the horizons that had ended when the bid was made
        margin = empirical(known, Q) if len(known) >= forecasts.RESIDUALS_ENOUGH else 0.0
        (peak,) = {seen[bid] + rises(seen, bid + 1)[bid]}
        own = own * FADE + pinball(peak, seen[bid] + margin)
        persistence = persistence * FADE + pinball(peak, seen[bid])
    assert Watch().see(seen)[-1].skill == pytest.approx(own / persistence)


STEPS = Pace().ramp_steps


@pytest.mark.parametrize("slope", [0.25, 3.0, 40.0])
def test_a_ramp_is_expected_to_go_on_before_anything_is_proven(slope: float) -> None:
    """From the fourth look on: demand and what it rises by in a horizon."""
    demands = [slope * look for look in range(STEPS + 4)]
    said = Watch().see(demands)
    assert all(isinstance(forecast.pods, Unknown) for forecast in said[:STEPS])
    for demand, forecast in zip(demands[STEPS:], said[STEPS:], strict=True):
        assert pods(forecast) == pytest.approx(demand + slope * HORIZON / TICK)
        assert (forecast.candidate, isinstance(forecast.skill, Unknown)) == ("ramp", True)


@given(rises=st.lists(st.floats(-5.0, 20.0), min_size=STEPS, max_size=12), step=st.sampled_from([10.0, 20.0, 40.0]))
def test_a_ramp_goes_on_as_in_the_least_of_its_last_steps(rises: list[float], step: Seconds) -> None:
    """Whatever came before them, and where one of them was no rise nothing is expected."""
    demands = [100.0, *(100.0 + sum(rises[:n]) for n in range(1, len(rises) + 1))]
    horizon, least = 120.0, min(b - a for a, b in pairwise(demands[-STEPS - 1 :]))
    last = Watch(step=step, horizon=horizon, policy=replace(POLICY, pace=Pace(forecast_trials=99))).see(demands)[-1]
    if least <= 0 or horizon / step <= STEPS:
        assert isinstance(last.pods, Unknown)
    else:
        assert pods(last) == pytest.approx(demands[-1] + least * horizon / step)


@pytest.mark.parametrize(
    "demands",
    [
        pytest.param([0.0, 0.0, 60.0, 60.0, 60.0, 60.0], id="ABurst"),
        pytest.param([0.0, 20.0, 40.0, 40.0, 60.0, 80.0], id="APauseAmongTheLastSteps"),
        pytest.param([80.0, 60.0, 40.0, 20.0, 10.0, 0.0], id="AFall"),
    ],
)
def test_what_does_not_rise_in_each_step_is_no_ramp(demands: list[float]) -> None:
    """A burst that is over asks for what it brought."""
    assert isinstance(Watch().see(demands)[-1].pods, Unknown)


@pytest.mark.parametrize(
    "pace", [pytest.param(Pace(ramp_steps=0), id="None"), pytest.param(Pace(forecast_gate=-1.0), id="NoForecast")]
)
def test_a_ramp_can_be_left_out(pace: Pace) -> None:
    """By itself, and with all that is foreseen."""
    last = Watch(policy=replace(POLICY, pace=pace)).see([10.0 * look for look in range(10)])[-1]
    assert isinstance(last.pods, Unknown)


def test_a_horizon_that_shrank_is_no_ramp() -> None:
    """A bid that is due before an older one says nothing of how long a step took."""
    watch = Watch()
    watch.see([10.0, 20.0, 30.0])
    watch.horizon = 40.0
    assert isinstance(watch.see([40.0])[-1].pods, Unknown)


def test_what_is_proven_is_asked_instead_of_the_ramp() -> None:
    """A ramp is no candidate: it is there until one is judged."""
    seen = bursts(300)
    last = Watch().see([*seen, *(seen[-1] + 10.0 * look for look in range(1, STEPS + 3))])[-1]
    assert last.candidate != "ramp"


def test_skill_is_the_same_in_any_unit() -> None:
    """Losses may be small: a pod with many slots is hardly more than touched by one task."""
    small = Watch().see([demand / 4_096 for demand in bursts(200)])[-1].skill
    assert small == pytest.approx(Watch().see(bursts(200))[-1].skill)


def test_the_future_does_not_change_a_bid() -> None:
    """Two futures after one past: all that was said before they part is the same."""
    past = bursts(200)
    calm, wild = Watch(), Watch()
    same = calm.see(past), wild.see(past)
    calm.see([2.0] * 100)
    wild.see([50.0] * 100)
    assert same[0] == same[1] == Watch().see([*past, 50.0, 2.0])[:200]


def test_constant_demand_gives_nothing_to_foresee() -> None:
    """Persistence is never wrong about it, so no forecast can beat it and none is given."""
    last = Watch().see([7.0] * 500)[-1]
    assert isinstance(last.pods, Unknown)
    assert isinstance(last.skill, Unknown)


@pytest.mark.parametrize(
    ("gate", "used"),
    [pytest.param(0.001, True, id="AtTheGateIsEarned"), pytest.param(-0.001, False, id="AboveTheGateIsNot")],
)
def test_a_forecast_is_used_only_below_its_gate(gate: float, used: bool) -> None:
    """The gate is moved to a hair above and below the skill that the bursts give."""
    skill = Watch().see(bursts(300))[-1].skill
    assert not isinstance(skill, Unknown)
    policy = replace(POLICY, pace=Pace(forecast_gate=skill + gate))
    assert isinstance(Watch(policy=policy).see(bursts(300))[-1].pods, float) is used


def test_the_gate_is_persistence_less_a_twentieth() -> None:
    """A forecast that is hardly better than none is not worth its pods."""
    assert Pace().forecast_gate == 0.95
    assert Pace().forecast_trials == 50


def test_fifty_trials_are_needed() -> None:
    """The fiftieth bid to come due is the first after which a skill is shown."""
    said = Watch().see(bursts(100))
    first = next(i for i, f in enumerate(said) if not isinstance(f.skill, Unknown))
    assert first == 49 + int(HORIZON / TICK)


def test_a_forecast_that_stops_paying_is_dropped() -> None:
    """Bursts have taught it to add pods; hours of calm make each of them a loss, and it falls silent."""
    watch = Watch()
    assert pods(watch.see(bursts(400))[-1]) > 2.0
    assert isinstance(watch.see([2.0] * 1_500)[-1].pods, Unknown)


@pytest.mark.parametrize(
    ("late", "watched"),
    [pytest.param(HORIZON + 9.0, True, id="AsLateAsAnyIsScored"), pytest.param(HORIZON + 10.0, False, id="TooLate")],
)
@pytest.mark.parametrize(
    "seen", [pytest.param(bursts(400), id="Proven"), pytest.param([10.0 * look for look in range(9)], id="ARamp")]
)
def test_what_nobody_saw_end_is_not_expected_to_go_on(seen: list[float], late: Seconds, *, watched: bool) -> None:
    """Each row: seconds since the newest bid was made. What comes of it can be seen for two looks after its end."""
    watch = Watch()
    watch.see(seen)
    ask = Question(demand=seen[-1], horizon=HORIZON, q=Q, now=watch.now - TICK + late, signals={})
    said = forecasts.points(watch.memory, POLICY, ask)
    found = forecasts.forecast(watch.memory, POLICY, ask, said)
    assert isinstance(found.pods, float) is watched
    assert watched or (found.pods, found.skill) == (forecasts.UNWATCHED, forecasts.UNWATCHED)


@given(steps=st.lists(st.sampled_from([TICK, 60.0, 139.0, 140.0, 200.0, HOUR]), min_size=2, max_size=12))
def test_who_looks_too_seldom_to_score_a_forecast_pays_for_none(steps: list[Seconds]) -> None:
    """A pool of slow ticks, or one of whose signals is dark: what once was proven is used only while it is judged."""
    known, fresh = (
        Record(np.full(60, 3.0), margin=3.0, own=1.0, persistence=2.0, trials=60, skill=0.5),
        Memory.fresh(NOW),
    )
    memory = replace(fresh, forecast=replace(fresh.forecast, records=(known, *fresh.forecast.records[1:])))
    now, bid = NOW, NOW
    for step in [0.0, *steps]:
        now += step
        outcome = tick(POLICY, memory, observe([busy("a")], {Signal.QUEUE: 0.0}, at=now), now)
        assert (
            isinstance(outcome.evidence.forecast.pods, Unknown) or now - bid < 140.0
        )  # a startup, and two steps of bids
        memory, bid = outcome.memory, outcome.memory.forecast.bid_at or bid


def test_a_shorter_horizon_scores_each_bid_once_at_its_own_end() -> None:
    """Startups turn out to be quick: bids made for two minutes stay open while newer, shorter ones come due."""
    watch = Watch(horizon=120.0, step=10.0)
    watch.see([1.0] * 6)
    watch.horizon = 20.0
    watch.see([1.0] * 40)
    assert watch.memory.records[0].trials == 46 - len(watch.memory.bids)
    assert all(bid.due > watch.now - watch.step for bid in watch.memory.bids)


def test_bids_are_few_whatever_the_horizon() -> None:
    """An hour's startup does not keep seven hundred bids open: a dozen are enough to learn from."""
    watch = Watch(horizon=HOUR)
    watch.see(bursts(2_000))
    assert len(watch.memory.bids) <= forecasts.GRID_PART + 1


def test_the_margin_is_learnt_over_the_last_residuals_only() -> None:
    """What is older than the forecast's memory does not count: the bursts of this morning say nothing any more."""
    policy = replace(POLICY, pace=Pace(forecast_memory=100))
    watch = Watch(policy=policy)
    watch.see(bursts(300))
    assert watch.memory.records[0].margin > 0
    watch.see([2.0] * 150)
    assert (len(watch.memory.records[0].residuals), watch.memory.records[0].margin) == (100, 0.0)


@given(st.lists(st.tuples(st.integers(0, 6), st.sampled_from((0.3, 0.8, Q))), min_size=30, max_size=150))
def test_a_margin_that_is_kept_is_the_quantile_that_it_would_be_now(seen: list[tuple[int, float]]) -> None:
    """Whatever comes and goes, and however dear waiting is meanwhile: the residuals in any order tell the same."""
    watch = Watch(policy=replace(POLICY, pace=Pace(forecast_memory=24)), horizon=TICK)
    for demand, q in seen:
        watch.q = q
        before = watch.memory.records[0]
        watch.see([float(demand)])
        record = watch.memory.records[0]
        enough = len(record.residuals) >= forecasts.RESIDUALS_ENOUGH
        assert record is before or record.margin == (max(0.0, quantile(record.residuals, q)) if enough else 0.0)


@given(st.lists(st.integers(-2, 2), min_size=21, max_size=90), st.sampled_from((0.3, 0.5, 0.9)))
def test_a_margin_is_kept_at_nought_too(residuals: list[int], q: float) -> None:
    """Yesterday's candidate often says too much: the quantile of its residuals is below nought, its margin is not."""
    policy, memory = replace(POLICY, pace=Pace(forecast_memory=21)), ForecastMemory.none()
    ask = Question(demand=0.0, horizon=TICK, q=q, now=NOW, signals={})
    for residual in residuals:
        said = (None, 10.0, None, None)
        bid = Bid(NOW, start=0.0, peak=10.0 + residual, points=said, tops=said)
        memory = forecasts.learn(replace(memory, bid_at=None, bids=(bid,)), policy, ask, (0.0, None, None, None))
        past = memory.records[1]
        enough = len(past.residuals) >= forecasts.RESIDUALS_ENOUGH
        assert past.margin == (max(0.0, quantile(past.residuals, q)) if enough else 0.0)


def test_a_record_that_does_not_know_its_margins_rank_is_read_and_learns_it() -> None:
    """Those written before there were ranks have none; the margin of the next trial is found by sorting."""
    watch = Watch()
    watch.see(bursts(100))
    known = to_json(watch.memory)
    for record in known["records"]:
        record.pop("rank", None)
    old = from_json(ForecastMemory, known)
    assert {record.rank for record in old.records} == {forecasts.NO_RANK}
    assert to_json(old) == known
    again = replace(watch, memory=old)
    watch.see(bursts(50))
    again.see(bursts(50))
    assert to_json(again.memory) == to_json(watch.memory)


def daily(start: Instant, until: Instant, *, pulse: Callable[[Instant], float]) -> list[float]:
    """Demand each half minute between two instants."""
    return [pulse(start + 30.0 * i) for i in range(int((until - start) / 30.0))]


def hourly(at: Instant) -> float:
    """Two pods, and twenty for the ten minutes after half past each hour."""
    return 20.0 if HOUR / 2 <= at % HOUR < HOUR / 2 + 600.0 else 2.0


def test_what_came_yesterday_is_expected_today() -> None:
    """Ten minutes in the hour are too rare for the rise to expect them; the season knows when they come."""
    watch = Watch(step=30.0, horizon=120.0)
    watch.see(daily(NOW, NOW + 2 * DAY + HOUR / 2 - 60.0, pulse=hourly))
    (before,) = watch.see([2.0])
    assert (before.candidate, before.pods) == ("yesterday", 20.0)


def test_a_season_that_ended_is_not_followed() -> None:
    """Yesterday's pulses do not come today: its bids lose, and the rise is back in its place before the day is over."""
    watch = Watch(step=30.0, horizon=120.0)
    watch.see(daily(NOW, NOW + DAY, pulse=hourly))
    wild = bursts(1_500)
    assert watch.see(wild)[-1].candidate == "rise"


def yesterday(watch: Watch, at: Instant, horizon: Seconds = 600.0) -> float | None:
    """What the season expects at an instant within this horizon, in a pool that needs two pods now."""
    ask = Question(demand=2.0, horizon=horizon, q=Q, now=at, signals={})
    return forecasts.points(watch.memory, POLICY, ask)[1]


def test_the_season_is_asked_for_the_whole_horizon() -> None:
    """Ten minutes ahead of a pulse it is expected, eleven minutes ahead it is not; and a day is all that is known."""
    watch = Watch(step=30.0)
    watch.see(daily(NOW, NOW + DAY, pulse=hourly))
    pulse = NOW + DAY + HOUR / 2
    assert yesterday(watch, pulse - 560.0) == 20.0
    assert yesterday(watch, pulse - 660.0) == 2.0
    assert yesterday(watch, NOW + DAY, horizon=3 * DAY) == 20.0


def test_a_day_with_a_hole_is_no_season() -> None:
    """Where yesterday was not watched, nothing is expected from it; the hours around the hole are."""
    watch = Watch(step=30.0)
    watch.see(daily(NOW, NOW + DAY - HOUR, pulse=hourly))
    assert yesterday(watch, NOW + DAY + 22 * HOUR) == 2.0
    assert yesterday(watch, NOW + DAY + 23 * HOUR) is None
    assert yesterday(watch, NOW + 2 * DAY) is None


@pytest.mark.parametrize(
    ("signals", "point"),
    [
        pytest.param(RATE, 20.0, id="AThousandCompletionsAreEnough"),
        pytest.param(RATE | {Signal.COMPLETIONS: Known(999, NOW)}, None, id="OneLessIsNot"),
        pytest.param(RATE | {Signal.ARRIVALS: Unknown("timeout")}, None, id="ArrivalsMustBeKnown"),
        pytest.param(RATE | {Signal.SERVICE: Unknown("timeout")}, None, id="ServiceTimeMustBeKnown"),
        pytest.param(RATE | {Signal.COMPLETIONS: Unknown("timeout")}, None, id="CompletionsMustBeKnown"),
        pytest.param({}, None, id="WithoutTheSignalsThereIsNoSuchCandidate"),
    ],
)
def test_rate_times_service_time_is_a_candidate(signals: dict[Signal, Sample], point: float | None) -> None:
    """Half a task a second for forty seconds each keep twenty slots taken (Little), once enough tasks have ended."""
    ask = Question(demand=3.0, horizon=HORIZON, q=Q, now=NOW, signals=signals)
    assert forecasts.points(ForecastMemory.none(), POLICY, ask)[2] == point


def test_slots_divide_the_rate() -> None:
    """Twenty tasks at once are five pods of four slots."""
    ask = Question(demand=3.0, horizon=HORIZON, q=Q, now=NOW, signals=RATE)
    assert forecasts.points(ForecastMemory.none(), replace(POLICY, slots_per_pod=4), ask)[2] == 5.0


def sawtooth(n: int) -> list[float]:
    """Demand that climbs to twenty and starts again."""
    return [float(i % 21) for i in range(n)]


def test_a_candidate_wins_only_where_it_beats_the_rise() -> None:
    """The rate says twenty, which a sawtooth to twenty reaches each time; the same words about calm demand lose."""
    right, wrong = Watch(signals=RATE, horizon=105.0), Watch(signals=RATE)
    assert right.see(sawtooth(600))[-1].candidate == "rate"
    assert wrong.see(bursts(600))[-1].candidate == "rise"


@pytest.mark.parametrize(
    ("skills", "best"),
    [
        pytest.param((0.80, 0.50, 0.75, None), "yesterday", id="TheOneThatLosesLeast"),
        pytest.param((0.80, None, 0.77, 0.90), "rise", id="ByLessThanTheGateItIsChance"),
        pytest.param((0.80, None, 0.76, 0.90), "rate", id="ByTheGateItIsNot"),
        pytest.param((None, None, 0.50, None), "rise", id="WithoutABaseThereIsNothingToBeat"),
    ],
)
def test_another_is_used_where_it_beats_the_base_by_the_gate(skills: tuple[float | None, ...], best: str) -> None:
    """Each row: loss beside persistence's of every candidate, and whose word counts."""
    records = tuple(Record(np.zeros(0), margin=1.0, skill=skill) for skill in skills)
    ask = Question(demand=3.0, horizon=HORIZON, q=Q, now=NOW, signals={})
    known = replace(ForecastMemory.none(), records=records)
    assert forecasts.forecast(known, POLICY, ask, (3.0, 4.0, 5.0, 6.0)).candidate == best


def test_a_winner_that_falls_silent_gives_way() -> None:
    """Once the rate is not measured any more, the rise speaks again."""
    watch = Watch(signals=dict(RATE), horizon=105.0)
    assert watch.see(sawtooth(600))[-1].candidate == "rate"
    watch.signals.clear()
    assert watch.see(sawtooth(1))[-1].candidate == "rise"


def trend(watch: Watch, demand: float) -> float | None:
    """What the trend expects once demand is this."""
    ask = Question(demand=demand, horizon=watch.horizon, q=Q, now=watch.now, signals={})
    return forecasts.points(watch.memory, POLICY, ask)[3]


@pytest.mark.parametrize(
    ("seen", "now", "point"),
    [
        pytest.param([], 7.0, None, id="OfTheFirstValueNothingIsKnown"),
        pytest.param([4.0, 4.0, 4.0], 7.0, 10.0, id="WhatItRoseByComesOnceMore"),
        pytest.param([4.0, 6.0, 5.0], 7.0, 10.0, id="SinceItWasLowest"),
        pytest.param([1.0, 4.0, 5.0, 6.0], 7.0, 10.0, id="InTheLastFifteenSeconds"),
        pytest.param([9.0, 9.0, 8.0], 7.0, 7.0, id="WhatFellDoesNotGoOnFalling"),
    ],
)
@pytest.mark.parametrize("horizon", [20.0, 60.0])
def test_the_trend_expects_what_demand_rose_by_just_now(
    seen: list[float], now: float, point: float | None, horizon: Seconds
) -> None:
    """Each row: demand every five seconds, what it is now, and what is expected, however long a start takes."""
    watch = Watch(horizon=horizon)
    watch.see(seen)
    assert trend(watch, now) == point


def test_a_burst_is_followed_where_bursts_go_on() -> None:
    """Whoever sends five tasks in a look sends five in the next ones too: the rise of hours does not know when."""
    burst = [2.0] * 60 + [2.0 + 5.0 * i for i in range(1, 6)] + [2.0] * 30
    watch = Watch(horizon=20.0)
    watch.see(burst * 12)
    calm, first, second = watch.see([2.0, 7.0, 12.0])
    assert {calm.candidate, first.candidate, second.candidate} == {"trend"}
    assert pods(first) - 7.0 >= pods(calm) - 2.0 + 5.0
    assert pods(second) - 12.0 >= pods(calm) - 2.0 + 10.0


def test_a_memory_of_fewer_candidates_learns_of_the_others() -> None:
    """One written before there was a trend goes on as it was, and scores the trend from now on."""
    watch = Watch()
    watch.see(bursts(100))
    bids = tuple(replace(bid, points=bid.points[:3], tops=bid.tops[:3]) for bid in watch.memory.bids)
    old = replace(watch.memory, bids=bids, records=watch.memory.records[:3])
    known = forecasts.grown(old)
    assert to_json(known.records[:3]) == to_json(watch.memory.records[:3])
    assert known.records[3].trials == 0
    assert forecasts.grown(known) is known
    again = replace(watch, memory=known)
    again.see(bursts(50))
    assert again.memory.records[3].trials > 0
    assert again.memory.records[0].trials > watch.memory.records[0].trials


def test_silence_says_why() -> None:
    """Where nothing is known of demand there is no forecast, and no skill to show."""
    why = Unknown("no signal says anything about demand")
    ask = Question(demand=0.0, horizon=HORIZON, q=Q, now=NOW, signals={})
    silent = forecasts.silent(ask, why)
    assert (silent.pods, silent.skill, silent.horizon, silent.quantile) == (why, why, HORIZON, Q)


def test_the_profile_keeps_the_highest_of_each_five_minutes() -> None:
    """Two days overwrite each other bucket by bucket, and a lower value later in a bucket does not lower it."""
    watch = Watch(step=BUCKET / 2)
    watch.see([5.0, 9.0, 4.0, 3.0])
    start = int(NOW // BUCKET) % forecasts.BUCKETS
    assert watch.memory.profile[start : start + 2].tolist() == [9.0, 4.0]
    watch.now = NOW + DAY
    watch.see([1.0, 1.0])
    assert math.isclose(watch.memory.profile[start], 1.0)


def test_a_pod_that_empties_is_no_fall_of_demand_and_its_return_no_rise() -> None:
    """Half the tasks run in a pod whose gate closes and opens again every minute: nothing rose, so nothing is ahead."""
    full, draining_one = (busy("a", 2), busy("b", 2)), (busy("a", 2), draining(busy("b", 2)))
    policy, memory = Policy(slots_per_pod=2), Memory.fresh(NOW)
    for i in range(300):
        pods = (full, draining_one)[i // 12 % 2]
        seen = observe([heard(pod, NOW + i * TICK) for pod in pods], replicas=2, at=NOW + i * TICK)
        outcome = tick(policy, memory, seen, NOW + i * TICK)
        memory = outcome.memory
    assert set(memory.forecast.records[0].residuals) == {0.0}


def test_what_runs_in_a_pod_that_empties_is_not_asked_for_again() -> None:
    """Its tasks are watched with the others, and taken off what is foreseen: they have their pod."""
    policy, known = Policy(slots_per_pod=2), Record(np.full(60, 3.0), margin=3.0, own=1.0, persistence=2.0, skill=0.5)
    fresh = Memory.fresh(NOW)
    memory = replace(fresh, forecast=replace(fresh.forecast, records=(known, *fresh.forecast.records[1:])))
    seen = observe([busy("a", 2), draining(busy("b", 1))], replicas=2)
    assert tick(policy, memory, seen, NOW).evidence.forecast.pods == 1.0 + 3.0
