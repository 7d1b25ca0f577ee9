"""The drain protocol: what may be done to a pod in which phase, who may leave, and how low a target may go."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import product

import numpy as np
import pytest

from scaler.core import drain
from scaler.core.drain import TRANSITIONS, Choice, IllegalOrderError, Terms, acknowledge, carry
from scaler.core.fleet import Fleet
from scaler.core.pods import Activity, Phase, Pod, Pods
from scaler.core.policy import Guarantee, Policy, Workload
from scaler.core.types import Order, Seconds, Verb
from tests.core.pool import NOW, busy, drained, draining, given, idle, numbered, observe, starting, unheard

REPLICA_SET = Policy()
STATEFUL_SET = Policy(workload=Workload.STATEFUL_SET)
FROM_FIVE = Policy(workload=Workload.STATEFUL_SET, ordinals_start=5)
EPOCH = 3
IN_PHASE = {
    Phase.ACTIVE: replace(idle("a"), epoch=EPOCH),
    Phase.DRAINING: draining(idle("a"), EPOCH, EPOCH),
    Phase.DRAINED: drained(idle("a"), EPOCH),
}
LEGAL = {
    (Phase.ACTIVE, Verb.MARK): (Phase.DRAINING, EPOCH + 1),
    (Phase.DRAINING, Verb.CLOSE): (Phase.DRAINING, EPOCH),
    (Phase.DRAINING, Verb.COMMIT): (Phase.DRAINED, EPOCH),
    (Phase.DRAINING, Verb.CANCEL): (Phase.ACTIVE, EPOCH + 1),
    (Phase.DRAINED, Verb.DELETE): (None, EPOCH),
}


def fleet(*pods: Pod, idle_for: Sequence[Seconds] = (), named: Sequence[int] = ()) -> Fleet:
    """The pods as seen now; those that are idle have been so for this long, and were named so often."""
    seen = given(REPLICA_SET, observe(pods)).fleet
    assert isinstance(seen, Fleet)
    since = NOW - np.array(idle_for or [1_000.0] * len(pods))
    return replace(
        seen,
        idle_since=np.where(seen.idle, since, np.nan),
        named=np.array(named or [0] * len(pods), dtype=np.int64),
    )


def sitting(uid: str) -> Pod:
    """A pod that runs one task and holds a session beside it."""
    pod = busy(uid)
    assert isinstance(pod.activity, Activity)
    return replace(pod, activity=replace(pod.activity, sessions=1))


def words(orders: Sequence[Order]) -> list[str]:
    """Orders as verb, pod and epoch."""
    return [f"{o.verb} {o.uid} {o.epoch}" for o in orders]


# --- one pod ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("phase", "verb"), list(LEGAL), ids=lambda x: x.name if isinstance(x, Phase) else x.value)
def test_a_legal_order_leads_to_its_phase(phase: Phase, verb: Verb) -> None:
    """Marking and calling back open a new epoch; everything else belongs to the one there is."""
    after, epoch = LEGAL[phase, verb]
    pod = carry(IN_PHASE[phase], Order(verb, "a", epoch))
    assert (pod and pod.phase, pod and pod.epoch) == ((after, epoch) if after is not None else (None, None))


@pytest.mark.parametrize(
    ("phase", "verb"),
    [case for case in product(Phase, Verb) if case not in LEGAL],
    ids=lambda x: x.name if isinstance(x, Phase) else x.value,
)
@pytest.mark.parametrize("epoch", [EPOCH, EPOCH + 1])
def test_every_other_order_is_refused(phase: Phase, verb: Verb, epoch: int) -> None:
    """What is not in the table is illegal under any epoch. Above all, ``drained`` never reverts."""
    with pytest.raises(IllegalOrderError, match=f"{verb} is not legal for pod a, which is {phase.name.lower()}"):
        carry(IN_PHASE[phase], Order(verb, "a", epoch))


def test_the_table_is_the_protocol() -> None:
    """The transitions a reader sees are those that are carried, no more and no fewer."""
    assert {case: after for case, (after, _) in LEGAL.items()} == TRANSITIONS


@pytest.mark.parametrize(("phase", "verb"), list(LEGAL), ids=lambda x: x.name if isinstance(x, Phase) else x.value)
@pytest.mark.parametrize("off", [-1, 1], ids=["older", "newer"])
def test_an_order_of_another_epoch_is_refused(phase: Phase, verb: Verb, off: int) -> None:
    """A deposed leader's late order finds another epoch, and nothing happens."""
    expected = LEGAL[phase, verb][1]
    with pytest.raises(IllegalOrderError, match=f"{verb} of pod a is for epoch {expected + off}, not {expected}"):
        carry(IN_PHASE[phase], Order(verb, "a", expected + off))


