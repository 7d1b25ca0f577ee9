"""Who leaves, in which order."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest

from scaler.core.choice import Choice, Terms, choose
from scaler.core.fleet import Fleet
from scaler.core.pods import Activity, Pod, Pods
from scaler.core.policy import Guarantee, Policy, Workload
from scaler.core.types import Seconds
from tests.core.pool import NOW, busy, drained, draining, fleet, given, idle, numbered, observe, starting, unheard

REPLICA_SET = Policy()
STATEFUL_SET = Policy(workload=Workload.STATEFUL_SET)
IDLERS = [idle("a"), idle("b"), idle("c")]
LEAVING = [replace(IDLERS[0], displaced=True), *IDLERS[1:]]
TOP_BUSY = numbered([idle("a"), idle("b"), busy("c")])
TOP_DRAINS = numbered([idle("a"), idle("b"), draining(busy("c"))])


def sitting(uid: str) -> Pod:
    """A pod that runs one task and holds a session beside it."""
    pod = busy(uid)
    assert isinstance(pod.activity, Activity)
    return replace(pod, activity=replace(pod.activity, sessions=1))


def chosen(
    policy: Policy,
    pods: Sequence[Pod],
    *,
    surplus: int = 1,
    idle_for: Sequence[Seconds] = (),
    named: Sequence[int] = (),
) -> Choice:
    """The choice among pods, where a pod must have been idle for a hundred seconds."""
    terms = Terms(surplus=surplus, spare=surplus, timer=100.0)
    return choose(fleet(*pods, idle_for=idle_for, named=named), policy, terms)


@pytest.mark.parametrize(
    ("policy", "pods", "surplus", "idle_for", "named"),
    [
        pytest.param(REPLICA_SET, IDLERS, 1, (200, 400, 300), [0, 1, 0], id="TheLongestIdleIsNamed"),
        pytest.param(REPLICA_SET, IDLERS, 2, (200, 400, 300), [0, 1, 1], id="AsManyAsAreSpareAreNamed"),
        pytest.param(REPLICA_SET, IDLERS, 9, (200, 400, 300), [1, 1, 1], id="NoMoreThanThereAre"),
        pytest.param(REPLICA_SET, IDLERS, 0, (200, 400, 300), [0, 0, 0], id="NothingSpareNamesNobody"),
        pytest.param(REPLICA_SET, IDLERS, 2, (99, 100, 98), [0, 1, 0], id="TheTimerMustHaveRun"),
        pytest.param(REPLICA_SET, [busy("a"), unheard("b"), starting("c")], 3, (), [0, 0, 0], id="OnlyTheIdle"),
        pytest.param(
            REPLICA_SET, [idle("a"), draining(idle("c")), drained(idle("d"))], 3, (), [1, 0, 0], id="OnlyTheActive"
        ),
        pytest.param(REPLICA_SET, LEAVING, 3, (), [0, 1, 1], id="WhoLeavesWithHisNodeIsNotNamed"),
        pytest.param(STATEFUL_SET, numbered(IDLERS), 1, (400, 300, 200), [0, 0, 1], id="HighestOrdinalFirst"),
        pytest.param(STATEFUL_SET, TOP_BUSY, 2, (), [0, 0, 0], id="NobodyBelowABusyTop"),
        pytest.param(STATEFUL_SET, TOP_DRAINS, 1, (), [0, 1, 0], id="ADrainingTopIsOnItsWay"),
        pytest.param(STATEFUL_SET, numbered(IDLERS), 2, (400, 300, 50), [0, 0, 0], id="NobodyBelowAFreshlyIdleTop"),
    ],
)
def test_who_is_named(
    policy: Policy, pods: list[Pod], surplus: int, idle_for: tuple[float, ...], named: list[int]
) -> None:
    """Each row: pods, how many are spare, for how long each has been idle, and how often each has been named after."""
    assert chosen(policy, pods, surplus=surplus, idle_for=idle_for).named.tolist() == named


@pytest.mark.parametrize(
    ("policy", "pods", "lasting", "idle_for", "named"),
    [
        pytest.param(REPLICA_SET, IDLERS, 2, (20, 40, 30), [0, 1, 1], id="TheLongestIdleOfThoseThatAre"),
        pytest.param(REPLICA_SET, IDLERS, 1, (20, 400, 300), [0, 1, 1], id="WhoIsRipeIsNamedInAnyCase"),
        pytest.param(REPLICA_SET, IDLERS, 2, (20, 400, 30), [0, 1, 1], id="TheRipeFirst"),
        pytest.param(REPLICA_SET, [busy("a"), idle("b"), busy("c")], 3, (0, 5, 0), [0, 1, 0], id="NobodyWhoWorks"),
        pytest.param(REPLICA_SET, LEAVING, 3, (5, 5, 5), [0, 1, 1], id="NobodyWhoLeavesWithHisNode"),
        pytest.param(STATEFUL_SET, numbered(IDLERS), 2, (400, 300, 5), [0, 1, 1], id="TheHighestOrdinals"),
        pytest.param(STATEFUL_SET, TOP_BUSY, 2, (), [0, 0, 0], id="NobodyBelowABusyTop"),
    ],
)
def test_of_what_nobody_needed_for_long_the_idle_are_named(
    policy: Policy, pods: list[Pod], lasting: int, idle_for: tuple[float, ...], named: list[int]
) -> None:
    """Each row: pods of which all are spare, how many of them have been all the time, and the rest as above."""
    terms = Terms(surplus=len(pods), lasting=lasting, timer=100.0)
    assert choose(fleet(*pods, idle_for=idle_for), policy, terms).named.tolist() == named


ROOMY = Policy(slots_per_pod=4)
LOADED = [busy("a", 3), busy("b", 1), busy("c", 4), busy("d", 2)]


@pytest.mark.parametrize(
    ("policy", "pods", "surplus", "named"),
    [
        pytest.param(ROOMY, LOADED, 1, [0, 1, 0, 0], id="TheOneWithTheFewestTasks"),
        pytest.param(ROOMY, LOADED, 2, [0, 1, 0, 1], id="AsManyAsAreSpare"),
        pytest.param(ROOMY, LOADED, 9, [1, 1, 0, 1], id="NoneThatIsFullForItTakesNoMoreAnyway"),
        pytest.param(ROOMY, [*LOADED, idle("e")], 2, [0, 1, 0, 0, 1], id="TheIdleFirst"),
        pytest.param(
            ROOMY, [busy("a"), sitting("b"), unheard("c"), draining(busy("d"))], 4, [1, 0, 0, 0], id="NoOther"
        ),
        pytest.param(
            ROOMY, [replace(busy("a"), displaced=True), busy("b", 2)], 2, [0, 1], id="NoneWhoLeavesWithHisNode"
        ),
        pytest.param(replace(ROOMY, guarantee=Guarantee.BEST_EFFORT), LOADED, 2, [0, 0, 0, 0], id="NoneWithoutAGate"),
        pytest.param(replace(ROOMY, workload=Workload.STATEFUL_SET), numbered(LOADED), 2, [0] * 4, id="NoOrdinals"),
        pytest.param(REPLICA_SET, [busy("a"), busy("b")], 1, [0, 0], id="OneSlotIsFullOrFree"),
    ],
)
def test_who_takes_no_more_so_that_it_can_empty(
    policy: Policy, pods: list[Pod], surplus: int, named: list[int]
) -> None:
    """Each row: busy pods with room, how many pods are spare, and how often each has been named after."""
    assert chosen(policy, pods, surplus=surplus).named.tolist() == named


def test_who_was_last_heard_long_ago_is_not_told_to_empty() -> None:
    """It had a single task then; by now it may have any."""
    silent = replace(busy("b"), activity=Activity(inflight=1, at=NOW - 16.0))
    seen = given(ROOMY, replace(observe([]), pods=Pods.of([busy("a", 2), silent]))).fleet
    assert isinstance(seen, Fleet)
    assert choose(seen, ROOMY, Terms(surplus=2, spare=2, timer=100.0)).named.tolist() == [1, 0]


def test_an_idle_pod_that_is_not_ripe_stands_for_a_spare_one() -> None:
    """One pod is spare and one has fallen idle just now: it will leave, so nobody else need empty."""
    assert chosen(ROOMY, [busy("a"), busy("b"), idle("c")], idle_for=(0, 0, 5)).named.tolist() == [0, 0, 0]


def test_nobody_empties_in_a_rollout() -> None:
    """Which pods are old is not known of busy ones, and a new one that emptied would be started again."""
    assert choose(fleet(*LOADED), ROOMY, Terms(surplus=2, spare=2, timer=0.0, oldest=2)).named.tolist() == [0, 0, 0, 0]


@pytest.mark.parametrize(
    ("policy", "pods", "beyond", "named"),
    [
        pytest.param(REPLICA_SET, [busy("a"), busy("b"), busy("c")], 2, [1, 1, 0], id="AsManyAsThereMayNotBe"),
        pytest.param(REPLICA_SET, [busy("a"), idle("b"), busy("c")], 1, [0, 0, 0], id="AnIdlePodWillLeaveForOne"),
        pytest.param(REPLICA_SET, [sitting("a"), unheard("b"), busy("c")], 3, [0, 0, 1], id="NoneThatMayGoOnForEver"),
        pytest.param(ROOMY, LOADED, 1, [1, 1, 0, 1], id="FullOnesOnlyForThese"),
        pytest.param(ROOMY, LOADED, 4, [1, 1, 1, 1], id="AndTheFullOneLast"),
        pytest.param(STATEFUL_SET, numbered([busy("a"), busy("b"), busy("c")]), 2, [0, 1, 1], id="TheHighestOrdinals"),
        pytest.param(STATEFUL_SET, numbered([busy("a"), idle("b"), busy("c")]), 2, [0, 1, 1], id="IdleOnesAmongThem"),
        pytest.param(STATEFUL_SET, numbered([busy("a"), busy("b"), sitting("c")]), 2, [0] * 3, id="NoneBelowASession"),
        pytest.param(
            replace(REPLICA_SET, guarantee=Guarantee.BEST_EFFORT), [busy("a"), busy("b")], 1, [0, 0], id="WithoutAGate"
        ),
    ],
)
def test_who_takes_no_more_for_there_may_not_be_so_many(
    policy: Policy, pods: list[Pod], beyond: int, named: list[int]
) -> None:
    """Each row: how many pods stand above the maximum, where no more than four are spare, and who is named."""
    terms = Terms(surplus=4, spare=4, beyond=beyond, timer=100.0)
    assert choose(fleet(*pods, idle_for=[0.0] * len(pods)), policy, terms).named.tolist() == named


def test_a_choice_tells_how_many_still_work() -> None:
    """The idle one and the emptiest leave together."""
    choice = chosen(ROOMY, [*LOADED, idle("e")], surplus=2, named=(0, 2, 0, 0, 2))
    assert (choice.chosen, choice.emptying) == ((4, 1), 1)


def test_where_only_the_oldest_may_leave_the_drained_do_not_count() -> None:
    """The first was created first and is gone already; of the others the one that was created next is the oldest."""
    pods = [
        replace(pod, created_at=NOW - age)
        for pod, age in ((drained(idle("a")), 900), (idle("b"), 100), (idle("c"), 700), (idle("d"), 800))
    ]
    found = choose(fleet(*pods), REPLICA_SET, Terms(surplus=3, timer=100.0, oldest=2))
    assert found.named.tolist() == [0, 0, 1, 1]


@pytest.mark.parametrize(
    ("named", "after", "leave"),
    [
        pytest.param((1, 0, 0), [2, 0, 0], (), id="TwiceIsNotEnough"),
        pytest.param((2, 0, 0), [3, 0, 0], (0,), id="TheThirdTimeItLeaves"),
        pytest.param((0, 2, 2), [1, 0, 0], (), id="WhoIsPassedOverBeginsAgain"),
    ],
)
def test_three_consecutive_namings(named: tuple[int, ...], after: list[int], leave: tuple[int, ...]) -> None:
    """Each row: how often each pod was named before, and after a tick with one spare; ``a`` is the longest idle."""
    choice = chosen(REPLICA_SET, IDLERS, idle_for=(400, 300, 200), named=named)
    assert (choice.named.tolist(), choice.chosen) == (after, leave)


@pytest.mark.parametrize(("pods", "policy"), [(IDLERS, REPLICA_SET), ([busy(uid) for uid in "abc"], ROOMY)])
def test_of_equals_it_is_the_same_ones_tick_after_tick(pods: list[Pod], policy: Policy) -> None:
    """Whatever order they are listed in, and else nobody would be named three times running."""
    choice = chosen(policy, pods, surplus=2, idle_for=(200, 200, 200), named=(0, 1, 2))
    assert (choice.named.tolist(), choice.chosen) == ([0, 2, 3], (2,))


def test_who_is_named_often_enough_waits_for_the_pod_above() -> None:
    """A new pod of a StatefulSet is on top and named for the first time: those below could not go without it."""
    terms = Terms(surplus=3, lasting=3, timer=100.0)
    pods = fleet(*numbered(IDLERS), idle_for=(400, 300, 5), named=(2, 2, 0))
    assert choose(pods, STATEFUL_SET, terms).chosen == ()
    assert choose(pods, REPLICA_SET, terms).chosen == (0, 1)


def test_a_blocked_choice_says_so() -> None:
    """Two pods are ripe, and a busy one above keeps both: the operator is told what stands in the way."""
    assert (chosen(STATEFUL_SET, TOP_BUSY).blocked, chosen(STATEFUL_SET, TOP_BUSY).ripe) == (True, 2)
    assert not chosen(STATEFUL_SET, TOP_DRAINS).blocked
    assert not chosen(REPLICA_SET, TOP_BUSY).blocked
