"""The scaler as ``bench_soak`` runs it with pods: ``python -m benchmarks.soak_server CONFIG FOLDER``.

Settings, signals, loop, decisions, board, log, journal, memories and KEDA's door are those of ``scaler serve``. Only
the pods are columns of numbers, for a machine that asks 100,000 pods every five seconds has no core left to be those
pods. A pool has as many as it was last told, and a fifth of them take up or end work between two readings.

It logs where it listens as ``scaler serve`` does, and ends with SIGTERM.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import replace
from pathlib import Path
from typing import Final
from uuid import NAMESPACE_URL, uuid5

import numpy as np
import structlog

from scaler.cli.disk import Disk, Folders
from scaler.cli.ending import Ending, leave
from scaler.cli.forms import LogFormat, LogLevel
from scaler.cli.interpreter import serve_well
from scaler.cli.keeper import Keeper
from scaler.cli.logs import LoggedBoard, set_up
from scaler.config.check import checked
from scaler.config.pool import ActivityEndpoints, PodSource, PoolKey, SignalSource
from scaler.config.settings import Settings
from scaler.core.pods import Activity, Ints, Pod, Pods
from scaler.core.types import Instant, Sample, Unknown
from scaler.external.desk import Desk
from scaler.external.listener import listening
from scaler.external.server import ExternalScaler
from scaler.live.board import Board
from scaler.live.clock import SystemClock
from scaler.live.loop import Loop
from scaler.live.registry import Registry
from scaler.live.ticker import Ticker
from scaler.sources.reader import Sources, open_sources

PODS: Final = 20  # of a pool that has not been told how many
MOST: Final = 24
CHANGING: Final = 5  # one pod in five
BUSY: Final = 0.8
SCENES: Final = 60
LOG: structlog.stdlib.BoundLogger = structlog.stdlib.get_logger("scaler.soak")


class Pools:
    """The pods of all pools."""

    def __init__(self, keys: dict[str, PoolKey], board: Board, now: Instant) -> None:
        self._keys, self._board = keys, board
        self._scenes = _scenes()
        self._crowds = {url: _Crowd(key, now, place) for place, (url, key) in enumerate(keys.items())}

    def read(self, url: str, now: Instant) -> Pods:
        """The pods of a pool that is read at this URL."""
        posted = self._board.get(self._keys[url])
        told = PODS if posted is None or isinstance(posted.outcome.report, Unknown) else posted.outcome.report
        return self._crowds[url].read(min(told, MOST), self._scenes, now)


class _Crowd:
    """The pods of one pool."""

    def __init__(self, key: PoolKey, now: Instant, scene: int) -> None:
        uids = (str(uuid5(NAMESPACE_URL, f"{key}/{i}")) for i in range(MOST))
        idle = Activity(inflight=0, at=now)
        self._all = tuple(Pod(uid=uid, created_at=now - 900, since=now - 840, activity=idle) for uid in uids)
        self._there = Pods.of(())
        self._scene = scene

    def read(self, size: int, scenes: Sequence[Ints], now: Instant) -> Pods:
        """That many of them, in the next scene."""
        if size != len(self._there):
            self._there = Pods.of(self._all[:size])
        self._scene += 1
        inflight = scenes[self._scene % len(scenes)][:size]
        return replace(self._there, inflight=inflight, seen_at=np.full(size, now))


def _scenes() -> tuple[Ints, ...]:
    """Tasks of each pod, reading by reading. Those that change trade places, so that the load stays what it is."""
    chance = np.random.default_rng(1)
    found = [(chance.random(MOST) < BUSY).astype(np.int64)]
    while len(found) < SCENES:
        some = chance.choice(MOST, 2 * MOST // CHANGING, replace=False)  # about half of these stay what they are
        now = found[-1].copy()
        now[some] = chance.permutation(now[some])
        found.append(now)
    return tuple(found)


class Reader:
    """Signals from where the settings say, and pods that are made up."""

    def __init__(self, sources: Sources, pools: Pools) -> None:
        self._sources, self._pools = sources, pools

    async def signals(self, sources: Sequence[SignalSource], now: Instant) -> Sequence[Sample]:
        """What the sources say."""
        return await self._sources.signals(sources, now)

    async def pods(self, source: PodSource, now: Instant) -> Pods:
        """The pool's pods, at once."""
        if not isinstance(source, ActivityEndpoints):
            raise TypeError(source)
        return self._pools.read(source.urls[0], now)


async def serve(settings: Settings, folders: Folders) -> None:
    """Serve until SIGTERM."""
    ending, clock, disk, board = Ending(), SystemClock(), Disk(folders), LoggedBoard()
    registry = Registry(disk.recall)
    door = ExternalScaler(board, Desk(Keeper(settings, registry, clock)), clock)
    urls = {pods.urls[0]: pool.spec.key for pool in registry if isinstance(pods := pool.spec.pods, ActivityEndpoints)}
    async with AsyncExitStack() as stack:
        stack.callback(disk.close, registry, clock)
        sources = await stack.enter_async_context(open_sources(settings.sources))
        reader = Reader(sources, Pools(urls, board, clock.now()))
        loop = Loop(registry, reader, Ticker(board, witness=disk.journal), clock)
        keda = await stack.enter_async_context(listening(door, "127.0.0.1:0"))
        LOG.info("serving", keda=keda, pools=len(registry))
        work = [asyncio.create_task(each) for each in (loop.run(), *disk.work(registry, clock))]
        await ending.asked.wait()
        for task in work:
            task.cancel()
        await asyncio.wait(work)
    leave(0)


def main(config: Path, folder: Path) -> None:
    """Put it together as ``scaler serve`` does."""
    set_up(LogFormat.JSON, LogLevel.INFO)
    folders = Folders(memory=folder / "memory", journal=folder / "journal")
    serve_well(serve(checked(config.read_text()), folders))


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
