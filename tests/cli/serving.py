"""``scaler serve`` as a program on free ports, and what is read of it."""

from __future__ import annotations

import asyncio
import json
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

import aiohttp

from tests.support.process import stop
from tests.support.wait import eventually

Line: TypeAlias = "dict[str, str | int | None]"
CONFIG = """\
classes:
  coding: {{mode: auto, max: 9}}
pools:
  agents/coder: {{class: coding, max: {most}, slots_per_pod: 2, pods: {{activity: ["{url}"]}}}}
"""


@dataclass
class Served:
    """A running ``scaler serve``, and the places where it listens."""

    process: Process
    log: asyncio.StreamReader
    keda: str = ""
    http: str = ""

    async def logged(self, beginning: str) -> Line:
        """The next line of the log that begins so."""
        async with asyncio.timeout(30):
            while text := await self.log.readline():
                line: Line = json.loads(text)
                if str(line["event"]).startswith(beginning):
                    return line
        raise AssertionError(f"the log ended without a line that begins {beginning!r}")

    async def rest(self) -> list[str]:
        """The events of the rest of the log."""
        async with asyncio.timeout(30):
            return [json.loads(line)["event"] for line in (await self.log.read()).splitlines()]

    async def ended(self) -> int:
        """The exit code."""
        async with asyncio.timeout(30):
            return await self.process.wait()

    async def ready(self) -> None:
        """Return when it is ready."""

        async def ready() -> str | None:
            """The first tick of every pool is done."""
            return await self.page("/readyz")

        await eventually(ready)

    async def metric(self, name: str) -> float | None:
        """A sample of the metrics page, by its name and labels as they are written there."""
        page = await self.page("/metrics") or ""
        values = [line.rpartition(" ")[2] for line in page.splitlines() if line.rpartition(" ")[0] == name]
        return float(values[0]) if values else None

    async def page(self, path: str) -> str | None:
        """A page, None while it does not answer 200."""
        plain = {"Accept": "text/plain"}
        async with aiohttp.request("GET", f"http://{self.http}{path}", headers=plain) as answer:
            return await answer.text() if answer.status == 200 else None


async def start(config: Path, *options: str | Path, keda: str = "127.0.0.1:0", http: str = "127.0.0.1:0") -> Process:
    """Start the program."""
    command = [sys.executable, "-m", "scaler", "serve", str(config), "--keda", keda, "--http", http, *options]
    return await asyncio.create_subprocess_exec(*command, stderr=PIPE)


@asynccontextmanager
async def serving(config: Path, *options: str | Path) -> AsyncIterator[Served]:
    """Serve the file on free ports."""
    process = await start(config, *options)
    assert process.stderr is not None
    served = Served(process, process.stderr)
    try:
        line = await served.logged("serving")
        served.keda, served.http = f"127.0.0.1:{line['keda']}", f"127.0.0.1:{line['http']}"
        yield served
    finally:
        await stop(process)
