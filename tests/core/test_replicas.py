"""The live replicas are read late: what is told of them, and when nothing is."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import pytest

from scaler.core import explain
from scaler.core.memory import Crowd, Memory
from scaler.core.pods import Pod
from scaler.core.policy import Guarantee, Mode, Policy, Workload
from scaler.core.reasons import Reason
from scaler.core.tick import tick
from scaler.core.types import Hold, Instant, Known, Observation, Outcome, Seconds, Signal, Unknown
from tests.core.pool import NOW, TICK, busy, draining, idle, numbered, observe, seasoned, starting, told

AUTO = Policy(max_replicas=50)
BEST_EFFORT = replace(AUTO, guarantee=Guarantee.BEST_EFFORT, slots_per_pod=4)
UNSEEN = Unknown("forbidden")
LATE: Seconds = 30.0  # the replicas come with a scrape of half a minute
TEN = [busy(str(n)) for n in range(10)]


def late(pods: Iterable[Pod] | Unknown, live: int, *, at: Instant = NOW, by: Seconds = LATE) -> Observation:
    """A pool with an empty queue whose live replicas were read so long ago."""
    return replace(observe(pods, {Signal.QUEUE: 0.0}, at=at), replicas=Known(float(live), at - by))


def followed(target: int, *, live: int | None = None, until: Instant = NOW - TICK) -> Memory:
    """The memory of a process whose target has stood so until its last tick, and what it knew of the replicas then."""
    return replace(seasoned(target), told_at=until, live=target if live is None else live)


def ticks(policy: Policy, memory: Memory, *seen: Observation) -> list[Outcome]:
    """One tick each five seconds."""
    found: list[Outcome] = []
    for n, observation in enumerate(seen):
        found.append(tick(policy, memory, observation, NOW + n * TICK))
        memory = found[-1].memory
    return found


# --- a pool that is switched off --------------------------------------------------------------------------------------


@pytest.mark.parametrize("mode", [Mode.OFF, Mode.RECOMMEND])
@pytest.mark.parametrize(
    ("target", "live", "ago", "report"),
    [
        pytest.param(10, 5, 5.0, None, id="ARaiseThatTheReplicasDoNotShowYet"),
        pytest.param(10, 10, 5.0, 10, id="ARaiseThatTheyShow"),
        pytest.param(3, 10, 5.0, None, id="AFallThatTheyDoNotShowYet"),
        pytest.param(10, 12, 25.0, 12, id="WhatTheyAreOnceNobodyFollowsTheTarget"),
        pytest.param(10, 12, 24.0, None, id="AndNotASecondBefore"),
    ],
)
def test_a_pool_switched_off_repeats_no_number_from_before(
    mode: Mode, target: int, live: int, ago: Seconds, report: int | None
) -> None:
    """Each row: our last target of so long ago, and the replicas as read since. What KEDA is told changes nothing."""
    memory = followed(target, until=NOW - ago)
    outcome = tick(replace(AUTO, mode=mode), memory, late(UNSEEN, live, by=TICK), NOW)
    assert (None if isinstance(outcome.report, Unknown) else outcome.report) == report
    if report is None:
        assert isinstance(outcome.report, Unknown)
        assert outcome.report.why.startswith(f"the live replicas were {live} as of ")
        assert outcome.memory.target == target  # switched on again, it goes on from here


def test_a_target_of_long_ago_is_no_start() -> None:
    """Switched off for hours without a count of replicas, then on: the old target is not taken up again."""
    dark = replace(observe(UNSEEN), replicas=Unknown("timeout"))
    off = tick(replace(AUTO, mode=Mode.OFF), followed(7, until=NOW - 3_600.0), dark, NOW)
    assert off.memory.target is None
    assert isinstance(tick(AUTO, off.memory, dark, NOW + TICK).report, Unknown)


def test_switched_off_and_on_within_the_delay_the_target_goes_on() -> None:
    """Ten were asked for, the replicas still say five: off holds, and on again asks for the ten."""
    off = tick(replace(AUTO, mode=Mode.OFF), followed(10), late(TEN, 5), NOW)
    again = tick(AUTO, off.memory, late(TEN, 5, at=NOW + TICK), NOW + TICK)
    assert isinstance(off.report, Unknown)
    assert again.report == 10


def test_a_pool_that_is_off_doubts_for_as_long_as_its_target_may_be_followed() -> None:
    """And not for one tick: the replicas say five, and it was ten that was asked for, fifteen seconds ago."""
    doubts = ticks(replace(AUTO, mode=Mode.OFF), followed(10), *(late(UNSEEN, 5, at=NOW + n * TICK) for n in range(3)))
    assert all(isinstance(outcome.report, Unknown) for outcome in doubts)


@pytest.mark.parametrize("mode", [Mode.OFF, Mode.RECOMMEND])
@pytest.mark.parametrize("seen", [True, False])
def test_a_gate_that_nobody_would_open_is_opened(mode: Mode, *, seen: bool) -> None:
    """Two pods drain when the pool is switched off, whatever is known of the replicas: both are called back."""
    pods = [busy("a"), draining(idle("b"), 1, 1), draining(busy("c"), 3)]
    observation = observe(pods, replicas=3) if seen else replace(observe(pods), replicas=UNSEEN)
    assert told(tick(replace(AUTO, mode=mode), followed(3), observation, NOW)) == ["cancel c", "cancel b"]


# --- a process that begins --------------------------------------------------------------------------------------------


def test_who_begins_unseen_waits_for_the_replicas_of_its_own_time() -> None:
    """Another process may have raised them a moment ago: what they were before this one began is not answered."""
    seen = [late(UNSEEN, live, at=NOW + n * TICK, by=12.0) for n, live in enumerate([5, 5, 5, 10])]
    reports = [outcome.report for outcome in ticks(AUTO, Memory.fresh(NOW), *seen)]
    assert [isinstance(report, Unknown) for report in reports] == [True, True, True, False]
    assert reports[-1] == 10


@pytest.mark.parametrize("mode", [Mode.OFF, Mode.RECOMMEND])
def test_who_begins_switched_off_waits_too(mode: Mode) -> None:
    """It was switched off with a restart, just after another process had raised the target."""
    seen = [late(TEN[:5], live, at=NOW + n * TICK, by=7.0) for n, live in enumerate([5, 5, 10])]
    reports = [outcome.report for outcome in ticks(replace(AUTO, mode=mode), Memory.fresh(NOW), *seen)]
    assert [isinstance(report, Unknown) for report in reports] == [True, True, False]
    assert reports[-1] == 10


def test_who_begins_blind_and_then_sees_lowers_nobody() -> None:
    """The pods are read a tick late, the replicas are behind a raise: ten work, and ten are asked for."""
    blind, then = ticks(AUTO, Memory.fresh(NOW), late(UNSEEN, 5), late(TEN, 5, at=NOW + TICK))
    assert isinstance(blind.report, Unknown)
    assert then.report == 10


def test_who_begins_keeps_a_stateful_sets_highest_pod() -> None:
    """Its two lowest pods are being replaced, somebody lowered it to one, and the third works: three are asked for."""
    policy = replace(AUTO, workload=Workload.STATEFUL_SET)
    third = numbered([busy("c")], start=2)
    assert tick(policy, Memory.fresh(NOW), late(third, 1), NOW).report == 3


def test_a_best_effort_pool_begins_when_its_replicas_fit_its_pods() -> None:
    """Ten pods work, the replicas said five before they came: nothing is told until they speak of later."""
    seen = [late(TEN, live, at=NOW + n * TICK, by=12.0) for n, live in enumerate([5, 5, 5, 10])]
    reports = [outcome.report for outcome in ticks(BEST_EFFORT, Memory.fresh(NOW), *seen)]
    assert [isinstance(report, Unknown) for report in reports] == [True, True, True, False]
    assert reports[-1] == 10


# --- pods that somebody else asked for --------------------------------------------------------------------------------


@pytest.mark.parametrize("guarantee", Guarantee)
def test_pods_that_come_unasked_are_not_taken_back_before_the_replicas_tell(guarantee: Guarantee) -> None:
    """An operator scales from five to ten by hand. The pods show before the replicas do; then the ten are adopted."""
    policy, memory = replace(AUTO, guarantee=guarantee), followed(5)
    began = tick(policy, memory, late(TEN[:5], 5, at=NOW - TICK), NOW - TICK)
    pods = [*TEN[:5], *(starting(f"by hand {n}") for n in range(5))]
    held, still, adopted = ticks(
        policy, began.memory, late(pods, 5), late(pods, 5, at=NOW + TICK), late(pods, 10, at=NOW + 2 * TICK)
    )
    assert isinstance(held.decision, Hold)
    assert held.decision.reason is explain.reason(held) is Reason.LAGGING
    assert held.report == Unknown(
        "10 pods stand, more than was asked for; the last came 0 s ago, after the replicas were read"
    )
    assert isinstance(still.report, Unknown)
    assert adopted.report == 10


@pytest.mark.parametrize("guarantee", Guarantee)
def test_a_count_from_before_the_clock_was_set_back_takes_no_pod_back(guarantee: Guarantee) -> None:
    """The replicas were read, the clock goes back by half a minute, and an operator scales from five to ten by hand.

    By their stamp they were read after that; and they were read before it.
    """
    policy, later = replace(AUTO, guarantee=guarantee), NOW + LATE
    began = tick(policy, followed(5), late(TEN[:5], 5, at=later, by=0.0), later)
    pods = [*TEN[:5], *(starting(f"by hand {n}") for n in range(5))]
    stale = replace(late(pods, 5), replicas=Known(5.0, later))
    held, adopted = ticks(policy, began.memory, stale, late(pods, 10, at=NOW + TICK, by=0.0))
    assert isinstance(held.report, Unknown)
    assert adopted.report == 10


def test_a_raise_is_followed_before_its_pods_are_seen() -> None:
    """The operator's eight are asked for already; five, told again, would take them back."""
    memory = tick(AUTO, followed(5), late(TEN[:5], 5, at=NOW - TICK), NOW - TICK).memory
    assert tick(AUTO, memory, late(TEN[:5], 8, by=0.0), NOW).report == 8


