"""A process that decides, writes its journal and saves what it learns as fast as it can, until it is killed."""

from __future__ import annotations

from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from random import Random
from typing import Final

from scaler.config.pool import PoolKey
from scaler.core.policy import Guarantee, Policy
from scaler.core.types import Instant
from scaler.live.board import Board
from scaler.live.journal import Journal, Limits
from scaler.live.registry import Registry
from scaler.live.store import Directory, Memories
from scaler.live.ticker import Ticker
from tests.core.pool import NOW, Story, busy, idle
from tests.support.journals import happen
from tests.support.pools import spec

LIMITS: Final = Limits(segment=12_000, kept=4)
POLICIES: Final = {
    PoolKey("agents", "protected"): Policy(),
    PoolKey("agents", "best-effort"): Policy(guarantee=Guarantee.BEST_EFFORT),
}
DAY: Final = 86_400.0


@dataclass(frozen=True, slots=True)
class Done:
    """What is on the disk, says who wrote it: the journal up to one instant, what was learnt up to another."""

    noted: Instant
    saved: Instant


def rage(folder: Path, life: int, done: Connection) -> None:
    """Live a life: ``life`` days after noon, pools of a cluster each; after each step say what is done."""
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
        done.send(Done(noted=story.now, saved=pool.memory.at))
