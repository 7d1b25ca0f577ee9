"""Supply: every pod and every order counted once, and the two targets that the pods themselves imply."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest

from scaler.core.pods import Pod
from scaler.core.policy import Guarantee, Policy, Workload
from scaler.core.reasons import Reason
from scaler.core.supply import Footing, count
from scaler.core.tick import tick
from scaler.core.types import Signal, Supply, Unknown
from tests.core.pool import (
    NOTHING,
    NOW,
    TICK,
    Levels,
    Story,
    busy,
    drained,
    draining,
    given,
    idle,
    numbered,
    observe,
    seasoned,
    starting,
    unheard,
)

PROTECTED = Policy()
BEST_EFFORT = Policy(guarantee=Guarantee.BEST_EFFORT)
STATEFUL = Policy(workload=Workload.STATEFUL_SET)
STUCK = [starting(f"stuck-{n}", NOW - 1_000.0) for n in range(3)]
A, B, C = busy("a"), busy("b"), idle("c")


def footing(
    policy: Policy,
    pods: Sequence[Pod] | Unknown,
    base: int,
    *,
    replicas: int | None = None,
    signals: Levels = NOTHING,
) -> Footing:
    """The supply against a last target; the live replicas are as many as that unless said."""
    live = base if replicas is None else replicas
    return count(given(policy, observe(pods, signals, replicas=live)), base)


@pytest.mark.parametrize(
    ("pods", "base", "wanted", "standing"),
    [
        pytest.param([], 0, 0, 0, id="NoPods"),
        pytest.param([A, B], 2, 2, 2, id="ReadyPodsServe"),
        pytest.param([A, starting("s")], 2, 2, 2, id="StartingPodsAreComing"),
        pytest.param([A], 3, 3, 3, id="SoArePodsOrderedAndNotSeen"),
        pytest.param([A, unheard("u")], 2, 2, 2, id="AnUnheardPodServes"),
        pytest.param([A, draining(C)], 2, 1, 2, id="ADrainingPodServesNobodyAndHoldsItsReplica"),
        pytest.param([A, drained(C)], 2, 1, 1, id="ADrainedPodGivesItsReplicaBack"),
        pytest.param([A, drained(C)], 3, 2, 2, id="AnOrderIsNotHiddenByADrainedPod"),
        pytest.param([A, STUCK[0]], 2, 1, 2, id="AStuckPodIsReplacedOnce"),
        pytest.param([A, *STUCK], 4, 3, 4, id="TheOthersWaitForTheFirst"),
        pytest.param([A, B, C], 2, 3, 2, id="PodsBeyondEveryAskingServeButSetNoTarget"),
    ],
)
def test_what_counts_as_supply(pods: list[Pod], base: int, wanted: int, standing: int) -> None:
    """Each row: pods and the last target; then what counts against demand, and the target that changes nothing."""
    found = footing(PROTECTED, pods, base)
    assert (found.supply.wanted, found.standing) == (wanted, standing)


def test_pods_that_somebody_asked_for_set_the_target() -> None:
    """An operator scaled up by hand: the live replicas say five, so the pods keep their place; alone they have none."""
    pods = [busy(str(n)) for n in range(5)]
    assert footing(PROTECTED, pods, 2, replicas=5).standing == 5
    assert footing(PROTECTED, pods, 2, replicas=4).standing == 4
    unasked = count(given(PROTECTED, replace(observe(pods), replicas=Unknown("timeout"))), 2)
    assert (unasked.standing, unasked.stand, unasked.asked) == (2, 5, 2)


@pytest.mark.parametrize(
    ("policy", "pods", "base", "floor"),
    [
        pytest.param(PROTECTED, [A, draining(B), drained(C)], 3, 2, id="AllThatAreNotDrained"),
        pytest.param(STATEFUL, numbered([drained(C), A]), 2, 2, id="ADrainedPodBelowABusyOneHoldsItsPlace"),
        pytest.param(PROTECTED, [A, B, C], 2, 2, id="NoMoreThanAnybodyAskedFor"),
        pytest.param(BEST_EFFORT, [A, C], 2, 1, id="BestEffortKeepsThoseThatAreNotIdle"),
        pytest.param(BEST_EFFORT, [A, B], 1, 1, id="ButNotTheirGoing"),
        pytest.param(BEST_EFFORT, [A, B, C], 1, 1, id="NoMoreThanAnybodyAskedForHereToo"),
        pytest.param(BEST_EFFORT, [unheard("u"), C], 2, 1, id="AnUnheardPodMayBeAtWork"),
    ],
)
def test_the_floor_of_a_pool(policy: Policy, pods: list[Pod], base: int, floor: int) -> None:
    """Each row: pods and the last target, and the lowest target that takes nobody's work."""
    assert footing(policy, pods, base).floor == floor