def test_pods_that_came_unasked_and_are_gone_again_are_not_held_for() -> None:
    """Five more stood for one tick; those that are left were asked for."""
    pods = [idle(str(n)) for n in range(10)]
    memory = tick(AUTO, followed(5), late(pods[:5], 5, at=NOW - TICK), NOW - TICK).memory
    came, gone = ticks(AUTO, memory, late(pods, 5), late(pods[:5], 5, at=NOW + TICK))
    assert isinstance(came.report, Unknown)
    assert gone.report == 5


def test_more_than_stands_is_told_at_once() -> None:
    """What is asked for takes nobody away, whoever asked for the pods that came."""
    memory = tick(AUTO, followed(5), late(TEN[:5], 5, at=NOW - TICK), NOW - TICK).memory
    queued = replace(late(TEN, 5), signals={Signal.QUEUE: Known(20.0, NOW)})
    assert tick(AUTO, memory, queued, NOW).report == 10  # at most twice as many at once
    bounded = tick(replace(AUTO, max_replicas=9), memory, queued, NOW)
    assert (bounded.decision.replicas, isinstance(bounded.report, Unknown)) == (9, True)


@pytest.mark.parametrize("mode", Mode)
def test_a_rollouts_pods_are_not_held_for(mode: Mode) -> None:
    """A surge stands for long. Once the replicas, read after it came, still say eight, the target is eight."""
    policy, old = replace(AUTO, mode=mode), [busy(f"old {n}") for n in range(8)]
    memory = tick(policy, followed(8), late(old, 8, at=NOW - TICK, by=0.0), NOW - TICK).memory
    surge = [*old, busy("new 1"), busy("new 2")]
    seen = [late(surge, 8, at=NOW + n * TICK, by=12.0) for n in range(4)]
    reports = [outcome.report for outcome in ticks(policy, memory, *seen)]
    assert [isinstance(report, Unknown) for report in reports] == [True, True, True, False]
    assert reports[-1] == 8


