"""``scaler serve``, as a program: started on free ports, read over HTTP and gRPC, and ended by a signal."""

from __future__ import annotations

import asyncio
import json
import signal
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

import aiohttp
import pytest

from scaler.external.client import CallError, Client, Trigger, connected
from tests.cli.conftest import Scaler
from tests.support.agent import Agent, agent_at
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

    async def page(self, path: str) -> str | None:
        """A page, None while it does not answer 200."""
        plain = {"Accept": "text/plain"}
        async with aiohttp.request("GET", f"http://{self.http}{path}", headers=plain) as answer:
            return await answer.text() if answer.status == 200 else None


async def start(config: Path, *, keda: str = "127.0.0.1:0", http: str = "127.0.0.1:0") -> Process:
    """Start the program."""
    command = [sys.executable, "-m", "scaler", "serve", str(config), "--keda", keda, "--http", http]
    return await asyncio.create_subprocess_exec(*command, stderr=PIPE)


@asynccontextmanager
async def serving(config: Path) -> AsyncIterator[Served]:
    """Serve the file on free ports."""
    process = await start(config)
    assert process.stderr is not None
    served = Served(process, process.stderr)
    try:
        line = await served.logged("serving")
        served.keda, served.http = f"127.0.0.1:{line['keda']}", f"127.0.0.1:{line['http']}"
        yield served
    finally:
        await stop(process)


@pytest.fixture
async def agent() -> AsyncIterator[tuple[Agent, str]]:
    """A busy agent, and where it is asked."""
    agent = Agent("coder-0")
    agent.inflight = 2
    async with agent_at(agent) as url:
        yield agent, url


@pytest.fixture
def config(tmp_path: Path, agent: tuple[Agent, str]) -> Path:
    """A file with one pool, whose one pod is the agent."""
    file = tmp_path / "pools.yaml"
    file.write_text(CONFIG.format(most=5, url=agent[1]))
    return file


async def test_it_answers_keda_and_people_from_one_outcome_and_ends_in_order(config: Path) -> None:
    """From the start to SIGTERM: ready, polled, explained, scraped; streams end with OK and the exit code is 0."""
    trigger = Trigger("agents", "coder", {"scalerAddress": "scaler:6000", "max": "4"})
    async with serving(config) as served, connected(served.keda) as keda:

        async def ready() -> str | None:
            """The first tick is done."""
            return await served.page("/readyz")

        await eventually(ready)
        polled = await keda.poll(trigger)
        assert (polled.value, polled.active) == (1, True)
        explained = await served.page("/api/v1/pools/agents/coder/explain")
        assert explained is not None
        assert "reported to KEDA: 1" in explained
        assert "  max = 4 (trigger metadata)" in explained
        metrics = await served.page("/metrics")
        assert metrics is not None
        assert 'agent_scaler_pool_reported_replicas{pool="coder",pool_namespace="agents"} 1.0' in metrics
        pushes = keda.pushes(trigger)
        assert await anext(pushes) is True
        served.process.send_signal(signal.SIGTERM)
        assert [pushed async for pushed in pushes] == []
        async with asyncio.timeout(30):
            assert await served.process.wait() == 0


async def test_a_pool_may_come_from_its_trigger_and_none_from_another_namespace(config: Path) -> None:
    """What a trigger may not say is told to KEDA with key and way out."""
    async with serving(config) as served, connected(served.keda) as keda:
        assert "INVALID_ARGUMENT: replicas: nothing says" in await refused(keda, Trigger("agents", "new"))
        foreign = Trigger("billing", "coder", {"pool": "agents/coder"})
        assert "PERMISSION_DENIED: pool = 'agents/coder': a pool is read only by" in await refused(keda, foreign)
        slip = Trigger("agents", "coder", {"maxx": "3"})
        assert 'INVALID_ARGUMENT: maxx = 3: unknown key; did you mean "max"?' in await refused(keda, slip)


async def refused(keda: Client, trigger: Trigger) -> str:
    """What the scaler answers instead of a value."""
    with pytest.raises(CallError) as caught:
        await keda.poll(trigger)
    return str(caught.value)


async def test_a_changed_file_holds_without_a_restart(config: Path, agent: tuple[Agent, str]) -> None:
    """A mounted ConfigMap changes under the program."""
    changed = CONFIG.format(most=7, url=agent[1])
    async with serving(config) as served:
        await asyncio.to_thread(config.write_text, changed)
        await served.logged("the configuration has changed")
        pools = json.loads(await served.page("/api/v1/pools") or "null")
        assert pools["pools"][0]["max"] == 7


async def test_a_place_that_is_taken_is_told(config: Path) -> None:
    """With its address, and the exit code of what did not work."""
    async with serving(config) as served:
        for option, place in (("keda", served.keda), ("http", served.http)):
            other = await start(config, **{option: place})
            _, told = await other.communicate()
            assert other.returncode == 1
            assert f"cannot listen on {place}" in told.decode()
            assert "choose another place with --keda or --http" in told.decode()


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (["--keda", "6000"], "--keda '6000' is no place to listen: write HOST:PORT, as in 0.0.0.0:6000\n"),
        (["--http", "x:99999"], "--http 'x:99999' is no place to listen: write HOST:PORT, as in 0.0.0.0:6000\n"),
    ],
)
def test_a_place_that_is_none_is_bad_input(scaler: Scaler, config: Path, arguments: list[str], why: str) -> None:
    """Nothing is started."""
    told = scaler("serve", config, *arguments)
    assert (told.exit_code, told.stderr) == (2, why)


def test_a_file_that_cannot_be_used_is_bad_input(scaler: Scaler, config: Path) -> None:
    """Every problem is told, each with the file's name, and nothing is started."""
    config.write_text("mode: on\npools: {a: {}}")
    told = scaler("serve", config)
    assert told.exit_code == 2
    first, second = told.stderr.splitlines()
    assert first.startswith(f"{config}: line 1: mode = 'on': must be off, recommend or auto")
    assert second.startswith(f"{config}: line 2: pools.a = 'a': must be NAMESPACE/NAME")
