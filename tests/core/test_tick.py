"""One tick: the kill switch, whose target counts, and every reason in the vocabulary given at least once."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import pytest

from scaler.core import explain
from scaler.core.memory import Memory, Moves
from scaler.core.pods import Phase, Pod
from scaler.core.policy import Guarantee, Mode, Policy, Workload
from scaler.core.reasons import Reason
from scaler.core.tick import tick
from scaler.core.types import Announcement, Hold, Known, Observation, ScaleTo, Signal, Step, Unknown, Verb
from tests.core.pool import (
    NOW,
    TICK,
    Levels,
    Story,
    busy,
    drained,
    draining,
    idle,
    numbered,
    observe,
    seasoned,
    told,
)
from tests.properties.warm import STORIES

QUEUE = Signal.QUEUE
AUTO = Policy(max_replicas=50)
OFF = replace(AUTO, mode=Mode.OFF)
RECOMMEND = replace(AUTO, mode=Mode.RECOMMEND)
UNSEEN = Unknown("pods: forbidden")
SILENT = Unknown("timeout")


# --- the kill switch --------------------------------------------------------------------------------------------------

TEN_QUEUED = observe([busy("a"), draining(idle("b"), 1, 1), drained(idle("c"))], {QUEUE: 10}, replicas=3)


@pytest.mark.parametrize(
    ("mode", "decided", "reason"),
    [
        pytest.param(OFF, Hold(3, Reason.OFF, "mode is off"), Reason.OFF, id="OffDecidesNothing"),
        pytest.param(RECOMMEND, ScaleTo(7), Reason.RECOMMEND, id="RecommendDecidesAndChangesNothing"),
    ],
)
def test_whatever_happens_only_auto_changes_anything(mode: Policy, decided: Hold | ScaleTo, reason: Reason) -> None:
    """Ten tasks queue, one pod is drained: KEDA is told the three live replicas, and only a closed gate is opened."""
    memory = replace(seasoned(7), moves=Moves(last_rise=NOW - TICK))
    outcome = tick(mode, memory, TEN_QUEUED, NOW)
    assert (outcome.report, told(outcome), outcome.memory.target) == (3, ["cancel b"], None)
    assert (outcome.decision, explain.reason(outcome)) == (decided, reason)
    assert outcome.trail[-1].after == decided.replicas
    assert outcome.memory.moves == memory.moves  # what was not followed is no rise and no fall


@pytest.mark.parametrize("policy", [OFF, RECOMMEND], ids=["off", "recommend"])
def test_without_live_replicas_there_is_nothing_to_answer(policy: Policy) -> None:
    """The door then answers with an error, and the HPA holds."""
    outcome = tick(policy, seasoned(7), observe([busy("a")], {QUEUE: 10}, replicas=None), NOW)
    unheard = tick(policy, seasoned(7), replace(TEN_QUEUED, replicas=SILENT), NOW)
    assert outcome.report == 1
    assert (unheard.report, unheard.active) == (SILENT, SILENT)
    assert unheard.decision == Hold(SILENT, Reason.NO_REPLICAS, "timeout")
    assert unheard.trail == (Step(Reason.NO_REPLICAS, 0, 0, "timeout"),)


def test_advice_stays_the_same_while_nobody_takes_it() -> None:
    """One of five pods is drained: four are recommended, now and later, for the live replicas still count it."""
    story = Story.of(RECOMMEND, *(busy(str(n)) for n in range(4)), drained(idle("d")))
    assert [story.tick().decision for _ in range(5)] == [ScaleTo(4)] * 5


@pytest.mark.parametrize("policy", [OFF, RECOMMEND], ids=["off", "recommend"])
def test_a_pool_that_is_switched_off_goes_on_learning(policy: Policy) -> None:
    """What was seen meanwhile counts when it is switched on: demand, gaps, and how pods start."""
    story = Story.of(policy, busy("a"))
    for n in range(40):
        story.runs("a", n % 2)
        story.signals[QUEUE] = 3.0
        story.tick()
    assert story.memory.lessons.gaps.weight == pytest.approx(20.0, abs=0.5)
    assert story.memory.readings[-1].up >= 3.0


@pytest.mark.parametrize(("replicas", "active"), [(0, False), (1, True), (7, True)], ids=["None", "One", "Many"])
def test_activity_is_whether_the_report_is_above_zero(replicas: int, active: bool) -> None:
    """KEDA goes from N to zero in one step, so a pool is active while a single replica is asked for."""
    outcome = tick(OFF, seasoned(), observe([], replicas=replicas), NOW)
    assert (outcome.report, outcome.active) == (replicas, active)


# --- whose target counts ----------------------------------------------------------------------------------------------

THREE = [busy("a"), busy("b"), busy("c")]


@pytest.mark.parametrize(
    ("memory", "observation", "report"),
    [
        pytest.param(seasoned(5), observe(THREE, replicas=3), 5, id="OurOwnLastOne"),
        pytest.param(seasoned(), observe(THREE, replicas=3), 3, id="TheLiveReplicasWhereWeHaveNone"),
        pytest.param(seasoned(), observe(UNSEEN, replicas=4), 4, id="AlsoWithoutPods"),
        pytest.param(seasoned(), replace(observe(THREE), replicas=SILENT), SILENT, id="NotThePodsInView"),
        pytest.param(seasoned(), observe(THREE, replicas=1), 3, id="NoUndercutOfPodsAtWorkIsAdopted"),
        pytest.param(seasoned(), observe(UNSEEN), SILENT, id="NothingWhereNothingIsKnown"),
    ],
)
def test_where_the_target_starts(memory: Memory, observation: Observation, report: int | Unknown) -> None:
    """Each row: the memory and what is seen by a process that follows the pool, and what it reports."""
    found = tick(AUTO, memory, observation, NOW).report
    assert isinstance(found, Unknown) if isinstance(report, Unknown) else found == report


def test_an_old_count_of_replicas_is_none() -> None:
    """Switched off, a pool answers the live replicas; those of an hour ago would be a guess, and KEDA gets an error."""
    old = replace(observe(THREE), replicas=Known(2.0, NOW - 3600.0))
    assert isinstance(tick(OFF, seasoned(), old, NOW).report, Unknown)


def test_a_pod_that_works_is_not_released_whatever_it_says() -> None:
    """One of three says drained and that three tasks run in it: the target keeps it, and nobody deletes it."""
    liar = replace(busy("c"), phase=Phase.DRAINED)
    outcome = tick(AUTO, seasoned(3), observe([*THREE[:2], liar], replicas=3), NOW)
    assert (outcome.report, outcome.orders) == (3, ())


def test_a_pod_that_broke_its_word_is_not_committed() -> None:
    """It acknowledged the drain, and a task runs in it all the same: it is asked again to close its gate."""
    liar = replace(busy("c"), phase=Phase.DRAINING, epoch=1, acked=1)
    outcome = tick(AUTO, seasoned(3), observe([*THREE[:2], liar], replicas=3), NOW)
    assert [order.verb for order in outcome.orders] == [Verb.CLOSE]


def test_below_a_pod_of_unknown_ordinal_nobody_leaves_a_stateful_set() -> None:
    """The silent pod may be the highest, and a lower target would take it first."""
    policy = replace(AUTO, workload=Workload.STATEFUL_SET)
    silent = replace(busy("e"), activity=SILENT)
    story = Story.of(policy, *(replace(idle(f"p{n}"), ordinal=n) for n in range(4)), silent)
    for _ in range(200):
        assert story.tick().report == 5


def test_a_best_effort_pool_adopts_what_somebody_set() -> None:
    """Without a drain protocol the live replicas are the only word there is."""
    policy = replace(AUTO, guarantee=Guarantee.BEST_EFFORT)
    assert tick(policy, seasoned(), observe(THREE, replicas=1), NOW).trail[0].before == 1


def test_a_tick_is_a_function() -> None:
    """The same arguments give the same outcome, and none of them is written to."""
    story = Story.of(AUTO, busy("a"), idle("b"))
    story.signals[QUEUE] = 4.0
    for _ in range(20):
        story.tick()
    arguments = (story.memory, story.observation(), story.now + TICK)
    first, second = (explain.lines(tick(AUTO, *arguments)) for _ in range(2))
    assert first == second


# --- every reason -----------------------------------------------------------------------------------------------------


@dataclass(kw_only=True)
class Scenario:
    """One tick of a pool in automatic mode, but for what a row changes."""

    policy: Policy = AUTO
    pods: tuple[Pod, ...] | Unknown = (busy("a"),)
    signals: Levels = field(default_factory=lambda: {QUEUE: 0.0})
    replicas: int | None = None
    target: int | None = None
    announced: tuple[Announcement, ...] = ()
    unguarded: Unknown | None = None
    moves: Moves = field(default_factory=Moves)
    born: float = NOW - 86_400.0
    idle_ticks: int = 0

    def reasons(self) -> list[Reason]:
        """The reasons of the tick's trail, after some ticks in which the pods stood just as they do."""
        pods = 0 if isinstance(self.pods, Unknown) else len(self.pods)
        target = pods if self.target is None else self.target
        memory = replace(Memory.fresh(self.born), target=target, moves=self.moves)
        for n in range(self.idle_ticks, -1, -1):
            at = NOW - n * TICK
            seen = observe(self.pods, self.signals, at=at, replicas=self.replicas, announced=self.announced)
            seen = replace(seen, unguarded=self.unguarded)
            outcome = tick(self.policy, memory, seen, at)
            memory = outcome.memory
        return [step.reason for step in outcome.trail]