def test_an_order_for_another_pod_is_refused() -> None:
    """A StatefulSet gives the name of a dead pod to a new one; the uid tells them apart."""
    with pytest.raises(IllegalOrderError, match="mark is for pod b, not a"):
        carry(idle("a"), Order(Verb.MARK, "b", 1))


def test_nothing_is_committed_that_was_not_acknowledged() -> None:
    """Idle is not enough: between looking and deleting, work may start. Only a closed gate settles it."""
    with pytest.raises(IllegalOrderError, match="pod a has not acknowledged epoch 3"):
        carry(draining(idle("a"), EPOCH), Order(Verb.COMMIT, "a", EPOCH))


def test_an_acknowledgement_of_a_drain_that_was_called_back_commits_nothing() -> None:
    """The agent said idle for epoch 1, was called back and took work; marked again, its old word is void."""
    pod = draining(idle("a"), 1, 1)
    called_back = carry(pod, Order(Verb.CANCEL, "a", 2))
    assert called_back is not None
    marked_again = carry(called_back, Order(Verb.MARK, "a", 3))
    assert marked_again is not None
    with pytest.raises(IllegalOrderError, match="has not acknowledged epoch 3"):
        carry(marked_again, Order(Verb.COMMIT, "a", 3))
    assert acknowledge(marked_again, 1) == marked_again
    assert carry(acknowledge(marked_again, 3), Order(Verb.COMMIT, "a", 3)) is not None


@pytest.mark.parametrize("phase", [Phase.ACTIVE, Phase.DRAINED])
def test_only_a_draining_pod_can_acknowledge(phase: Phase) -> None:
    """What an agent says in any other phase changes nothing."""
    assert acknowledge(replace(IN_PHASE[phase], acked=0), EPOCH) == replace(IN_PHASE[phase], acked=0)


# --- how low ----------------------------------------------------------------------------------------------------------

A, B, C, D = idle("a"), busy("b"), draining(idle("c")), drained(idle("d"))


@pytest.mark.parametrize(
    ("policy", "pods", "floor"),
    [
        pytest.param(REPLICA_SET, [], 0, id="NoPodsNeedNone"),
        pytest.param(REPLICA_SET, [A, B, C, D], 3, id="AReplicaSetKeepsAllThatAreNotDrained"),
        pytest.param(REPLICA_SET, [D, starting("e"), unheard("f")], 2, id="StartingAndUnheardPodsCount"),
        pytest.param(STATEFUL_SET, [], 0, id="AnEmptyStatefulSetNeedsNone"),
        pytest.param(STATEFUL_SET, numbered([A, B, C, D]), 3, id="AStatefulSetGivesUpItsDrainedTop"),
        pytest.param(STATEFUL_SET, numbered([D, replace(D, uid="e"), B]), 3, id="OneBusyTopKeepsAllBelowIt"),
        pytest.param(STATEFUL_SET, numbered([D, replace(D, uid="e")]), 0, id="AllDrainedNeedsNone"),
        pytest.param(FROM_FIVE, numbered([A, B, D], start=5), 2, id="OrdinalsCountFromTheirStart"),
        pytest.param(FROM_FIVE, numbered([A, B], start=3), 2, id="PodsBelowARaisedStartStillCount"),
        pytest.param(STATEFUL_SET, [A, B], 2, id="PodsWithoutOrdinalsAreCounted"),
    ],
)
def test_the_floor_takes_nobodys_work(policy: Policy, pods: list[Pod], floor: int) -> None:
    """Each row: the pods of a workload, and the lowest target at which its controller must leave the not drained."""
    assert drain.floor(fleet(*pods), policy) == floor


