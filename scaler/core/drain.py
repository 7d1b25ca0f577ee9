"""The drain protocol's pure half: who may leave, in which order, and the lowest target that takes nobody's work away.

A pod is ``active``, then ``draining`` (its gate is closing), then ``drained`` (it acknowledged, idle, for this epoch).
``drained`` never reverts: after it the guards let the pod go, and nothing may start in it again. Every order carries
the pod's epoch, so that an acknowledgement of a drain that was called back commits nothing. What is illegal raises and
changes nothing. Everything here is decided from labels and acknowledgements alone, so any leader can take over.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from scaler.core import zones
from scaler.core.fleet import Fleet
from scaler.core.passing import maker, passing
from scaler.core.pods import ACTIVE, DRAINING, NO_ACK, NO_ORDINAL, READY, Ints, Mask, Phase, Pod, Pods
from scaler.core.policy import Guarantee, Policy, Workload
from scaler.core.types import Instant, Order, Seconds, Verb

# From a phase, what may be done to a pod and where that leads. What is not here is illegal.
TRANSITIONS: dict[tuple[Phase, Verb], Phase | None] = {
    (Phase.ACTIVE, Verb.MARK): Phase.DRAINING,
    (Phase.DRAINING, Verb.CLOSE): Phase.DRAINING,
    (Phase.DRAINING, Verb.COMMIT): Phase.DRAINED,
    (Phase.DRAINING, Verb.CANCEL): Phase.ACTIVE,
    (Phase.DRAINED, Verb.DELETE): None,
}

_new_order = maker(Order)
_NOBODY: Ints = np.zeros(0, dtype=np.int64)  # rows


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


@passing
class Choice:
    """Who is named for removal this tick.

    Attributes:
        named: shape (n,), consecutive ticks each pod has been named, this one included.
        chosen: rows of pods named often enough, longest idle first; then, fewest tasks first, ``emptying`` of them that
            still work and take no more.
        ripe: idle pods past the timer; ``blocked`` says that a StatefulSet's top pod kept them.
        uneven: those of them that are spare, and without whom a zone would fall behind the others.
    """

    named: Ints
    chosen: tuple[int, ...]
    ripe: int
    emptying: int = 0
    blocked: bool = False
    uneven: int = 0


_new_choice = maker(Choice)


@passing
class Terms:
    """On what terms pods may leave.

    Attributes:
        surplus: how many are spare.
        lasting: how many of them nobody has wanted for that long, whichever pods worked meanwhile.
        timer: for how long a pod must have been idle.
        oldest: where it is not 0, only so many, those that were created first, may leave.
        uneven: where zones are to be even, since when some have waited who would leave theirs behind the others.
    """

    surplus: int
    timer: Seconds
    lasting: int = 0
    oldest: int = 0
    uneven: Instant | None = None


def choose(fleet: Fleet, policy: Policy, terms: Terms) -> Choice:
    """Name the longest idle pods, as many as are spare; choose those named in enough ticks running.

    Where tasks are short and come to any pod, none stays idle for the timer, however many there are. So as many as
    nobody has wanted for that long go too, of those that are idle now.

    Where pods take several tasks and more are spare than are idle, those with the fewest tasks are named too: work that
    comes to any pod with room keeps each of them from ever falling idle.
    """
    latest = np.array(fleet.sight.now - terms.timer)
    ripe = fleet.idle_since <= latest  # NaN, of those that are not idle, compares false
    if fleet.asked:
        ripe &= ~fleet.displaced  # those leave with their nodes, and are not supply
    count = int(np.count_nonzero(ripe))
    named = np.zeros(len(fleet.named), dtype=np.int64)
    if terms.surplus <= 0:
        return _new_choice(named=named, chosen=(), ripe=count)
    able = _ripest(fleet, ripe, policy, terms.oldest) if count else _NOBODY
    rows, uneven = _in_turn(fleet, able, policy, terms)
    if len(rows) < terms.lasting:
        able = _ripest(fleet, fleet.idle & ~fleet.displaced, policy, terms.oldest)
        rows, uneven = _in_turn(fleet, able, policy, replace(terms, surplus=terms.lasting))
    if not terms.oldest and policy.slots_per_pod > 1:
        idle = np.count_nonzero(fleet.idle & ~fleet.displaced)
        rows = np.concatenate((rows, _emptiest(fleet, policy, terms.surplus - int(idle))))
    blocked = count > 0 and not len(able) and not len(rows)
    if not len(rows):
        return _new_choice(named=named, chosen=(), ripe=count, blocked=blocked, uneven=uneven)
    named[rows] = fleet.named[rows] + 1
    enough = named[rows] >= policy.pace.namings
    if policy.workload is Workload.STATEFUL_SET:  # nobody goes before who is above
        enough = np.logical_and.accumulate(enough)
    chosen = rows[enough]
    return _new_choice(
        named=named,
        chosen=tuple(chosen.tolist()),
        ripe=count,
        emptying=int(np.count_nonzero(fleet.pods.inflight[chosen])),
        uneven=uneven,
    )


def _ripest(fleet: Fleet, ripe: Mask, policy: Policy, oldest: int) -> Ints:
    """Rows of the ripe pods that could leave, those first that leave first; of the ``oldest`` where that is not 0."""
    able = _reachable(fleet, ripe, policy)
    rows: Ints = (able & _created_first(fleet, oldest) if oldest else able).nonzero()[0]
    return _ordered(fleet, rows, policy) if len(rows) > 1 else rows


def _ours_to_say(policy: Policy) -> bool:
    """Whether we say which pods leave: a StatefulSet gives up its highest, and so may who is served without gates."""
    return policy.workload is Workload.REPLICA_SET and policy.guarantee is Guarantee.PROTECTED


def _in_turn(fleet: Fleet, able: Ints, policy: Policy, terms: Terms) -> tuple[Ints, int]:
    """Of those that could leave, in their order, those that do; and how many of the spare would leave a zone behind."""
    rows = able[: terms.surplus]
    if not (policy.even_zones and _ours_to_say(policy)) or terms.oldest or not len(able):
        return rows, 0
    turn = able[zones.in_turn(fleet, able)][: terms.surplus]
    waits = terms.uneven is None or zones.wait(fleet, terms.uneven, terms.timer)
    return turn if waits else rows, len(rows) - len(turn)


def _reachable(fleet: Fleet, ripe: Mask, policy: Policy) -> Mask:
    """Ripe pods that could leave: any of a ReplicaSet's, of a StatefulSet's those with none above that must stay."""
    if policy.workload is Workload.REPLICA_SET:
        return ripe
    ordinals = fleet.pods.ordinal
    stays = (fleet.pods.phase == ACTIVE) & ~ripe
    if (ordinals[stays] == NO_ORDINAL).any():  # it may be the highest
        return np.zeros_like(ripe)
    return ripe & (ordinals > ordinals[stays].max()) if stays.any() else ripe


def _emptiest(fleet: Fleet, policy: Policy, count: int) -> Ints:
    """Rows of the pods with the fewest tasks, at most so many, that could empty while others take the work.

    Only a pod with a gate can be told to take no more, and one that holds a session takes that one's all the same. A
    StatefulSet gives up its highest ordinal first, whatever runs there.
    """
    pods, sight = fleet.pods, fleet.sight
    if count <= 0 or not _ours_to_say(policy):
        return _NOBODY
    able = (pods.phase == ACTIVE) & (pods.stage == READY) & pods.known(sight.now, sight.stale_after)
    able &= ~fleet.displaced
    some = (pods.inflight > 0) & (pods.inflight < policy.slots_per_pod) & (pods.sessions == 0)
    rows = np.flatnonzero(able & some)
    rows = rows[np.argsort(pods.inflight[rows], kind="stable")]
    return (zones.fullest_first(fleet, rows) if policy.even_zones else rows)[:count]


def _created_first(fleet: Fleet, count: int) -> Mask:
    """The pods not drained that were created first, so many of them."""
    first = np.zeros(len(fleet.pods), dtype=np.bool_)
    rows = np.flatnonzero(~fleet.released)
    first[rows[np.argsort(fleet.pods.created_at[rows], kind="stable")][:count]] = True
    return first


def _ordered(fleet: Fleet, rows: Ints, policy: Policy) -> Ints:
    """Longest idle first, but where zones are known from the fullest one; or highest ordinal first.

    Whoever has been idle for long enough may go. So each is taken where most are left, which leaves the zones as even
    as they can be with these.
    """
    if policy.workload is Workload.STATEFUL_SET:
        return rows[np.argsort(-fleet.pods.ordinal[rows], kind="stable")]
    return zones.fullest_first(fleet, rows[fleet.idle_since[rows].argsort(kind="stable")])


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


def delete(fleet: Fleet, settled: Mask, *, spare: int) -> tuple[Order, ...]:
    """Delete drained pods that the target no longer counts (``settled``, shape (n,)).

    ``spare`` live replicas above the target are left to them: while the workload still asks for those, its controller
    would start a pod that nobody wants. So they go as soon as the live replicas are lower, and at once where the target
    wants their room. Highest ordinal first: a StatefulSet does not start that one again.
    """
    rows = settled.nonzero()[0]
    count = len(rows) - spare
    if count <= 0:
        return ()
    pods = fleet.pods
    rows = rows[np.argsort(-pods.ordinal[rows], kind="stable")][:count]
    return tuple([_new_order(Verb.DELETE, pods.uids[i], int(pods.epoch[i])) for i in rows])
