"""Programs that a test starts: on a port of their own, and ended with the test."""

from __future__ import annotations

import asyncio
import os
import shutil
import socket
from asyncio.subprocess import PIPE, STDOUT, Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import aiohttp
import pytest

from tests.support.wait import eventually


def program(name: str, package: str) -> str:
    """The program's path. Where it is missing the test is skipped, or fails if everything is required."""
    path = shutil.which(name)
    if path is None:
        missing = f"{name} is not installed: apt-get install {package}"
        if os.environ.get("AGENT_SCALER_REQUIRE_ALL") == "1":
            pytest.fail(missing)
        pytest.skip(missing)
    return path


def free_port() -> int:
    """A port on loopback that nobody has now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@asynccontextmanager
async def started(*command: str | Path) -> AsyncIterator[Process]:
    """Run a program until the end of the block; what it printed is shown if it ended on its own with an error."""
    process = await asyncio.create_subprocess_exec(*command, stdout=PIPE, stderr=STDOUT)
    assert process.stdout is not None
    said = asyncio.create_task(process.stdout.read())
    try:
        yield process
    except AssertionError as error:
        await stop(process)
        error.add_note((await said).decode(errors="replace"))
        raise
    finally:
        await stop(process)
        await said


async def stop(process: Process) -> None:
    """Ask it to end, and make it end if it does not."""
    if process.returncode is not None:
        return
    with suppress(ProcessLookupError):
        process.terminate()
    try:
        async with asyncio.timeout(10):
            await process.wait()
    except TimeoutError:
        process.kill()
        await process.wait()


async def answering(url: str, process: Process) -> None:
    """Return when the program answers 200 there; it must not end before."""

    async def answers() -> bool | None:
        """The program answers."""
        assert process.returncode is None, f"it ended with {process.returncode}"
        with suppress(aiohttp.ClientError):
            async with aiohttp.request("GET", url) as response:
                return True if response.status == 200 else None
        return None

    await eventually(answers)