# --- who leaves -------------------------------------------------------------------------------------------------------

IDLERS = [idle("a"), idle("b"), idle("c")]
LEAVING = [replace(IDLERS[0], displaced=True), *IDLERS[1:]]
TOP_BUSY = numbered([idle("a"), idle("b"), busy("c")])
TOP_DRAINS = numbered([idle("a"), idle("b"), draining(busy("c"))])


def chosen(
    policy: Policy,
    pods: Sequence[Pod],
    *,
    surplus: int = 1,
    idle_for: Sequence[Seconds] = (),
    named: Sequence[int] = (),
) -> Choice:
    """The choice among pods, where a pod must have been idle for a hundred seconds."""
    return drain.choose(fleet(*pods, idle_for=idle_for, named=named), policy, Terms(surplus=surplus, timer=100.0))


@pytest.mark.parametrize(
    ("policy", "pods", "surplus", "idle_for", "named"),
    [
        pytest.param(REPLICA_SET, IDLERS, 1, (200, 400, 300), [0, 1, 0], id="TheLongestIdleIsNamed"),
        pytest.param(REPLICA_SET, IDLERS, 2, (200, 400, 300), [0, 1, 1], id="AsManyAsAreSpareAreNamed"),
        pytest.param(REPLICA_SET, IDLERS, 9, (200, 400, 300), [1, 1, 1], id="NoMoreThanThereAre"),
        pytest.param(REPLICA_SET, IDLERS, 0, (200, 400, 300), [0, 0, 0], id="NothingSpareNamesNobody"),
        pytest.param(REPLICA_SET, IDLERS, 2, (99, 100, 98), [0, 1, 0], id="TheTimerMustHaveRun"),
        pytest.param(REPLICA_SET, [busy("a"), unheard("b"), starting("c")], 3, (), [0, 0, 0], id="OnlyTheIdle"),
        pytest.param(REPLICA_SET, [A, C, D], 3, (), [1, 0, 0], id="OnlyTheActive"),
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
    assert drain.choose(fleet(*pods, idle_for=idle_for), policy, terms).named.tolist() == named


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
    assert drain.choose(seen, ROOMY, Terms(surplus=2, timer=100.0)).named.tolist() == [1, 0]


def test_an_idle_pod_that_is_not_ripe_stands_for_a_spare_one() -> None:
    """One pod is spare and one has fallen idle just now: it will leave, so nobody else need empty."""
    assert chosen(ROOMY, [busy("a"), busy("b"), idle("c")], idle_for=(0, 0, 5)).named.tolist() == [0, 0, 0]


def test_nobody_empties_in_a_rollout() -> None:
    """Which pods are old is not known of busy ones, and a new one that emptied would be started again."""
    assert drain.choose(fleet(*LOADED), ROOMY, Terms(surplus=2, timer=0.0, oldest=2)).named.tolist() == [0, 0, 0, 0]


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
    found = drain.choose(fleet(*pods), REPLICA_SET, Terms(surplus=3, timer=100.0, oldest=2))
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


def test_who_is_named_often_enough_waits_for_the_pod_above() -> None:
    """A new pod of a StatefulSet is on top and named for the first time: those below could not go without it."""
    terms = Terms(surplus=3, lasting=3, timer=100.0)
    pods = fleet(*numbered(IDLERS), idle_for=(400, 300, 5), named=(2, 2, 0))
    assert drain.choose(pods, STATEFUL_SET, terms).chosen == ()
    assert drain.choose(pods, REPLICA_SET, terms).chosen == (0, 1)


def test_a_blocked_choice_says_so() -> None:
    """Two pods are ripe, and a busy one above keeps both: the operator is told what stands in the way."""
    assert (chosen(STATEFUL_SET, TOP_BUSY).blocked, chosen(STATEFUL_SET, TOP_BUSY).ripe) == (True, 2)
    assert not chosen(STATEFUL_SET, TOP_DRAINS).blocked
    assert not chosen(REPLICA_SET, TOP_BUSY).blocked


# --- orders -----------------------------------------------------------------------------------------------------------

DRAINS = [
    busy("a"),
    draining(idle("b"), 4, 4),  # acknowledged for this epoch
    draining(busy("c"), 2),  # still at work
    draining(idle("d"), 3, 1),  # acknowledged for an earlier one
]


def test_marking_opens_the_next_epoch() -> None:
    """Each drain of a pod has its own number."""
    pods = fleet(replace(idle("a"), epoch=7), idle("b")).pods
    assert words(drain.mark(pods, (1, 0))) == ["mark b 1", "mark a 8"]


def test_a_drain_goes_on_until_it_is_acknowledged() -> None:
    """Who acknowledged this epoch is released; all others are asked again, for as long as it takes."""
    assert words(drain.go_on(fleet(*DRAINS), (), commit=True)) == ["commit b 4", "close c 2", "close d 3"]


def test_nothing_is_released_while_nothing_may_fall() -> None:
    """A drain can be called back, a drained pod cannot: during an outage or a pause the last step waits."""
    assert words(drain.go_on(fleet(*DRAINS), (), commit=False)) == ["close b 4", "close c 2", "close d 3"]


def test_who_is_called_back_is_not_asked_to_close() -> None:
    """One tick never gives a pod two orders."""
    seen = fleet(*DRAINS)
    calls = drain.call_back(seen, 2)
    assert words(calls) == ["cancel c 3", "cancel b 5"]
    assert words(drain.go_on(seen, calls, commit=True)) == ["close d 3"]


def test_the_fullest_is_called_back_first() -> None:
    """It would have been the last to empty."""
    seen = fleet(draining(busy("a", 1)), draining(busy("b", 3)), draining(idle("c")))
    assert words(drain.call_back(seen, 2)) == ["cancel b 2", "cancel a 2"]


def test_a_stateful_set_calls_its_lowest_back() -> None:
    """Otherwise the one below would drain under an active one, and could never leave. Rows come in any order."""
    rows = list(reversed(numbered([busy("a"), draining(idle("b")), draining(idle("c"))])))
    assert words(drain.call_back(fleet(*rows), 1)) == ["cancel b 2"]


@pytest.mark.parametrize("count", [0, -3], ids=["NothingIsMissing", "SomeAreSpare"])
def test_nobody_is_called_back_without_need(count: int) -> None:
    """Each row: how many pods are missing."""
    assert drain.call_back(fleet(*DRAINS), count) == ()


def test_a_pool_that_drains_nobody_gives_no_orders() -> None:
    """Nothing to go on with, nothing to call back, nothing to delete."""
    calm = fleet(busy("a"), idle("b"))
    assert drain.go_on(calm, (), commit=True) == drain.call_back(calm, 5) == ()
    assert drain.delete(calm, calm.settled, spare=0) == ()


@pytest.mark.parametrize(
    ("settled", "spare", "deleted"),
    [
        pytest.param("cd", 2, [], id="NeverBeforeTheReplicasAreLower"),
        pytest.param("cd", 1, ["delete d 1"], id="AsManyAsTheReplicasAreLower"),
        pytest.param("cd", 0, ["delete d 1", "delete c 1"], id="AllOnceNothingIsSpare"),
        pytest.param("cd", -3, ["delete d 1", "delete c 1"], id="AtOnceWhereTheTargetWantsTheirRoom"),
        pytest.param("c", 0, ["delete c 1"], id="OnlyThoseTheTargetNoLongerCounts"),
        pytest.param("", -1, [], id="NoneWhileTheTargetCountsThem"),
    ],
)
def test_drained_pods_are_deleted_where_nobody_is_born_for_them(settled: str, spare: int, deleted: list[str]) -> None:
    """Each row: drained pods that the target no longer counts, live replicas above the target, and who is deleted.

    The highest ordinal goes first: it is the one that a StatefulSet of that size does not start again.
    """
    pods = numbered([busy("a"), busy("b"), drained(idle("c")), drained(idle("d"))])
    mask = np.array([pod.uid in settled for pod in pods])
    assert words(drain.delete(fleet(*pods), mask, spare=spare)) == deleted
