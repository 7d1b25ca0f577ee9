"""Each rule alone, by its law, and the order in which they have their say."""

from __future__ import annotations

from dataclasses import replace
from typing import TypeAlias

import pytest

from scaler.core import dampen
from scaler.core.dampen import RULES, Rule, Scene, Veto
from scaler.core.memory import Moves, Rise
from scaler.core.policy import Pace, Policy
from scaler.core.reasons import Reason
from scaler.core.types import Demand, Forecast, Known, Seconds, Supply, Unknown
from tests.core.pool import HOUR, NOW

Expected: TypeAlias = tuple[Reason, int] | None
Row: TypeAlias = tuple[Rule, Scene, int, Expected, str]
STARTUP: Seconds = 60.0
SUPPLY = Supply(
    ready=10, starting=0, ordered=0, overdue=0, draining=0, drained=0, idle=0, unknown=0, displaced=0, wanted=10
)
DEMAND = Demand(
    by_signal={"work": Known(10.0, NOW)},
    bound="work",
    now=10.0,
    up=10.0,
    down=10.0,
    need_up=10,
    need_down=10,
    waiting=0.0,
)
NO_FORECAST = Forecast(
    pods=Unknown("too few trials"), horizon=60.0, quantile=0.91, candidate="rise", skill=Unknown("too few trials")
)
# Ten pods at work, nothing missing and nothing spare.
CALM = Scene(
    policy=Policy(max_replicas=100),
    moves=Moves(),
    now=NOW,
    base=10,
    standing=10,
    floor=10,
    supply=SUPPLY,
    demand=DEMAND,
    forecast=NO_FORECAST,
    ahead=0.0,
    leaving=0,
    leaving_why=Reason.WITHDRAWN,
    chosen=0,
    emptying=0,
    called_back=0,
    moved=0,
    kept=None,
    stop=None,
    veto=None,
)
ASKED = replace(CALM, supply=replace(SUPPLY, displaced=2, wanted=8))
STALE = Veto(reason=Reason.STALE, why="queue is 40 s old")


def asking(scene: Scene, pods: int, waiting: Seconds = 0.0) -> Scene:
    """The scene where the work asks for so many pods, and its oldest task has waited so long."""
    demand = replace(scene.demand, now=float(pods), up=float(pods), need_up=pods, waiting=waiting)
    return replace(scene, demand=demand)


EMPTY = asking(replace(CALM, base=0, standing=0, floor=0, supply=replace(SUPPLY, ready=0, wanted=0)), 0)


def expecting(scene: Scene, pods: float) -> Scene:
    """The scene where a forecast that has earned it expects so many pods."""
    return replace(scene, forecast=replace(scene.forecast, pods=pods, skill=0.5))


def under(policy: Policy, scene: Scene = CALM) -> Scene:
    """The scene under another policy."""
    return replace(scene, policy=policy)


def risen(*rises: tuple[Seconds, int], scene: Scene = CALM) -> Scene:
    """The scene after rises, each some seconds ago and by so many replicas."""
    return replace(scene, moves=Moves(rises=tuple(Rise(NOW - ago, added) for ago, added in rises)))


WIDE = Policy(max_replicas=100)
FULL = under(Policy(max_replicas=10))
POOR = under(Policy(max_replicas=100, budget_per_hour=24.0, pod_price_per_hour=2.0))
HALF = under(Policy(max_replicas=100, pace=Pace(rise_ratio=0.5)))
UNAFFECTED = None
ONE_CALLED_BACK = replace(asking(CALM, 12), called_back=1, supply=replace(SUPPLY, draining=1))
OVERASKED = replace(CALM, standing=10, supply=replace(SUPPLY, wanted=8, overdue=3))


