"""Killed at any moment, hundreds of times: journal and memory are always readable, and the next process goes on well.

``KILLS=500 pytest tests/replay/test_kill.py`` kills as often as that.
"""

from __future__ import annotations

import json
import multiprocessing
import os
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from random import Random

import pytest

from scaler.cli.replay import Replay
from scaler.config.pool import PoolKey
from scaler.core.memory import Memory
from scaler.core.pods import Activity, Pods
from scaler.core.types import Outcome, Seconds, Signal, Verb
from scaler.live.reading import Entry, Reading
from scaler.live.segments import segments
from scaler.live.store import Directory, Memories
from tests.core.pool import Story, told
from tests.support.pools import spec
from tests.support.reckless import LIMITS, POLICIES, Done, rage

KILLS = int(os.environ.get("KILLS", "30"))
STEP: Seconds = 15.0
PATIENCE: Seconds = 30.0


@dataclass(frozen=True, slots=True)
class Found:
    """What the journal says of each pool: its last entry, and what came out, with the memory of the unbroken run."""

    last: dict[str, Entry]
    outcomes: dict[str, Outcome]


@pytest.fixture(scope="module")
def forks() -> multiprocessing.context.ForkServerContext:
    """Processes that need not import everything first."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["tests.support.reckless"])
    return context


def lived_until_killed(forks: multiprocessing.context.ForkServerContext, folder: Path, life: int) -> Done:
    """Start a process, let it write for a random moment, kill it; what it had done for certain."""
    ours, theirs = forks.Pipe(duplex=False)
    process = forks.Process(target=rage, args=(folder, life, theirs), daemon=True)
    process.start()
    theirs.close()
    try:
        assert ours.poll(PATIENCE), "it has not begun"
        process.join(Random(life).uniform(0.0, 0.1))
        process.kill()
        process.join()
        return said_last(ours)
    finally:
        process.kill()
        ours.close()


def said_last(ours: Connection) -> Done:
    """The last whole message of a process that is no more."""
    last: Done | None = None
    try:
        while True:
            last = ours.recv()
    except (EOFError, OSError):  # the message that it was writing is cut
        assert last is not None
        return last


def found(folder: Path) -> Found:
    """Replay the journal: it can be read, every outcome is the same, and at most the line under way is cut."""
    replay, reading = Replay(), Reading(folder)
    last, outcomes = {}, {}
    for entry in reading:
        last[entry.pool], outcomes[entry.pool] = entry, replay.again(entry)
    assert (reading.flaws.lost, reading.flaws.gaps) == (0, 0)
    assert reading.flaws.cut <= 1
    assert len(segments(folder)) <= LIMITS.kept + 1
    return Found(last, outcomes)


def recalled(folder: Path, at: float) -> dict[PoolKey, Memory]:
    """What the next process would begin with. Nothing is damaged, and all pools are there."""
    with closing(Directory(folder)) as directory:
        kept = directory.load()
        assert not list(folder.glob("*.damaged"))
        assert kept.keys() == POLICIES.keys()
        memories = Memories(directory)
        return {key: memories.recall(spec(key.name, policy=policy), at) for key, policy in POLICIES.items()}


def test_nothing_is_torn_and_the_next_process_goes_on(
    forks: multiprocessing.context.ForkServerContext, tmp_path: Path
) -> None:
    """After each kill: all that was said to be written is there and good; a resumed run lowers nothing within its hold.

    It stays beside the unbroken run, whose memory the replay of the journal gives, within the one pod that a forecast's
    margin may be rounded by, and so they end.
    """
    for life in range(KILLS):
        done = lived_until_killed(forks, tmp_path, life)
        journal = found(tmp_path / "journal")
        assert max(entry.at for entry in journal.last.values()) >= done.noted
        kept = [json.loads(text) for text in saved(tmp_path / "memory")]
        assert all(pool["at"] >= round(done.saved) - 6 for pool in kept)
        for key, memory in recalled(tmp_path / "memory", max(entry.at for entry in journal.last.values())).items():
            entry, outcome = journal.last[str(key)], journal.outcomes[str(key)]
            unbroken, resumed = (going_on(entry, outcome, m) for m in (outcome.memory, memory))
            beside(unbroken, resumed, rise=life % 3 == 0)


def saved(folder: Path) -> Iterator[str]:
    """What is kept of each pool."""
    with closing(Directory(folder)) as directory:
        yield from directory.load().values()


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
    for step in range(120):
        for story in (unbroken, resumed):
            story.signals[Signal.QUEUE] = 3.0 if rise and step < 2 else 0.0
        was, before = resumed.replicas, resumed.memory
        outcome = (unbroken.tick(STEP), resumed.tick(STEP))[1]
        if resumed.now < before.born + before.lessons.gaps.timer:
            assert resumed.replicas >= max(was, unbroken.replicas - 1)
            assert not any(order.verb in (Verb.MARK, Verb.COMMIT) for order in outcome.orders), told(outcome)
    assert abs(resumed.replicas - unbroken.replicas) <= 1
    busy = [uid for uid, pod in unbroken.pods.items() if isinstance(pod.activity, Activity) and pod.activity.inflight]
    assert busy == [uid for uid in resumed.pods if uid in busy]
