"""One evaluation of one pool: the only entry point, of the live world and the simulated one alike.

See the pods and signals, learn from them, measure and dampen demand, look ahead, choose who may leave, walk the rules,
and hand back the decision with its evidence, the orders it implies and the memory for the next tick. Pure: the same
arguments give the same outcome, for ever.
"""

from __future__ import annotations

from dataclasses import dataclass

from scaler.core import announced, drain, removal
from scaler.core import demand as demands
from scaler.core import forecast as forecasts
from scaler.core.dampen import Scene, Veto, moved, walk
from scaler.core.demand import Work
from scaler.core.fleet import Fleet
from scaler.core.learn import Traces, keep_pods, learn, learnt
from scaler.core.memory import Lessons, Memory, Reading
from scaler.core.numbers import whole
from scaler.core.pods import Mask, Phase
from scaler.core.policy import Guarantee, Mode, Policy
from scaler.core.reasons import Reason
from scaler.core.removal import Excess, Removal
from scaler.core.senses import Given, take
from scaler.core.supply import Footing, count
from scaler.core.types import (
    Decision,
    Demand,
    Evidence,
    Forecast,
    Hold,
    Instant,
    Known,
    Observation,
    Order,
    Outcome,
    ScaleTo,
    Step,
    Supply,
    Unknown,
)


def tick(policy: Policy, memory: Memory, observation: Observation, now: Instant) -> Outcome:
    """Decide on one pool.

    Args:
        policy: the policy in force; it may differ from the last tick's.
        memory: the last outcome's, or ``Memory.fresh(now)``.
        observation: what is known at ``now``.
        now: seconds since the epoch, read once. It may lie before the last tick's: a clock that was set back.
    """
    memory = memory.at_or_before(now)
    view = _measure(take(policy, memory, observation, now), memory)
    base = _base(view.given, memory)
    if isinstance(base, Unknown):
        return _unheard(view, base)
    if policy.mode is Mode.OFF:
        return _off(view, base)
    return _decide(view, base)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class View:
    """One tick's figures before anything is decided.

    ``memory`` is the last tick's, and what it has learnt decides; ``lessons`` and ``past`` are for the next one. A tick
    that decided with its own lessons could ask for less because it saw more work.
    """

    given: Given
    memory: Memory
    lessons: Lessons
    queue_since: Instant | None
    readings: tuple[Reading, ...]
    hints: announced.Levels
    past: forecasts.ForecastMemory
    work: Work
    demand: Demand
    forecast: Forecast
    ahead: float

    def besides(self) -> int:
        """Pods asked for by anything but present work: what was announced, what is foreseen, and the minimum."""
        foreseen = self.forecast.pods
        expected = 0 if isinstance(foreseen, Unknown) else whole(foreseen)
        return max(whole(self.ahead), expected, self.given.policy.min_replicas)


def _measure(given: Given, memory: Memory) -> View:
    """Learn from this instant, and measure demand and forecast."""
    known, lessons = memory.lessons, learn(given, memory.lessons)
    queue_since = demands.waiting_since(given, memory.queue_since)
    work = demands.measure(given, known, lessons.tokens)
    readings = demands.read(given, memory.readings, work)
    hints = announced.levels(given, memory.hints, readings[-1].up if readings else 0.0)
    past, forecast = _foresee(given, memory.forecast, known, work)
    return View(
        given=given,
        memory=memory,
        lessons=lessons,
        queue_since=queue_since,
        readings=readings,
        hints=hints,
        past=past,
        work=work,
        demand=demands.dampen(given, readings, work, demands.oldest_wait(given, queue_since)),
        forecast=forecast,
        ahead=announced.ahead(given.observation.announced, hints, startup=known.startups.p90, now=given.now),
    )


def _foresee(
    given: Given, past: forecasts.ForecastMemory, lessons: Lessons, work: Work
) -> tuple[forecasts.ForecastMemory, Forecast]:
    """What is expected within one startup, at the newsvendor's quantile w / (w + c); and the memory for the next."""
    horizon, q = lessons.startups.p90, lessons.wait_price / (lessons.wait_price + 1)
    ask = forecasts.Question(demand=work.up, horizon=horizon, q=q, now=given.now, signals=given.senses.usable)
    if isinstance(work.bound, Unknown):
        return past, forecasts.silent(ask, work.bound)
    said = forecasts.points(past, given.policy, ask)
    forecast = forecasts.forecast(past, given.policy, ask, said)
    if work.complete:  # a signal that blinks would teach a rise that never was
        past = forecasts.learn(past, given.policy, ask, said)
    return past, forecast