RIPE = 78  # ticks after which an idle pod has been idle for the timer and named three times
GONE = (drained(idle("b")), busy("a"))
SPENT = Moves(last_rise=NOW - 10.0, turns=(NOW - 20.0,) * 6)
FAN_OUT = Announcement(name="fan-out", pods=2, start=NOW, end=NOW + 60.0, added=True)
TWELVE = tuple(busy(str(n)) for n in range(12))
SCENARIOS: dict[Reason, Scenario] = {
    Reason.STEADY: Scenario(),
    Reason.DRAINED: Scenario(pods=GONE),
    Reason.STANDING: Scenario(target=0),
    Reason.DEMAND: Scenario(signals={QUEUE: 2.0}),
    Reason.ANNOUNCED: Scenario(announced=(FAN_OUT,)),
    Reason.TOLERANCE: Scenario(pods=TWELVE, signals={QUEUE: 1.0}),
    Reason.ACTIVATION: Scenario(policy=replace(AUTO, activation=5), pods=(), signals={QUEUE: 3.0}),
    Reason.DRAINING: Scenario(pods=(idle("a"),), idle_ticks=RIPE),
    Reason.UNDRAINED: Scenario(pods=(draining(idle("a")),), signals={QUEUE: 1.0}),
    Reason.WITHDRAWN: Scenario(pods=(), target=2, idle_ticks=RIPE - 3),
    Reason.IDLE: Scenario(
        policy=replace(AUTO, guarantee=Guarantee.BEST_EFFORT), pods=(idle("a"),), idle_ticks=RIPE - 1
    ),
    Reason.IDLE_TIMER: Scenario(pods=(idle("a"),)),
    Reason.EMPTYING: Scenario(policy=replace(AUTO, slots_per_pod=2), pods=(busy("a"), busy("b")), idle_ticks=3),
    Reason.BUSY: Scenario(policy=replace(AUTO, slots_per_pod=2), pods=(busy("a"), busy("b"))),
    Reason.DISPLACED: Scenario(pods=(replace(idle("a"), displaced=True),)),
    Reason.REPLACING: Scenario(pods=(replace(busy("a"), displaced=True),)),
    Reason.ORDINAL: Scenario(
        policy=replace(AUTO, workload=Workload.STATEFUL_SET),
        pods=tuple(numbered([idle("a"), busy("b")])),
        idle_ticks=RIPE,
    ),
    Reason.RATE_LIMIT: Scenario(signals={QUEUE: 30.0}),
    Reason.FLAP_BUDGET: Scenario(pods=GONE, moves=SPENT),
    Reason.NEWCOMER: Scenario(pods=GONE, born=NOW - 5.0),
    Reason.STALE: Scenario(pods=GONE, signals={QUEUE: SILENT}),
    Reason.NO_SIGNAL: Scenario(pods=UNSEEN, target=3, signals={QUEUE: SILENT}),
    Reason.NO_REPLICAS: Scenario(policy=RECOMMEND, pods=UNSEEN),
    Reason.UNSEEN: Scenario(pods=UNSEEN, target=3),
    Reason.UNGUARDED: Scenario(pods=GONE, unguarded=Unknown("a pod could be deleted")),
    Reason.PAUSED: Scenario(policy=replace(AUTO, pause_up=True), signals={QUEUE: 2.0}),
    Reason.OFF: Scenario(policy=OFF),
    Reason.RECOMMEND: Scenario(policy=RECOMMEND),
    Reason.MINIMUM: Scenario(policy=replace(AUTO, min_replicas=3)),
    Reason.MAXIMUM: Scenario(policy=replace(AUTO, max_replicas=2), signals={QUEUE: 3.0}),
    Reason.BUDGET: Scenario(policy=replace(AUTO, budget_per_hour=4.0, pod_price_per_hour=2.0), signals={QUEUE: 3.0}),
    Reason.FLOOR: Scenario(policy=replace(AUTO, max_replicas=2), pods=TWELVE),
}


@pytest.mark.parametrize("reason", SCENARIOS)
def test_every_reason_is_given(reason: Reason) -> None:
    """Each row: a reason, and a pool whose trail gives it."""
    assert reason in SCENARIOS[reason].reasons()


def test_no_reason_is_idle_talk() -> None:
    """The vocabulary holds nothing that no pool is ever told; forecast, lag and warm pools have stories."""
    assert set(Reason) - set(SCENARIOS) - set(STORIES) == {Reason.FORECAST, Reason.LAGGING}


def test_a_forecast_that_has_earned_it_is_given() -> None:
    """Bursts of five every two minutes, each of them queued until pods have started: they come to be expected."""
    story = Story.of(replace(AUTO, max_replicas=10), *(busy(str(n)) for n in range(2)))
    reasons: set[Reason] = set()
    for n in range(600):
        story.signals[QUEUE] = 5.0 if n % 24 < 4 else 0.0
        reasons |= {step.reason for step in story.tick().trail}
    assert Reason.FORECAST in reasons
