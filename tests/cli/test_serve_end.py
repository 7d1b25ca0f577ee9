"""How ``scaler serve`` ends. Exit code 0 says that it ended in order and within five seconds: the bound gives 1."""

from __future__ import annotations

import asyncio
import signal
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from scaler.external.client import Trigger, connected
from tests.cli.serving import serving
from tests.support.http import stutter, talking

CODER = Trigger("agents", "coder")
HUNG = """\
pools:
  agents/queued: {{signals: {{queue: {{query: q, url: "{url}"}}}}, replicas: {{query: r, url: "{url}"}}}}
  agents/coder: {{pods: {{activity: ["{url}"]}}}}
"""
READER = """\
import asyncio, sys
from scaler.external.client import Trigger, connected

async def main():
    async with connected(sys.argv[1]) as keda:
        async for _ in keda.pushes(Trigger("agents", "coder")):
            print("open", flush=True)

asyncio.run(main())
"""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_a_thousand_streams_end_with_ok(config: Path, number: signal.Signals) -> None:
    """Each is told the end as a good one, after which KEDA comes back in two seconds instead of a minute."""
    async with serving(config) as served, connected(served.keda) as keda:
        await served.ready()
        streams = [keda.pushes(CODER) for _ in range(1000)]
        assert set(await asyncio.gather(*(anext(stream) for stream in streams))) == {True}
        assert await served.metric("agent_scaler_streams_open") == 1000
        served.process.send_signal(number)
        ends = await asyncio.gather(*(anext(stream, None) for stream in streams))
        assert (await served.ended(), set(ends)) == (0, {None})
        assert (await served.rest())[-2:] == ["stopping", "stopped"]


async def test_a_source_that_hangs_holds_nothing_up(tmp_path: Path) -> None:
    """Its threads wait for an answer that never ends, and the process is left without them."""
    async with talking(stutter) as url:
        file = tmp_path / "pools.yaml"
        file.write_text(HUNG.format(url=url))
        async with serving(file) as served:
            failing = await served.logged("a source fails")
            assert failing["fault"] == "slow"
            served.process.send_signal(signal.SIGTERM)
            assert await served.ended() == 0


@asynccontextmanager
async def stuck_reader(place: str) -> AsyncIterator[Process]:
    """A client with an open stream, stopped in the middle of reading it."""
    reader = await asyncio.create_subprocess_exec(sys.executable, "-c", READER, place, stdout=PIPE)
    assert reader.stdout is not None
    try:
        assert await reader.stdout.readline() == b"open\n"
        reader.send_signal(signal.SIGSTOP)
        yield reader
    finally:
        reader.kill()
        await reader.wait()


async def test_it_is_unready_first_and_a_reader_that_is_stuck_holds_nothing_up(config: Path) -> None:
    """While the door waits for the reader the pages still say that we are leaving; after a while it is cut off."""
    async with serving(config) as served:
        await served.ready()
        async with stuck_reader(served.keda):
            served.process.send_signal(signal.SIGTERM)
            await served.logged("stopping")
            assert (await served.page("/readyz"), await served.page("/healthz")) == (None, '{"status": "ok"}')
            assert await served.ended() == 0


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_a_second_signal_ends_it_at_once(config: Path, number: signal.Signals) -> None:
    """Whoever asks twice does not want to wait; the exit code says which signal it was."""
    async with serving(config) as served:
        await served.ready()
        async with stuck_reader(served.keda):
            served.process.send_signal(signal.SIGTERM)
            await served.logged("stopping")
            served.process.send_signal(number)
            assert await served.ended() == 128 + number
            assert "stopped" not in await served.rest()


BLOCKED = """\
import asyncio, threading
from scaler.cli.ending import Ending

async def main():
    ending = Ending()
    print("up", flush=True)
    await ending.asked.wait()
    print("stopping", flush=True)
    threading.Event().wait()

asyncio.run(main())
"""


@pytest.mark.parametrize(("again", "code"), [(False, 1), (True, 128 + signal.SIGTERM)])
async def test_an_end_that_hangs_is_cut_short(*, again: bool, code: int) -> None:
    """Though the event loop is blocked: by the bound, with the code of what did not work, or by a second signal."""
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", BLOCKED, stdout=PIPE, stderr=PIPE)
    assert process.stdout is not None
    assert await process.stdout.readline() == b"up\n"
    process.send_signal(signal.SIGTERM)
    assert b"stopping" in await process.stdout.readuntil(b"stopping\n")
    if again:
        process.send_signal(signal.SIGTERM)
    async with asyncio.timeout(30):
        told, _ = await process.communicate()
    assert process.returncode == code
    assert (b"stopping took too long" in told) is not again
