"""The metrics page: what a scrape reads, and that Prometheus likes how it is written."""

from __future__ import annotations

import asyncio
import math
from asyncio.subprocess import PIPE, STDOUT
from collections import Counter

import aiohttp
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_open
from prometheus_client.parser import text_string_to_metric_families as parse

from scaler.config.pool import PoolKey
from scaler.core.reasons import Reason
from scaler.core.types import Unknown
from scaler.sources.health import Failed, Fault
from scaler.web.sheet import Family, Sheet
from tests.support.process import program
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


async def test_the_most_that_a_pool_may_have_is_what_its_money_allows(
    scaler: Scaler, http: aiohttp.ClientSession
) -> None:
    """The alert for a pool at its maximum compares with it, and would never tell of one whose budget ends before."""
    scaler.admit(spec("coder", budget_per_hour=7, pod_price_per_hour=2))
    assert of(await scrape(http), "max_replicas") == 3.0


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


async def test_what_decisions_came_to_is_counted(scaler: Scaler, http: aiohttp.ClientSession) -> None:
    """Steps by reason, moves, holds and signals that were missing, over all evaluations of the pool."""
    coder = scaler.admit(spec("coder"))
    first = scaler.tick(coder, queue=scaler.known(3))
    await scaler.clock.advance_to(NOON + 60)
    second = scaler.tick(coder, queue=Unknown("Prometheus did not answer"), replicas=3)
    steps = Counter(step.reason for outcome in (first, second) for step in outcome.trail)
    series = await scrape(http)
    for reason in Reason:
        assert of(series, "steps_total", reason=reason.value) == (steps[reason] or None), reason
    assert (of(series, "moves_total", direction="up"), of(series, "moves_total", direction="down")) == (1, 0)
    assert (of(series, "holds_total"), of(series, "missing_signals_total", signal="queue")) == (1, 1)
    assert of(series, "quick_reversals_total") == 0


async def test_a_reload_that_failed_shows_until_one_works(scaler: Scaler, http: aiohttp.ClientSession) -> None:
    """The count, whether the file is in force, and since when what is in force is."""
    scaler.reloads.taken(NOON + 10)
    scaler.reloads.refused()
    assert await reloads(http) == {
        "reloads_total": 1,
        "reload_failures_total": 1,
        "last_reload_successful": 0,
        "last_success_timestamp_seconds": NOON + 10,
    }
    scaler.reloads.taken(NOON + 20)
    told = await reloads(http)
    assert (told["last_reload_successful"], told["last_success_timestamp_seconds"]) == (1, NOON + 20)


async def reloads(http: aiohttp.ClientSession) -> dict[str, float]:
    """What is told of reloads."""
    prefix = "agent_scaler_config_"
    return {name.removeprefix(prefix): value for (name, _), value in (await scrape(http)).items() if prefix in name}


async def test_names_are_written_so_that_they_can_be_read_back(scaler: Scaler, http: aiohttp.ClientSession) -> None:
    """Whatever a label holds, no line of the page can be forged by it."""
    sheet = Sheet({"mode_info": Family("A mode.", ("mode",)), "holds_total": Family("Holds.")})
    sheet.begin(PoolKey("agents", 'a"b\\c\nd'))
    sheet.set("mode_info", 1, 'x"} 2\n')
    sheet.set("holds_total", math.inf)
    family, counter = parse(sheet.text(openmetrics=False))
    assert [s.labels for s in family.samples] == [{"pool_namespace": "agents", "pool": 'a"b\\c\nd', "mode": 'x"} 2\n'}]
    assert [s.value for s in counter.samples] == [math.inf]


async def test_the_scaler_tells_of_itself(scaler: Scaler, http: aiohttp.ClientSession) -> None:
    """Build, loop, sources and process."""
    scaler.counts.took.add(0.002)
    scaler.counts.late.add(0.25)
    scaler.activity.add(Failed(Fault.SLOW, "no answer"), 0.3)
    scaler.activity.add("an answer", 0.002)
    scaler.door.calls.end("GetMetrics", "OK", 0.0001)
    scaler.door.calls.end("StreamIsActive", "CANCELLED", None)
    scaler.journal.worked(100, NOON + 1)
    scaler.journal.failed()
    scaler.hints["accepted"] = 4
    scaler.left_out = 9
    series = await scrape(http)
    plain = {name: value for (name, labels), value in series.items() if not labels}
    assert plain["agent_scaler_ticks_total"] == 7
    assert plain["agent_scaler_ticks_at_once_total"] == 2
    assert plain["agent_scaler_failures_total"] == 1
    assert plain["agent_scaler_tick_late_seconds_sum"] == 0.25
    assert plain["agent_scaler_tick_seconds_count"] == 1
    assert plain["agent_scaler_streams_open"] == 3
    assert plain["agent_scaler_log_lines_left_out_total"] == 9
    assert plain["agent_scaler_pools"] == 0
    assert plain["process_resident_memory_bytes"] > 0
    rows: list[tuple[str, dict[str, str], float]] = [
        ("source_read_seconds_bucket", {"source": "activity", "le": "0.005"}, 1),
        ("source_read_seconds_bucket", {"source": "activity", "le": "0.5"}, 2),
        ("source_read_seconds_bucket", {"source": "activity", "le": "+Inf"}, 2),
        ("source_read_seconds_count", {"source": "activity"}, 2),
        ("source_faults_total", {"source": "activity", "fault": "slow"}, 1),
        ("rpc_calls_total", {"method": "GetMetrics", "code": "OK"}, 1),
        ("rpc_calls_total", {"method": "StreamIsActive", "code": "CANCELLED"}, 1),
        ("rpc_seconds_count", {"method": "GetMetrics"}, 1),
        ("writes_total", {"what": "journal"}, 1),
        ("write_failures_total", {"what": "journal"}, 1),
        ("write_bytes_total", {"what": "journal"}, 100),
        ("write_last_success_timestamp_seconds", {"what": "journal"}, NOON + 1),
        ("hints_total", {"result": "accepted"}, 4),
    ]
    for name, labels, value in rows:
        assert series[f"agent_scaler_{name}", frozenset(labels.items())] == value, name
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
    binary = program("promtool", "prometheus")
    scaler.tick(scaler.admit(spec("coder")), queue=scaler.known(3))
    async with http.get("/metrics") as answer:
        page = await answer.read()
    promtool = await asyncio.create_subprocess_exec(binary, "check", "metrics", stdin=PIPE, stdout=PIPE, stderr=STDOUT)
    said, _ = await promtool.communicate(page)
    assert (promtool.returncode, said) == (0, b"")
