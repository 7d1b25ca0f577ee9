"""Pods that there are and that are coming, and the two targets they imply: where it stands, and how low it may go."""

from __future__ import annotations

import numpy as np

from scaler.core import drain
from scaler.core.fleet import Fleet
from scaler.core.numbers import whole
from scaler.core.passing import maker, passing
from scaler.core.policy import Guarantee
from scaler.core.senses import Given
from scaler.core.types import Known, Signal, Supply, Unknown

_new_supply = maker(Supply)


@passing
class Footing:
    """The supply; ``standing``, the target that neither adds nor removes; ``floor``, the lowest that hurts nobody.

    ``stand`` is the number of replicas that would keep every pod in view, ``asked`` the most that anybody asked for.
    """

    supply: Supply
    standing: int
    floor: int
    stand: int
    asked: int


_new_footing = maker(Footing)


def count(given: Given, base: int, *, moves: bool = False) -> Footing:
    """Count supply against the last target ``base``.

    Pods that leave with their nodes are none, where pods may leave now (``moves``): others are to stand in for them.

    The most that anybody asked for is that target or the live replicas. Pods beyond it (a rollout's surge, pods that a
    guard keeps) stand by another's arithmetic, and to raise the target to them would raise that too, for ever. A
    best-effort pool's target that fell may not have been followed yet, so its floor reaches up to the live replicas.

    Pods asked for and not seen yet are coming. A start that takes longer than twice the p99 no longer counts, but only
    one such pod at a time is replaced: when an image cannot be pulled, more orders do not help.
    """
    policy, fleet = given.policy, given.fleet
    if isinstance(fleet, Unknown):
        return _unseen(given, base)
    leaving, staying = fleet.drained - _settled(given, fleet, base), fleet.not_drained
    ordered, kept = max(0, base - staying - leaving), max(base, given.raised)
    going = max(0, staying - kept) if policy.guarantee is Guarantee.BEST_EFFORT else 0
    idle, moved = int(np.count_nonzero(fleet.idle)), fleet.going if moves else 0
    supply = _new_supply(
        ready=fleet.ready,
        starting=fleet.starting,
        ordered=ordered,
        overdue=fleet.overdue,
        draining=fleet.draining,
        drained=fleet.drained,
        idle=idle,
        unknown=fleet.unknown,
        displaced=fleet.going,
        wanted=max(0, fleet.ready + fleet.starting + max(0, fleet.overdue - 1) + ordered - going - moved),
    )
    asked = max(base, given.live or 0)
    stand = drain.floor(fleet, policy)
    if policy.guarantee is Guarantee.BEST_EFFORT:
        floor = max(min(kept, staying - idle), min(asked, fleet.at_work))
        return _new_footing(supply=supply, standing=kept, floor=floor, stand=stand, asked=asked)
    standing = max(given.raised, min(staying + ordered, asked))
    return _new_footing(supply=supply, standing=standing, floor=min(stand, asked), stand=stand, asked=asked)


def _settled(given: Given, fleet: Fleet, base: int) -> int:
    """Drained pods that nobody counts any more: neither the last target nor, as far as they are known, the replicas.

    A ReplicaSet takes any of the drained pods, as many as the replicas fell by. Those that the target no longer counted
    may stand while others that were drained since have gone for them; then these stand where those stood. Replicas that
    have not risen to the target yet say nothing of that.
    """
    if not fleet.drained:
        return 0
    settled, replicas = int(np.count_nonzero(fleet.settled)), given.observation.replicas
    beyond = len(fleet.pods) - max(int(replicas.value), base) if isinstance(replicas, Known) else settled
    return min(settled, beyond) if beyond >= 0 else settled  # below 0 some are leaving, and others are still to come


def _unseen(given: Given, base: int) -> Footing:
    """Pods that cannot be seen are all supply and all busy, but as far as the pool's own in-flight count says less."""
    policy, replicas = given.policy, given.observation.replicas
    there, kept = int(replicas.value) if isinstance(replicas, Known) else base, max(base, given.raised)
    supply = _new_supply(
        ready=there,
        starting=0,
        ordered=max(0, base - there),
        overdue=0,
        draining=0,
        drained=0,
        idle=0,
        unknown=there,
        displaced=0,
        wanted=kept,
    )
    asked = max(kept, given.live or 0)
    running = given.senses.usable.get(Signal.INFLIGHT)
    floor = kept
    if policy.guarantee is Guarantee.BEST_EFFORT and running is not None and given.senses.stale is None:
        floor = min(asked, whole(running.value))
    return _new_footing(supply=supply, standing=kept, floor=floor, stand=0, asked=asked)
