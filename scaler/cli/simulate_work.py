"""Work that options put in the place of a scenario's: what of the scenario then still holds."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Final

import typer

from scaler.cli.simulate_asked import Asked
from scaler.config.reading import Plain
from scaler.sim.scenario import Scenario, changed, without
from scaler.sim.stage import trace_of

PLACES: Final = ("trace", "rate")  # where work comes from
WORK: Final = (*PLACES, "begins", "lasts", "bursts", "thin", "stretch", "durations", "longest", "fanout", "sessions")


def under(asked: Asked, scenario: Scenario, changes: Mapping[str, Plain]) -> Scenario:
    """The scenario with these changes. A trace or journal that is given brings all that it says; what goes is told.

    Raises:
        ConfigError: a key does not take that.
        TraceError: the trace cannot be read.
    """
    source = asked.journal or asked.trace or asked.rate
    if source is None:
        return changed(scenario, changes)
    own = {key for key in WORK if getattr(scenario, key) is not None} & scenario.model_fields_set
    left_out = {*PLACES} & own
    if left_out:  # a curve says only when tasks come
        left_out |= own & {"stretch"} if asked.rate is not None else own - {"durations"}
    if "durations" in own - changes.keys() and _says_durations(asked):
        left_out.add("durations")
    if told := [key for key in WORK if key in left_out - (changes.keys() - {*PLACES})]:
        typer.echo(f"{source} says what comes, and not {', '.join(told)} of {asked.scenario}", err=True)
    question = {"question": f"{source} in the place of the work of {asked.scenario}"} if {*PLACES} & left_out else {}
    return changed(without(scenario, left_out), {**question, **changes})


def instead(changes: Mapping[str, Plain], given: Iterable[str] = ()) -> dict[str, Plain]:
    """The changes, with what a scenario says of the arrivals that these stand instead of; ``given`` options stay."""
    rest: dict[str, Plain] = {}
    if "trace" in changes:
        rest = {"rate": None, "bursts": 1.0}
    elif "rate" in changes:
        rest = {"trace": None, "stretch": 1.0}
    return {key: value for key, value in rest.items() if key not in given} | dict(changes)


def _says_durations(asked: Asked) -> bool:
    if asked.journal is not None:
        return True
    return asked.trace is not None and trace_of(Path(asked.trace)).seconds is not None