def _base(given: Given, memory: Memory) -> int | Unknown:
    """What the target was: our own last one, or the live replicas where we have none or are not followed."""
    auto, replicas = given.policy.mode is Mode.AUTO, given.observation.replicas
    if auto and memory.target is not None:
        return memory.target
    if isinstance(replicas, Known):
        return int(replicas.value)
    return given.fleet.not_drained if auto and not isinstance(given.fleet, Unknown) else replicas


def _decide(view: View, base: int) -> Outcome:
    """Choose who may leave, walk the rules, and put the outcome together."""
    plan = _plan(view, base)
    target, trail = walk(_scene(view, plan))
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
        orders=_orders(view.given, plan, target) if auto else (),
        evidence=_evidence(view, plan.footing.supply, len(memory.moves.turns)),
        memory=memory,
    )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Plan:
    """What there is, what is missing from it or spare, and what that means for single pods."""

    base: int
    footing: Footing
    missing: int
    veto: Veto | None
    removal: Removal
    calls: tuple[Order, ...]


def _plan(view: View, base: int) -> Plan:
    given, demand, timer = view.given, view.demand, view.memory.lessons.gaps.timer
    footing = count(given, base)
    have, most, needed = footing.supply.wanted, given.policy.cap, max(demand.need_up, view.besides())
    missing = min(needed, most) - have
    surplus = have - min(max(needed, demand.need_down), most)
    veto = removal.forbid(given, view.memory, view.work)
    excess = Excess(surplus=surplus, supply=footing.supply, veto=veto, timer=timer)
    return Plan(
        base=base,
        footing=footing,
        missing=missing,
        veto=veto,
        removal=removal.plan(given, view.memory.spare, excess),
        calls=_calls(given, missing),
    )


def _calls(given: Given, missing: int) -> tuple[Order, ...]:
    """Drains to call back: as many as are missing; all of them where the protocol is no longer in force."""
    fleet = given.fleet
    if isinstance(fleet, Unknown):
        return ()
    best_effort = given.policy.guarantee is Guarantee.BEST_EFFORT
    return drain.call_back(fleet, fleet.draining if best_effort else missing)


def _scene(view: View, plan: Plan) -> Scene:
    return Scene(
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
        chosen=len(plan.removal.chosen),
        called_back=len(plan.calls),
        kept=plan.removal.kept,
        veto=plan.veto,
    )


def _orders(given: Given, plan: Plan, target: int) -> tuple[Order, ...]:
    """What is to be done to pods. A best-effort pool only ends what an earlier policy began."""
    fleet, replicas = given.fleet, given.observation.replicas
    if isinstance(fleet, Unknown):
        return ()
    spare = int(replicas.value) - target if isinstance(replicas, Known) else fleet.drained
    deletions = drain.delete(fleet, _settled(plan, fleet, target), spare=spare)
    if given.policy.guarantee is Guarantee.BEST_EFFORT:
        return (*plan.calls, *deletions)
    return (
        *plan.calls,
        *drain.go_on(fleet, plan.calls, commit=plan.veto is None),
        *deletions,
        *drain.mark(fleet.pods, plan.removal.chosen),
    )


def _settled(plan: Plan, fleet: Fleet, target: int) -> Mask:
    """Drained pods that the target no longer counts: all of them, unless a veto held it at the last target."""
    held = plan.veto is not None and target <= plan.base
    return fleet.settled if held else fleet.pods.phase == Phase.DRAINED


def _remember(view: View, plan: Plan, target: int | None) -> Memory:
    """The memory for the next tick; only a target that is followed moves."""
    given, startup = view.given, view.memory.lessons.startups.p90
    change = 0 if target is None else target - plan.base
    return Memory(
        at=given.now,
        born=view.memory.born,
        pods=keep_pods(given, view.memory, _traces(given, plan, target)),
        lessons=view.lessons,
        forecast=view.past,
        target=target,
        readings=view.readings,
        queue_since=view.queue_since,
        hints=view.hints,
        moves=moved(view.memory.moves, given.policy, change=change, startup=startup, now=given.now),
        spare=plan.removal.spare,
    )


def _traces(given: Given, plan: Plan, target: int | None) -> Traces | None:
    """What this tick did to single pods, where it could see them."""
    if isinstance(given.fleet, Unknown) or plan.removal.choice is None:
        return None
    settled = _settled(plan, given.fleet, plan.base if target is None else target)
    return Traces(named=plan.removal.choice.named, settled=settled)


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
            readings=view.readings,
            queue_since=view.queue_since,
            hints=view.hints,
            moves=moved(memory.moves, given.policy, change=0, startup=0.0, now=given.now),
        ),
    )
