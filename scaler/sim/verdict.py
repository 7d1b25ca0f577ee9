"""What a comparison comes to, in the sentences that a planner wants first: whom to take, and what speaks against it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

from scaler.core.types import Seconds
from scaler.core.wording import counted
from scaler.sim.ablations import ABLATIONS
from scaler.sim.scenario import Scenario

Means: TypeAlias = Mapping[str, Mapping[str, Any]]

LONG: Final = ((86_400.0, "d"), (3600.0, "h"), (60.0, "min"))  # units of what lasts
LESS: Final = 0.995  # of pod hours, below which a difference is told
MANY: Final = 10.0  # pod hours
FEW: Final = 2  # of a unit, from which on it is told in it


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whom to take, and why.

    Attributes:
        pick: who cuts no run and keeps the target with the fewest pod hours; where nobody does, the least harm.
        keeps: whether it does.
        lines: the sentences.
    """

    pick: str
    keeps: bool
    lines: tuple[str, ...]


def verdict(scenario: Scenario, told: Mapping[str, object]) -> Verdict:
    """Read the figures of ``compare.summary``. Ours without a part is nothing to take: it shows what that is worth."""
    every = told["policies"]
    assert isinstance(every, dict)  # noqa: S101 - summary made it
    means = {name: of for name, of in every.items() if name not in ABLATIONS} or every
    fit = [name for name, of in means.items() if _keeps(of, scenario.target_wait)]
    best = min(fit or means, key=lambda name: _worth(means[name], keeps=bool(fit)))
    lines = (
        f"{_claim(scenario, means, fit, best)}: {needs(means[best])}.",
        *_others(scenario, means, best, fit),
        *_bound(scenario, means[best], best),
        *_noise(scenario, told["paired"]),
    )
    return Verdict(best, bool(fit), lines)


def lasting(seconds: Seconds) -> str:
    """A time as people say it."""
    for length, unit in LONG:
        if seconds >= FEW * length:
            return f"{seconds / length:.3g} {unit}"
    return f"{seconds:.3g} s"


def hours(pods: float) -> str:
    """Pod hours: a few are told finer than many."""
    return f"{pods:,.1f}" if pods >= MANY else f"{pods:.2f}"


def needs(of: Mapping[str, Any]) -> str:
    """What a policy takes, and what it gives."""
    money = "" if of["money"] is None else f" ({of['money']:,.2f} in money)"
    cut = f", {counted(of['killed'], 'run')} cut" if of["killed"] else ""
    peak = f"{counted(of['pods_peak'], 'pod')} at most"
    wait = f"95 % of tasks wait at most {lasting(of['wait_p95_s'])}"
    return f"{peak}, {hours(of['pod_hours'])} pod hours{money}, {wait}{cut}"


def _keeps(of: Mapping[str, Any], target: Seconds) -> bool:
    return not of["unfinished"] and not of["killed"] and of["wait_p95_s"] <= target


def _worth(of: Mapping[str, Any], *, keeps: bool) -> tuple[float, ...]:
    """The least is best. Where nobody keeps the target: first that all is done and nothing is cut, then the price."""
    return (of["pod_hours"],) if keeps else (bool(of["unfinished"]), bool(of["killed"]), of["price"])


def _claim(scenario: Scenario, means: Means, fit: Sequence[str], best: str) -> str:
    target, of = lasting(scenario.target_wait), means[best]
    if len(fit) > 1:
        return f"{best} takes the fewest pod hours of the {len(fit)} that cut no run and keep the target of {target}"
    if fit:
        return f"{best}{' alone' if len(means) > 1 else ''} cuts no run and keeps the target of {target}"
    if of["unfinished"]:
        return f"tasks are never done, whoever scales: raise max (now {scenario.max}). Least bad is {best}"
    which = "cuts runs" if of["killed"] else f"misses the target of {target}"
    if len(means) == 1:
        return f"{best} {which}"
    undone = any(each["unfinished"] for each in means.values())
    whose = " of those whose tasks are all done" if undone else ""
    if of["killed"]:
        harm = "cuts runs or leaves tasks undone" if undone else "cuts runs"
        return f"everybody {harm}; {best} has the least price{whose}"
    none = f"none of the {len(means)} keeps the target of {target} without cutting runs"
    return f"{none}; {best} has the least price of those that cut none{' and leave none undone' if undone else ''}"


def _others(scenario: Scenario, means: Means, best: str, fit: Sequence[str]) -> Iterator[str]:
    """Who would take less, and what it does for it: nothing, where even the best leaves tasks undone."""
    if means[best]["unfinished"]:
        return
    for name, of in means.items():
        if name not in fit and of["pod_hours"] < LESS * means[best]["pod_hours"]:
            harm = []
            if of["unfinished"]:
                harm.append("leaves tasks undone")
            if of["killed"]:
                harm.append(f"cuts {counted(of['killed'], 'run')}")
            if of["wait_p95_s"] > scenario.target_wait:
                harm.append(f"lets 5 % of tasks wait longer than {lasting(of['wait_p95_s'])}")
            yield f"{name} takes less, {hours(of['pod_hours'])} pod hours, but {' and '.join(harm)}."


def _bound(scenario: Scenario, of: Mapping[str, Any], best: str) -> Iterator[str]:
    if of["pods_peak"] >= scenario.max:
        yield f"{best} asked for all {scenario.max} replicas that max allows: with more, tasks might wait less."


def _noise(scenario: Scenario, paired: object) -> Iterator[str]:
    """Which differences may be chance."""
    assert isinstance(paired, dict)  # noqa: S101 - summary made it
    if scenario.seeds == 1:
        yield "One run says little of other days: ask for more with --seeds 5."
        return
    spans = {name: (of["price"]["low"], of["price"]["high"]) for name, of in paired.items()}
    alike = [name for name, (low, high) in spans.items() if low is not None and high is not None and low <= 0 <= high]
    if alike:
        yield f"{scenario.seeds} runs cannot tell the price of ours from that of {', '.join(alike)}: raise --seeds."
