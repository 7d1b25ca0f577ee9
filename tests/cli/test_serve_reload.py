"""``scaler serve`` while its ConfigMap changes, as the kubelet changes it and as accidents do."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.serving import CONFIG, Served, serving
from tests.support.agent import Agent
from tests.support.configmap import Mounted
from tests.support.wait import eventually

POOL = 'pool="coder",pool_namespace="agents"'
MOST = f"agent_scaler_pool_max_replicas{{{POOL}}}"
HOLDS = "agent_scaler_config_last_reload_successful"
FAILURES = "agent_scaler_config_reload_failures_total"


@pytest.fixture
def mounted(tmp_path: Path, agent: tuple[Agent, str]) -> Mounted:
    """A ConfigMap with one pool, whose one pod is the agent."""
    return Mounted(tmp_path, configured(5, agent))


def configured(most: int, agent: tuple[Agent, str]) -> str:
    """A file whose pool may have so many replicas."""
    return CONFIG.format(most=most, url=agent[1])


async def shows(served: Served, name: str, value: float) -> None:
    """Return when a metric has this value."""

    async def probe() -> bool | None:
        """The metric has the value."""
        return True if await served.metric(name) == value else None

    await eventually(probe)


async def learnt(served: Served, agent: Agent) -> None:
    """Give the pool a pause between two tasks to learn from, and return when it has."""
    for running, words in ((0, "1 idle"), (2, "(1 gaps)")):
        agent.inflight = running

        async def probe(words: str = words) -> str | None:
            """The pool has seen it."""
            page = await served.page("/api/v1/pools/agents/coder/explain") or ""
            return page if words in page else None

        await eventually(probe)


async def explained(served: Served) -> str:
    """The pool's explanation."""
    return await served.page("/api/v1/pools/agents/coder/explain") or ""


async def test_a_configmap_may_change_break_and_vanish_under_it(mounted: Mounted, agent: tuple[Agent, str]) -> None:
    """Good, bad, good, half-written, gone and back: the last good one is in force, and nothing learnt is lost."""
    async with serving(mounted.file) as served:
        await served.ready()
        await learnt(served, agent[0])

        mounted.swap(configured(7, agent))
        await served.logged("the configuration has changed")
        assert await served.metric(MOST) == 7

        mounted.swap(configured(-1, agent))
        line = await served.logged("the configuration cannot be used and stays as it was")
        assert line["why"] == "line 4: pools.agents/coder.max = -1: must be >= 1; set it to a value >= 1"
        assert [await served.metric(name) for name in (MOST, HOLDS, FAILURES)] == [7, 0, 1]

        mounted.swap(configured(8, agent))
        await shows(served, MOST, 8)
        assert await served.metric(HOLDS) == 1

        half = configured(9, agent)
        mounted.write(half[: len(half) // 2])
        mounted.write(half)
        await shows(served, MOST, 9)

        mounted.vanish()
        await served.logged("the configuration cannot be read and stays as it was")
        assert [await served.metric(name) for name in (MOST, HOLDS)] == [9, 0]
        mounted.appear()
        await shows(served, HOLDS, 1)
        assert "(1 gaps)" in await explained(served)
        assert await served.metric(FAILURES) == 2
