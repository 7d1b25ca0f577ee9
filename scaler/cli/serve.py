"""``scaler serve``: the running scaler put together from sources, loop, KEDA's door and pages."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Coroutine
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import structlog

from scaler.cli.config import read
from scaler.cli.follower import Follower
from scaler.cli.keeper import Keeper
from scaler.cli.logs import LoggedBoard, set_up
from scaler.cli.output import fail, refuse
from scaler.cli.version import own_version
from scaler.config.check import checked
from scaler.config.problems import ConfigError
from scaler.config.settings import Settings
from scaler.external.desk import Desk
from scaler.external.listener import listening
from scaler.external.server import ExternalScaler
from scaler.live.clock import SystemClock
from scaler.live.loop import Loop
from scaler.live.registry import Registry
from scaler.live.ticker import Ticker
from scaler.sources.reader import open_sources
from scaler.web.app import application, served
from scaler.web.running import Running

LARGEST_PORT: Final = 65_535
LOG: structlog.stdlib.BoundLogger = structlog.stdlib.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Places:
    """Where to listen, as HOST:PORT: ``keda`` for KEDA's calls, ``http`` for the pages."""

    keda: str
    http: str


def run(config: Path, places: Places, *, verbose: bool) -> None:
    """Serve until SIGTERM or SIGINT."""
    for option, place in (("--keda", places.keda), ("--http", places.http)):
        _split(option, place)
    text = read(config)
    try:
        settings = checked(text)
    except ConfigError as error:
        refuse("\n".join(f"{config}: {problem}" for problem in error.problems))
    set_up(verbose=verbose)
    asyncio.run(_serve(settings, Follower(config, text), places))


async def _serve(settings: Settings, follower: Follower, places: Places) -> None:
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    clock, registry, board = SystemClock(), Registry(), LoggedBoard()
    keeper = Keeper(settings, registry, clock)
    async with AsyncExitStack() as stack:
        sources = await stack.enter_async_context(open_sources(settings.sources))
        loop = Loop(registry, sources, Ticker(board), clock)
        running = Running(
            board=board,
            registry=registry,
            clock=clock,
            counts=loop.counts,
            sources=sources.health,
            version=own_version(),
        )
        door = ExternalScaler(board, Desk(keeper), clock)
        await _open(stack, door, running, places)
        await _until(stop, loop.run(), follower.follow(keeper, clock))
        LOG.info("stopping: streams end with OK and calls finish")


async def _open(stack: AsyncExitStack, door: ExternalScaler, running: Running, places: Places) -> None:
    """Listen at both places, until the stack is unwound."""
    host, port = _split("--http", places.http)
    try:
        http = await stack.enter_async_context(served(application(running), host, port))
        keda = await stack.enter_async_context(listening(door, places.keda))
    except OSError as error:
        fail(f"{error}; choose another place with --keda or --http")
    LOG.info("serving", keda=keda, http=http, pools=len(running.registry), version=running.version)


async def _until(stop: asyncio.Event, *work: Coroutine[None, None, None]) -> None:
    """Work until told to stop. Work that ends by itself has failed, and its failure is ours."""
    tasks = [asyncio.create_task(each) for each in work]
    stopping = asyncio.create_task(stop.wait())
    ended, _ = await asyncio.wait([*tasks, stopping], return_when=asyncio.FIRST_COMPLETED)
    for task in (*tasks, stopping):
        task.cancel()
    await asyncio.gather(*tasks, stopping, return_exceptions=True)
    for task in ended:
        task.result()


def _split(option: str, place: str) -> tuple[str, int]:
    """Host and port of HOST:PORT."""
    host, colon, port = place.rpartition(":")
    if not (colon and host and port.isdecimal() and int(port) <= LARGEST_PORT):
        refuse(f"{option} {place!r} is no place to listen: write HOST:PORT, as in 0.0.0.0:6000")
    return host.strip("[]"), int(port)
