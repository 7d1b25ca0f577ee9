"""The drain protocol: what may be done to a pod in which phase, and how low a target may go."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import product

import numpy as np
import pytest

from scaler.core import drain
from scaler.core.drain import TRANSITIONS, IllegalOrderError, acknowledge, carry
from scaler.core.pods import Phase, Pod
from scaler.core.policy import Policy, Workload
from scaler.core.types import Order, Verb
from tests.core.pool import busy, drained, draining, fleet, idle, numbered, starting, unheard

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
    acknowledged = acknowledge(marked_again, 3)
    assert carry(acknowledged, Order(Verb.COMMIT, "a", 3)) is not None
    assert acknowledge(acknowledged, 1) == acknowledged  # nor does an old word that comes late void the new one


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
    assert drain.delete(calm, calm.settled, spare=range(0)) == ()


@pytest.mark.parametrize(
    ("settled", "target", "live", "deleted"),
    [
        pytest.param("cd", 2, 4, [], id="NeverBeforeTheReplicasAreLower"),
        pytest.param("cd", 2, 5, [], id="NorWhileMoreAreStillAskedForThanAreDrained"),
        pytest.param("cd", 2, 3, ["delete d 1"], id="AsManyAsTheReplicasAreLower"),
        pytest.param("cd", 2, 2, ["delete d 1", "delete c 1"], id="AllOnceNothingIsSpare"),
        pytest.param("cd", 5, 2, ["delete d 1", "delete c 1"], id="AtOnceWhereTheTargetWantsTheirRoom"),
        pytest.param("cd", 3, 4, ["delete c 1"], id="NotInAPlaceThatTheReplicasStillAskFor"),
        pytest.param("c", 2, 2, ["delete c 1"], id="OnlyThoseTheTargetNoLongerCounts"),
        pytest.param("", 3, 2, [], id="NoneWhileTheTargetCountsThem"),
    ],
)
@pytest.mark.parametrize("start", [0, 5])
def test_drained_pods_are_deleted_where_nobody_is_born_for_them(
    start: int, settled: str, target: int, live: int, deleted: list[str]
) -> None:
    """Each row: drained pods that the target no longer counts, the target, the live replicas, and who is deleted.

    The highest ordinal goes first, the one that a StatefulSet of that size does not start again; but none that it does.
    """
    pods = numbered([busy("a"), busy("b"), drained(idle("c")), drained(idle("d"))], start=start)
    mask, spare = np.array([pod.uid in settled for pod in pods]), range(start + target, start + live)
    assert words(drain.delete(fleet(*pods), mask, spare=spare)) == deleted
