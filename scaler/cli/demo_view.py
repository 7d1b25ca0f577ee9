"""What the demo shows while it runs and at its end: a live table in a terminal, plain lines elsewhere."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final, TypeAlias

import numpy as np
from rich.console import Console
from rich.live import Live
from rich.progress import Progress
from rich.table import Table
from rich.text import Text

from scaler.cli.lockstep import Moment
from scaler.core.explain import sentence
from scaler.core.pods import Phase
from scaler.core.types import Seconds, Unknown
from scaler.sim.score import Score

Show: TypeAlias = Callable[[Moment], None]

COLUMNS: Final = ("time", "demand", "target", "ready", "starting", "draining", "in flight", "queue", "why")
FIGURES: Final[tuple[tuple[str, Callable[[Score], str]], ...]] = (
    ("tasks", lambda s: f"{s.tasks}"),
    ("wait, median", lambda s: f"{s.wait_p50_s:.1f} s"),
    ("wait, 95th percentile", lambda s: f"{s.wait_p95_s:.1f} s"),
    ("pod hours", lambda s: f"{s.pod_hours:.1f}"),
    ("quick reversals per hour", lambda s: f"{s.quick_reversals_per_hour:.1f}"),
    ("pods taken away", lambda s: f"{s.removals}"),
    ("runs cut", lambda s: f"{s.killed}"),
)
ROWS: Final = 18
LINE_EVERY: Final[Seconds] = 300.0  # without a terminal


@contextmanager
def viewing(console: Console, seconds: Seconds, *, table: bool) -> Iterator[Show]:
    """Show moments of a run of ``seconds``: as a table, as lines where there is no terminal, or as progress alone."""
    view = _progress if not table else _table if console.is_terminal else _lines
    with view(console, seconds) as show:
        yield show


@contextmanager
def _table(console: Console, seconds: Seconds) -> Iterator[Show]:
    rows: deque[tuple[str, ...]] = deque(maxlen=ROWS)

    def show(moment: Moment) -> None:
        rows.append(_cells(moment))
        live.update(_drawn(rows, f"{_clock(moment.elapsed)} of {_clock(seconds)}"), refresh=True)

    with Live(console=console, auto_refresh=False) as live:
        yield show


@contextmanager
def _lines(console: Console, _: Seconds) -> Iterator[Show]:
    said: Seconds = 0.0

    def show(moment: Moment) -> None:
        nonlocal said
        if moment.elapsed >= said:
            said = moment.elapsed - moment.elapsed % LINE_EVERY + LINE_EVERY
            _print_line(console, _cells(moment))

    _print_line(console, COLUMNS)
    yield show


@contextmanager
def _progress(_: Console, seconds: Seconds) -> Iterator[Show]:
    console = Console(stderr=True)
    with Progress(console=console, transient=True, disable=not console.is_terminal) as progress:
        task = progress.add_task("virtual time", total=seconds)
        yield lambda moment: progress.update(task, completed=moment.elapsed)


def _cells(moment: Moment) -> tuple[str, ...]:
    """One row, in the order of ``COLUMNS``."""
    world, outcome = moment.world, moment.outcome
    fleet = world.fleet
    serving = fleet.phase[fleet.stays()] == Phase.ACTIVE
    ready = int(np.count_nonzero(fleet.ready() & serving))
    active = int(np.count_nonzero(serving))
    report = outcome.report
    return (
        _clock(moment.elapsed),
        f"{outcome.evidence.demand.up:.1f}",
        "?" if isinstance(report, Unknown) else str(report),
        str(ready),
        str(active - ready),
        str(len(serving) - active),
        str(world.work.running),
        str(len(world.work.queue)),
        sentence(outcome),
    )


def _drawn(rows: deque[tuple[str, ...]], caption: str) -> Table:
    table = Table(caption=caption, expand=True)
    for name in COLUMNS[:-1]:
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column(COLUMNS[-1], no_wrap=True, overflow="ellipsis", ratio=1)
    for row in rows:
        table.add_row(*(Text(cell) for cell in row))
    return table


def _print_line(console: Console, cells: tuple[str, ...]) -> None:
    *figures, why = cells
    console.print(Text(" ".join(f"{figure:>9}" for figure in figures) + f"  {why}"), soft_wrap=True)


def _clock(seconds: Seconds) -> str:
    whole = int(seconds)
    return f"{whole // 3600}:{whole // 60 % 60:02}:{whole % 60:02}"


def comparison(ours: Score, hpa: Score) -> Table:
    """Both runs, figure by figure."""
    table = Table(title="The same arrivals")
    table.add_column("")
    table.add_column("ours", justify="right")
    table.add_column("KEDA + HPA on queue depth", justify="right")
    for name, figure in FIGURES:
        table.add_row(name, figure(ours), figure(hpa))
    return table


def reading(ours: Score, hpa: Score) -> str:
    """What the figures say, for us and against us, and what they cannot say. One point a line."""
    return f"""\
- Ours took {ours.removals} pods away and cut {ours.killed} runs. The HPA took {hpa.removals} away and cut \
{hpa.killed}: it says how many go, and the ReplicaSet picks them without knowing who is busy.
- Ours cost {_beside(ours.pod_hours, hpa.pod_hours)} pod hours, and 95 % of the tasks waited at most \
{_beside(ours.wait_p95_s, hpa.wait_p95_s)} s. What was cut is part of a wait, which lasts until the run that counts.
- Ours turned back quickly {ours.quick_reversals_per_hour:.1f} times an hour, the HPA \
{hpa.quick_reversals_per_hour:.1f} times: its window of 300 s keeps it still, and pays for that in pods.
- The HPA is given waiting and running tasks together, read without delay. On waiting tasks alone, as a plain queue \
scaler reports them, it would take away the pods that are at work.
- This is one seed and one kind of work: it shows how the two behave, not how much either saves elsewhere."""


def _beside(ours: float, theirs: float) -> str:
    """Our figure, and theirs with what ours is more or less than it."""
    if not theirs:
        return f"{ours:.1f} (HPA {theirs:.1f})"
    change = round(100 * (ours / theirs - 1))
    much = f"{abs(change)} % {'more' if change > 0 else 'less'}" if change else "as much"
    return f"{ours:.1f} (HPA {theirs:.1f}, ours is {much})"
