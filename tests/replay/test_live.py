"""The running loop's journal, replayed: what it decided is decided again, from what it saw and nothing else."""

from __future__ import annotations

import asyncio
from contextlib import closing, suppress
from pathlib import Path

from scaler.core.pods import Activity, Pod, Pods
from scaler.core.policy import Policy
from scaler.core.types import Instant, Known, Sample, Signal, Unknown
from scaler.live.journal import Journal, Limits
from scaler.live.loop import Loop
from scaler.live.registry import Registry
from scaler.live.segments import segments
from scaler.live.ticker import Ticker
from tests.support.journals import read, replayed
from tests.support.pools import NOON, PODS, QUEUE, REPLICAS, Diary, Oracle, Wall, settle, spec


def pods(running: int, at: Instant) -> Pods:
    """Four pods, of which so many run a task; one is not heard while three run."""
    acts = [Activity(inflight=int(i < running), at=at) for i in range(4)]
    silent = Unknown("refused")
    return Pods.of(
        Pod(uid=f"u{i}", created_at=NOON - 900, since=NOON - 800, activity=silent if running == i == 3 else act)
        for i, act in enumerate(acts)
    )


async def test_the_loops_decisions_come_again(tmp_path: Path) -> None:
    """A quarter of an hour: work comes and goes, a source fails, the policy is reloaded, the clock is set back."""
    oracle, board, clock, registry = Oracle(), Diary(), Wall(), Registry()
    pool = spec(pods=PODS)
    oracle.pods_at[PODS] = pods(0, NOON)
    registry.put(pool, clock.now())
    with closing(Journal(tmp_path, Limits(segment=20_000))) as journal:
        loop = asyncio.create_task(Loop(registry, oracle, Ticker(board, witness=journal), clock).run())
        await settle()
        for minute in range(15):
            queue: Sample = Unknown("timeout") if minute == 4 else Known(float(minute % 3 * 2), 0.0)
            oracle.samples |= {QUEUE: queue, REPLICAS: Known(4.0, 0.0)}
            oracle.pods_at[PODS] = pods(minute % 4, clock.now())
            if minute == 8:
                registry.put(spec(pods=PODS, policy=Policy(max_replicas=3)), clock.now())
            if minute == 11:
                clock.moved -= 500
            await clock.pass_time(60)
        loop.cancel()
        with suppress(asyncio.CancelledError):
            await loop
    outcomes = board.outcomes[pool.key]
    entries, flaws = read(tmp_path)
    assert [entry.at for entry in entries] == [outcome.at for outcome in outcomes]
    assert len(segments(tmp_path)) > 1
    assert flaws.lost == 0
    assert len({outcome.report for outcome in outcomes}) > 1
    assert {Signal.QUEUE} == set(entries[0].observation.signals)
    assert replayed(tmp_path).ticks == len(outcomes) > 180
