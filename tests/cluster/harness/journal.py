"""What happened to every task and every agent, a JSON line each, written before anything else follows from it.

A line is in the kernel's hands once it is written, so it outlives the process however that ends. ``at`` is in seconds
since the epoch, as the audit log's stamps are, so the two can be joined.
"""

from __future__ import annotations

import enum
import json
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from scaler.core.types import Instant, Seconds


class Event(enum.StrEnum):
    """What can happen."""

    QUEUED = "queued"  # a task arrived
    START = "start"  # an agent took it
    END = "end"  # it is done
    KILL = "kill"  # its agent went away under it, and it waits again
    HELD = "held"  # a task of a session that waits out its pause at its agent
    UP = "up"  # an agent can be reached
    CLOSED = "closed"  # its gate was closed by an order
    LEAVING = "leaving"  # its pod is being deleted; it takes nothing more
    GONE = "gone"  # its pod is no more


OF_TASKS: Final = frozenset({Event.QUEUED, Event.START, Event.END, Event.KILL, Event.HELD})


@dataclass(frozen=True, slots=True)
class Line:
    """One line. What an event does not have is empty or zero.

    Attributes:
        at: seconds since the epoch.
        pool: NAMESPACE/NAME.
        task: its number, from 1.
        seconds: how long the task takes from its beginning.
        uid: of the pod; ``pod`` is its name.
        why: what cut the task or ended the agent.
    """

    event: Event
    at: Instant
    pool: str
    task: int = 0
    seconds: Seconds = 0.0
    uid: str = ""
    pod: str = ""
    why: str = ""


class Journal:
    """Writes lines behind those that are there."""

    def __init__(self, path: Path) -> None:
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)

    def close(self) -> None:
        """Let the file go."""
        os.close(self._file)

    def write(self, event: Event, at: Instant, pool: str, more: Iterable[tuple[str, str | int | float]]) -> None:
        """Add a line; ``more`` is what else is known, by the names of ``Line``."""
        line = {"event": event, "at": round(at, 4), "pool": pool, **dict(more)}
        os.write(self._file, json.dumps(line, separators=(",", ":")).encode() + b"\n")


def lines(path: Path) -> Iterator[Line]:
    """What a journal says so far; nothing where there is none. A last line that was cut off is left out."""
    if not path.exists():
        return
    with path.open("rb") as journal:
        for line in journal:
            if line.endswith(b"\n"):
                said = json.loads(line)
                yield Line(**said | {"event": Event(said["event"])})


def open_tasks(path: Path) -> list[Line]:
    """The last line of every task that has not ended, the first to arrive first."""
    last: dict[int, Line] = {}
    for line in lines(path):
        if line.event is Event.END:
            last.pop(line.task, None)
        elif line.event in OF_TASKS:
            last[line.task] = line
    return [last[number] for number in sorted(last)]
