"""Journals to read: pools that live through ticks, each written down as the ticker does it."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from contextlib import closing
from pathlib import Path
from random import Random
from typing import TypeAlias

from scaler.cli.replay import Replay
from scaler.config.pool import PoolKey
from scaler.core.memory import Memory
from scaler.core.policy import Policy
from scaler.core.record import Json, to_json
from scaler.core.tick import tick
from scaler.core.types import Instant, Observation, Signal
from scaler.live.journal import Journal, Limits
from scaler.live.lines import FIRST, seal
from scaler.live.reading import Entry, Flaws, Reading
from scaler.live.ticker import Moment
from tests.core.pool import Story, busy, idle

Ticks: TypeAlias = Iterable[tuple[PoolKey, Moment]]
KEY = PoolKey("agents", "coder")


def lived(ticks: int, *, pools: int = 1, pods: int = 20, seed: int = 1) -> Iterator[tuple[PoolKey, Moment]]:
    """Pools whose queues and pods change now and then, at instants with no short names.

    What is written down is decided by a second scaler, which looks on after the first one has been obeyed.
    """
    chance = Random(seed)
    keys = [KEY, *(PoolKey("agents", f"coder-{i}") for i in range(1, pools))]
    stories = {key: Story.of(Policy(), *((busy if i % 3 else idle)(f"agent-{i}") for i in range(pods))) for key in keys}
    memories = {key: story.memory for key, story in stories.items()}
    for _ in range(ticks):
        for key, story in stories.items():
            happen(story, chance)
            moment = decided(story.policy, memories[key], story.observation(), story.now)
            memories[key] = moment.outcome.memory
            yield key, moment


def happen(story: Story, chance: Random) -> None:
    """Let five seconds pass, in which work comes, and a pod may take up or end some."""
    story.signals[Signal.QUEUE] = float(max(0, round(chance.gauss(0, 2))))
    story.dispatch()
    if chance.random() < 0.3:
        story.runs(chance.choice(list(story.pods)), chance.choice([0, 1]))
    story.tick(5 + chance.random() / 1000)


def decided(policy: Policy, memory: Memory, observation: Observation, now: Instant) -> Moment:
    """A tick, with what went into it."""
    return Moment(policy, memory, observation, tick(policy, memory, observation, now))


def write(folder: Path, ticks: Ticks, limits: Limits | None = None) -> None:
    """Write these down, in one process."""
    with closing(Journal(folder, limits)) as journal:
        for key, moment in ticks:
            journal.note(key, moment)


def read(path: Path) -> tuple[list[Entry], Flaws]:
    """What a journal holds, and what it lacks."""
    reading = Reading(path)
    return list(reading), reading.flaws


def replayed(path: Path) -> Replay:
    """The journal, decided again."""
    replay = Replay()
    for entry in Reading(path):
        replay.again(entry)
    return replay


def told(key: PoolKey, moment: Moment) -> Json:
    """What must come back of a tick."""
    return [str(key), to_json(moment.observation), to_json(moment.policy), to_json(moment.outcome.at)]


def told_of(entry: Entry) -> Json:
    """The same of what was read."""
    return [entry.pool, to_json(entry.observation), to_json(entry.policy), to_json(entry.at)]


def lines(path: Path) -> list[Json]:
    """The lines of one file, as values without their checksums."""
    values = [json.loads(line) for line in path.read_bytes().splitlines()]
    return [{name: value for name, value in line.items() if name != "c"} for line in values]


def rewrite(path: Path, values: Iterable[Json]) -> None:
    """Put these lines in the file's place, sealed as if they had been written so."""
    chain, content = FIRST, b""
    for value in values:
        line, chain = seal(value, FIRST if "v" in value else chain)
        content += line
    path.write_bytes(content)
