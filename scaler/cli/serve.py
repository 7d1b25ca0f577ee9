"""``scaler serve``: the running scaler put together from sources, loop, KEDA's door and pages."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final, TypeAlias

import structlog

from scaler.cli import controlling
from scaler.cli.config import read
from scaler.cli.disk import Disk, Folders
from scaler.cli.doors import Doors, Places
from scaler.cli.ending import Ending, stop
from scaler.cli.follower import Follower
from scaler.cli.forms import LogFormat, LogLevel
from scaler.cli.interpreter import serve_well
from scaler.cli.keeper import Keeper
from scaler.cli.logs import LoggedBoard, set_up
from scaler.cli.output import FAILED, fail, refuse
from scaler.cli.seat import Candidacy, Seat, check, seated
from scaler.cli.sparing import Sparing
from scaler.cli.version import own_version
from scaler.cli.warming import Means, Warming
from scaler.cli.warnings import Warner
from scaler.cli.watcher import Watcher
from scaler.config.check import checked
from scaler.config.problems import ConfigError
from scaler.config.settings import Settings
from scaler.core.types import Seconds
from scaler.external.desk import Desk
from scaler.external.reception import Reception, receiving
from scaler.external.server import ExternalScaler
from scaler.live.certificates import CertificateError
from scaler.live.charge import Charge
from scaler.live.clock import Clock, SystemClock
from scaler.live.hinting import HintDesk
from scaler.live.loop import Loop
from scaler.live.registry import Registry
from scaler.live.ticker import Ticker
from scaler.sources.reader import Sources, open_sources
from scaler.web.app import application, served
from scaler.web.hints import hint_pages
from scaler.web.running import Readiness, Reloads, Running

LARGEST_PORT: Final = 65_535
GRACE: Final[Seconds] = 1.5  # for each of the steps of an orderly end
LOG: structlog.stdlib.BoundLogger = structlog.stdlib.get_logger(__name__)
Listening: TypeAlias = AbstractAsyncContextManager[int]  # the value is the port


@dataclass(frozen=True, slots=True)
class _File:
    """The configuration file, as it was at the start."""

    path: Path
    text: str
    settings: Settings


@dataclass(frozen=True, slots=True)
class Asked:
    """What the command line asks for, beside the file."""

    places: Places
    folders: Folders
    candidacy: Candidacy
    control: controlling.Asked


def run(config: Path, asked: Asked, form: LogFormat, level: LogLevel) -> None:
    """Serve until SIGTERM or SIGINT. Does not return once it serves: the process ends with the exit code."""
    for option, place in (("--keda", asked.places.keda), ("--http", asked.places.http)):
        _split(option, place)
    check(asked.candidacy)
    controlling.check(asked.control)
    if str(config) == "-":
        refuse("- is no file that can be read again when it changes: name one")
    text = read(config)
    try:
        settings = checked(text)
    except ConfigError as error:
        refuse("\n".join(f"{config}: {problem}" for problem in error.problems))
    sparing = set_up(form, level)
    serve_well(_serve(_File(config, text, settings), asked, Disk(asked.folders), sparing))


async def _serve(file: _File, asked: Asked, disk: Disk, sparing: Sparing) -> None:
    """What is entered last is left first: KEDA's door closes while the pages still say that we are not ready."""
    ending, clock, registry = Ending(), SystemClock(), Registry(disk.recall)
    keeper, follower = Keeper(file.settings, registry, clock), _follower(file, asked, clock)
    async with AsyncExitStack() as stack:
        stack.callback(disk.close, registry, clock)
        sources = await stack.enter_async_context(open_sources(file.settings.sources))
        seat = await stack.enter_async_context(seated(asked.candidacy, clock))
        board, doors = LoggedBoard(seat.office, registry.strategy), _doors(asked.places, keeper, clock)
        charge = Charge(registry, board, seat.office, clock)
        control = await stack.enter_async_context(controlling.controlling(asked.control, sources, charge, keeper))
        ticker = Ticker(board, control.orders, witness=disk.journal, office=seat.office)
        loop, warm = Loop(registry, sources, ticker, clock), _warming(asked, sources, keeper, charge, control)
        door = ExternalScaler(board, _desk(keeper), clock, guard=doors.guard(), office=seat.office, warm=warm)
        desk = HintDesk(warm.beside(registry), warm.prompting(loop.prompt), lambda: keeper.settings.hints)
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
            warm=warm.standings,
            office=seat.office,
            deeds=charge.deeds,
            version=own_version(),
        )
        reception = Reception(door, seat.office, ready=Readiness(running).holds, certificates=doors.keda, grace=GRACE)
        await _open(stack, running, seat, _http(asked, running, doors, desk), receiving(reception, asked.places.keda))
        work = [*seat.work(partial(_begin, registry, ticker, sources, clock)), loop.run(), *control.work(), warm.run()]
        work += [reception.follow(), reception.heed(clock), follower.follow(keeper, clock), *doors.following(clock)]
        code = await _until(ending.asked, *work, *disk.work(registry, clock), _watch(sources, sparing, clock))
    stop(code)


def _http(asked: Asked, running: Running, doors: Doors, desk: HintDesk) -> Listening:
    pages = application(running, doors.readers())
    pages.add_routes(hint_pages(desk, running.clock).routes())
    return served(pages, *_split("--http", asked.places.http), certificates=doors.http)


def _begin(registry: Registry, ticker: Ticker, sources: Sources, clock: Clock) -> None:
    """Before a term: what was decided until now was decided without the right to, so nobody is answered from it."""
    sources.forget()
    for pool in registry:
        ticker.forget(pool.spec.key)
    registry.begin_anew(clock.now())


def _watch(sources: Sources, sparing: Sparing, clock: Clock) -> Coroutine[None, None, None]:
    return Watcher(sources.health, sparing).watch(clock)


def _follower(file: _File, asked: Asked, clock: Clock) -> Follower:
    warner = Warner(controlled=asked.control.address is not None)
    warner.look(file.settings)
    for why in controlling.unused(asked.control, leads=asked.candidacy.lease is not None, settings=file.settings):
        LOG.warning("an option is of no use", why=why)
    return Follower(file.path, file.text, Reloads(clock.now()), warner)


def _desk(keeper: Keeper) -> Desk:
    return Desk(keeper, share=lambda: keeper.settings.admission.pools_per_namespace)


def _warming(
    asked: Asked, sources: Sources, keeper: Keeper, charge: Charge, control: controlling.Controlling
) -> Warming:
    means = Means(asked.candidacy.kubeconfig, asked.control.key, sources.ask, asked.control.home, control.library)
    return Warming(means, lambda: keeper.settings, charge)


def _doors(places: Places, keeper: Keeper, clock: Clock) -> Doors:
    try:
        return Doors.of(places, lambda: keeper.settings, clock.now())
    except CertificateError as error:
        refuse(f"{error}; it is named under tls in the configuration")


async def _open(stack: AsyncExitStack, running: Running, seat: Seat, http: Listening, keda: Listening) -> None:
    """Listen at both places until the stack is unwound; the seat is left when KEDA's door has closed."""
    try:
        http_port = await stack.enter_async_context(http)
        stack.push_async_callback(seat.leave)
        keda_port = await stack.enter_async_context(keda)
    except OSError as error:
        fail(f"{error}; choose another place with --keda or --http")
    LOG.info("serving", keda=keda_port, http=http_port, pools=len(running.registry), version=running.version)


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
