"""What the playground shows: a live table on a terminal, a line now and then elsewhere."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Final, TypeAlias

from rich.box import SIMPLE_HEAD
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text

from tests.cluster.playground.glance import Glance
from tests.cluster.playground.keys import HELP
from tests.cluster.playground.stage import POOL, Stage

Show: TypeAlias = Callable[[Glance], None]

COLUMNS: Final = (
    *("time", "tasks/s", "waiting", "running", "target", "replicas"),
    *("ready", "starting", "leaving", "done", "cut", "why"),
)
ROWS: Final = 20


def introduction(stage: Stage) -> str:
    """Where everything is, for another terminal."""
    return f"""
A Kubernetes with KEDA, agent-scaler, and the pool {POOL} of agents that pull tasks from a queue.

  export KUBECONFIG={stage.cluster.admin}
  {stage.kubectl} -n {POOL.partition("/")[0]} get pods,hpa,scaledobjects

  turn the load   {stage.crew.url}/
                  curl -d rate=5 {stage.crew.url}/load
                  curl -d burst=50 {stage.crew.url}/load
  why this size   .venv/bin/scaler explain {POOL} --url {stage.scaler}
  logs            {stage.cluster.folder}/logs
"""


@contextmanager
def viewing(console: Console) -> Iterator[Show]:
    """Show one look after the other."""
    with (_table if console.is_terminal else _lines)(console) as show:
        yield show


@contextmanager
def _table(console: Console) -> Iterator[Show]:
    rows: deque[tuple[str, ...]] = deque(maxlen=ROWS)

    def show(seen: Glance) -> None:
        cells = _cells(seen)
        if not rows or cells[1:] != rows[-1][1:]:
            rows.append(cells)
        live.update(_drawn(rows), refresh=True)

    with Live(console=console, auto_refresh=False) as live:
        yield show


@contextmanager
def _lines(console: Console) -> Iterator[Show]:
    last: tuple[str, ...] = ()

    def show(seen: Glance) -> None:
        nonlocal last
        cells = _cells(seen)
        if cells[1:] != last:
            last = cells[1:]
            _print(console, cells)

    _print(console, COLUMNS)
    yield show


def _cells(seen: Glance) -> tuple[str, ...]:
    """One row, in the order of ``COLUMNS``."""
    figures = (seen.rate, seen.waiting, seen.running, seen.target, seen.replicas)
    more = (seen.agents, seen.starting, seen.leaving, seen.done, seen.cut)
    shown = ("?" if figure is None else f"{figure:g}" for figure in (*figures, *more))
    return (datetime.fromtimestamp(seen.at, UTC).astimezone().strftime("%H:%M:%S"), *shown, seen.why)


def _drawn(rows: deque[tuple[str, ...]]) -> RenderableType:
    table = Table(expand=True, box=SIMPLE_HEAD, padding=(0, 1, 0, 0))
    for name in COLUMNS[:-1]:
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column(COLUMNS[-1], no_wrap=True, overflow="ellipsis", ratio=1)
    for row in rows:
        table.add_row(*(Text(cell) for cell in row))
    return Group(table, Text(f"now: {rows[-1][-1]}"), Text(HELP, style="dim"))


def _print(console: Console, cells: tuple[str, ...]) -> None:
    *figures, why = cells
    console.print(Text(" ".join(f"{figure:>8}" for figure in figures) + f"  {why}"), soft_wrap=True)