ROWS: tuple[Row, ...] = (
    # settle: the target follows the pods that are there
    (dampen.settle, CALM, 10, UNAFFECTED, "PodsThatStandAsAskedMoveNothing"),
    (dampen.settle, replace(CALM, standing=8), 10, (Reason.DRAINED, 8), "TheTargetFallsWithEachDrainedPod"),
    (dampen.settle, replace(CALM, standing=13), 10, (Reason.STANDING, 13), "PodsNobodyAskedForKeepTheirPlace"),
    # leave: best-effort pods and orders never seen
    (dampen.leave, CALM, 10, UNAFFECTED, "NobodyLeavesUnlessChosen"),
    (dampen.leave, replace(CALM, leaving=2), 10, (Reason.WITHDRAWN, 8), "OrdersNeverSeenAreWithdrawn"),
    (
        dampen.leave,
        replace(CALM, leaving=2, leaving_why=Reason.IDLE),
        10,
        (Reason.IDLE, 8),
        "IdlePodsOfABestEffortPoolLeave",
    ),
    # veto: nothing falls on ignorance
    (dampen.veto, CALM, 7, UNAFFECTED, "WithoutAVetoAFallStands"),
    (dampen.veto, replace(CALM, veto=STALE), 7, (Reason.STALE, 10), "AVetoRestoresWhatFell"),
    (dampen.veto, replace(CALM, veto=STALE), 10, UNAFFECTED, "AVetoSaysNothingWhereNothingFell"),
    (dampen.veto, replace(CALM, veto=STALE), 12, UNAFFECTED, "AVetoStopsNoRise"),
    # want: the work itself
    (dampen.want, CALM, 10, UNAFFECTED, "SupplyThatIsEnoughIsEnough"),
    (dampen.want, asking(CALM, 13), 10, (Reason.DEMAND, 13), "WhatIsMissingIsAdded"),
    (dampen.want, asking(CALM, 3), 10, UNAFFECTED, "LessWorkTakesNothingAway"),
    (dampen.want, ONE_CALLED_BACK, 10, (Reason.DEMAND, 11), "PodsCalledBackComeFirst"),
    (dampen.want, asking(OVERASKED, 10), 10, (Reason.DEMAND, 12), "PodsThatDoNotCountAsSupplyAreMadeUpFor"),
    (dampen.want, asking(replace(CALM, standing=8), 11), 10, UNAFFECTED, "ATargetAlreadyThereIsNotAddedTo"),
    # foresee: only forecasts that have earned it
    (dampen.foresee, CALM, 10, UNAFFECTED, "AForecastThatHasEarnedNothingSaysNothing"),
    (dampen.foresee, expecting(CALM, 11.2), 10, (Reason.FORECAST, 12), "AForecastAddsAhead"),
    (dampen.foresee, expecting(CALM, 3.0), 10, UNAFFECTED, "AForecastNeverRemoves"),
    # tolerate: small rises wait while nobody does
    (dampen.tolerate, CALM, 11, (Reason.TOLERANCE, 10), "OneInTenWaits"),
    (dampen.tolerate, ASKED, 11, UNAFFECTED, "OneThatStandsInForAnotherDoesNot"),
    (dampen.tolerate, CALM, 12, UNAFFECTED, "TwoInTenDoNot"),
    (dampen.tolerate, EMPTY, 1, UNAFFECTED, "TheFirstPodNeverWaits"),
    (dampen.tolerate, asking(CALM, 11, waiting=7.5), 11, (Reason.TOLERANCE, 10), "AQuarterOfTheWaitTargetIsBorne"),
    (dampen.tolerate, asking(CALM, 11, waiting=7.6), 11, UNAFFECTED, "WhoHasWaitedLongerWaitsNoMore"),
    (dampen.tolerate, replace(CALM, standing=11), 11, UNAFFECTED, "PodsThatStandAreNoRise"),
    # activate: an empty pool wakes above its threshold
    (dampen.activate, under(Policy(activation=3), asking(EMPTY, 3)), 3, (Reason.ACTIVATION, 0), "AtItSleepsOn"),
    (dampen.activate, under(Policy(activation=3), asking(EMPTY, 4)), 4, UNAFFECTED, "AboveItWakes"),
    (dampen.activate, under(Policy(activation=3), asking(CALM, 11)), 11, UNAFFECTED, "APoolThatRunsIsAwake"),
    (
        dampen.activate,
        under(Policy(activation=3), replace(asking(EMPTY, 2), standing=1)),
        2,
        UNAFFECTED,
        "APodThatStandsIsAwake",
    ),
    (
        dampen.activate,
        under(Policy(activation=3, slots_per_pod=4), asking(EMPTY, 1)),
        1,
        UNAFFECTED,
        "TheThresholdIsInTasks",
    ),
    (dampen.activate, EMPTY, 0, UNAFFECTED, "WhatIsAsleepIsNotToldSo"),
    # announce: orders, not guesses
    (dampen.announce, CALM, 10, UNAFFECTED, "NothingAnnouncedAddsNothing"),
    (dampen.announce, replace(CALM, ahead=14.5), 10, (Reason.ANNOUNCED, 15), "AnnouncedWorkIsAddedWhole"),
    (dampen.announce, replace(CALM, ahead=5.0), 10, UNAFFECTED, "AnAnnouncementRemovesNothing"),
    # minimum
    (dampen.minimum, under(Policy(min_replicas=3), EMPTY), 0, (Reason.MINIMUM, 3), "NeverBelowTheMinimum"),
    (dampen.minimum, under(Policy(min_replicas=3)), 10, UNAFFECTED, "AboveTheMinimumIsFree"),
    (dampen.minimum, under(Policy(min_replicas=10), ASKED), 10, (Reason.MINIMUM, 12), "WhoLeavesWithItsNodeIsReplaced"),
    # pause
    (dampen.pause, under(Policy(pause_up=True)), 13, (Reason.PAUSED, 10), "WhilePausedNothingIsAdded"),
    (dampen.pause, under(WIDE), 13, UNAFFECTED, "WithoutAPauseARisePasses"),
    (dampen.pause, under(Policy(pause_up=True)), 8, UNAFFECTED, "APauseOfRisesStopsNoFall"),
    (dampen.pause, under(Policy(pause_up=True)), 10, UNAFFECTED, "WhatDoesNotRiseIsNotPaused"),
    (
        dampen.pause,
        under(Policy(pause_up=True), replace(CALM, standing=12)),
        13,
        (Reason.PAUSED, 12),
        "PodsThatStandMayStayWhilePaused",
    ),
    # limit_rate: at most max(4, 100 %) of what the window began with
    (dampen.limit_rate, EMPTY, 9, (Reason.RATE_LIMIT, 4), "FromNothingFour"),
    (dampen.limit_rate, CALM, 30, (Reason.RATE_LIMIT, 20), "FromTenTenMore"),
    (dampen.limit_rate, CALM, 20, UNAFFECTED, "WhatTheLimitAllowsPasses"),
    (dampen.limit_rate, HALF, 30, (Reason.RATE_LIMIT, 15), "TheRatioIsOfWhatTheWindowBeganWith"),
    (dampen.limit_rate, risen((14.9, 5)), 12, (Reason.RATE_LIMIT, 10), "TheWindowRemembersWhatItGave"),
    (dampen.limit_rate, risen((15.0, 5)), 20, UNAFFECTED, "AfterFifteenSecondsItForgets"),
    (dampen.limit_rate, risen((9.0, 3), (3.0, 2)), 14, (Reason.RATE_LIMIT, 10), "SeveralRisesAddUp"),
    (dampen.limit_rate, risen((5.0, 30)), 12, (Reason.RATE_LIMIT, 10), "AFallSinceMakesTheWindowNoLarger"),
    (dampen.limit_rate, risen((5.0, 3), scene=EMPTY), 9, (Reason.RATE_LIMIT, 4), "NorSmallerThanFour"),
    (dampen.limit_rate, replace(CALM, standing=40), 40, UNAFFECTED, "PodsThatStandAreNotLimited"),
    (dampen.limit_rate, replace(EMPTY, ahead=40.0), 40, UNAFFECTED, "WhatWasAnnouncedIsNotLimited"),
    (dampen.limit_rate, replace(EMPTY, ahead=6.0), 40, (Reason.RATE_LIMIT, 6), "WhatIsWantedBeyondItIs"),
    # maximum and money, draining pods included
    (dampen.maximum, FULL, 11, (Reason.MAXIMUM, 10), "NeverAboveTheMaximum"),
    (dampen.maximum, FULL, 10, UNAFFECTED, "TheMaximumItselfIsAllowed"),
    (dampen.afford, POOR, 13, (Reason.BUDGET, 12), "NeverMoreThanTheMoneyPaysFor"),
    (dampen.afford, POOR, 12, UNAFFECTED, "WhatIsPaidForIsAllowed"),
    (dampen.afford, CALM, 90, UNAFFECTED, "WithoutABudgetMoneyIsNoBound"),
    # protect
    (dampen.protect, CALM, 6, (Reason.FLOOR, 10), "NeverBelowTheFloor"),
    (dampen.protect, CALM, 10, UNAFFECTED, "TheFloorItselfIsSafe"),
    # tell_drains: words without a move
    (dampen.tell_drains, CALM, 10, UNAFFECTED, "NothingToTell"),
    (dampen.tell_drains, replace(CALM, chosen=2), 10, (Reason.DRAINING, 10), "DrainsBegunAreTold"),
    (dampen.tell_drains, replace(CALM, chosen=2, emptying=1), 10, (Reason.DRAINING, 10), "BesideIdlePodsOthersEmpty"),
    (dampen.tell_drains, replace(CALM, chosen=2, emptying=2), 10, (Reason.EMPTYING, 10), "BusyPodsEmpty"),
    (dampen.tell_drains, replace(CALM, called_back=2), 10, (Reason.UNDRAINED, 10), "DrainsCalledBackAreTold"),
    (dampen.tell_drains, replace(CALM, kept=STALE), 10, (Reason.STALE, 10), "WhySparePodsStayIsTold"),
    # tell_nodes: words without a move
    (dampen.tell_nodes, CALM, 10, UNAFFECTED, "NoNodeAsksAnything"),
    (dampen.tell_nodes, replace(ASKED, moved=1), 10, (Reason.DISPLACED, 10), "WhoBeginsToLeaveWithItsNodeIsTold"),
    (dampen.tell_nodes, ASKED, 10, (Reason.REPLACING, 10), "WhoWaitsForOthersIsTold"),
    (dampen.tell_nodes, replace(ASKED, stop=STALE), 10, (Reason.STALE, 10), "WhyNobodyBeginsIsTold"),
)