def test_a_rollout_is_held_for_once() -> None:
    """One pod after the other is replaced within the same surge: the first two are in doubt, and no later ones."""
    old, new = [busy(f"old {n}") for n in range(8)], [busy(f"new {n}") for n in range(8)]
    memory = tick(AUTO, followed(8), late(old, 8, at=NOW - TICK, by=0.0), NOW - TICK).memory
    seen = [late([*old[max(0, n - 4) :], *new[: max(2, n - 2)]], 8, at=NOW + n * TICK, by=7.0) for n in range(10)]
    held = [isinstance(outcome.report, Unknown) for outcome in ticks(AUTO, memory, *seen)]
    assert held == [True, True, *[False] * 8]


def test_a_rollout_that_breathes_is_not_held_for_again() -> None:
    """Of the two pods more one ends and another comes: as many have stood before."""
    pods = [busy(str(n)) for n in range(9)]
    memory = replace(followed(8), crowd=Crowd(since=None, stand=10))
    fewer, again = ticks(AUTO, memory, late(pods, 8), late([*pods, busy("new")], 8, at=NOW + TICK))
    assert (fewer.report, again.report) == (8, 8)


def test_a_raise_in_the_middle_of_a_rollout_is_held_for_anew() -> None:
    """Two pods of a surge are known to be one. Three more come: somebody may have asked for those."""
    memory = replace(followed(8), crowd=Crowd(since=None, stand=10))
    memory = tick(AUTO, memory, late(TEN, 8, at=NOW - TICK), NOW - TICK).memory
    assert isinstance(tick(AUTO, memory, late([*TEN, *(busy(uid) for uid in "abc")], 8), NOW).report, Unknown)


