"""Killed at any moment: journal and memory are always readable, and the next process goes on as this one would have.

Before each single line that writes, renames or removes a file, and a few times by the clock. ``LAWS=thorough`` kills
twenty times as often.
"""

from __future__ import annotations

import json
import math
import multiprocessing
import os
import signal
from collections import Counter, deque
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from multiprocessing.connection import Connection
from multiprocessing.context import ForkServerContext, ForkServerProcess
from pathlib import Path
from random import Random

import pytest

from scaler.cli.replay import Replay
from scaler.config.pool import PoolKey
from scaler.core.memory import Memory
from scaler.core.numbers import whole
from scaler.core.pods import Pods, Stage
from scaler.core.reasons import Reason
from scaler.core.types import Outcome, Seconds, Signal, Unknown, Verb
from scaler.live.reading import Entry, Reading
from scaler.live.segments import segments
from scaler.live.store import Directory, Memories
from tests.core.pool import Story, free, told
from tests.properties.effort import THOROUGH
from tests.support.pools import spec
from tests.support.reckless import LIMITS, POLICIES, Axe, Done, Place, rage, survey

ROUNDS = 20 if THOROUGH else 1
SURVEYS = 3  # one finds no file, one a file that goes on, one a full one
BY_CLOCK = 6  # kills of a round
STEP: Seconds = 30.0
STEPS, RESTING = 60, 50  # half an hour, and when all that was to go has gone
PATIENCE: Seconds = 60.0
WINDOWS = {  # where a process is killed
    "save": {"replace_file", "sync_folder"},
    "rotation": {"Segments.begin", "Segments._end", "segments", "segments.<locals>.<genexpr>"},
    "write": {"Segments.write"},
    "start": {"Segments.__init__", "own_folder", "_whole"},
}


@dataclass(frozen=True, slots=True)
class Found:
    """What the journal says of each pool: its last entry, and what came out, with the memory of the unbroken run."""

    last: dict[str, Entry]
    outcomes: dict[str, Outcome]