@pytest.mark.parametrize(("rule", "scene", "before", "expected"), [r[:-1] for r in ROWS], ids=[r[-1] for r in ROWS])
def test_each_rule_alone(rule: Rule, scene: Scene, before: int, expected: Expected) -> None:
    """Each row: a rule, the scene it looks at, the target so far, and the reason and target after it, or nothing."""
    step = rule(scene, before)
    assert (step and (step.reason, step.before, step.after)) == (expected and (expected[0], before, expected[1]))


def test_each_rule_has_rows_of_both_kinds() -> None:
    """No rule is without a case in which it acts and one in which it does not."""
    assert {r[0] for r in ROWS if r[3] is None} == {r[0] for r in ROWS if r[3] is not None} == set(RULES)


def walked(scene: Scene) -> list[tuple[Reason, int]]:
    """The trail of all rules: each reason, and the target after it."""
    target, trail = dampen.walk(scene)
    assert [step.before for step in trail] == [scene.base, *(step.after for step in trail[:-1])]
    assert target == trail[-1].after
    return [(step.reason, step.after) for step in trail]


ASLEEP = under(Policy(activation=5), EMPTY)
ABOVE_MAXIMUM = under(Policy(max_replicas=6))


@pytest.mark.parametrize(
    ("scene", "trail"),
    [
        pytest.param(CALM, [(Reason.STEADY, 10)], id="WhereNothingHappensOneStepSaysSo"),
        pytest.param(
            asking(replace(CALM, standing=9, supply=replace(SUPPLY, wanted=9, drained=1)), 10),
            [(Reason.DRAINED, 9), (Reason.DEMAND, 10)],
            id="ADrainedPodLeavesBeforeTheWorkAsksForAnother",
        ),
        pytest.param(
            asking(replace(CALM, standing=9, veto=STALE, supply=replace(SUPPLY, wanted=9)), 12),
            [(Reason.DRAINED, 9), (Reason.STALE, 10), (Reason.DEMAND, 12)],
            id="AVetoIsSpokenBeforeTheWorkIs",
        ),
        pytest.param(
            expecting(asking(CALM, 12), 15.0),
            [(Reason.DEMAND, 12), (Reason.FORECAST, 15)],
            id="TheForecastAddsToTheWork",
        ),
        pytest.param(
            expecting(CALM, 11.0), [(Reason.FORECAST, 11), (Reason.TOLERANCE, 10)], id="ASmallForecastIsTolerated"
        ),
        pytest.param(replace(CALM, ahead=11.0), [(Reason.ANNOUNCED, 11)], id="AnAnnouncementIsNeverTolerated"),
        pytest.param(
            replace(asking(ASLEEP, 3), ahead=1.0),
            [(Reason.DEMAND, 3), (Reason.ACTIVATION, 0), (Reason.ANNOUNCED, 1)],
            id="AnAnnouncementWakesAPool",
        ),
        pytest.param(expecting(ASLEEP, 2.0), [(Reason.FORECAST, 2)], id="SoDoesAForecastThatHasEarnedIt"),
        pytest.param(
            under(Policy(min_replicas=8, pause_up=True), EMPTY),
            [(Reason.MINIMUM, 8), (Reason.PAUSED, 0)],
            id="APauseHoldsEvenTheMinimum",
        ),
        pytest.param(
            under(Policy(min_replicas=8), EMPTY),
            [(Reason.MINIMUM, 8), (Reason.RATE_LIMIT, 4)],
            id="TheMinimumIsReachedNoFasterThanTheLimit",
        ),
        pytest.param(
            asking(under(Policy(max_replicas=12, budget_per_hour=11.0, pod_price_per_hour=1.0)), 15),
            [(Reason.DEMAND, 15), (Reason.MAXIMUM, 12), (Reason.BUDGET, 11)],
            id="TheLowerOfMaximumAndMoneyBinds",
        ),
        pytest.param(ABOVE_MAXIMUM, [(Reason.MAXIMUM, 6), (Reason.FLOOR, 10)], id="NobodysWorkComesBeforeEveryBound"),
        pytest.param(
            replace(CALM, standing=9, chosen=1, kept=STALE),
            [(Reason.DRAINED, 9), (Reason.FLOOR, 10), (Reason.DRAINING, 10)],
            id="WhatHappensToPodsIsToldLast",
        ),
        pytest.param(
            replace(CALM, chosen=1, called_back=1), [(Reason.UNDRAINED, 10)], id="CallingBackIsToldBeforeDraining"
        ),
    ],
)
def test_the_order_of_the_rules(scene: Scene, trail: list[tuple[Reason, int]]) -> None:
    """Each row: a scene, and every step it takes. The trail chains from the last target to this one."""
    assert walked(scene) == trail