def test_pods_that_leave_late_are_nothing_that_came() -> None:
    """A best-effort target fell from ten to eight and was followed; who has not gone yet is no new pod."""
    memory = tick(BEST_EFFORT, followed(8), late([idle(str(n)) for n in range(10)], 10, by=0.0), NOW).memory
    after = NOW + TICK
    assert tick(BEST_EFFORT, replace(memory, target=8), late(TEN, 8, at=after), after).report == 8


def test_while_nobody_tells_the_replicas_no_surge_is_adopted() -> None:
    """The source of replicas is down when a rollout begins: the target does not follow the surge, and is not told."""
    memory = tick(AUTO, followed(8), late(TEN[:8], 8, at=NOW - TICK, by=0.0), NOW - TICK).memory
    for n in range(100):
        at = NOW + n * TICK
        outcome = tick(AUTO, memory, replace(late(TEN, 8, at=at), replicas=Unknown("timeout")), at)
        memory = outcome.memory
        assert isinstance(outcome.report, Unknown)
        assert memory.target == 8


def test_a_look_away_forgets_no_doubt() -> None:
    """Ten pods stood, five of them unasked, when the lights went out: fewer are not told until the replicas know."""
    memory = replace(followed(5), crowd=Crowd(since=NOW - 20.0, stand=10))
    dark, later = late(UNSEEN, 5), late(UNSEEN, 5, at=NOW + TICK, by=10.0)
    reports = [outcome.report for outcome in ticks(AUTO, memory, dark, later)]
    assert isinstance(reports[0], Unknown)
    assert reports[1] == 5
    assert tick(replace(AUTO, min_replicas=10), memory, dark, NOW).report == 10


# --- a best-effort pool's fall that was not followed yet --------------------------------------------------------------


def test_pods_that_turn_busy_before_a_fall_is_followed_are_kept() -> None:
    """The target fell from five to three for two idle pods. They take a task first, and the replicas still say five."""
    pods = [busy(str(n)) for n in range(5)]
    outcome = tick(BEST_EFFORT, followed(3, live=5), late(pods, 5, by=0.0), NOW)
    assert outcome.report == 5
    assert Reason.FLOOR in {step.reason for step in outcome.trail}
    assert tick(replace(BEST_EFFORT, pause_up=True), followed(3, live=5), late(pods, 5, by=0.0), NOW).report == 5


def test_silent_pods_beyond_the_target_do_not_raise_it_again() -> None:
    """Pods that were given up stop answering as they go; replicas that are read late must not bring them back."""
    pods = [*TEN[:3], *(replace(busy(uid), activity=Unknown("refused")) for uid in "xy")]
    assert tick(BEST_EFFORT, followed(3, live=5), late(pods, 5), NOW).report == 3


def test_tasks_of_an_unseen_pool_keep_pods_that_were_not_taken_yet() -> None:
    """Five tasks run while the replicas still say five: each may have a pod of its own, whatever the target is."""
    running = replace(late(UNSEEN, 5, by=0.0), signals={Signal.INFLIGHT: Known(5.0, NOW)})
    assert tick(BEST_EFFORT, followed(3, live=5), running, NOW).report == 5
