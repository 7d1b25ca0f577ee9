"""One tick of a warm pool: it rises at once, falls slowly, holds on what it does not know, and says why."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from itertools import pairwise
from typing import Any

import pytest

from scaler.core.policy import Mode, Pace, PolicyError
from scaler.core.reasons import Reason
from scaler.core.types import Hold, Known, ScaleTo, Unknown
from scaler.core.warmpool_learn import dispersion
from scaler.core.warmpool_memory import WarmMemory
from scaler.core.warmpool_model import miss
from scaler.core.warmpool_types import WarmOutcome, WarmPolicy
from scaler.core.watch import Watch
from tests.core.pool import HOUR, NOW, TICK
from tests.core.warm import SAME_LEADS, Watched, batches, hint, poisson

BLIND = Unknown("the watch is broken")


def reasons(outcome: WarmOutcome) -> list[Reason]:
    """Those of the trail."""
    return [step.reason for step in outcome.trail]


@cache
def learnt(policy: WarmPolicy) -> WarmMemory:
    """What a pool knows after an hour of two claims a second, with lead times of 20 s."""
    pool = Watched(policy=policy)
    pool.tick(0, leads=SAME_LEADS)
    return pool.run(poisson(2.0, 720)).memory


def busy(policy: WarmPolicy | None = None, *, size: int = 56) -> Watched:
    """That pool, at the size that it had in the end."""
    memory = learnt(policy or WarmPolicy())
    now = memory.at + TICK
    return Watched(policy=policy or WarmPolicy(), size=memory.size or size, now=now, memory=memory)


def test_the_size_is_the_smallest_that_keeps_the_target() -> None:
    """By the model: with one sandbox fewer, too many claims would miss."""
    pool = busy()
    outcome = pool.tick(10)
    offered, wanted = outcome.evidence.offered, outcome.evidence.wanted
    assert isinstance(wanted, int)
    assert offered.claims == pytest.approx(40.0, rel=0.05)
    assert offered.dispersion == 1.0
    assert miss(offered, wanted) <= 0.01 < miss(offered, wanted - 1)


def test_steady_claims_get_a_steady_size() -> None:
    """Within a few sandboxes of what Erlang asks for, and rarely moved."""
    pool = busy()
    sizes = [pool.tick(claims).report for claims in poisson(2.0, 720, seed=2)]
    assert {size for size in sizes if isinstance(size, int)} <= set(range(50, 60))
    assert sum(a != b for a, b in pairwise(sizes)) < 60


def test_claims_in_batches_get_a_larger_pool_than_the_same_claims_alone() -> None:
    """The dispersion is learnt, and is that of the batches."""
    alone, together = Watched(policy=WarmPolicy(max_size=200)), Watched(policy=WarmPolicy(max_size=200))
    alone.run(poisson(1.0, 400), leads=(20.0,))
    outcome = together.run(batches(1.0, 10, 400), leads=(20.0,))
    assert outcome.evidence.offered.dispersion == pytest.approx(10.0, rel=0.4)
    assert together.size > 1.5 * alone.size


def test_a_rise_of_the_rate_is_followed_at_the_next_tick() -> None:
    """One tick of many claims is enough to ask for more."""
    pool = busy()
    before = pool.size
    outcome = pool.tick(60)
    assert isinstance(outcome.report, int)
    assert outcome.report > before
    assert reasons(outcome) == [Reason.LEAD_TIME]


def test_a_fall_waits_for_the_timer_and_then_goes_to_the_most_that_was_wanted_within_it() -> None:
    """Never faster than one timer, which is a lead time or half a minute."""
    pool = busy()
    pool.run([10] * 10)
    pool.size += 30
    assert pool.memory is not None
    pool.memory = replace(pool.memory, watch=Watch())
    assert pool.tick(10).evidence.timer == pytest.approx(30.0)
    first = pool.size
    outcomes = [pool.tick(10) for _ in range(7)]
    assert [o.trail[-1].reason for o in outcomes[:5]] == [Reason.SURPLUS_TIMER] * 5
    assert outcomes[5].trail[-1].reason is Reason.SURPLUS
    assert outcomes[5].report == max(o.evidence.wanted for o in outcomes[:6] if isinstance(o.evidence.wanted, int))
    assert pool.size < first - 20


def test_what_was_wanted_a_moment_ago_is_kept() -> None:
    """Whoever needed the sandbox then will need it again; what was wanted a whole timer ago is spare."""
    pool = busy()
    wanted, sizes, notes = list[int](), list[int | Unknown](), list[str]()
    for claims in (*[10] * 10, 60, *[6] * 20):
        outcome = pool.tick(claims)
        assert isinstance(outcome.evidence.wanted, int)
        wanted.append(outcome.evidence.wanted)
        sizes.append(outcome.report)
        notes.append(outcome.trail[-1].note)
    assert sizes[6:] == [max(wanted[n - 6 : n]) for n in range(7, len(wanted) + 1)]  # of thirty seconds
    assert sizes[-1] == wanted[-6] < max(wanted)
    assert any("were wanted less than 30 s ago" in note for note in notes)


def test_a_pool_that_nobody_claims_from_goes_to_its_minimum() -> None:
    """Once an idle sandbox has cost as much as the miss it would have prevented: here 99 lead times of 20 s."""
    pool = busy()
    outcomes = [pool.tick(0) for _ in range(int(99 * 20.0 / pool.step) + 14)]
    assert pool.size == 0
    assert Reason.UNCLAIMED in {o.trail[-1].reason for o in outcomes}
    assert isinstance(pool.tick(1).report, int)
    assert pool.size >= 1


def test_what_a_miss_costs_decides_for_how_long_the_last_one_stands() -> None:
    """With a low price of waiting that is soon."""
    pool = busy(WarmPolicy(wait_price=5.0))
    for _ in range(int(5 * 20.0 / pool.step) + 27):
        pool.tick(0)
    assert pool.size == 0


def test_a_priced_wait_asks_for_the_newsvendors_fractile() -> None:
    """Ten to one is 0.91 of all lead times, which is fewer than one per cent of misses asks for."""
    dear, cheap = busy(WarmPolicy(wait_price=99.0)), busy(WarmPolicy(wait_price=1.0))
    assert cheap.tick(10).evidence.wanted == pytest.approx(40, abs=3)
    assert dear.tick(10).evidence.wanted == pytest.approx(56, abs=3)
    assert "waiting costs 99" in dear.tick(200).trail[0].note


def test_a_fan_out_raises_the_size_before_its_claims_come_and_ends() -> None:
    """Forty announced are forty more, early enough to be ready; each that comes is taken off; then all is as before."""
    pool = busy()
    usual = pool.size
    told = {"announced": (hint(40.0, start=pool.now + 36.0, end=pool.now + 276.0),)}
    assert pool.tick(10, **told).evidence.announced == 0.0
    outcome = pool.tick(10, **told)
    assert reasons(outcome)[-1] is Reason.ANNOUNCED
    assert outcome.evidence.announced == 40.0
    assert usual + 38 <= pool.size <= usual + 44
    assert {pool.tick(14, **told).evidence.announced for _ in range(8)} == {40.0}  # they come by chance
    halfway = pool.tick(30, **told)
    assert halfway.evidence.announced == pytest.approx(20.0, abs=1.0)
    assert pool.tick(40, **told).evidence.announced == 0.0
    for _ in range(60):
        pool.tick(10, **told)
    assert abs(pool.size - usual) <= 4


def test_a_fan_out_that_never_comes_ends_with_its_hint() -> None:
    """From then on nothing is announced, and what stood for it goes as any surplus does."""
    pool = busy()
    told = {"announced": (hint(40.0, start=pool.now, end=pool.now + 60.0),)}
    assert {pool.tick(10, **told).evidence.announced for _ in range(12)} == {40.0}
    with_hint = pool.size
    assert {pool.tick(10, **told).evidence.announced for _ in range(20)} == {0.0}
    assert pool.size <= with_hint - 30


def test_what_a_tick_teaches_of_dispersion_decides_from_the_next_on() -> None:
    """The rate of its claims counts at once; otherwise more of them could mean a smaller pool."""
    pool = busy()
    assert pool.memory is not None
    before = pool.memory.claims.errors
    outcome = pool.tick(300)
    assert dispersion(outcome.memory.claims.errors) > dispersion(before)
    assert outcome.evidence.offered.dispersion == dispersion(before)


def test_announced_claims_teach_nothing() -> None:
    """They were no surprise: neither the rate nor its dispersion rises."""
    pool = busy()
    before = pool.tick(10).evidence.offered
    told = {"announced": (hint(80.0, start=pool.now, end=pool.now + 600.0),)}
    pool.tick(90, **told)
    for _ in range(10):
        after = pool.tick(10, **told).evidence.offered
    assert after.claims == pytest.approx(before.claims, rel=0.02)
    assert after.dispersion == before.dispersion


def test_hints_together_ask_for_half_of_the_maximum_at_most() -> None:
    """And the first that was announced is met first."""
    pool = busy(WarmPolicy(max_size=60))
    told = {
        "announced": tuple(hint(40.0, start=pool.now, end=pool.now + HOUR, name=name) for name in ("first", "second"))
    }
    assert pool.tick(10, **told).evidence.announced == 30.0
    outcome = pool.tick(60, **told)
    assert outcome.memory.hints[0] == ("first", 0.0)
    assert outcome.memory.hints[1][1] == pytest.approx(30.0, abs=1.0)


def test_a_schedule_asks_for_so_many_in_all() -> None:
    """It adds nothing to a pool that is larger anyway."""
    pool = busy()
    low, high = ((hint(pods, start=pool.now, end=pool.now + HOUR, added=False),) for pods in (10.0, 90.0))
    assert Reason.ANNOUNCED not in reasons(pool.tick(10, announced=low))
    assert pool.tick(10, announced=high).report == 90


@pytest.mark.parametrize(
    ("policy", "change", "said"),
    [
        (WarmPolicy(max_size=20), {}, Reason.MAXIMUM),
        (WarmPolicy(), {"allowance": 20}, Reason.BUDGET),
        (WarmPolicy(pause_up=True), {}, Reason.PAUSED),
        (WarmPolicy(), {"unschedulable": Known(1.0, NOW)}, Reason.UNSCHEDULABLE),
        (WarmPolicy(), {"unschedulable": BLIND}, Reason.UNSCHEDULABLE),
    ],
)
def test_nothing_is_added_beyond_what_may_be(policy: WarmPolicy, change: dict[str, object], said: Reason) -> None:
    """Maximum, shared budget, a pause, and sandboxes that find no node: the size stays at 20 however many come."""
    pool = Watched(policy=policy, size=20)
    pool.tick(0, leads=SAME_LEADS)
    outcomes = [pool.tick(claims, **change) for claims in poisson(2.0, 60)]
    assert {o.report for o in outcomes} == {20}
    assert outcomes[-1].trail[-1].reason is said


@pytest.mark.parametrize(
    ("policy", "change", "said"),
    [
        (WarmPolicy(pause_down=True), {}, Reason.PAUSED),
        (WarmPolicy(), {"settled": False}, Reason.UNSETTLED),
        (WarmPolicy(), {"settled": BLIND}, Reason.UNSETTLED),
    ],
)
def test_nothing_is_taken_away_while_it_may_not_be(policy: WarmPolicy, change: dict[str, object], said: Reason) -> None:
    """A pause, and a status of an older spec: a claim may be taking what would be deleted."""
    pool = busy(policy)
    pool.size = min(pool.size + 20, policy.max_size)
    kept = pool.size
    assert {pool.tick(8, **change).trail[-1].reason for _ in range(40)} == {said}
    assert pool.size == kept


def test_nothing_is_taken_away_before_it_is_known_how_claims_come() -> None:
    """A new process watches for a timer, and for a hundred lead times where one claim in a hundred may miss."""
    pool = Watched(size=50, step=50.0)
    said = [pool.tick(0, leads=SAME_LEADS).trail[-1].reason for _ in range(42)]
    assert said[:40] == [Reason.NEWCOMER] * 40
    assert said[40] is Reason.UNCLAIMED
    restarted = busy()
    assert restarted.memory is not None
    restarted.size += 20
    restarted.memory = replace(restarted.memory, born=restarted.now, found=restarted.size)
    assert restarted.tick(10).trail[-1].reason is Reason.NEWCOMER


def test_what_was_added_since_may_go_while_what_was_found_stays() -> None:
    """A rise on little knowledge is no more worth keeping than that."""
    pool = Watched(size=10, policy=WarmPolicy(max_size=200))
    pool.tick(0, leads=SAME_LEADS)
    pool.run([40] * 3)
    risen = pool.size
    said = [pool.tick(2).trail[-1].reason for _ in range(150)]
    assert Reason.SURPLUS in said
    assert 10 <= pool.size < risen


def test_the_maximum_holds_at_once_and_the_minimum_always() -> None:
    """Bounds are orders: nobody waits for a timer."""
    assert Watched(policy=WarmPolicy(max_size=20), size=50).tick(0).report == 20
    outcome = Watched(policy=WarmPolicy(min_size=20), size=5).tick(0)
    assert (outcome.report, outcome.trail[-1].reason) == (20, Reason.MINIMUM)


def test_unknown_claims_hold_the_size_and_prove_nothing() -> None:
    """And the stretch that nobody watched scores no forecast."""
    pool = busy()
    kept, windows = pool.size, pool.tick(10).memory.claims.errors.windows
    for _ in range(30):
        outcome = pool.tick(BLIND)
        assert outcome.report == kept
    assert outcome.decision == Hold(kept, Reason.NO_SIGNAL, BLIND.why)
    assert outcome.evidence.wanted == BLIND
    assert outcome.memory.claims.trials == ()
    assert pool.tick(300).memory.claims.errors.windows == windows


def test_claims_of_a_stretch_that_nobody_watched_came_within_all_of_it() -> None:
    """They are counted in one go when the watch is back: no burst, and no rate that anybody could foresee by."""
    pool, blind = busy(), 120
    kept = pool.size
    for _ in range(blind):
        pool.tick(BLIND)
    outcome = pool.tick(10 * (blind + 1))
    assert outcome.evidence.rate == pytest.approx(2.0, rel=0.1)
    assert outcome.report == pytest.approx(kept, abs=3)
    assert outcome.memory.claims.trials == ()
    assert pool.tick(10).memory.claims.trials[0].length == pytest.approx(20.0)


def test_an_unknown_size_is_answered_with_nothing() -> None:
    """Whatever else is known; and it is not remembered as ours."""
    pool = busy()
    pool.now += 100.0
    outcome = pool.tick(10, size=BLIND)
    assert outcome.decision == Hold(BLIND, Reason.NO_REPLICAS, BLIND.why)
    assert outcome.report == BLIND
    assert outcome.memory.size is None


def test_a_size_that_was_just_asked_for_stands_although_the_live_one_lags() -> None:
    """For as long as writing may take; after that the live size is what there is, whoever wrote it."""
    pool = busy()
    pool.tick(150)
    asked = pool.size
    pool.size = 5
    assert pool.tick(0).trail[0].before == asked
    pool.size, pool.now = 5, pool.now + 30.0
    assert pool.tick(10).trail[0].before == 5


def test_a_pool_that_is_switched_off_keeps_its_size() -> None:
    """Off says nothing; recommend says what it would do, and writes the live size."""
    off, advised = (busy(WarmPolicy(mode=mode), size=7) for mode in (Mode.OFF, Mode.RECOMMEND))
    assert off.tick(10).decision == Hold(7, Reason.OFF, "mode is off")
    outcome = advised.tick(10)
    assert (advised.size, outcome.report) == (7, 7)
    assert isinstance(outcome.decision, ScaleTo)
    assert outcome.decision.replicas > 50
    assert outcome.trail[-1].reason is Reason.RECOMMEND
    assert outcome.memory.size is None


def test_the_trail_is_a_chain() -> None:
    """From the last size to the one decided on, each step where the one before it ended."""
    pool = busy(WarmPolicy(max_size=60))
    for claims in (10, 90, 90, 0, 10):
        outcome = pool.tick(claims, announced=(hint(40.0, start=NOW, end=NOW + 9 * HOUR),))
        assert isinstance(outcome.decision, ScaleTo)
        ends = [(a.after, b.before) for a, b in pairwise(outcome.trail)]
        assert all(after == before for after, before in ends)
        assert outcome.trail[-1].after == outcome.decision.replicas


def test_a_clock_that_is_set_back_makes_no_age_negative() -> None:
    """Every instant in the memory moves with it, and the size stays."""
    pool = busy()
    pool.size += 9
    pool.run([10] * 3)
    before = pool.size
    pool.now -= 10 * HOUR
    outcome = pool.tick(10)
    assert outcome.report == before
    memory = outcome.memory
    assert memory.watch.since is not None
    assert all(wish.at <= memory.at for wish in memory.watch.wishes)
    assert all(trial.at <= memory.at for trial in memory.claims.trials)
    assert memory.born <= memory.at
    assert memory.claims.since is not None
    assert memory.claims.since <= memory.at
    assert Watched().tick(0).memory.at_or_before(NOW - HOUR).moved_at == NOW - HOUR


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("min_size", -1),
        ("max_size", 0),
        ("miss_target", 0.0),
        ("miss_target", 1.0),
        ("miss_target", 1e-17),
        ("wait_price", 0.0),
        ("wait_price", 2e9),
        ("wait_price", float("inf")),
        ("delay", -1.0),
    ],
)
def test_a_policy_that_cannot_be_names_the_key_the_value_and_the_range(key: str, value: float) -> None:
    """Before anything is decided with it."""
    given: dict[str, Any] = {key: value}
    with pytest.raises(PolicyError, match=rf"{key} = {value!r} is not allowed: must be "):
        WarmPolicy(**given)


def test_the_prior_of_the_lead_time_is_the_policys() -> None:
    """Until five lead times were measured."""
    pool = Watched(policy=WarmPolicy(pace=Pace(startup_prior=90.0)))
    assert pool.tick(0, leads=(10.0, 10.0)).evidence.lead == 90.0
    assert pool.tick(0, leads=(10.0, 10.0, 10.0)).evidence.lead == 10.0
