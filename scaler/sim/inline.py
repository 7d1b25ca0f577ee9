"""Work that is written into a scenario itself, under the same law as a file of it."""

from __future__ import annotations

import itertools
import math
from pathlib import Path
from typing import Annotated, Final, TypeAlias

from pydantic import BeforeValidator

from scaler.config.fields import refusal
from scaler.config.problems import shown
from scaler.sim.traces import POINTS

PAIR: Final = 2

Pairs: TypeAlias = tuple[tuple[float, float], ...]


def _tasks(given: object) -> object:
    """Tasks, or what names a file of them."""
    if not isinstance(given, list | tuple):
        return _named(given, "tasks like [[0, 60], [5, 90.5]]: seconds until it comes, seconds that it runs")
    if not given:
        raise refusal("must have a task", "write [seconds until it comes, seconds that it runs] for each")
    return tuple(_pair(item, place, "seconds until it comes, seconds that it runs") for place, item in enumerate(given))


def _curve(given: object) -> object:
    """Points that ascend, or what names a file of them."""
    if not isinstance(given, list | tuple):
        return _named(given, "points like [[0, 2], [3600, 5]]: seconds, tasks per minute")
    points = tuple(_pair(item, place, "seconds, tasks per minute") for place, item in enumerate(given))
    if len(points) < POINTS:
        raise refusal("must have two points at least", "write [seconds, tasks per minute] for where it begins and ends")
    for place, (before, after) in enumerate(itertools.pairwise(points), start=1):
        if after[0] <= before[0]:
            way_out = f"put item {place}, at {after[0]:g} s, where it belongs, or leave it out"
            raise refusal("must ascend in seconds", way_out)
    return points


def _named(given: object, otherwise: str) -> object:
    if not isinstance(given, str | Path):
        raise refusal("must be a file or a list", f"name a file, or write {otherwise}")
    return given


def _pair(item: object, place: int, meaning: str) -> tuple[float, float]:
    if isinstance(item, list | tuple) and len(item) == PAIR:
        first, second = item
        if _is_number(first) and _is_number(second):
            return float(first), float(second)
    raise refusal(f"must have two numbers from 0 on in each item: {meaning}", f"correct item {place}, {shown(item)}")


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value < math.inf


TraceOrFile: TypeAlias = Annotated[Path | Pairs, BeforeValidator(_tasks)]
CurveOrFile: TypeAlias = Annotated[Path | Pairs, BeforeValidator(_curve)]
