"""The metrics page: what a scrape reads, and that Prometheus likes how it is written."""

from __future__ import annotations

import asyncio
import shutil
from asyncio.subprocess import PIPE, STDOUT

import aiohttp
import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_open
from prometheus_client.parser import text_string_to_metric_families as parse

from scaler.core.types import Unknown
from tests.web.conftest import NOON, Scaler, spec

OPEN = "application/openmetrics-text; version=1.0.0"
Series = dict[tuple[str, frozenset[tuple[str, str]]], float]


async def scrape(http: aiohttp.ClientSession) -> Series:
    """Every sample on the page, by its name and labels."""
    async with http.get("/metrics") as answer:
        assert answer.status == 200
        families = parse(await answer.text())
    return {(s.name, frozenset(s.labels.items())): s.value for family in families for s in family.samples}


def of(series: Series, name: str, **labels: str) -> float | None:
    """One sample of the pool agents/coder, None where there is none."""
    pool = {"pool_namespace": "agents", "pool": "coder", **labels}
    return series.get((f"agent_scaler_pool_{name}", frozenset(pool.items())))


async def test_a_scrape_reads_the_board(scaler: Scaler, http: aiohttp.ClientSession) -> None:
    """Target, report, demand by signal, supply by stage, ages and the reason, all of one outcome."""
    coder = scaler.admit(spec("coder"))
    outcome = scaler.tick(coder, queue=scaler.known(3))
    await scaler.clock.advance_to(NOON + 4)
    series = await scrape(http)
    assert of(series, "target_replicas") == outcome.report == of(series, "reported_replicas")
    assert of(series, "demand_pods", signal="work") == 3.0
    assert of(series, "needed_pods", direction="up") == 3.0
    assert of(series, "supply_pods", stage="ready") == outcome.evidence.supply.ready
    assert (of(series, "outcome_age_seconds"), of(series, "signal_age_seconds", signal="queue")) == (4.0, 0.0)
    assert (of(series, "stale"), of(series, "active"), of(series, "holding")) == (0.0, 1.0, 0.0)
    reason = outcome.trail[-1].reason.value
    assert of(series, "decision_info", decision="scale", reason=reason, bound=str(outcome.evidence.demand.bound)) == 1.0
    assert (of(series, "max_replicas"), of(series, "mode_info", mode="auto")) == (9.0, 1.0)


async def test_what_is_not_known_has_no_series(scaler: Scaler, http: aiohttp.ClientSession) -> None:
    """A missing signal is a gap in the graph, and the hold is told as such."""
    coder = scaler.admit(spec("coder"))
    scaler.tick(coder, queue=Unknown("Prometheus did not answer"))
    series = await scrape(http)
    assert of(series, "demand_pods", signal="work") is None
    assert of(series, "signal_age_seconds", signal="queue") is None
    assert of(series, "forecast_pods") is None
    assert of(series, "holding") == 1.0


async def test_a_pool_that_was_not_evaluated_has_bounds_and_nothing_else(
    scaler: Scaler, http: aiohttp.ClientSession
) -> None:
    """No outcome is not an outcome of zero."""
    scaler.admit(spec("coder"))
    names = {name for name, labels in await scrape(http) if ("pool", "coder") in labels}
    assert names == {f"agent_scaler_pool_{name}" for name in ("min_replicas", "max_replicas", "mode_info")}


async def test_the_scaler_tells_of_itself(scaler: Scaler, http: aiohttp.ClientSession) -> None:
    """Build, loop, sources and process."""
    series = await scrape(http)
    plain = {name: value for (name, labels), value in series.items() if not labels}
    assert plain["agent_scaler_ticks_total"] == 7
    assert plain["agent_scaler_ticks_at_once_total"] == 2
    assert plain["agent_scaler_failures_total"] == 1
    assert plain["agent_scaler_tick_late_seconds"] == 0.25
    assert plain["agent_scaler_pools"] == 0
    assert plain["process_resident_memory_bytes"] > 0
    source = ("source", "activity")
    assert series["agent_scaler_source_reads_total", frozenset({source})] == 10
    assert series["agent_scaler_source_faults_total", frozenset({source, ("fault", "slow")})] == 3
    assert any(name == "agent_scaler_build_info" and ("version", "1.2.3") in labels for name, labels in series)


async def test_the_page_speaks_openmetrics_to_who_asks_for_it(scaler: Scaler, http: aiohttp.ClientSession) -> None:
    """Both formats hold the same families."""
    scaler.tick(scaler.admit(spec("coder")), queue=scaler.known(3))
    async with http.get("/metrics", headers={"Accept": OPEN}) as answer:
        assert answer.headers["Content-Type"].startswith("application/openmetrics-text")
        page = await answer.text()
    families = list(parse_open(page))  # type: ignore[no-untyped-call] # the library's own
    assert {sample.name for family in families for sample in family.samples} == {name for name, _ in await scrape(http)}


async def test_promtool_finds_nothing_to_say(scaler: Scaler, http: aiohttp.ClientSession) -> None:
    """Names, units, types and help follow the conventions of Prometheus."""
    if shutil.which("promtool") is None:
        pytest.skip("promtool is not installed: apt-get install prometheus")
    scaler.tick(scaler.admit(spec("coder")), queue=scaler.known(3))
    async with http.get("/metrics") as answer:
        page = await answer.read()
    promtool = await asyncio.create_subprocess_exec(
        "promtool", "check", "metrics", stdin=PIPE, stdout=PIPE, stderr=STDOUT
    )
    said, _ = await promtool.communicate(page)
    assert (promtool.returncode, said) == (0, b"")
