"""Who leaves, in which order: a wrong choice costs time, and never work."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from scaler.core import zones
from scaler.core.fleet import Fleet
from scaler.core.passing import maker, passing
from scaler.core.pods import ACTIVE, NO_ORDINAL, Ints, Mask
from scaler.core.policy import Guarantee, Policy, Workload
from scaler.core.types import Instant, Seconds

_NOBODY: Ints = np.zeros(0, dtype=np.int64)  # rows


@passing
class Choice:
    """Who is named for removal this tick.

    Attributes:
        named: shape (n,), consecutive ticks each pod has been named, this one included.
        chosen: rows of pods named often enough, longest idle first; then, fewest tasks first, ``emptying`` of them that
            still work and take no more. Of a StatefulSet, the highest ordinal first.
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
        spare: how many of those that serve are not needed: a pod on its way does nobody's work yet.
        beyond: how many of these there may not be, whoever works: they stand above the most that the pool may have.
        timer: for how long a pod must have been idle.
        oldest: where it is not 0, only so many, those that were created first, may leave.
        uneven: where zones are to be even, since when some have waited who would leave theirs behind the others.
    """

    surplus: int
    timer: Seconds
    lasting: int = 0
    spare: int = 0
    beyond: int = 0
    oldest: int = 0
    uneven: Instant | None = None


def choose(fleet: Fleet, policy: Policy, terms: Terms) -> Choice:
    """Name the longest idle pods, as many as are spare; choose those named in enough ticks running.

    Where tasks are short and come to any pod, none stays idle for the timer, however many there are. So as many as
    nobody has wanted for that long go too, of those that are idle now.

    Where pods take several tasks and more are spare than are idle, those with the fewest tasks are named too: work that
    comes to any pod with room keeps each of them from ever falling idle. So does work that waits, where more pods stand
    than there may be: of these, those that are full are named too.
    """
    latest = np.array(fleet.sight.now - terms.timer)
    ripe = fleet.idle_since <= latest  # NaN, of those that are not idle, compares false
    if fleet.asked:
        ripe &= ~fleet.displaced  # those leave with their nodes, and are not supply
    count = int(np.count_nonzero(ripe))
    named = np.zeros(len(fleet.named), dtype=np.int64)
    if terms.surplus <= 0:
        return _new_choice(named=named, chosen=(), ripe=count)
    rows, uneven, blocked = _leaving(fleet, ripe if count else None, policy, terms)
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


def _leaving(fleet: Fleet, ripe: Mask | None, policy: Policy, terms: Terms) -> tuple[Ints, int, bool]:
    """Rows of those that leave, in their order; how many would leave their zone behind; whether ripe ones could not."""
    able = _NOBODY if ripe is None else _ripest(fleet, ripe, policy, terms.oldest)
    rows, uneven = _in_turn(fleet, able, policy, terms)
    idle = fleet.idle & ~fleet.displaced
    if len(rows) < terms.lasting:
        able = _ripest(fleet, idle, policy, terms.oldest)
        rows, uneven = _in_turn(fleet, able, policy, replace(terms, surplus=terms.lasting))
    if policy.guarantee is Guarantee.PROTECTED and not terms.oldest:
        rows = _with_busy(fleet, rows, idle, policy, terms)
    return rows, uneven, ripe is not None and not len(able) and not len(rows)


def _with_busy(fleet: Fleet, rows: Ints, idle: Mask, policy: Policy, terms: Terms) -> Ints:
    """These, and those that still work and are told to take no more.

    Only a pod with a gate can be told so, and one that holds a session takes that one's all the same. A StatefulSet
    gives up its highest ordinal first, whatever runs there: only what may not be is worth that.
    """
    if policy.workload is Workload.STATEFUL_SET:
        if terms.beyond <= len(rows):
            return rows
        return _ripest(fleet, idle | _interruptible(fleet), policy, 0)[: terms.beyond]
    idlers = int(np.count_nonzero(idle))
    spare, beyond = terms.spare - idlers, terms.beyond - idlers
    if beyond <= 0 and (policy.slots_per_pod == 1 or spare <= 0):
        return rows
    return np.concatenate((rows, _emptiest(fleet, policy, spare, beyond)))


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


def _emptiest(fleet: Fleet, policy: Policy, spare: int, beyond: int) -> Ints:
    """Rows of the pods with the fewest tasks: so many that have room for more, and so many whoever is full.

    Of equals those that were named before: in whatever order they are listed, it is the same ones tick after tick.
    """
    loads, rows = fleet.pods.inflight, np.flatnonzero(_interruptible(fleet))
    rows = rows[np.lexsort((-fleet.named[rows], loads[rows]))]
    roomy = int(np.count_nonzero(loads[rows] < policy.slots_per_pod))
    if policy.even_zones:
        rows = np.concatenate((zones.fullest_first(fleet, rows[:roomy]), rows[roomy:]))
    return rows[: max(min(spare, roomy), beyond, 0)]


def _interruptible(fleet: Fleet) -> Mask:
    """Pods that work, and take no more once they are told so: what they run ends, and no session brings more."""
    takes_no_more: Mask = fleet.serving & ~fleet.displaced & (fleet.pods.inflight > 0) & (fleet.pods.sessions == 0)
    return takes_no_more


def _created_first(fleet: Fleet, count: int) -> Mask:
    """The pods not drained that were created first, so many of them."""
    first = np.zeros(len(fleet.pods), dtype=np.bool_)
    rows = np.flatnonzero(~fleet.released)
    first[rows[np.argsort(fleet.pods.created_at[rows], kind="stable")][:count]] = True
    return first


def _ordered(fleet: Fleet, rows: Ints, policy: Policy) -> Ints:
    """Longest idle first, of equals those that were named before, but from the fullest zone; or highest ordinal first.

    Whoever has been idle for long enough may go. So each is taken where most are left, which leaves the zones as even
    as they can be with these.
    """
    if policy.workload is Workload.STATEFUL_SET:
        return rows[np.argsort(-fleet.pods.ordinal[rows], kind="stable")]
    return zones.fullest_first(fleet, rows[np.lexsort((-fleet.named[rows], fleet.idle_since[rows]))])
