"""One container as a process: it starts, is probed, is restarted, and ends as kubelet ends one."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from asyncio import Future
from asyncio.subprocess import DEVNULL, Process
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import aiohttp

from scaler.controller.dig import at, text
from scaler.core.types import Instant, Seconds
from scaler.live.clock import Clock
from tests.cluster.harness.api import Json
from tests.cluster.harness.podspec import Container
from tests.cluster.harness.process import LAUNCHER

LEAST: Final[Seconds] = 2.0  # between SIGTERM and SIGKILL, however long preStop took: as kubelet has it
OK: Final = range(200, 400)  # the statuses with which a probe succeeds
BY_SIGNAL: Final = 128  # what is added to a signal's number


@dataclass(frozen=True, slots=True)
class Launch:
    """How a container's processes are started.

    Attributes:
        command: the words, filled in.
        env: the whole environment.
        folder: where they run.
        ip: the pod's address, where hooks and probes find it.
        log: where they write to.
    """

    command: Sequence[str]
    env: Mapping[str, str]
    folder: Path
    ip: str
    log: Path


@dataclass(frozen=True, slots=True)
class Ended:
    """How a container's last process ended."""

    code: int
    started_at: Instant
    finished_at: Instant


class Running:
    """A container whose process runs."""

    def __init__(self, container: Container, launch: Launch, process: Process, clock: Clock) -> None:
        self.started_at = clock.now()
        self._container = container
        self._launch = launch
        self._process = process
        self._clock = clock

    @property
    def pid(self) -> int:
        """The process."""
        return self._process.pid

    @classmethod
    async def start(cls, container: Container, launch: Launch, clock: Clock) -> Running:
        """Run the command.

        Raises:
            OSError: there is no such program.
        """
        return cls(container, launch, await _spawn(launch, launch.command), clock)

    async def ended(self) -> Ended:
        """How it ended, once it has."""
        code = await self._process.wait()
        self.kill()  # its children end with it, as those of a container do
        return Ended(code if code >= 0 else BY_SIGNAL - code, self.started_at, self._clock.now())

    async def stop(self, deadline: Future[None]) -> None:
        """End it: preStop, SIGTERM, and SIGKILL when the deadline is reached, but not before it had a moment to end."""
        hook: Future[None] = asyncio.create_task(self._pre_stop())
        await asyncio.wait([hook, deadline], return_when=asyncio.FIRST_COMPLETED)
        hook.cancel()
        await asyncio.gather(hook, return_exceptions=True)
        with suppress(ProcessLookupError):
            self._process.terminate()
        ended: Future[int] = asyncio.create_task(self._process.wait())
        await asyncio.wait([ended], timeout=LEAST)
        await asyncio.wait((ended, deadline), return_when=asyncio.FIRST_COMPLETED)
        self.kill()
        await ended

    async def succeeds(self, asks: Mapping[str, Json], *, within: Seconds | None) -> bool:
        """Whether a hook or a probe succeeds within so many seconds."""
        try:
            async with asyncio.timeout(within):
                return await self._ask(asks)
        except (OSError, TimeoutError, aiohttp.ClientError):
            return False

    async def _pre_stop(self) -> None:
        if self._container.pre_stop:
            await self.succeeds(self._container.pre_stop, within=None)

    async def _ask(self, asks: Mapping[str, Json]) -> bool:
        if isinstance(words := at(asks, "exec", "command"), list):
            return await _exec(self._launch, [str(word) for word in words])
        if isinstance(seconds := at(asks, "sleep", "seconds"), int):
            await asyncio.sleep(seconds)
            return True
        kind = "httpGet" if "httpGet" in asks else "tcpSocket"
        host, port = text(asks, kind, "host") or self._launch.ip, self._port(at(asks, kind, "port"))
        if kind == "tcpSocket":
            _, writer = await asyncio.open_connection(host, port)
            writer.close()
            return True
        url = f"{text(asks, kind, 'scheme').lower() or 'http'}://{host}:{port}{text(asks, kind, 'path') or '/'}"
        async with aiohttp.request("GET", url, allow_redirects=False, ssl=False) as answer:
            return answer.status in OK

    def _port(self, port: Json) -> int:
        return port if isinstance(port, int) else self._container.ports[str(port)]

    def kill(self) -> None:
        """End at once what is left of its process group."""
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)


async def _spawn(launch: Launch, words: Sequence[str]) -> Process:
    """Start a program that the kernel kills when we are gone, in a process group of its own."""
    launcher = [sys.executable, "-I", "-S", str(LAUNCHER), str(os.getpid())]
    with launch.log.open("ab") as log:
        return await asyncio.create_subprocess_exec(
            *(*launcher, *words),
            stdin=DEVNULL,
            stdout=log,
            stderr=log,
            env=launch.env,
            cwd=launch.folder,
            start_new_session=True,
        )


async def _exec(launch: Launch, words: Sequence[str]) -> bool:
    """Run a command to its end, beside the container's own process."""
    process = await _spawn(launch, words)
    try:
        return await process.wait() == 0
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        await process.wait()
