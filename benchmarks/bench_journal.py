"""What a pool of 20 pods costs on disk: a tick that changed nothing, a tick as work comes and goes, and what is kept.

The reference of a tick is the same tick's observation and verdict as plain JSON; that of what is kept, the whole
memory. The time to note a tick stands beside that of deciding it.
"""

from __future__ import annotations

import json
import statistics
from collections.abc import Iterable, Iterator
from contextlib import closing
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter

import numpy as np

from benchmarks import Goal, Result
from scaler.config.pool import PoolKey
from scaler.core.memory import Memory
from scaler.core.pods import Activity, Pod, Pods
from scaler.core.policy import Policy
from scaler.core.record import to_json
from scaler.core.tick import tick
from scaler.core.types import Instant, Known, Observation, Signal
from scaler.live.journal import Journal
from scaler.live.lasting import pack
from scaler.live.segments import segments
from scaler.live.ticker import Moment
from scaler.live.verdict import verdict

PODS = 20
TICKS = 2_000
KEY = PoolKey("agents", "coder")
START: Instant = 1_772_452_800.0
SIGNALS = (Signal.QUEUE, Signal.TOKENS, Signal.OLDEST_WAIT, Signal.WAIT_P95)


def observations(*, quiet: bool) -> Iterator[tuple[Instant, Observation]]:
    """Ticks about five seconds apart, each with four signals read a moment before; a fifth of the pods may change."""
    chance = np.random.default_rng(1)
    acts = Activity(inflight=1, at=START)
    columns = Pods.of(
        Pod(uid=f"agent-{i}", created_at=START - 900, since=START - 860, activity=acts) for i in range(PODS)
    )
    now, inflight, queue = START, columns.inflight, 0.0
    for _ in range(TICKS):
        now += 5 + float(chance.random()) / 1000
        if not quiet:
            inflight, queue = inflight.copy(), float(chance.poisson(1.0))
            inflight[chance.choice(PODS, PODS // 5, replace=False)] ^= 1
        pods = Pods(
            uids=columns.uids,
            created_at=columns.created_at,
            since=columns.since,
            stage=columns.stage,
            phase=columns.phase,
            inflight=inflight,
            sessions=columns.sessions,
            seen_at=np.full(PODS, now - 0.9),
            ordinal=columns.ordinal,
            epoch=columns.epoch,
            acked=columns.acked,
            displaced=columns.displaced,
            for_node=columns.for_node,
            zone=columns.zone,
        )
        signals = {name: Known(queue, now - float(chance.random())) for name in SIGNALS}
        yield now, Observation(replicas=Known(float(PODS), now - 0.5), pods=pods, signals=signals)


def noted(folder: Path, *, quiet: bool) -> tuple[list[Moment], float, float]:
    """Decide and write down; the moments, and the median microseconds of deciding one and of noting it."""
    policy, memory = Policy(min_replicas=PODS), Memory.fresh(START)
    moments, deciding, noting = [], [], []
    with closing(Journal(folder)) as journal:
        for now, observation in observations(quiet=quiet):
            began = perf_counter()
            outcome = tick(policy, memory, observation, now)
            between = perf_counter()
            moments.append(Moment(policy, memory, observation, outcome))
            memory = outcome.memory
            begun = perf_counter()
            journal.note(KEY, moments[-1])
            deciding.append(between - began)
            noting.append(perf_counter() - begun)
    return moments, statistics.median(deciding) * 1e6, statistics.median(noting) * 1e6


def plain(moment: Moment) -> int:
    """Bytes of a tick as it would be written by who remembers nothing."""
    value = [to_json(moment.outcome.at), to_json(moment.observation), verdict(moment.outcome)]
    return len(json.dumps(value, separators=(",", ":")))


def run() -> Iterable[Result]:
    """Measure a quiet pool and a busy one."""
    for name, quiet in (("quiet", True), ("busy", False)):
        with TemporaryDirectory() as folder:
            moments, deciding, noting = noted(Path(folder), quiet=quiet)
            sizes = [
                len(line) for path in segments(Path(folder)) for line in path.read_bytes().splitlines(keepends=True)
            ]
        largest = max(sizes[3:]) if quiet else statistics.mean(sizes[3:])
        goal = Goal("figure", "<=", 200 if quiet else 400)
        yield Result(name=f"{name}_tick", figure=largest, unit="bytes", reference=plain(moments[-1]), goal=goal)
        goal = Goal("ratio", "<=", 0.5)
        yield Result(name=f"{name}_note", figure=noting, unit="us", reference=deciding, goal=goal)
        memory = moments[-1].outcome.memory
        whole = len(json.dumps(to_json(memory), separators=(",", ":")))
        goal = Goal("figure", "<=", 1_024)
        yield Result(name=f"{name}_kept", figure=len(pack(memory)), unit="bytes", reference=whole, goal=goal)
