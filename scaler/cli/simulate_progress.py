"""How far a simulation is: a bar on a terminal, and elsewhere a line now and then."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Event, Thread
from typing import Final

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from scaler.cli.output import interrupted
from scaler.live.clock import steady

FIRST: Final = 2.0  # seconds until the first line
EVERY: Final = 10.0  # between two
SILENT: Final = 30.0  # until a line says that nothing more is done yet
LIMITS: Final = "runs and limits"
SPARED: Final = {LIMITS: "; --no-limits leaves the limits out"}  # what would make it shorter


@contextmanager
def progress(total: int, of: str = LIMITS, left: str = "nothing of them is kept") -> Iterator[Callable[[], None]]:
    """Tell on stderr how many are done, and what is ``left`` of them if interrupted. Answers what to call for each."""
    done = 0
    try:
        with _shown(total, of) as told:

            def one_more() -> None:
                nonlocal done
                done += 1
                told()

            yield one_more
    except KeyboardInterrupt:
        interrupted(f"{done} of {total} {of} were done, and {left}")


@contextmanager
def _shown(total: int, of: str) -> Iterator[Callable[[], None]]:
    console = Console(stderr=True)
    if not console.is_terminal:
        lines, ended = _Lines(total, of), Event()
        Thread(target=lines.wait, args=(ended,), daemon=True).start()
        try:
            yield lines.told
        finally:
            ended.set()
        return
    parts = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*parts, console=console, transient=True) as bar:
        task = bar.add_task(of, total=total)
        yield lambda: bar.advance(task)


class _Lines:
    """Lines for a log; none for what is done before the first would come."""

    def __init__(self, total: int, of: str) -> None:
        self._done, self._total, self._of = 0, total, of
        self._begun = steady()
        self._due = self._begun + FIRST

    def told(self) -> None:
        """One more is done."""
        self._done += 1
        if steady() >= self._due:
            self._due = steady() + EVERY
            self._say()

    def wait(self, ended: Event) -> None:
        """Say now and then that it goes on, for one run alone may take minutes."""
        while not ended.wait(SILENT):
            self._say(f" in {steady() - self._begun:,.0f} s{SPARED.get(self._of, '')}")

    def _say(self, more: str = "") -> None:
        typer.echo(f"{self._done} of {self._total} {self._of} done{more}", err=True)
