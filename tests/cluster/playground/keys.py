"""Keys that are pressed while the playground runs, and what they do to the load."""

from __future__ import annotations

import os
import select
import sys
import termios
import tty
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Final, TypeAlias

from tests.cluster.playground.stage import POOL, Stage

Listen: TypeAlias = Callable[[float], str]

BURST: Final = 20  # tasks
STEPS: Final = (0.0, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 20.0, 50.0)  # tasks per second
HELP: Final = f"+ more   - less   0 none   b a burst of {BURST}   q or Ctrl-C the end"
QUIT: Final = "q"


@contextmanager
def listening() -> Iterator[Listen]:
    """A function that waits so many seconds for a key; it answers nothing where none came, or there is no keyboard."""
    if not sys.stdin.isatty():
        yield _waited
        return
    before = termios.tcgetattr(sys.stdin)
    tty.setcbreak(sys.stdin)
    try:
        yield _pressed
    finally:
        termios.tcsetattr(sys.stdin, termios.TCSADRAIN, before)


def turn(stage: Stage, key: str, rate: float) -> None:
    """Do to the load what the key says; it is at ``rate`` now."""
    for change in _changes(key, rate):
        stage.crew.turn(POOL, **change)


def _changes(key: str, rate: float) -> Iterator[Mapping[str, float]]:
    match key:
        case "+" | "=":
            yield {"rate": next((step for step in STEPS if step > rate), rate)}
        case "-" | "_":
            yield {"rate": next((step for step in reversed(STEPS) if step < rate), 0.0)}
        case "0":
            yield {"rate": 0.0}
        case "b":
            yield {"burst": BURST}
        case _:
            return


def _pressed(seconds: float) -> str:
    ready, _, _ = select.select([sys.stdin], [], [], seconds)
    if not ready:
        return ""
    try:
        return os.read(sys.stdin.fileno(), 1).decode(errors="replace") or QUIT  # the terminal was closed
    except OSError:
        return QUIT


def _waited(seconds: float) -> str:
    select.select([], [], [], seconds)
    return ""
