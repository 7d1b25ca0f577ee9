"""The drain protocol's pure half: what may be done to a pod, and the lowest target that takes nobody's work away.

A pod is ``active``, then ``draining`` (its gate is closing), then ``drained`` (it acknowledged, idle, for this epoch).
``drained`` never reverts: after it the guards let the pod go, and nothing may start in it again. Every order carries
the pod's epoch, so that an acknowledgement of a drain that was called back commits nothing. What is illegal raises and
changes nothing. Everything here is decided from labels and acknowledgements alone, so any leader can take over.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from scaler.core.fleet import Fleet
from scaler.core.passing import maker
from scaler.core.pods import DRAINING, NO_ACK, Mask, Phase, Pod, Pods
from scaler.core.policy import Policy, Workload
from scaler.core.types import Order, Verb

# From a phase, what may be done to a pod and where that leads. What is not here is illegal.
TRANSITIONS: dict[tuple[Phase, Verb], Phase | None] = {
    (Phase.ACTIVE, Verb.MARK): Phase.DRAINING,
    (Phase.DRAINING, Verb.CLOSE): Phase.DRAINING,
    (Phase.DRAINING, Verb.COMMIT): Phase.DRAINED,
    (Phase.DRAINING, Verb.CANCEL): Phase.ACTIVE,
    (Phase.DRAINED, Verb.DELETE): None,
}

_new_order = maker(Order)


class IllegalOrderError(Exception):
    """An order that the pod's phase, epoch or acknowledgement does not allow. The pod is as it was."""


def carry(pod: Pod, order: Order) -> Pod | None:
    """The pod after an order, None once it is deleted.

    Raises:
        IllegalOrderError: the order is for another pod, another epoch, or not legal in this phase.
    """
    if order.uid != pod.uid:
        raise IllegalOrderError(f"{order.verb} is for pod {order.uid}, not {pod.uid}")
    if (pod.phase, order.verb) not in TRANSITIONS:
        raise IllegalOrderError(f"{order.verb} is not legal for pod {pod.uid}, which is {pod.phase.name.lower()}")
    if order.epoch != (expected := _epoch_after(pod, order.verb)):
        raise IllegalOrderError(f"{order.verb} of pod {pod.uid} is for epoch {order.epoch}, not {expected}")
    if order.verb is Verb.COMMIT and pod.acked != pod.epoch:
        raise IllegalOrderError(f"pod {pod.uid} has not acknowledged epoch {pod.epoch}")
    after = TRANSITIONS[pod.phase, order.verb]
    if after is None:
        return None
    return replace(pod, phase=after, epoch=order.epoch, for_node=_for_node(pod, order.verb))


def _for_node(pod: Pod, verb: Verb) -> bool:
    """A mark says whether the node asked for it; once it is called back, nobody has."""
    if verb is Verb.MARK:
        return pod.displaced
    return pod.for_node and verb is not Verb.CANCEL


def _epoch_after(pod: Pod, verb: Verb) -> int:
    """Marking and calling back each open a new epoch; all else belongs to the one there is."""
    return pod.epoch + 1 if verb in (Verb.MARK, Verb.CANCEL) else pod.epoch


def acknowledge(pod: Pod, epoch: int) -> Pod:
    """The pod after its agent said: gate closed for this epoch, and idle. Another epoch's word changes nothing."""
    if pod.phase is not Phase.DRAINING or epoch != pod.epoch:
        return pod
    return replace(pod, acked=epoch)


def floor(fleet: Fleet, policy: Policy) -> int:
    """The lowest replicas that take nobody's work away.

    A ReplicaSet that is lowered to the pods not drained can only lose drained ones. A StatefulSet loses its highest
    ordinals whatever they do, so it must keep all up to the highest that is not drained.
    """
    if policy.workload is Workload.REPLICA_SET or not fleet.not_drained:
        return fleet.not_drained
    highest = int(fleet.pods.ordinal[~fleet.released].max())
    return max(fleet.not_drained, highest - policy.ordinals_start + 1)


