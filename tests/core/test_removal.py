"""Removal: every reason why nothing may fall, every reason why spare pods stay, and how long an order may be unseen."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import pytest

from scaler.core.demand import Work
from scaler.core.memory import Memory, Moves
from scaler.core.pods import Pod
from scaler.core.policy import Guarantee, Policy, Workload
from scaler.core.reasons import Reason
from scaler.core.removal import forbid, stop
from scaler.core.tick import tick
from scaler.core.types import Known, Seconds, Signal, Unknown
from tests.core.pool import (
    HOUR,
    NOW,
    Level,
    Story,
    busy,
    given,
    idle,
    numbered,
    observe,
    seasoned,
    starting,
    told,
    unheard,
)

BEST_EFFORT = Policy(guarantee=Guarantee.BEST_EFFORT)
TIMER: Seconds = 375.0  # three break-evens of two minutes' startup and five seconds' drain
QUEUE = Signal.QUEUE
BLACKOUT = Unknown("no signal says anything about demand")
UNSEEN = Unknown("pods: forbidden")
SPENT = Moves(last_rise=NOW - 10.0, turns=(NOW - 20.0,) * 6)


@dataclass(kw_only=True)
class Case:
    """A pool where nothing forbids a fall, but for what a row changes."""

    policy: Policy = field(default_factory=Policy)
    memory: Memory = field(default_factory=seasoned)
    bound: str | Unknown = "work"
    pods: Sequence[Pod] | Unknown = (idle("a"),)
    queue: Level = 1.0


@pytest.mark.parametrize(
    ("case", "reason", "why"),
    [
        pytest.param(Case(), None, None, id="NothingForbidsAFall"),
        pytest.param(Case(policy=Policy(pause_down=True)), Reason.PAUSED, "pause_down", id="FallsArePaused"),
        pytest.param(Case(bound=BLACKOUT), Reason.NO_SIGNAL, BLACKOUT.why, id="NobodyKnowsTheDemand"),
        pytest.param(Case(pods=UNSEEN), Reason.UNSEEN, UNSEEN.why, id="ProtectedPodsAreNotSeen"),
        pytest.param(Case(policy=BEST_EFFORT, pods=UNSEEN), None, None, id="BestEffortNeedsNoSight"),
        pytest.param(Case(queue=Known(1.0, NOW - 40)), Reason.STALE, "queue is 40 s old", id="ASignalIsStale"),
        pytest.param(Case(queue=Unknown("timeout")), Reason.STALE, "queue is unknown: timeout", id="ASignalIsMissing"),
        pytest.param(Case(memory=Memory.fresh(NOW - 100.0)), Reason.NEWCOMER, "100 of 375 s", id="TheProcessIsYoung"),
        pytest.param(Case(memory=Memory.fresh(NOW - TIMER)), None, None, id="AfterOneTimerItIsNot"),
        pytest.param(
            Case(memory=replace(seasoned(), moves=SPENT)),
            Reason.FLAP_BUDGET,
            "6 reversals within the hour, 6 are allowed",
            id="TheFlapBudgetIsSpent",
        ),
    ],
)
def test_what_forbids_a_fall(case: Case, reason: Reason | None, why: str | None) -> None:
    """Each row: what differs in a pool that may shrink, and the veto with its sentence."""
    work = Work(by_signal={}, bound=case.bound, up=1.0, down=1.0, complete=True)
    scene = given(case.policy, observe(case.pods, {QUEUE: case.queue}, replicas=1), memory=case.memory)
    veto = forbid(scene, case.memory, stop(scene, work))
    assert (veto and veto.reason, veto and veto.why) == (reason, why)


def test_the_veto_that_is_told_is_the_operators_own() -> None:
    """Of several, the pause comes first: who set it should not be told to look at Prometheus."""
    story = Story.of(Policy(pause_down=True), idle("a"))
    story.signals[QUEUE] = Unknown("timeout")
    story.expect(1, Reason.PAUSED)


# --- why spare pods stay ----------------------------------------------------------------------------------------------

IDLE_TOP_BUSY = numbered([idle("a"), busy("b")])


@pytest.mark.parametrize(
    ("policy", "pods", "reason", "note"),
    [
        pytest.param(
            Policy(), [idle("a"), busy("b")], Reason.IDLE_TIMER, "1 spare, 1 idle, timer 375 s", id="ItsTimerRuns"
        ),
        pytest.param(Policy(), [unheard("a")], Reason.STEADY, "0 needed, 1 there", id="AnUnheardPodIsNotEvenSpare"),
        pytest.param(
            Policy(slots_per_pod=2), [busy("a"), busy("b")], Reason.BUSY, "1 spare", id="AllAreHalfFullAndNoneIsIdle"
        ),
        pytest.param(
            Policy(min_replicas=1),
            [idle("a"), starting("b")],
            Reason.BUSY,
            "1 spare, 1 of them on their way",
            id="TheSpareOneIsOnItsWay",
        ),
        pytest.param(Policy(pause_down=True), [idle("a")], Reason.PAUSED, "pause_down", id="FallsArePaused"),
        pytest.param(Policy(min_replicas=1), [idle("a")], Reason.STEADY, "0 needed, 1 there", id="TheMinimumNeedsIt"),
    ],
)
def test_why_spare_pods_stay(policy: Policy, pods: list[Pod], reason: Reason, note: str) -> None:
    """Each row: a pool with an empty queue, and what is said of the pods that stand about."""
    outcome = Story.of(policy, *pods).expect(len(pods), reason)
    assert outcome.trail[-1].note == note


def test_a_stateful_set_says_who_blocks() -> None:
    """The idle pod has been ripe for long, but the one above it is at work."""
    story = Story.of(Policy(workload=Workload.STATEFUL_SET), *IDLE_TOP_BUSY)
    story.expect_calm(TIMER + 60.0)
    outcome = story.expect(2, Reason.ORDINAL)
    assert outcome.trail[-1].note == "1 spare, 1 idle below a pod that must stay"


# --- orders that never become pods ------------------------------------------------------------------------------------


def short_of_quota(policy: Policy) -> Story:
    """One busy pod, and two more asked for that the cluster does not create."""
    story = Story.of(policy, busy("a"))
    story.memory = seasoned(target=3)
    return story


def test_orders_never_seen_are_withdrawn_after_one_timer() -> None:
    """Demand has gone before the pods came: the target comes down again, and nobody loses anything."""
    story = short_of_quota(Policy())
    outcome = story.expect(3, Reason.IDLE_TIMER)
    assert outcome.trail[-1].note == "2 orders not seen as pods, timer 375 s"
    for _ in range(int(TIMER / 5) - 1):
        story.replicas = 3
        story.pods = {"a": busy("a")}
        story.expect(3, Reason.IDLE_TIMER)
    story.pods = {"a": busy("a")}
    story.expect(1, Reason.WITHDRAWN)


def test_only_what_was_spare_all_the_time_is_withdrawn() -> None:
    """One order has been spare throughout, the second for half of the time."""
    story = short_of_quota(Policy())
    for n in range(int(TIMER / 5) + 1):
        story.pods = {"a": busy("a", 2 if n < 40 else 1)}
        outcome = story.tick()
    assert (outcome.report, outcome.trail[0].reason) == (2, Reason.WITHDRAWN)


def test_an_order_is_found_spare_in_three_ticks() -> None:
    """However far apart they are: a pool that is looked at every seven minutes gives nothing up on two looks."""
    story = short_of_quota(Policy())
    for report in (3, 3, 1):
        story.pods = {"a": busy("a")}
        assert story.tick(420.0).report == report


def test_orders_are_given_up_before_pods() -> None:
    """One pod is spare, and one order has not been seen: the idle pod that is there stays, however long it is idle."""
    story = Story.of(Policy(), busy("a"), idle("b"))
    story.memory = seasoned(target=3)
    story.signals[QUEUE] = 1.0
    for _ in range(int(TIMER / 5)):
        story.pods = {"a": busy("a"), "b": idle("b")}
        story.expect(3, Reason.IDLE_TIMER)
    story.pods = {"a": busy("a"), "b": idle("b")}
    story.expect(2, Reason.WITHDRAWN)


def test_who_has_been_idle_for_long_stays_where_an_order_is_all_that_is_spare() -> None:
    """Both were needed until now, so only the pod's timer has run: one of the two is spare, and one is given up.

    It is the order. Were the pod to go as well, one too many would.
    """
    story = Story.of(Policy(), busy("a"), idle("b"))
    story.memory = seasoned(target=3)
    orders: list[str] = []
    for n in range(3 * int(TIMER / 5)):
        story.pods = {"a": busy("a"), "b": idle("b")}
        story.signals[QUEUE] = 2.0 if n < TIMER / 5 else 1.0
        outcome = story.tick()
        orders += told(outcome)
    assert (outcome.report, orders) == (2, [])


def test_where_fewer_stand_than_were_asked_for_any_may_leave() -> None:
    """No surge that is to be left alone: of two idle pods beside an order both are named, the newest as well."""
    memory = seasoned(target=3)
    ripe = replace(memory, lessons=replace(memory.lessons, gaps=replace(memory.lessons.gaps, timer=0.0)))
    pods = [idle("a"), replace(idle("b"), created_at=NOW - HOUR)]
    outcome = tick(Policy(), ripe, observe(pods, {QUEUE: 0.0}, replicas=3), NOW)
    assert outcome.memory.pods.named.tolist() == [1, 1]


def test_an_order_that_is_needed_again_begins_anew() -> None:
    """For one tick in the middle both orders were needed, so their timer starts over."""
    story = short_of_quota(Policy())
    for n in range(int(TIMER / 5) + 1):
        story.pods = {"a": busy("a", 3 if n == 40 else 1)}
        assert story.tick().report == 3


def test_a_veto_does_not_let_the_timer_run() -> None:
    """What was spare only while nobody could know is not given up the moment the light returns."""
    story = short_of_quota(Policy())
    story.signals[QUEUE] = Unknown("timeout")
    for _ in range(100):
        story.pods = {"a": busy("a")}
        story.expect(3, Reason.STALE)
    story.signals[QUEUE] = 0.0
    story.pods = {"a": busy("a")}
    story.expect(3, Reason.IDLE_TIMER)


# --- best effort ------------------------------------------------------------------------------------------------------


def test_a_best_effort_pool_gives_up_its_idle_pods_at_once_when_they_are_ripe() -> None:
    """No gate, so no drain: the target falls by the idle pods, and never below those that are not idle."""
    story = Story.of(BEST_EFFORT, busy("a"), idle("b"), idle("c"))
    story.expect_calm(TIMER + 10.0)
    story.expect(1, Reason.IDLE)


def test_a_best_effort_pool_whose_pods_cannot_be_seen_goes_by_its_own_count() -> None:
    """Five replicas and two tasks running for a whole timer: three replicas are given up, unseen."""
    story = Story.of(BEST_EFFORT, *(busy(str(n)) for n in range(5)))
    story.unseen = Unknown("no pod source")
    story.signals |= {Signal.INFLIGHT: 2.0}
    for _ in range(int(TIMER / 5)):
        outcome = story.expect(5, Reason.IDLE_TIMER)
        assert outcome.trail[-1].note == "3 spare, timer 375 s"
    story.expect(2, Reason.IDLE)
    story.expect(2, Reason.STEADY)


def test_unseen_pods_that_are_spare_say_why_they_stay() -> None:
    """In a protected pool nobody leaves unseen, however little there is to do."""
    story = Story.of(Policy(), idle("a"), idle("b"))
    story.unseen = UNSEEN
    outcome = story.expect(2, Reason.UNSEEN)
    assert outcome.trail[-1].note == UNSEEN.why
