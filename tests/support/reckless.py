"""A process that decides, writes its journal and saves what it learns as fast as it can, until it is killed."""

from __future__ import annotations

import os
import signal
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from multiprocessing.connection import Connection
from pathlib import Path
from random import Random
from types import FrameType
from typing import Any, Final

from scaler.config.pool import PoolKey
from scaler.core.policy import Guarantee, Policy
from scaler.core.types import Instant
from scaler.live import files
from scaler.live import segments as numbered
from scaler.live.board import Board
from scaler.live.journal import Journal, Limits
from scaler.live.registry import Registry
from scaler.live.segments import segments
from scaler.live.store import Directory, Memories
from scaler.live.ticker import Ticker
from tests.core.pool import NOW, Story, busy, idle
from tests.support.journals import happen
from tests.support.pools import spec

LIMITS: Final = Limits(segment=9_000, kept=3)
POLICIES: Final = {
    PoolKey("agents", "protected"): Policy(),
    PoolKey("agents", "best-effort"): Policy(guarantee=Guarantee.BEST_EFFORT),
}
DAY: Final = 86_400.0
SURVEYED: Final = 20  # steps, in which files end and the oldest go
PERILOUS: Final = frozenset({files.__file__, numbered.__file__})  # every line that writes, renames or removes a file


@dataclass(frozen=True, slots=True)
class Place:
    """A line of code, about to be run."""

    function: str
    line: int


@dataclass(frozen=True, slots=True)
class Done:
    """What is on the disk for certain: the journal up to an instant and so many bytes of a file, what was learnt."""

    noted: Instant
    saved: Instant
    file: str
    size: int


class Axe:
    """Counts the perilous lines that are passed, and falls before one of them."""

    def __init__(self, place: Place | None = None, nth: int = 1) -> None:
        self.passed: Counter[Place] = Counter()
        self.place, self._nth = place, nth

    def __call__(self, frame: FrameType, event: str, arg: Any) -> Axe | None:  # noqa: ANN401 - as Python calls it
        """Follow the frames of perilous files, line by line."""
        if frame.f_code.co_filename not in PERILOUS:
            return None
        if event == "line":
            here = Place(frame.f_code.co_qualname, frame.f_lineno)
            self.passed[here] += 1
            if here == self.place and self.passed[here] == self._nth:
                os.kill(os.getpid(), signal.SIGKILL)
        return self


def live(folder: Path, life: int) -> Iterator[Done]:
    """Live a life: ``life`` days after noon, pools of a cluster each; after each step, what is done."""
    memories = Memories(Directory(folder / "memory"))
    journal = Journal(folder / "journal", LIMITS)
    registry, chance = Registry(memories.recall), Random(life)
    ticker = Ticker(Board(), witness=journal)
    stories = {}
    for key, policy in POLICIES.items():
        registry.put(spec(key.name, policy=policy), NOW + life * DAY)
        stories[key] = Story.of(policy, *((busy if i % 2 else idle)(f"agent-{life}-{i}") for i in range(6)))
        stories[key].now += life * DAY
        stories[key].memory = stories[key].memory.at_or_before(NOW)
    while True:
        for pool in registry:
            story = stories[pool.spec.key]
            happen(story, chance)
            ticker.tick(pool, story.observation(), story.now)
            journal.flush()
        memories.save(registry, story.now)
        newest = segments(folder / "journal")[-1]
        yield Done(story.now, pool.memory.at, newest.name, newest.stat().st_size)


def survey(said: Connection, folder: Path, life: int) -> None:
    """Live some steps, and say what is done, and how often each perilous line was passed."""
    axe = Axe()
    sys.settrace(axe)
    *_, done = islice(live(folder, life), SURVEYED)
    sys.settrace(None)
    said.send((done, axe.passed))


def rage(said: Connection, folder: Path, life: int, axe: Axe | None) -> None:
    """Live for as long as it takes the axe to fall, or for ever, and say after each step what is done."""
    sys.settrace(axe)
    for done in live(folder, life) if axe is None else islice(live(folder, life), 3 * SURVEYED):
        said.send(done)