SOON = 2 * STARTUP + Pace().followed_after  # the replicas may have risen so long after the target
SPENT = Moves(last_rise=NOW - 60.0, turns=tuple(NOW - 600.0 * n for n in range(6)))


@pytest.mark.parametrize(
    ("moves", "held"),
    [
        pytest.param(SPENT, True, id="TheSeventhQuickReversalInAnHourWaits"),
        pytest.param(replace(SPENT, turns=SPENT.turns[:5]), False, id="TheSixthDoesNot"),
        pytest.param(replace(SPENT, turns=(NOW - HOUR, *SPENT.turns[:5])), False, id="AnHourLaterATurnIsForgotten"),
        pytest.param(replace(SPENT, last_rise=NOW - SOON), True, id="WithinTwoStartupsAFallIsAReversal"),
        pytest.param(replace(SPENT, last_rise=NOW - SOON - 1), False, id="AfterThatItIsNone"),
        pytest.param(replace(SPENT, last_rise=None), False, id="AFallAfterAFallIsNone"),
    ],
)
def test_the_flap_budget(moves: Moves, held: bool) -> None:
    """Each row: how the target has moved, and whether a fall now must wait. A rise never does."""
    veto = dampen.flapping(CALM.policy, moves, startup=STARTUP, now=NOW)
    assert (veto is not None) is held
    assert veto is None or veto.reason is Reason.FLAP_BUDGET


