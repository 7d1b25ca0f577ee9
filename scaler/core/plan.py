"""What there is, what is missing from it or spare, and what that means for single pods."""

from __future__ import annotations

import numpy as np

from scaler.core import drain, nodes, removal
from scaler.core.dampen import Scene, Veto
from scaler.core.fleet import Fleet
from scaler.core.learn import Traces
from scaler.core.passing import maker, passing
from scaler.core.pods import Mask
from scaler.core.policy import Guarantee, Mode, Policy, Workload
from scaler.core.removal import Excess, Removal
from scaler.core.senses import Given
from scaler.core.supply import Footing, count
from scaler.core.types import Known, Order, Unknown
from scaler.core.view import View
from scaler.core.watch import Watch

_new_scene = maker(Scene)
_new_excess = maker(Excess)
_new_need = maker(nodes.Need)


@passing
class Plan:
    """What there is, what is missing from it or spare, and what that means for single pods.

    ``surplus`` is what nobody needs, ``stop`` why nobody may leave at all, ``veto`` why nothing may fall; ``moved`` are
    the rows of pods that begin to leave with their nodes. ``watch`` is what was wanted lately, with this tick.
    """

    base: int
    footing: Footing
    missing: int
    surplus: int
    stop: Veto | None
    veto: Veto | None
    removal: Removal
    calls: tuple[Order, ...]
    moved: tuple[int, ...]
    watch: Watch


_new_plan = maker(Plan)
_new_traces = maker(Traces)


def make(view: View, base: int) -> Plan:
    """Hold supply against need, and choose who may leave and who is called back."""
    given, demand, timer = view.given, view.demand, view.memory.lessons.gaps.timer
    stop = removal.stop(given, view.work)
    veto = removal.forbid(given, view.memory, stop)
    footing = count(given, base, moves=stop is None)
    have, most, needed = footing.supply.wanted, given.policy.cap, max(demand.need_up, view.besides())
    missing = min(needed, most) - have
    kept = min(max(needed, demand.need_down), most)
    surplus = have - kept
    serving = _serving(given) if surplus > 0 else 0  # else nobody leaves, whoever serves
    watch = _watched(view, min(needed, most))
    excess = _new_excess(
        surplus=surplus,
        lasting=min(surplus, have - watch.most) if watch.kept(given.now) >= timer else 0,
        spare=serving - kept,
        beyond=serving - most,
        supply=footing.supply,
        veto=veto,
        timer=timer,
        oldest=_beyond(given, footing),
    )
    return _new_plan(
        base=base,
        footing=footing,
        missing=missing,
        surplus=surplus,
        stop=stop,
        veto=veto,
        removal=removal.plan(given, view.memory.spare, excess),
        calls=calls(given, missing),
        moved=() if stop else _moved(view, footing, missing, min(needed, most)),
        watch=watch,
    )


def _serving(given: Given) -> int:
    """Pods that take work, and do not leave with their nodes; none are known where they cannot be seen."""
    fleet = given.fleet
    return 0 if isinstance(fleet, Unknown) else int(np.count_nonzero(fleet.serving & ~fleet.displaced))


def _watched(view: View, need: int) -> Watch:
    """What was wanted within the idle timer, with this tick; nothing where that is not known.

    What is foreseen is a part of it. Else pods would begin to leave between two peaks, and be called back for each.
    """
    given, memory = view.given, view.memory
    if isinstance(given.fleet, Unknown) or isinstance(view.work.bound, Unknown) or not view.work.complete:
        return Watch()
    return memory.watch.wished(need, given.now, memory.lessons.gaps.timer, given.policy.pace.namings)


def _moved(view: View, footing: Footing, missing: int, needed: int) -> tuple[int, ...]:
    """Rows of the pods that begin to leave with their nodes."""
    policy, fleet = view.given.policy, view.given.fleet
    if isinstance(fleet, Unknown):
        return ()
    cap = policy.cap
    need = _new_need(
        now=min(view.demand.need_up, cap),
        all=needed,
        room=0 if policy.pause_up else cap - footing.standing,
        missing=missing,
        rose_at=view.memory.moves.last_rise,
        left_at=view.memory.born if view.memory.left_at is None else view.memory.left_at,
    )
    return nodes.leave(fleet, footing.supply, need)


def _beyond(given: Given, footing: Footing) -> int:
    """Pods that a ReplicaSet has beyond all that was asked for, 0 where that says nothing about who leaves.

    A rollout starts new pods beside the old ones, and starts them again when they are taken away. So while there are
    more than anybody asked for, only the oldest leave, and only as many.
    """
    fleet, policy = given.fleet, given.policy
    best_effort = policy.guarantee is Guarantee.BEST_EFFORT
    if isinstance(fleet, Unknown) or best_effort or policy.workload is Workload.STATEFUL_SET:
        return 0
    return max(0, fleet.not_drained - footing.asked)


