"""What ``scaler simulate sweep`` does: every combination of some keys' values, each kept as soon as it is known."""

from __future__ import annotations

import hashlib
import itertools
import json as json_
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Executor
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final, TypeAlias

from rich.box import SIMPLE
from rich.console import Console
from rich.table import Table
from rich.text import Text

from scaler.cli.extras import needing
from scaler.cli.output import refuse
from scaler.cli.simulate_asked import AskedSweep
from scaler.cli.simulate_run import (
    COLUMNS,
    check_file,
    figures,
    make_folder,
    print_whole,
    progress,
    scenario_of,
    write,
)
from scaler.config.problems import ConfigError
from scaler.config.reading import Plain, read_yaml
from scaler.sim.compare import TOLD, cores, jobs, rows, summary, work_out
from scaler.sim.scenario import Scenario, changed

Means: TypeAlias = Mapping[str, Mapping[str, "float | None"]]

HEADINGS: Final = {name: heading for heading, name, _ in COLUMNS}
WHOLE: Final = 1000.0  # from here on a figure needs no decimals
SHADES: Final = ("on grey7", "on grey15", "on grey23", "on grey30", "on grey37")  # from small to large


@dataclass(frozen=True, slots=True)
class Point:
    """One combination."""

    settings: Mapping[str, Plain]
    scenario: Scenario

    def file(self, *, limits: bool) -> str:
        """Where its figures are kept: a name that is the same whenever the same is asked."""
        text = self.scenario.model_dump_json(exclude={"question"})
        return f"{hashlib.sha256(text.encode()).hexdigest()[:16]}{'' if limits else '-no-limits'}.json"


def sweep(asked: AskedSweep) -> None:
    """Work all combinations out, and tell."""
    check_file("--json", asked.json)
    shown = figures_of(asked.show)
    points = points_of(scenario_of(asked, asked.policies), asked.over)
    kept = asked.out
    files = [None if kept is None else kept / point.file(limits=asked.limits) for point in points]
    if kept is not None:
        make_folder("--out", kept)
    known = [None if file is None else _read(file) for file in files]
    found: list[Mapping[str, object]] = []
    with _executor(asked) as executor, progress(sum(figures is None for figures in known)) as told:
        for point, before, file in zip(points, known, files, strict=True):
            found.append(before or _worked_out(point, executor, limits=asked.limits))
            if before is None:
                told()
                if file is not None:
                    write(file, found[-1])
    _tell(Console(), points, found, shown)
    if asked.json is not None:
        whole = [{"settings": p.settings, **figures} for p, figures in zip(points, found, strict=True)]
        write(asked.json, {"points": whole})


def points_of(scenario: Scenario, over: Sequence[str]) -> list[Point]:
    """Every combination of the values, the last key changing fastest."""
    axes = [_axis(text) for text in over]
    try:
        settings = [dict(pairs) for pairs in itertools.product(*axes)]
        return [Point(each, changed(scenario, each)) for each in settings]
    except ConfigError as error:
        refuse(f"--over cannot be used:\n{error}")


def _axis(text: str) -> list[tuple[str, Plain]]:
    """A key with each of its values; they are read as YAML is, so that 4 is a number and 18s is text."""
    key, _, values = text.partition("=")
    if not key or not values:
        refuse(f"--over {text} cannot be used: write a key of the scenario and its values, like startup=18s,93s")
    return [(key, read_yaml(value).value) for value in values.split(",")]


def figures_of(text: str) -> list[str]:
    """The figures to print, by name."""
    names = [name.strip() for name in text.split(",")]
    if unknown := [name for name in names if name not in TOLD]:
        refuse(f"--show {', '.join(unknown)} is no figure; there are {', '.join(TOLD)}")
    return names


def _worked_out(point: Point, executor: Executor | None, *, limits: bool) -> dict[str, object]:
    todo = jobs(point.scenario, limits=limits)
    try:
        found = rows(todo, work_out(todo, executor, told=lambda: None))
    except ValueError as error:
        refuse(f"{point.settings} cannot be run: {error}")
    return figures(found, summary(point.scenario, found))


def _read(file: Path) -> Mapping[str, object] | None:
    """What was found before, if it was written whole."""
    try:
        known: dict[str, object] = json_.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return known


def _executor(asked: AskedSweep) -> AbstractContextManager[Executor | None]:
    return cores(asked.jobs) if asked.dask is None else _dask(asked.dask)


@contextmanager
def _dask(address: str) -> Iterator[Executor]:
    """The workers of a Dask cluster, which must have this package."""
    with needing("sweep"):
        from distributed import Client
    try:
        client: Client = Client(address, timeout="10s")  # type: ignore[no-untyped-call] # it ships types for some
    except (OSError, ValueError) as error:
        refuse(f"--dask {address} does not answer: {error}; give the scheduler's address, like tcp://10.0.0.5:8786")
    with client:
        yield client.get_executor()  # type: ignore[no-untyped-call] # the same


def _tell(
    console: Console, points: Sequence[Point], found: Sequence[Mapping[str, object]], shown: Sequence[str]
) -> None:
    """One figure as a heat map, or several side by side."""
    means = [_means(figures) for figures in found]
    keys = list(points[0].settings)
    lines = [list(map(str, point.settings.values())) for point in points]
    if len(shown) == 1:
        _map(console, keys, shown[0], list(zip(lines, means, strict=True)))
        return
    table = Table(*keys, "policy", *(HEADINGS.get(name, name) for name in shown), box=None, padding=(0, 1, 0, 0))
    for line, each in zip(lines, means, strict=True):
        for policy, mean in each.items():
            table.add_row(*line, policy, *(_short(mean[name]) for name in shown))
    print_whole(console, table)


def _map(console: Console, keys: Sequence[str], name: str, cells: Sequence[tuple[list[str], Means]]) -> None:
    """A row a combination, a column a policy, the figure in it, and the darker the smaller."""
    table = Table(*keys, *cells[0][1], box=SIMPLE, title=name)
    ranked = sorted(value for _, each in cells for mean in each.values() if (value := mean[name]) is not None)
    for line, each in cells:
        table.add_row(*line, *(_shaded(mean[name], ranked) for mean in each.values()))
    print_whole(console, table)


def _means(figures: Mapping[str, object]) -> Means:
    told = figures["summary"]
    assert isinstance(told, dict)  # noqa: S101 - summary made it
    means: Means = told["policies"]
    return means


def _shaded(value: float | None, ranked: Sequence[float]) -> Text:
    if value is None:
        return Text(_short(value), justify="right")
    shade = len(SHADES) * ranked.index(value) // len(ranked)
    return Text(_short(value), style=SHADES[shade], justify="right")


def _short(value: float | None) -> str:
    """Four digits, but whole numbers whole."""
    return "-" if value is None else f"{value:,.0f}" if abs(value) >= WHOLE else f"{value:.4g}"
