"""``scaler serve``: the running scaler put together from sources, loop, KEDA's door and pages."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import structlog
from aiohttp import web

from scaler.cli.config import read
from scaler.cli.disk import Disk, Folders
from scaler.cli.doors import Doors, Places
from scaler.cli.ending import Ending, leave
from scaler.cli.follower import Follower
from scaler.cli.forms import LogFormat, LogLevel
from scaler.cli.keeper import Keeper
from scaler.cli.logs import LoggedBoard, set_up
from scaler.cli.output import FAILED, fail, refuse
from scaler.cli.sparing import Sparing
from scaler.cli.version import own_version
from scaler.cli.watcher import Watcher
from scaler.config.check import checked
from scaler.config.problems import ConfigError
from scaler.config.settings import Settings
from scaler.core.types import Seconds
from scaler.external.desk import Desk
from scaler.external.listener import listening
from scaler.external.server import ExternalScaler
from scaler.live.certificates import CertificateError
from scaler.live.clock import Clock, SystemClock
from scaler.live.hinting import HintDesk
from scaler.live.loop import Loop
from scaler.live.registry import Registry
from scaler.live.ticker import Ticker
from scaler.sources.reader import open_sources
from scaler.web.app import application, served
from scaler.web.hints import hint_pages
from scaler.web.running import Reloads, Running

LARGEST_PORT: Final = 65_535
GRACE: Final[Seconds] = 1.5  # for each of the steps of an orderly end
LOG: structlog.stdlib.BoundLogger = structlog.stdlib.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class _File:
    """The configuration file, as it was at the start."""

    path: Path
    text: str
    settings: Settings


def run(config: Path, places: Places, folders: Folders, form: LogFormat, level: LogLevel) -> None:
    """Serve until SIGTERM or SIGINT. Does not return once it serves: the process ends with the exit code."""
    for option, place in (("--keda", places.keda), ("--http", places.http)):
        _split(option, place)
    if str(config) == "-":
        refuse("- is no file that can be read again when it changes: name one")
    text = read(config)
    try:
        settings = checked(text)
    except ConfigError as error:
        refuse("\n".join(f"{config}: {problem}" for problem in error.problems))
    sparing = set_up(form, level)
    asyncio.run(_serve(_File(config, text, settings), places, Disk(folders), sparing))


async def _serve(file: _File, places: Places, disk: Disk, sparing: Sparing) -> None:
    """What is entered last is left first: KEDA's door closes while the pages still say that we are not ready."""
    ending, clock, registry, board = Ending(), SystemClock(), Registry(disk.recall), LoggedBoard()
    keeper, follower = Keeper(file.settings, registry, clock), Follower(file.path, file.text, Reloads(clock.now()))
    async with AsyncExitStack() as stack:
        stack.callback(disk.close, registry, clock)
        sources = await stack.enter_async_context(open_sources(file.settings.sources))
        loop = Loop(registry, sources, Ticker(board, witness=disk.journal), clock)
        doors = _doors(places, keeper, clock)
        door = ExternalScaler(board, Desk(keeper), clock, guard=doors.guard())
        desk = HintDesk(registry, loop.prompt, lambda: keeper.settings.hints)
        running = Running(
            board=board,
            registry=registry,
            history=board.history,
            clock=clock,
            counts=loop.counts,
            sources=sources.health,
            door=door,
            reloads=follower.reloads,
            stopping=ending.asked.is_set,
            left_out=lambda: sparing.total,
            writes=disk.writes,
            hints=desk.counts,
            certificates=doors.standings,
            version=own_version(),
        )
        pages = application(running, doors.readers())
        pages.add_routes(hint_pages(desk, clock).routes())
        await _open(stack, door, running, pages, doors)
        watcher = Watcher(sources.health, sparing)
        following = (follower.follow(keeper, clock), *doors.following(clock))
        code = await _until(ending.asked, loop.run(), *following, watcher.watch(clock), *disk.work(registry, clock))
    LOG.info("stopped")
    leave(code)


def _doors(places: Places, keeper: Keeper, clock: Clock) -> Doors:
    try:
        return Doors.of(places, lambda: keeper.settings, clock.now())
    except CertificateError as error:
        refuse(f"{error}; it is named under tls in the configuration")


async def _open(
    stack: AsyncExitStack, door: ExternalScaler, running: Running, pages: web.Application, doors: Doors
) -> None:
    """Listen at both places, until the stack is unwound."""
    host, port = _split("--http", doors.places.http)
    try:
        http = await stack.enter_async_context(served(pages, host, port, certificates=doors.http))
        calls = listening(door, doors.places.keda, certificates=doors.keda, grace=GRACE)
        keda = await stack.enter_async_context(calls)
    except OSError as error:
        fail(f"{error}; choose another place with --keda or --http")
    LOG.info("serving", keda=keda, http=http, pools=len(running.registry), version=running.version)


async def _until(stop: asyncio.Event, *work: Coroutine[None, None, None]) -> int:
    """Work until told to stop. Work that ends by itself has failed, and the exit code says so."""
    tasks = [asyncio.create_task(each) for each in work]
    stopping = asyncio.create_task(stop.wait())
    ended, _ = await asyncio.wait([*tasks, stopping], return_when=asyncio.FIRST_COMPLETED)
    for task in (*tasks, stopping):
        task.cancel()
    await asyncio.wait(tasks, timeout=GRACE)
    for task in ended - {stopping}:
        LOG.error("the scaler failed and stops", exc_info=task.exception())
    return FAILED if ended - {stopping} else 0


def _split(option: str, place: str) -> tuple[str, int]:
    """Host and port of HOST:PORT."""
    host, colon, port = place.rpartition(":")
    if not (colon and host and port.isdecimal() and int(port) <= LARGEST_PORT):
        refuse(f"{option} {place!r} is no place to listen: write HOST:PORT, as in 0.0.0.0:6000")
    return host.strip("[]"), int(port)
