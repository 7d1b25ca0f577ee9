"""What a sweep goes over: ``--over KEY=A,B,C``, read, checked and put together to points."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from scaler.cli.output import refuse
from scaler.cli.simulate_asked import AskedSweep
from scaler.cli.simulate_files import check_named
from scaler.cli.simulate_run import KEYS, scenario_of
from scaler.cli.simulate_work import instead
from scaler.config.problems import ConfigError
from scaler.config.reading import Plain, read_yaml
from scaler.sim.durations import PREFIX, lognormal
from scaler.sim.scenario import Scenario, changed

ARRIVALS: Final = ("trace", "rate", "journal")  # of which there is one
COMMAS: Final = (
    "between values that have commas themselves write ; as in --over 'startup=lognormal:2.9,0.3;18s', in quotes"
)


@dataclass(frozen=True, slots=True)
class Point:
    """One combination."""

    settings: Mapping[str, Plain]
    scenario: Scenario

    def __str__(self) -> str:
        return ", ".join(f"{key}={value}" for key, value in self.settings.items())


def points_of(asked: AskedSweep) -> list[Point]:
    """Every combination of the values, the last key changing fastest."""
    texts = [_split(text) for text in asked.over]
    given = _given(asked)
    _check_keys([key for key, _ in texts], given)
    scenario = scenario_of(asked, asked.policies)
    axes = [[(key, _value(scenario, key, text)) for text in values] for key, values in texts]
    try:
        settings = [dict(pairs) for pairs in itertools.product(*axes)]
        return [Point(each, check_named(changed(scenario, instead(each, given)))) for each in settings]
    except ConfigError as error:
        advice = f"\n{COMMAS}" if any(PREFIX in text for text in asked.over) else ""
        refuse(f"--over cannot be used:\n{error}{advice}")


def _split(text: str) -> tuple[str, list[str]]:
    """A key, and its values as they are written."""
    key, _, values = text.partition("=")
    if not key or not values:
        refuse(f"--over {text} cannot be used: write a key of the scenario and its values, like startup=18s,93s")
    apart = ";" in values or PREFIX in values
    mark = ";" if apart else ","
    parts = values.removesuffix(mark).split(mark)
    for part in parts:
        if parts.count(part) > 1:
            refuse(f"--over {text} cannot be used: {part} is given twice, and would be run twice; give it once")
        if not part.strip():
            refuse(f"--over {text} cannot be used: a value is empty; write one between two of {mark}, or leave one out")
        if part.startswith(PREFIX):
            try:
                lognormal(part)
            except ValueError as error:
                refuse(f"--over {text} cannot be used: {error}; {COMMAS}")
    return key, parts


def _given(asked: AskedSweep) -> dict[str, object]:
    """The options that say what the scenario has."""
    return {key: value for key in (*KEYS, "journal") if (value := getattr(asked, key)) is not None}


def _check_keys(keys: Sequence[str], given: Mapping[str, object]) -> None:
    """Refuse keys that are said twice, whichever of the two would hold."""
    if "policies" in keys:
        refuse("--over policies cannot be used: every point compares all policies; name them by --policies ours,hpa")
    twice = [key for key, count in Counter(keys).items() if count > 1]
    if twice:
        refuse(f"--over {twice[0]} is given twice: write all its values in one, like --over {twice[0]}=A,B,C")
    for key in keys:
        if key in given:
            refuse(f"--{_option(key)} {given[key]} and --over {key} both set {key}: give one of them")
    for one, other in _clashes(keys, given):
        refuse(f"--over {one} and {other} both say what comes: give one of them")


def _clashes(keys: Sequence[str], given: Iterable[str]) -> Iterator[tuple[str, str]]:
    """Arrivals that others would stand beside."""
    for key in keys:
        if key in ARRIVALS:
            yield from ((key, f"--over {other}") for other in keys if other in ARRIVALS and other != key)
            yield from ((key, f"--{other}") for other in given if other in ARRIVALS)


def _option(key: str) -> str:
    return key.replace("_", "-")


def _value(scenario: Scenario, key: str, text: str) -> Plain:
    """A value, read as YAML is: 4 is a number and 18s is text. A number where text is wanted is text, as in options."""
    try:
        value = read_yaml(text).value
    except ConfigError as error:
        refuse(f"--over {key} cannot be used: {text} {error.problems[0].allowed}; {COMMAS}")
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return text if is_number and not _takes(scenario, key, value) and _takes(scenario, key, text) else value


def _takes(scenario: Scenario, key: str, value: Plain) -> bool:
    try:
        changed(scenario, {key: value})
    except ConfigError:
        return False
    return True
