"""The sources as the operator sets them up: every kind behind one door, as patient and as eager as the file says."""

from __future__ import annotations

import asyncio

from scaler.config.pool import ActivityEndpoints, JsonNumber, PrometheusQuery
from scaler.config.settings import parse_settings
from scaler.core.pods import Pods
from scaler.core.types import Known, Unknown
from scaler.sources.health import Fault
from scaler.sources.reader import open_sources
from tests.support.documents import Documents, documents_at
from tests.support.pods import Agents, activity, agents_at
from tests.support.prometheus import AT, QueryApi, query_api, vector

NOW = 1_760_000_000.0
CONFIG = """\
sources:
  prometheus: {url: "http://prometheus:9090", timeout: 0.3s, concurrency: 1}
  activity: {timeout: 0.6s, concurrency: 2}
  http: {timeout: 0.2s, concurrency: 1}
"""


async def test_signals_and_pods_come_through_one_door() -> None:
    """Each is read where its source says, and every source that was read has its counters."""
    wanted, agents = parse_settings(CONFIG).sources, Agents({"a": activity("a-1", 1)})
    stats = Documents({"/stats": '{"queued": 5, "running": 3}'})
    async with (
        query_api(QueryApi({"queue": vector("3")})) as server,
        agents_at(agents) as pods,
        documents_at(stats) as pages,
        open_sources(wanted) as sources,
    ):
        assert await sources.signals([PrometheusQuery(query="queue", url=server)] * 2, NOW) == [Known(3.0, AT)] * 2
        there = await sources.pods(ActivityEndpoints(urls=(f"{pods}/a",)), NOW)
        assert isinstance(there, Pods)
        (pod,) = there
        assert pod.uid == "a-1"
        numbers = [JsonNumber(url=f"{pages}/stats", path=(key,)) for key in ("queued", "running")]
        assert await sources.signals(numbers, NOW) == [Known(5.0, NOW), Known(3.0, NOW)]
        counted = [(health.source, health.reads) for health in sources.health()]
        assert counted == [(f"prometheus {server}", 1), ("activity", 1), ("http", 2)]


async def test_patience_is_the_operators() -> None:
    """A server and a pod that hang cost the time that the file allows, and the rest of the round is not lost."""
    agents = Agents({f"p{i}": activity(f"u{i}") for i in range(6)}, held={"p0"})
    api = QueryApi({"queue": vector("3")}, held={"queue"})
    hung = Documents({"/1": "{}", "/2": "{}"}, held={"/1", "/2"})
    wanted = parse_settings(CONFIG).sources
    async with (
        query_api(api) as server,
        agents_at(agents) as pods,
        documents_at(hung) as pages,
        open_sources(wanted) as sources,
    ):
        (sample,) = await sources.signals([PrometheusQuery(query="queue", url=server)], NOW)
        assert isinstance(sample, Unknown)
        assert "0.3 s" in sample.why
        there = ActivityEndpoints(urls=tuple(f"{pods}/{pod}" for pod in agents.answers))
        found = await sources.pods(there, NOW)
        assert isinstance(found, Pods)
        assert found.known(NOW, 15).tolist() == [False] + [True] * 5
        assert agents.at_once <= 2
        slow = await asyncio.gather(
            *(sources.signals([JsonNumber(url=f"{pages}/{i}", path=("a",))], NOW) for i in "12")
        )
        assert ["within 0.2 s" in sample.why for (sample,) in slow if isinstance(sample, Unknown)] == [True, True]
        assert hung.at_once == 1
        assert [dict(health.faults) for health in sources.health()] == [*[{Fault.SLOW: 1}] * 2, {Fault.SLOW: 2}]
