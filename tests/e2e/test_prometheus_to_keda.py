"""The whole path with nothing faked in it: agents, a real Prometheus, ``scaler serve``, and KEDA's questions over gRPC.

The test plays KEDA, and it turns the agent's load up. Prometheus scrapes once a second.
"""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path

import aiohttp
import pytest

from scaler.external.client import CallError, Client, Trigger, connected
from tests.support.agent import Agent, agent_at
from tests.support.process import answering, free_port, started, stop
from tests.support.prometheus_server import Server, prometheus
from tests.support.wait import eventually

CONFIG = """\
sources:
  prometheus: {{url: "{prometheus}", interval: 1s}}
pools:
  agents/queued:
    slots_per_pod: 2
    signals: {{queue: sum(agent_queue_depth)}}
    pods: {{activity: ["{agent}"]}}
  agents/spender:
    tokens_per_pod: 100
    signals: {{tokens: "sum(irate(agent_tokens_total[5s]))"}}
    pods: {{activity: ["{agent}"]}}
"""
QUEUED, SPENDER = Trigger("agents", "queued"), Trigger("agents", "spender")


@dataclass(frozen=True)
class Stand:
    """Everything that runs, and KEDA's end of it."""

    agent: Agent
    prometheus: Server
    keda: Client
    pages: str

    async def target(self, pool: Trigger, wanted: int) -> None:
        """Return when KEDA is told this target, and that the pool is active."""

        async def told() -> bool | None:
            """KEDA is told the target."""
            try:
                poll = await self.keda.poll(pool)
            except CallError:
                return None  # not evaluated yet
            assert poll.metric.target == 1
            return True if (poll.value, poll.active) == (wanted, True) else None

        await eventually(told)

    async def explained(self, words: str) -> None:
        """Return when the queue's pool explains itself with these words."""

        async def explains() -> bool | None:
            """The explanation has the words."""
            async with aiohttp.request("GET", f"{self.pages}/api/v1/pools/agents/queued/explain") as page:
                return True if words in await page.text() else None

        await eventually(explains)


@pytest.fixture
async def stand(tmp_path: Path) -> AsyncIterator[Stand]:
    """An agent with five tasks queued and one running, Prometheus scraping it, and the scaler reading both."""
    async with AsyncExitStack() as stack:
        agent = Agent("coder-0")
        agent.queue, agent.inflight, agent.token_rate = 5, 1, 120.0
        agent_url = await stack.enter_async_context(agent_at(agent))
        server = await stack.enter_async_context(prometheus(tmp_path, agent_url))
        config = tmp_path / "pools.yaml"
        config.write_text(CONFIG.format(prometheus=server.url, agent=agent_url))
        keda, http = (f"127.0.0.1:{free_port()}" for _ in range(2))
        command = (sys.executable, "-m", "scaler", "serve", config, "--keda", keda, "--http", http)
        scaler = await stack.enter_async_context(started(*command))
        await answering(f"http://{http}/readyz", scaler)
        yield Stand(agent, server, await stack.enter_async_context(connected(keda)), f"http://{http}")


async def test_load_becomes_a_target_and_an_outage_holds_it(stand: Stand) -> None:
    """Queue and tokens each ask for their pods, the target follows the queue, and without Prometheus it stays."""
    await stand.target(QUEUED, 3)  # five queued and one running, two to a pod
    await stand.target(SPENDER, 2)  # 120 tokens a second, 100 to a pod that is full at 85
    stand.agent.queue = 8
    await stand.target(QUEUED, 5)
    await stop(stand.prometheus.process)
    stand.agent.queue = 0
    await stand.explained("the connection failed")
    await stand.target(QUEUED, 5)
    await stand.target(SPENDER, 2)