def calls(given: Given, missing: int) -> tuple[Order, ...]:
    """Drains to call back: as many as are missing; all where the protocol is no longer in force or nobody acts.

    A pod that leaves with its node is not called back for what is missing, but where its node wants it again.
    """
    fleet, policy = given.fleet, given.policy
    if isinstance(fleet, Unknown) or not fleet.draining:
        return ()
    if policy.guarantee is not Guarantee.PROTECTED or policy.mode is not Mode.AUTO:
        return drain.call_back(fleet, fleet.draining)
    if not np.count_nonzero(fleet.pods.for_node):
        return drain.call_back(fleet, missing, ~fleet.pods.displaced)
    back = nodes.wanted_again(fleet)
    again = drain.call_back(fleet, fleet.draining, back)
    return (*again, *drain.call_back(fleet, missing - len(again), ~back & ~fleet.pods.displaced))


def scene(view: View, plan: Plan) -> Scene:
    """What the rules look at."""
    return _new_scene(
        policy=view.given.policy,
        moves=view.memory.moves,
        now=view.given.now,
        base=plan.base,
        standing=plan.footing.standing,
        floor=plan.footing.floor,
        supply=plan.footing.supply,
        demand=view.demand,
        forecast=view.forecast,
        ahead=view.ahead,
        leaving=plan.removal.leaving,
        leaving_why=plan.removal.why,
        chosen=len(plan.removal.chosen) if view.given.policy.guarantee is Guarantee.PROTECTED else 0,
        moved=len(plan.moved),
        emptying=plan.removal.choice.emptying if plan.removal.choice else 0,
        called_back=len(plan.calls),
        kept=plan.removal.kept,
        stop=plan.stop,
        veto=plan.veto,
    )


def orders(given: Given, plan: Plan, target: int) -> tuple[Order, ...]:
    """What is to be done to pods. A best-effort pool only ends what an earlier policy began."""
    fleet, replicas = given.fleet, given.observation.replicas
    if isinstance(fleet, Unknown):
        return ()
    if not (fleet.draining or fleet.drained or plan.moved or plan.removal.chosen):
        return ()
    live = int(replicas.value) if isinstance(replicas, Known) else target + fleet.drained
    start, gone = given.policy.ordinals_start, settled(given.policy, plan, fleet, target)
    deletions = drain.delete(fleet, gone, spare=range(start + target, start + live))
    if given.policy.guarantee is Guarantee.BEST_EFFORT:
        return (*plan.calls, *deletions)
    return (
        *plan.calls,
        *drain.go_on(fleet, plan.calls, commit=plan.veto is None, moves=plan.stop is None),
        *deletions,
        *drain.mark(fleet.pods, (*plan.moved, *plan.removal.chosen)),
    )


def settled(policy: Policy, plan: Plan, fleet: Fleet, target: int) -> Mask:
    """Drained pods that the target no longer counts, shape (n,): all of them, unless a veto held it at the last one.

    Then only those whose room the work wants: a drained pod must not hold a replica that another could serve in. A
    StatefulSet starts every ordinal below its replicas again, so of its drained pods only those above the target are
    let go, and the others where their room is wanted, or nobody above them is about to leave. Those that left with
    their nodes go in any case, even where these want their pods again: what is started in their place takes work.
    """
    drained = fleet.released
    if not fleet.drained:
        return drained
    moved = drained & (fleet.pods.displaced | fleet.pods.for_node)
    if plan.veto is not None and target <= plan.base:
        wanted = plan.missing - len(plan.calls)
        gone = drain.released(fleet, wanted) if wanted > 0 else fleet.settled
        return gone if plan.stop else gone | moved
    if policy.workload is Workload.REPLICA_SET or plan.missing > len(plan.calls):
        return drained
    if plan.surplus <= 0 and not fleet.draining:
        return drained
    above: Mask = drained & (fleet.pods.ordinal >= policy.ordinals_start + target)
    return above | moved


def traces(given: Given, plan: Plan, target: int | None) -> Traces | None:
    """What this tick did to single pods, where it could see them."""
    if isinstance(given.fleet, Unknown) or plan.removal.choice is None:
        return None
    if target is None:  # not followed, so the live replicas still count every drained pod
        gone: Mask = np.zeros(len(given.fleet.pods), dtype=np.bool_)
    else:
        gone = settled(given.policy, plan, given.fleet, target)
    return _new_traces(named=plan.removal.choice.named, settled=gone)
