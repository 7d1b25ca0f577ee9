"""Pods that there are and that are coming, and the two targets they imply: where it stands, and how low it may go."""

from __future__ import annotations

from dataclasses import dataclass

from scaler.core import drain
from scaler.core.fleet import Fleet
from scaler.core.numbers import whole
from scaler.core.policy import Guarantee
from scaler.core.senses import Given
from scaler.core.types import Known, Signal, Supply, Unknown


@dataclass(frozen=True, slots=True, kw_only=True)
class Footing:
    """The supply; ``standing``, the target that neither adds nor removes; ``floor``, the lowest that hurts nobody."""

    supply: Supply
    standing: int
    floor: int


def count(given: Given, base: int) -> Footing:
    """Count supply against the last target ``base``.

    Pods asked for and not seen yet are coming. A start that takes longer than twice the p99 no longer counts, but only
    one such pod at a time is replaced: when an image cannot be pulled, more orders do not help.
    """
    policy, fleet = given.policy, given.fleet
    if isinstance(fleet, Unknown):
        return _unseen(given, base)
    leaving = fleet.drained - int(fleet.settled.sum())  # drained pods that the last target still counted
    ordered, kept = max(0, base - fleet.not_drained - leaving), max(base, given.raised)
    going = max(0, fleet.not_drained - kept) if policy.guarantee is Guarantee.BEST_EFFORT else 0
    idle = int(fleet.idle.sum())
    supply = Supply(
        ready=fleet.ready,
        starting=fleet.starting,
        ordered=ordered,
        overdue=fleet.overdue,
        draining=fleet.draining,
        drained=fleet.drained,
        idle=idle,
        unknown=fleet.unknown,
        wanted=max(0, fleet.ready + fleet.starting + max(0, fleet.overdue - 1) + ordered - going),
    )
    if policy.guarantee is Guarantee.BEST_EFFORT:
        return Footing(supply=supply, standing=kept, floor=min(kept, fleet.not_drained - idle))
    asked = _asked(given, fleet, base)
    standing = max(given.raised, min(fleet.not_drained + ordered, asked))
    return Footing(supply=supply, standing=standing, floor=min(drain.floor(fleet, policy), asked))


def _asked(given: Given, fleet: Fleet, base: int) -> int:
    """The most that anybody asked for: our last target or the live replicas.

    Pods beyond it (a rollout's surge, pods that a guard keeps) stand by another's arithmetic, and to raise the target
    to them would raise that too, for ever.
    """
    replicas = given.observation.replicas
    return max(base, int(replicas.value) if isinstance(replicas, Known) else len(fleet.pods))


def _unseen(given: Given, base: int) -> Footing:
    """Pods that cannot be seen are all supply and all busy, but as far as the pool's own in-flight count says less."""
    policy, replicas = given.policy, given.observation.replicas
    there, kept = int(replicas.value) if isinstance(replicas, Known) else base, max(base, given.raised)
    supply = Supply(
        ready=there,
        starting=0,
        ordered=max(0, base - there),
        overdue=0,
        draining=0,
        drained=0,
        idle=0,
        unknown=there,
        wanted=kept,
    )
    running = given.senses.usable.get(Signal.INFLIGHT)
    if policy.guarantee is Guarantee.PROTECTED or running is None or given.senses.stale is not None:
        return Footing(supply=supply, standing=kept, floor=kept)
    return Footing(supply=supply, standing=kept, floor=min(kept, whole(running.value)))
