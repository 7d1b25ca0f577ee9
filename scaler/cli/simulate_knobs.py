"""Knobs that ``scaler simulate tune`` has found, and what ours comes to beside all of a peer's at an equal wait."""

from __future__ import annotations

import json as json_
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Final, TypeVar

import typer

from scaler.cli.output import refuse
from scaler.sim.compare import Answer
from scaler.sim.equal import at_equal_wait, front
from scaler.sim.match import Match, Played, Row, as_asked
from scaler.sim.ours import OurKnobs
from scaler.sim.peers.catalogue import PEERS
from scaler.sim.peers.sight import Knobs
from scaler.sim.scenario import OURS, POLICIES, Scenario
from scaler.sim.tuner import knobs_of

AnyKnobs = Knobs | OurKnobs
K = TypeVar("K", bound=AnyKnobs)
WAY_OUT: Final = f"give what scaler simulate tune --json wrote, for one of {', '.join(POLICIES)}"


@dataclass(frozen=True, slots=True)
class Found:
    """What a search has found: the best knobs, and all that are worth asking, from little waiting to few pods."""

    best: AnyKnobs
    worthy: tuple[AnyKnobs, ...]


def base(policy: str, scenario: Scenario) -> AnyKnobs:
    """What is shipped, and of ours aims at what the scenario asks for."""
    return as_asked(scenario) if policy == OURS else PEERS[policy]


def check_knobs(scenario: Scenario, found: Mapping[str, Found], *, equal: bool) -> None:
    """Refuse knobs of who is not asked; with ``equal`` also where ours is not, or nobody beside it has knobs."""
    asked = f"only {', '.join(scenario.policies)} {'is' if len(scenario.policies) == 1 else 'are'} asked"
    if unasked := [policy for policy in found if policy not in scenario.policies]:
        refuse(f"--knobs has those of {', '.join(unasked)}, and {asked}: name {unasked[0]} in --policies too")
    if equal and OURS not in scenario.policies:
        refuse(f"--equal tells peers at the wait of ours, and {asked}: name ours in --policies too")
    if equal and not found.keys() - {OURS}:
        refuse("--equal asks the peers of --knobs, and those are of ours: give what tune --json wrote for a peer too")
    if idle := [policy for policy in found if equal and policy != OURS and not found[policy].worthy]:
        refuse(f"--knobs of {idle[0]} has no trial in which all tasks were done: tune it again, with --max higher")
    ours = found.get(OURS)
    if ours is not None and isinstance(ours.best, OurKnobs) and ours.best.target_wait != scenario.target_wait:
        told = f"ours aims at {ours.best.target_wait:.1f} s, as --knobs says"
        typer.echo(f"{told}; hours are told for target_wait = {scenario.target_wait:g} s", err=True)


def read_knobs(files: Sequence[Path]) -> dict[str, Found]:
    """By policy, what was found."""
    found: dict[str, Found] = {}
    for file in files:
        policy, knobs = _read(file)
        if policy in found:
            refuse(f"--knobs {file} has those of {policy}, and so has another before it: give one file for each policy")
        found[policy] = knobs
    return found


def searched(scenario: Scenario, found: Mapping[str, Found]) -> list[Match]:
    """Every worthy configuration of the peers that are asked, on every seed."""
    seeds = range(1, scenario.seeds + 1)
    return [
        Match(scenario=scenario, policy=policy, seed=seed, knobs=knobs)
        for policy in scenario.policies
        if policy != OURS and policy in found
        for knobs in found[policy].worthy
        for seed in seeds
    ]


def equals(ours: Sequence[Row], answers: Sequence[Answer]) -> dict[str, dict[str, object]]:
    """Ours beside each peer that was asked with all its knobs."""
    rows = [found.row for found in answers if isinstance(found, Played)]
    peers = dict.fromkeys(row.policy for row in rows)
    return {peer: asdict(at_equal_wait(ours, [row for row in rows if row.policy == peer])) for peer in peers}


def tell_equals(equal: Mapping[str, Mapping[str, Any]]) -> Iterator[str]:
    """A line a peer."""
    for peer, figures in equal.items():
        hours, seeds, of = figures["pod_hours"], figures["seeds"], figures["of"]
        if hours is None:
            yield f"at an equal p95 wait: {peer} never lets tasks wait as little as ours, whatever its knobs"
            continue
        bounds = "" if hours["low"] is None else f" ({100 * hours['low']:+.0f} to {100 * hours['high']:+.0f})"
        share = f"{100 * hours['mean']:+.0f} %{bounds}"
        yield f"at an equal p95 wait: pod hours of ours beside {peer} {share}, on {seeds} of {of} seeds"


def _read(file: Path) -> tuple[str, Found]:
    try:
        told = json_.loads(file.read_text(encoding="utf-8"))
        policy, trials = told["policy"], told["trials"]
        shipped: Any = base(policy, Scenario())
        done = [trial for trial in trials if not trial.get("unfinished")]
        worthy = front(done, lambda trial: (trial["wait_p95_s"], trial["pod_hours"]))
        return policy, Found(_set(shipped, told["best"]), tuple(_set(shipped, trial["knobs"]) for trial in worthy))
    except OSError as error:
        refuse(f"--knobs {file} cannot be read: {error.strerror}; {WAY_OUT}")
    except (ValueError, LookupError, TypeError, AttributeError) as error:
        refuse(f"--knobs {file} cannot be used: {error!r}; {WAY_OUT}")


def _set(shipped: K, values: Mapping[str, Any]) -> K:
    """The knobs with these values, each a number of its range, or as it is shipped."""
    for knob in knobs_of(shipped):
        value, low, high = values[knob.name], knob.range.low, knob.range.high
        if value == getattr(shipped, knob.name):
            continue
        slack = 1e-9 * high  # a share of the range is rounded
        kinds = (int,) if knob.whole else (int, float)
        if type(value) not in kinds or not low - slack <= value <= high + slack:
            raise ValueError(f"{knob.name} = {value!r} is no {'whole ' * knob.whole}number from {low:g} to {high:g}")
    return replace(shipped, **values)