def mark(pods: Pods, chosen: tuple[int, ...]) -> tuple[Order, ...]:
    """Begin to drain the chosen pods, each under its next epoch."""
    return tuple([_new_order(Verb.MARK, pods.uids[i], int(pods.epoch[i]) + 1) for i in chosen])


def call_back(fleet: Fleet, count: int, among: Mask | None = None) -> tuple[Order, ...]:
    """Cancel up to ``count`` drains that are not committed, lowest ordinal first: a StatefulSet keeps no holes.

    Of a ReplicaSet's the one with the most tasks comes first: it would have been the last to go. ``among``, shape (n,),
    says whose drains these are; any's where it is None.
    """
    if count <= 0 or not fleet.draining:
        return ()
    pods = fleet.pods
    draining = pods.phase == DRAINING
    rows = (draining if among is None else draining & among).nonzero()[0]
    if not len(rows):
        return ()
    rows = rows[np.lexsort((-pods.inflight[rows], pods.ordinal[rows]))][:count]
    return tuple([_new_order(Verb.CANCEL, pods.uids[i], int(pods.epoch[i]) + 1) for i in rows])


def go_on(fleet: Fleet, cancelled: tuple[Order, ...], *, commit: bool, moves: bool = False) -> tuple[Order, ...]:
    """The next order for each pod that drains: commit what was acknowledged for its epoch, ask the others again.

    While nothing may fall nothing is committed either: a drain can be called back, a drained pod cannot. But pods that
    leave with their nodes are replaced, and lower nothing; ``moves`` says whether they may.
    """
    if not fleet.draining:
        return ()
    pods, kept = fleet.pods, {o.uid for o in cancelled}
    rows = [i for i in (pods.phase == DRAINING).nonzero()[0].tolist() if pods.uids[i] not in kept]
    verbs = ((i, _next_verb(pods, i) if commit or (moves and pods.displaced[i]) else Verb.CLOSE) for i in rows)
    return tuple([_new_order(verb, pods.uids[i], int(pods.epoch[i])) for i, verb in verbs])


def _next_verb(pods: Pods, i: int) -> Verb:
    acked, busy = int(pods.acked[i]), pods.inflight[i] or pods.sessions[i]
    # A pod that acknowledged and is then said to work has broken its word: it is asked again, and never committed.
    return Verb.COMMIT if acked != NO_ACK and acked == int(pods.epoch[i]) and not busy else Verb.CLOSE


def released(fleet: Fleet, count: int) -> Mask:
    """Drained pods that have settled, shape (n,), and of the others as many as ``count``, lowest ordinal first."""
    rows = np.flatnonzero(fleet.released & ~fleet.settled)
    chosen = fleet.settled.copy()
    chosen[rows[np.argsort(fleet.pods.ordinal[rows], kind="stable")][:count]] = True
    return chosen


def delete(fleet: Fleet, settled: Mask, *, spare: range) -> tuple[Order, ...]:
    """Delete drained pods that the target no longer counts (``settled``, shape (n,)).

    As many are left as there are live replicas above the target, whose ordinals are ``spare``: while the workload still
    asks for those, its controller would start a pod that nobody wants, and a StatefulSet's in those very places. So
    they go as soon as the live replicas are lower, and at once where the target wants their room. Highest ordinal
    first: a StatefulSet does not start that one again.
    """
    rows = settled.nonzero()[0]
    count = len(rows) - len(spare)
    if count <= 0:
        return ()
    pods = fleet.pods
    ordinals = pods.ordinal[rows]
    left = (ordinals >= spare.start) & (ordinals < spare.stop)
    rows = rows[np.lexsort((-ordinals, left))][:count]
    return tuple([_new_order(Verb.DELETE, pods.uids[i], int(pods.epoch[i])) for i in rows])
