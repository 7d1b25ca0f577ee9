"""One evaluation of one pool: the only entry point, of the live world and the simulated one alike.

See the pods and signals, learn from them, measure and dampen demand, look ahead, choose who may leave, walk the rules,
and hand back the decision with its evidence, the orders it implies and the memory for the next tick. Pure: the same
arguments give the same outcome, for ever.
"""

from __future__ import annotations

from scaler.core import plan as plans
from scaler.core import replicas
from scaler.core.dampen import moved, walk
from scaler.core.learn import keep_pods, learnt
from scaler.core.memory import Crowd, Memory
from scaler.core.passing import maker
from scaler.core.policy import Mode, Policy
from scaler.core.reasons import Reason
from scaler.core.senses import take
from scaler.core.supply import count
from scaler.core.types import Decision, Evidence, Hold, Instant, Observation, Outcome, ScaleTo, Step, Supply, Unknown
from scaler.core.view import View, measure

_new_outcome = maker(Outcome)
_new_evidence = maker(Evidence)
_new_memory = maker(Memory)


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
    base = replicas.base(view.given, memory)
    if isinstance(base, Unknown) or policy.mode is Mode.OFF:
        return _held(view, base)
    return _decide(view, base)


def _decide(view: View, base: int) -> Outcome:
    """Choose who may leave, walk the rules, and put the outcome together."""
    plan = plans.make(view, base)
    target, trail = walk(plans.scene(view, plan))
    given, why, auto = view.given, view.work.bound, view.given.policy.mode is Mode.AUTO
    crowd = replicas.crowd(given, view.memory.crowd, plan.footing)
    report = replicas.answer(given, crowd, plan.footing, target if auto else base)
    decision: Decision = ScaleTo(target)
    if isinstance(report, Unknown):
        decision = Hold(target, Reason.LAGGING, report.why)
    elif isinstance(why, Unknown):
        decision = Hold(target, Reason.NO_SIGNAL, why.why)
    if not auto:
        trail = (*trail, Step(Reason.RECOMMEND, target, target, f"the live replicas stay at {base}"))
    memory = _remember(view, plan, crowd, target if auto else None)
    return _new_outcome(
        at=given.now,
        decision=decision,
        report=report,
        trail=trail,
        orders=plans.orders(given, plan, target) if auto else plan.calls,
        evidence=_evidence(view, plan.footing.supply, len(memory.moves.turns)),
        memory=memory,
    )


def _remember(view: View, plan: plans.Plan, crowd: Crowd, target: int | None) -> Memory:
    """The memory for the next tick; only a target that is followed moves."""
    given, startup = view.given, view.memory.lessons.startups.p90
    change = 0 if target is None else target - plan.base
    return _new_memory(
        at=given.now,
        born=view.memory.born,
        pods=keep_pods(given, view.memory, plans.traces(given, plan, target)),
        lessons=view.lessons,
        forecast=view.past,
        target=target,
        told_at=None if target is None else given.now,
        live=given.live,
        readings=view.readings,
        queue_since=view.queue_since,
        hints=view.hints,
        moves=moved(view.memory.moves, given.policy, change=change, startup=startup, now=given.now),
        spare=plan.removal.spare,
        crowd=crowd,
        left_at=given.now if plan.moved else view.memory.left_at,
        watch=plan.watch,
    )


def _evidence(view: View, supply: Supply, reversals: int) -> Evidence:
    return _new_evidence(
        ages=view.given.senses.ages,
        supply=supply,
        demand=view.demand,
        forecast=view.forecast,
        learnt=learnt(view.given.policy, view.memory.lessons),
        announced=view.ahead,
        reversals=reversals,
    )


def _held(view: View, base: int | Unknown) -> Outcome:
    """An outcome that only learns, and opens the gates that nobody would open now."""
    given, memory, start = view.given, view.memory, 0 if isinstance(base, Unknown) else base
    footing = count(given, start)
    crowd = replicas.crowd(given, memory.crowd, footing)
    hold = _hold(base, replicas.answer(given, crowd, footing, start))
    target = replicas.kept(given, memory) if isinstance(hold.replicas, Unknown) else None
    return _new_outcome(
        at=given.now,
        decision=hold,
        report=hold.replicas,
        trail=(Step(hold.reason, start, start, hold.why),),
        orders=plans.calls(given, 0),
        evidence=_evidence(view, footing.supply, len(memory.moves.turns)),
        memory=_new_memory(
            at=given.now,
            born=memory.born,
            pods=keep_pods(given, memory, None),
            lessons=view.lessons,
            forecast=view.past,
            target=target,
            told_at=None if target is None else memory.told_at,
            live=given.live,
            readings=view.readings,
            queue_since=view.queue_since,
            hints=view.hints,
            moves=moved(memory.moves, given.policy, change=0, startup=0.0, now=given.now),
            crowd=crowd,
            left_at=memory.left_at,
        ),
    )


def _hold(base: int | Unknown, answer: int | Unknown) -> Hold:
    """The live replicas, whatever else is seen: that is the kill switch. While they are not known, nothing."""
    if isinstance(base, Unknown):
        return Hold(base, Reason.NO_REPLICAS, base.why)
    if isinstance(answer, Unknown):
        return Hold(answer, Reason.LAGGING, answer.why)
    return Hold(base, Reason.OFF, "mode is off")
