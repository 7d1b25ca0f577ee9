"""An outcome in words. Every surface prints what the trail holds; none works it out again."""

from __future__ import annotations

from typing import Protocol

from scaler.core.reasons import RENDERINGS, Reason
from scaler.core.types import Decision, Demand, Forecast, Hold, Learnt, Outcome, Sample, ScaleTo, Step, Supply, Unknown


class Told(Protocol):
    """What every outcome has, of a pool of pods and of a warm pool alike."""

    @property
    def decision(self) -> Decision:
        """What was decided."""
        ...

    @property
    def trail(self) -> tuple[Step, ...]:
        """The steps that led there, at least one."""
        ...


def reason(outcome: Told) -> Reason:
    """The reason that speaks for the outcome: a hold's own, else that of the last step."""
    return outcome.decision.reason if isinstance(outcome.decision, Hold) else outcome.trail[-1].reason


def sentence(outcome: Told) -> str:
    """One line: what is asked for and why."""
    last = outcome.trail[-1]
    decision = outcome.decision
    if isinstance(decision, Hold):
        return f"hold {count(decision.replicas)}: {RENDERINGS[decision.reason].sentence} ({decision.why})"
    moved = f"{outcome.trail[0].before} → {decision.replicas}"
    verb = moved if outcome.trail[0].before != decision.replicas else f"stay at {decision.replicas}"
    return f"{verb}: {RENDERINGS[last.reason].sentence} ({last.note})"


def lines(outcome: Outcome, told: int | Unknown | None = None) -> list[str]:
    """The whole decision: the sentence, each step, and the figures they stand on; ``told`` is of Jobs what KEDA is."""
    e = outcome.evidence
    return [
        sentence(outcome),
        *steps(outcome),
        _demand(e.demand),
        *(f"  {name}: {_sample(s)}" for name, s in e.demand.by_signal.items()),
        _supply(e.supply),
        _forecast(e.forecast),
        _learnt(e.learnt),
        *(f"age of {name}: {_age(age)}" for name, age in e.ages.items()),
        f"announced: {e.announced:g} pods; quick reversals within the hour: {e.reversals}",
        f"reported to KEDA: {count(outcome.report if told is None else told)}",
    ]


def labels(outcome: Outcome) -> dict[str, str]:
    """Metric labels of the outcome."""
    kind = "scale" if isinstance(outcome.decision, ScaleTo) else "hold"
    bound = outcome.evidence.demand.bound
    return {"decision": kind, "reason": reason(outcome).value, "bound": "none" if isinstance(bound, Unknown) else bound}


def event(outcome: Told) -> tuple[str, str]:
    """Reason (CamelCase) and message of a Kubernetes Event."""
    return RENDERINGS[reason(outcome)].event, sentence(outcome)


def steps(outcome: Told) -> list[str]:
    """The trail, a line for each step."""
    return [f"  {_step(step)}" for step in outcome.trail]


def _step(step: Step) -> str:
    move = f"{step.before} → {step.after}" if step.before != step.after else f"{step.after}"
    note = f" ({step.note})" if step.note else ""
    return f"{step.reason.value}: {move}, {RENDERINGS[step.reason].sentence}{note}"


def _demand(d: Demand) -> str:
    return f"demand: {d.up:.2f} pods up, {d.down:.2f} down; needs {d.need_up}, keeps {d.need_down}"


def _supply(s: Supply) -> str:
    there = f"{s.ready} ready, {s.starting} starting, {s.ordered} ordered, {s.overdue} overdue"
    return (
        f"supply: {s.wanted}; {there}; {s.draining} draining, {s.drained} drained, {s.idle} idle, {s.unknown} unknown"
    )


def _forecast(f: Forecast) -> str:
    skill = f.skill.why if isinstance(f.skill, Unknown) else f"{f.skill:.2f} of persistence's loss"
    pods = f.pods.why if isinstance(f.pods, Unknown) else f"{f.pods:.2f} pods"
    return f"forecast: {pods} within {f.horizon:.0f} s at q = {f.quantile:.2f} by {f.candidate} ({skill})"


def _learnt(known: Learnt) -> str:
    startup = f"startup p90 {known.startup_p90:.0f} s ({known.startups} seen)"
    timer = f"idle timer {known.idle_timer:.0f} s ({known.gaps} gaps)"
    each = known.tokens_per_pod
    tokens = each.why if isinstance(each, Unknown) else f"{each:.0f} a second"
    return f"learnt: {startup}, {timer}, waiting costs {known.wait_price:.1f}, tokens per pod: {tokens}"


def count(replicas: int | Unknown) -> str:
    """A number, or why there is none."""
    return f"unknown, {replicas.why}" if isinstance(replicas, Unknown) else str(replicas)


def _sample(sample: Sample) -> str:
    return f"unknown, {sample.why}" if isinstance(sample, Unknown) else f"{sample.value:.2f} pods"


def _age(age: float | Unknown) -> str:
    return f"unknown, {age.why}" if isinstance(age, Unknown) else f"{age:.0f} s"