@pytest.fixture(scope="module")
def forks() -> ForkServerContext:
    """Processes that need not import everything first, nor the program that runs the tests."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["tests.support.reckless", "pytest"])
    return context


@contextmanager
def begun(
    forks: ForkServerContext, target: Callable[..., None], *args: object
) -> Iterator[tuple[ForkServerProcess, Connection]]:
    """A process that has spoken to us, or has ended."""
    ours, theirs = forks.Pipe(duplex=False)
    process = forks.Process(target=target, args=(theirs, *args), daemon=True)
    process.start()
    theirs.close()
    try:
        assert ours.poll(PATIENCE), "it has not begun"
        yield process, ours
    finally:
        process.kill()
        process.join()
        ours.close()


def surveyed(forks: ForkServerContext, folder: Path) -> tuple[Done, Counter[Place]]:
    """What processes have done that were left alone, and how often one of them passed each perilous line."""
    passed = Counter[Place]()
    for life in range(SURVEYS):
        with begun(forks, survey, folder, life) as (_, ours):
            done, lines = ours.recv()
            passed |= lines
    return done, passed


def lived_until_killed(forks: ForkServerContext, folder: Path, life: int, axe: Axe | None) -> tuple[bool, Done | None]:
    """Start a process that is killed before a line or after a random moment: whether it was, and what it had done."""
    with begun(forks, rage, folder, life, axe) as (process, ours):
        if axe is None:
            process.join(Random(life).uniform(0.0, 0.05))
            process.kill()
        process.join(PATIENCE)
        return process.exitcode == -signal.SIGKILL, said_last(ours)


def said_last(ours: Connection) -> Done | None:
    """The last whole message of a process that is no more."""
    last: Done | None = None
    try:
        while True:
            last = ours.recv()
    except (EOFError, OSError):  # the message that it was writing is cut
        return last


def tear(folder: Path, done: Done, chance: Random) -> bool:
    """Let only a part of what was not said to be written be there, as after a kill within a write; is a line cut."""
    newest = segments(folder)[-1]
    sure = done.size if newest.name == done.file else 0
    os.truncate(newest, chance.randint(sure, newest.stat().st_size))
    return not (b"\n" + newest.read_bytes()).endswith(b"\n")


def found(folder: Path) -> Found:
    """Replay the journal: it can be read, every outcome is the same, and at most the last line of each file is cut."""
    replay, reading = Replay(), Reading(folder)
    last, outcomes = {}, {}
    for entry in reading:
        last[entry.pool], outcomes[entry.pool] = entry, replay.again(entry)
    assert (reading.flaws.lost, reading.flaws.gaps) == (0, 0)
    assert reading.flaws.cut <= len(segments(folder)) <= LIMITS.kept + 1
    return Found(last, outcomes)


def recalled(folder: Path, at: float) -> dict[PoolKey, Memory]:
    """What the next process would begin with. Nothing is damaged, and all pools are there."""
    with closing(Directory(folder)) as directory:
        assert directory.load().keys() == POLICIES.keys()
        assert not list(folder.glob("*.damaged"))
        memories = Memories(directory)
        return {key: memories.recall(spec(key.name, policy=policy), at) for key, policy in POLICIES.items()}


def saved(folder: Path) -> Iterator[str]:
    """What is kept of each pool."""
    with closing(Directory(folder)) as directory:
        yield from directory.load().values()


def axes(passed: Counter[Place]) -> Iterator[Axe | None]:
    """One that falls at each line, one of the times that it is passed, and some that the clock lets fall."""
    chance = Random(1)
    for _ in range(ROUNDS):
        yield from (Axe(place, chance.randint(1, min(times, 3))) for place, times in passed.items())
        yield from [None] * BY_CLOCK


def test_nothing_is_torn_and_the_next_process_goes_on(forks: ForkServerContext, tmp_path: Path) -> None:
    """After each kill all that was said to be written is there and good; a resumed run lowers nothing within its hold.

    Beside the unbroken run, whose memory the replay of the journal gives, it rises as far for the same work, if a tick
    later, and comes to rest as that does.
    """
    done, passed = surveyed(forks, tmp_path)
    assert {place.function for place in passed} == set.union(*WINDOWS.values())
    waiting, torn = deque(axes(passed)), 0
    for life in range(SURVEYS, SURVEYS + 2 * len(waiting)):
        axe = waiting.popleft()
        killed, said = lived_until_killed(forks, tmp_path, life, axe)
        if not killed:
            waiting.append(axe)  # some lines are passed only where the file before was full, or was not
        done = said or done
        torn += tear(tmp_path / "journal", done, Random(life))
        holds_after(tmp_path, life, done)
        if not waiting:
            break
    assert not waiting
    assert torn


def holds_after(folder: Path, life: int, done: Done) -> None:
    """What must hold after each kill."""
    journal = found(folder / "journal")
    latest = max(entry.at for entry in journal.last.values())
    assert latest >= done.noted
    assert all(json.loads(text)["at"] >= round(done.saved) for text in saved(folder / "memory"))
    memories = {str(key): memory for key, memory in recalled(folder / "memory", latest).items()}
    name = sorted(journal.last)[life % len(journal.last)]  # kills in a row let a pool's entries go with the oldest file
    entry, outcome, memory = journal.last[name], journal.outcomes[name], memories[name]
    unbroken, resumed = (going_on(entry, outcome, m) for m in (outcome.memory, memory))
    beside(unbroken, resumed, rise=life % 3 == 0)


def going_on(entry: Entry, outcome: Outcome, memory: Memory) -> Story:
    """The pool from its last tick on, which the cluster has obeyed, under the scaler with this memory."""
    observation = entry.observation
    assert isinstance(observation.pods, Pods)
    assert isinstance(outcome.report, int)
    return Story(
        policy=entry.policy,
        pods={pod.uid: pod for pod in observation.pods},
        replicas=outcome.report,
        memory=memory,
        signals={Signal.QUEUE: 0.0},
        now=entry.at,
        born=1_000_000,
    )


def beside(unbroken: Story, resumed: Story, *, rise: bool) -> None:
    """Two clusters from one moment on, perhaps with work that comes at once."""
    needed, working = 0, {uid for uid, pod in resumed.pods.items() if pod.stage is Stage.READY and not free(pod)}
    for step in range(STEPS):
        for story in (unbroken, resumed):
            story.signals[Signal.QUEUE] = 3.0 if rise and step < 2 else 0.0
        was, before = resumed.replicas, resumed.memory
        there, here = unbroken.tick(STEP), resumed.tick(STEP)
        assert resumed.replicas >= needed  # of the tick before: who waits for a second tick is not within tolerance
        needed = min(resumed.policy.cap, max((s.after for s in there.trail if s.reason is Reason.DEMAND), default=0))
        if resumed.now < before.born + before.lessons.gaps.timer:
            assert resumed.replicas >= was
            assert not any(order.verb in (Verb.MARK, Verb.COMMIT) for order in here.orders), told(here)
        if step >= RESTING:
            assert rests(unbroken, there)
            assert rests(resumed, here)
    assert there.evidence.demand == here.evidence.demand
    assert working <= resumed.pods.keys()


def rests(story: Story, outcome: Outcome) -> bool:
    """Whether there is what the work and the forecast ask for, but for what is within tolerance.

    The two runs may foresee otherwise, for one that was resumed has lost the forecast's single misses.
    """
    expected = outcome.evidence.forecast.pods
    ahead = 0 if isinstance(expected, Unknown) else whole(expected)
    asked = min(story.policy.cap, max(outcome.evidence.demand.need_up, ahead))
    return asked - math.floor(story.policy.pace.tolerance * story.replicas) <= story.replicas <= asked
