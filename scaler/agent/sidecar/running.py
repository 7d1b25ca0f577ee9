"""The sidecar as a whole: from its start, where it learns what is open, to its end, which waits for the work."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

import aiohttp
from aiohttp import web

from scaler.agent.gate import Gate
from scaler.agent.sidecar.asking import ask_for_open_tasks
from scaler.agent.sidecar.proxy import Proxy, Settings
from scaler.agent.sidecar.tracker import Tracker

CONNECTING: Final = 10.0  # seconds to reach an agent in the same pod
KEPT: Final = 1.0  # seconds that a connection idles: an agent closes it after two to five, maybe under a call


async def run(gate: Gate, settings: Settings, place: tuple[str, int], grace: float) -> None:
    """Serve until SIGTERM or SIGINT has come and nothing is open any more; a second one does not wait.

    Raises:
        OSError: the place cannot be listened on.
    """
    asked, loop = asyncio.Queue[None](), asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, asked.put_nowait, None)
    async with serving(gate, settings, place):
        await asked.get()
        gate.must_go(grace)
        finished, again = asyncio.ensure_future(gate.finished()), asyncio.ensure_future(asked.get())
        await asyncio.wait([finished, again], return_when=asyncio.FIRST_COMPLETED)
        for waiting in (finished, again):
            waiting.cancel()


@asynccontextmanager
async def serving(gate: Gate, settings: Settings, place: tuple[str, int]) -> AsyncIterator[int]:
    """Serve; the value is the port, which the system chooses where 0 is asked for."""
    tracker = Tracker(gate)  # before anybody can ask
    async with _session() as session:
        runner = web.AppRunner(
            Proxy(gate, tracker, settings, session).application(),
            access_log=None,
            handler_cancellation=True,
            shutdown_timeout=1.0,
            auto_decompress=False,  # what is packed passes so, as its headers say
        )
        await runner.setup()
        asking = asyncio.create_task(ask_for_open_tasks(tracker, settings, session))
        try:
            await web.TCPSite(runner, *place).start()
            yield int(runner.addresses[0][1])
        finally:
            asking.cancel()
            await asyncio.gather(asking, return_exceptions=True)
            await tracker.leave()  # what is cut from here on runs on in the agent
            await runner.cleanup()


def _session() -> aiohttp.ClientSession:
    """A session that changes nothing of what passes: no cookies, no unpacking, no time limit for an answer."""
    return aiohttp.ClientSession(
        cookie_jar=aiohttp.DummyCookieJar(),
        auto_decompress=False,
        connector=aiohttp.TCPConnector(limit=0, keepalive_timeout=KEPT),
        timeout=aiohttp.ClientTimeout(total=None, sock_connect=CONNECTING),
        skip_auto_headers=("User-Agent", "Accept", "Accept-Encoding", "Content-Type"),
        max_line_size=65_536,
        max_field_size=65_536,
    )
