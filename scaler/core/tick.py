"""One evaluation of one pool: the only entry point, of the live world and the simulated one alike.

See the pods and signals, learn from them, measure and dampen demand, look ahead, choose who may leave, walk the rules,
and hand back the decision with its evidence, the orders it implies and the memory for the next tick. Pure: the same
arguments give the same outcome, for ever.
"""

from __future__ import annotations

from scaler.core import plan as plans
from scaler.core.dampen import moved, walk
from scaler.core.learn import keep_pods, learnt
from scaler.core.memory import Memory
from scaler.core.policy import Guarantee, Mode, Policy
from scaler.core.reasons import Reason
from scaler.core.senses import Given, take
from scaler.core.supply import count
from scaler.core.types import (
    Decision,
    Evidence,
    Hold,
    Instant,
    Known,
    Observation,
    Outcome,
    ScaleTo,
    Step,
    Supply,
    Unknown,
)
from scaler.core.view import View, measure


def tick(policy: Policy, memory: Memory, observation: Observation, now: Instant) -> Outcome:
    """Decide on one pool.

    Args:
        policy: the policy in force; it may differ from the last tick's.
        memory: the last outcome's, or ``Memory.fresh(now)``.
        observation: what is known at ``now``.
        now: seconds since the epoch, read once. It may lie before the last tick's: a clock that was set back.
    """
    memory = memory.at_or_before(now)
    view = measure(take(policy, memory, observation, now), memory)
    base = _base(view.given, memory)
    if isinstance(base, Unknown):
        return _unheard(view, base)
    if policy.mode is Mode.OFF:
        return _off(view, base)
    return _decide(view, base)


def _base(given: Given, memory: Memory) -> int | Unknown:
    """What the target was: our own last one, or the live replicas where we have none or are not followed."""
    live = given.observation.replicas
    if isinstance(live, Known) and abs(given.now - live.at) > given.policy.pace.lost_after:
        live = Unknown(f"the live replicas were last known {abs(given.now - live.at):.0f} s ago")
    if given.policy.mode is not Mode.AUTO:
        return int(live.value) if isinstance(live, Known) else live
    if memory.target is not None:
        return memory.target
    if isinstance(given.fleet, Unknown):
        return int(live.value) if isinstance(live, Known) else live
    if not isinstance(live, Known):
        return live  # the pods in view need not be all there are
    # Somebody may have lowered the replicas below the pods that work while nobody watched.
    protected = given.policy.guarantee is Guarantee.PROTECTED
    return max(int(live.value), given.fleet.not_drained) if protected else int(live.value)


def _decide(view: View, base: int) -> Outcome:
    """Choose who may leave, walk the rules, and put the outcome together."""
    plan = plans.make(view, base)
    target, trail = walk(plans.scene(view, plan))
    policy, why = view.given.policy, view.work.bound
    decision: Decision = ScaleTo(target)
    if isinstance(why, Unknown):
        decision = Hold(target, Reason.NO_SIGNAL, why.why)
    if policy.mode is Mode.RECOMMEND:
        trail = (*trail, Step(Reason.RECOMMEND, target, target, f"the live replicas stay at {base}"))
    auto = policy.mode is Mode.AUTO
    memory = _remember(view, plan, target if auto else None)
    return Outcome(
        at=view.given.now,
        decision=decision,
        report=target if auto else base,
        trail=trail,
        orders=plans.orders(view.given, plan, target) if auto else (),
        evidence=_evidence(view, plan.footing.supply, len(memory.moves.turns)),
        memory=memory,
    )


def _remember(view: View, plan: plans.Plan, target: int | None) -> Memory:
    """The memory for the next tick; only a target that is followed moves."""
    given, startup = view.given, view.memory.lessons.startups.p90
    change = 0 if target is None else target - plan.base
    return Memory(
        at=given.now,
        born=view.memory.born,
        pods=keep_pods(given, view.memory, plans.traces(given, plan, target)),
        lessons=view.lessons,
        forecast=view.past,
        target=target,
        live=_live(view),
        readings=view.readings,
        queue_since=view.queue_since,
        hints=view.hints,
        moves=moved(view.memory.moves, given.policy, change=change, startup=startup, now=given.now),
        spare=plan.removal.spare,
    )


def _live(view: View) -> int | None:
    """The live replicas, those last known where they are unknown now."""
    replicas = view.given.observation.replicas
    return int(replicas.value) if isinstance(replicas, Known) else view.memory.live


def _evidence(view: View, supply: Supply, reversals: int) -> Evidence:
    return Evidence(
        ages=view.given.senses.ages,
        supply=supply,
        demand=view.demand,
        forecast=view.forecast,
        learnt=learnt(view.given.policy, view.memory.lessons),
        announced=view.ahead,
        reversals=reversals,
    )


def _off(view: View, base: int) -> Outcome:
    """The kill switch: the live replicas, whatever is seen."""
    return _held(view, Hold(base, Reason.OFF, "mode is off"), base)


def _unheard(view: View, why: Unknown) -> Outcome:
    """Nobody has said how many replicas there are, so there is nothing to answer that would change nothing."""
    return _held(view, Hold(why, Reason.NO_REPLICAS, why.why), 0)


def _held(view: View, hold: Hold, base: int) -> Outcome:
    """An outcome that only learns."""
    given, memory = view.given, view.memory
    return Outcome(
        at=given.now,
        decision=hold,
        report=hold.replicas,
        trail=(Step(hold.reason, base, base, hold.why),),
        orders=(),
        evidence=_evidence(view, count(given, base).supply, len(memory.moves.turns)),
        memory=Memory(
            at=given.now,
            born=memory.born,
            pods=keep_pods(given, memory, None),
            lessons=view.lessons,
            forecast=view.past,
            live=_live(view),
            readings=view.readings,
            queue_since=view.queue_since,
            hints=view.hints,
            moves=moved(memory.moves, given.policy, change=0, startup=0.0, now=given.now),
        ),
    )