def test_a_reversal_is_counted_once_for_each_rise() -> None:
    """Up, down, down, up, down: two reversals, however many steps the falls take."""
    moves = Moves()
    for seconds, change in enumerate((+3, -1, -1, +1, -2)):
        moves = dampen.moved(moves, CALM.policy, change=change, startup=STARTUP, now=NOW + seconds)
    assert moves.turns == (NOW + 1, NOW + 4)


def test_a_slow_fall_is_no_reversal() -> None:
    """What rose three startups ago may fall without being counted."""
    risen_once = dampen.moved(Moves(), CALM.policy, change=3, startup=STARTUP, now=NOW)
    fallen = dampen.moved(risen_once, CALM.policy, change=-3, startup=STARTUP, now=NOW + 3 * STARTUP)
    assert fallen == Moves()


def test_moves_are_forgotten_when_they_no_longer_count() -> None:
    """Rises after the rate limit's window, reversals after an hour, the last rise only with a fall."""
    full = Moves(rises=(Rise(NOW - 15.0, 2), Rise(NOW - 14.0, 1)), last_rise=NOW - 14.0, turns=(NOW - HOUR, NOW - 1.0))
    kept = dampen.moved(full, CALM.policy, change=0, startup=STARTUP, now=NOW)
    assert kept == Moves(rises=(Rise(NOW - 14.0, 1),), last_rise=NOW - 14.0, turns=(NOW - 1.0,))
