"""What ``scaler simulate sweep`` does: every combination of some keys' values, each kept as soon as it is known."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Executor
from contextlib import AbstractContextManager, contextmanager
from typing import Any, Final, TypeAlias

import typer
from rich.box import SIMPLE
from rich.console import Console
from rich.table import Table
from rich.text import Text

from scaler.cli.extras import needing
from scaler.cli.output import refuse
from scaler.cli.simulate_asked import AskedSweep
from scaler.cli.simulate_files import STDOUT, check_file, make_folder, reader, write, write_text
from scaler.cli.simulate_kept import Kept
from scaler.cli.simulate_over import Point, points_of
from scaler.cli.simulate_progress import progress
from scaler.cli.simulate_run import COLUMNS, MEANING, figures, names_of, origin, print_whole
from scaler.sim.compare import TOLD, Job, cores, jobs, means_of, rows, summary, work_out
from scaler.sim.scenario import Scenario

Figures: TypeAlias = Mapping[str, Any]
Means: TypeAlias = Mapping[str, Mapping[str, "float | None"]]

LIMITS: Final = [name for name in TOLD if "opt" in name] + ["hours_at_target"]  # what --no-limits leaves out
LIES: Final = "!"
HEADINGS: Final = {name: heading for heading, name, _ in COLUMNS}
WHOLE: Final = 1000.0  # from here on a figure needs no decimals
SHADES: Final = ("on grey7", "on grey15", "on grey23", "on grey30", "on grey37")  # from small to large


def sweep(asked: AskedSweep) -> None:
    """Work all combinations out, and tell."""
    if asked.html == STDOUT:
        refuse("--html - is no file: name one, like sweep.html")
    for option, file in (("--html", asked.html), ("--json", asked.json)):
        check_file(option, file)
    shown = figures_of(asked.show, limits=asked.limits)
    points = points_of(asked)
    kept = None
    if asked.out is not None:
        make_folder("--out", asked.out)
        kept = Kept(asked.out, asked.limits)
    found = _found(asked, points, kept)
    try:
        write(asked.json, _written(points, found))
        if asked.html is not None:
            write_text(asked.html, _page(asked, points, found, shown))
    finally:
        _tell(reader(asked.json), points, found, shown)


def _page(asked: AskedSweep, points: Sequence[Point], found: Sequence[Figures], shown: Sequence[str]) -> str:
    from scaler.sim.report_map import sweep_page  # the plots are a large import that nothing else needs

    cells = [
        ([*map(str, point.settings.values())], figures["summary"]["policies"])
        for point, figures in zip(points, found, strict=True)
    ]
    keys = list(points[0].settings)
    return sweep_page(points[0].scenario, keys, cells, shown, lambda key: origin(asked, key))


def figures_of(text: str, *, limits: bool) -> list[str]:
    """The figures to print, by name."""
    names = names_of(text)
    if not names:
        refuse(f"--show {text!r} names no figure; there are {', '.join(TOLD)}")
    if unknown := [name for name in names if name not in TOLD]:
        refuse(f"--show {', '.join(unknown)} is no figure; there are {', '.join(TOLD)}")
    if not limits and (unknown := [name for name in names if name in LIMITS]):
        refuse(f"--show {', '.join(unknown)} follows from the limits: leave out --no-limits, or show another figure")
    return names


def _found(asked: AskedSweep, points: Sequence[Point], kept: Kept | None) -> list[Figures]:
    """The figures of each point: those that are kept, and the others worked out and kept one by one."""
    known = [None if kept is None else kept.read(point.scenario) for point in points]
    before = sum(figures is not None for figures in known)
    if before:
        typer.echo(f"{before} of {len(points)} points are taken from {asked.out}, as they were found before", err=True)
    todo = [jobs(point.scenario, limits=asked.limits) for point in points]
    found: list[Figures] = []
    runs = sum(len(each) for each, figures in zip(todo, known, strict=True) if figures is None)
    left = f"every point that was done is kept in {asked.out}: the same command goes on from there"
    if kept is None:
        left = "nothing of them is kept: with --out DIR every point that is done would be"
    with _executor(asked) as executor, progress(runs, left=left) as told:
        for point, each, figures in zip(points, todo, known, strict=True):
            found.append(_worked_out(point, each, executor, told) if figures is None else figures)
            if figures is None and kept is not None:
                kept.write(point.scenario, found[-1])
    return found


def _worked_out(point: Point, todo: Sequence[Job], executor: Executor | None, told: Callable[[], None]) -> Figures:
    try:
        found = rows(todo, work_out(todo, executor, told=told))
    except ValueError as error:
        refuse(f"{point} cannot be run: {error}")
    return figures(found, summary(point.scenario, found))


def _written(points: Sequence[Point], found: Sequence[Figures]) -> dict[str, object]:
    """A row for each run with what was set for it, and what the runs of each point say together."""
    pairs = list(zip(points, found, strict=True))
    return {
        "rows": [{**point.settings, **row} for point, figures in pairs for row in figures["rows"]],
        "summary": {"points": [{"settings": point.settings, **figures["summary"]} for point, figures in pairs]},
    }


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


def _tell(console: Console, points: Sequence[Point], found: Sequence[Figures], shown: Sequence[str]) -> None:
    """One figure as a heat map, or several side by side; and which of them lie."""
    means: list[Means] = [figures["summary"]["policies"] for figures in found]
    keys = list(points[0].settings)
    lines = [list(map(str, point.settings.values())) for point in points]
    if len(shown) == 1:
        print_whole(console, _map(keys, shown[0], list(zip(lines, means, strict=True))))
        console.print(Text(_reading(shown[0], points[0].scenario)), style="dim", soft_wrap=True)
    else:
        table = Table(*keys, "policy", *(HEADINGS.get(name, name) for name in shown), box=None, padding=(0, 1, 0, 0))
        for line, each in zip(lines, means, strict=True):
            for policy, mean in each.items():
                table.add_row(*line, policy, *(_short(mean, name) for name in shown))
        print_whole(console, table)
    for point, each in zip(points, means, strict=True):
        for policy, mean in each.items():
            if left := mean["unfinished"]:
                told = f"{LIES} {point}, {policy}: {left:,.10g} tasks of a run were never done; its figures lie"
                console.print(Text(told), soft_wrap=True)


def _reading(name: str, scenario: Scenario) -> str:
    """How the map is read, and what its figure is where the name does not say it."""
    meant = MEANING.get(name, "").format(price=scenario.wait_price)
    return f"{means_of(scenario.seeds)}; the darker, the less{f'. {meant}' if meant else ''}."


def _map(keys: Sequence[str], name: str, cells: Sequence[tuple[list[str], Means]]) -> Table:
    """A row a combination, a column a policy, the figure in it, and the darker the smaller."""
    table = Table(*keys, *cells[0][1], box=SIMPLE, title=name)
    honest = (mean[name] for _, each in cells for mean in each.values() if not mean["unfinished"])
    ranked = sorted(value for value in honest if value is not None)
    for line, each in cells:
        table.add_row(*line, *(_shaded(mean, name, ranked) for mean in each.values()))
    return table


def _shaded(mean: Mapping[str, float | None], name: str, ranked: Sequence[float]) -> Text:
    value = mean[name]
    if value is None or mean["unfinished"]:
        return Text(_short(mean, name), justify="right")
    shade = len(SHADES) * ranked.index(value) // len(ranked)
    return Text(_short(mean, name), style=SHADES[shade], justify="right")


def _short(mean: Mapping[str, float | None], name: str) -> str:
    """Four digits, but whole numbers whole; marked where it lies."""
    value = mean[name]
    told = "-" if value is None else f"{value:,.0f}" if abs(value) >= WHOLE else f"{value:.4g}"
    return f"{LIES} {told}" if mean["unfinished"] else told