def test_pods_that_a_best_effort_pool_gave_up_are_no_supply() -> None:
    """The target is one below the pods: one is going, nobody knows which, and it will not serve."""
    found = footing(BEST_EFFORT, [A, B, C], 2)
    assert (found.supply.wanted, found.standing) == (2, 2)


def test_what_an_earlier_protected_policy_drained_is_not_going() -> None:
    """Two pods serve and a drained one waits to be deleted; nobody is missing."""
    assert footing(BEST_EFFORT, [A, B, drained(C)], 2).supply.wanted == 2


@pytest.mark.parametrize(
    ("policy", "signals", "floor"),
    [
        pytest.param(PROTECTED, {Signal.INFLIGHT: 1}, 5, id="AProtectedPoolGivesNobodyUpUnseen"),
        pytest.param(BEST_EFFORT, {Signal.INFLIGHT: 2}, 2, id="APoolsOwnCountIsABestEffortFloor"),
        pytest.param(replace(BEST_EFFORT, slots_per_pod=2), {Signal.INFLIGHT: 3}, 3, id="EachTaskMayHaveAPodOfItsOwn"),
        pytest.param(BEST_EFFORT, {Signal.INFLIGHT: 9}, 5, id="WhichIsNeverAboveTheTarget"),
        pytest.param(BEST_EFFORT, {}, 5, id="WithoutThatCountAllAreBusy"),
    ],
)
def test_pods_that_cannot_be_seen(policy: Policy, signals: Levels, floor: int) -> None:
    """Each row: five pods that nobody can ask one by one. All are supply; the floor depends on what else is known."""
    found = footing(policy, Unknown("no pod source"), 5, signals=signals)
    assert (found.supply.wanted, found.supply.unknown, found.standing, found.floor) == (5, 5, 5, floor)


def test_unseen_pods_are_ordered_until_the_replicas_show_them() -> None:
    """Two live replicas of five asked for: three are on their way, whoever can see them."""
    found = footing(PROTECTED, Unknown("no pod source"), 5, replicas=2)
    assert found.supply == Supply(
        ready=2, starting=0, ordered=3, overdue=0, draining=0, drained=0, idle=0, unknown=2, displaced=0, wanted=5
    )
    silent = count(given(PROTECTED, observe(Unknown("no pod source"))), 5)
    assert (silent.supply.ready, silent.supply.ordered) == (5, 0)


def test_the_parts_of_supply_are_shown() -> None:
    """What the figure is made of, for whoever asks why no pod was added."""
    pods = [A, C, unheard("u"), starting("s"), STUCK[0], draining(busy("d")), drained(idle("e"))]
    assert footing(PROTECTED, pods, 11).supply == Supply(
        ready=3, starting=1, ordered=4, overdue=1, draining=1, drained=1, idle=1, unknown=1, displaced=0, wanted=8
    )


def test_a_drained_pod_that_stands_in_anothers_place_is_still_counted() -> None:
    """Two of three drained pods went, not the two that the target fell for: the third one's replica is given up now.

    Deleted before that, another pod would be started in its place.
    """
    spare = idle("a")
    before = observe([spare, B, drained(C), drained(idle("d"))], {Signal.QUEUE: 0.0}, replicas=4)
    fell = tick(PROTECTED, seasoned(target=4), before, NOW)
    assert fell.report == 2
    left = observe(
        [spare, drained(C)], {Signal.QUEUE: 0.0}, replicas=2, at=NOW + TICK
    )  # b was drained, and went with d
    outcome = tick(PROTECTED, fell.memory, left, NOW + TICK)
    assert (outcome.report, outcome.orders) == (1, ())


def test_a_drained_pod_is_subtracted_once() -> None:
    """Work arrives in an outage: the drained pod's place is filled, and while it lingers nobody is counted twice."""
    story = Story.of(Policy(max_replicas=20), A, drained(C))
    story.signals |= {Signal.QUEUE: 3.0, Signal.PENDING: Unknown("timeout")}
    story.expect(4, Reason.DEMAND, "delete c")
    story.pods = {"a": A, "c": drained(C), "s": starting("s", story.now)}  # it terminates, and two are still to come
    outcome = story.expect(4, Reason.STEADY, "delete c")
    assert (outcome.evidence.supply.ordered, outcome.evidence.supply.wanted) == (2, 4)
