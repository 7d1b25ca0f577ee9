"""The fleet's pages: what our scaler, Prometheus and a person read and turn."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest
from prometheus_client.parser import text_string_to_metric_families

from scaler.agent import Gate, Place
from scaler.config.pool import JsonNumber
from scaler.core.types import Known
from scaler.live.clock import VirtualClock
from scaler.sources.http import open_documents
from tests.cluster.harness.agents import Fleet, Gates
from tests.cluster.harness.pages import pages
from tests.cluster.harness.work import Agent, GateTime
from tests.support.http import serving
from tests.support.pools import NOON

POOL = "agents/coder"


@pytest.fixture
def clock() -> VirtualClock:
    """Noon."""
    return VirtualClock(NOON)


@pytest.fixture
async def fleet(clock: VirtualClock, tmp_path: Path) -> AsyncIterator[Fleet]:
    """A fleet without a cluster, with one pool of one busy agent and three tasks that wait."""
    made = Fleet(clock, tmp_path / "journal.jsonl", 8000, Gates(tmp_path / "gates"))
    gate = Gate(Place("uid-a", tmp_path / "a"), clock=GateTime(clock))
    made.pool(POOL).join(Agent("uid-a", "a", "127.64.0.1", 1, NOON, gate))
    made.generator(POOL).burst(4)
    yield made
    await made.close()


@pytest.fixture
async def url(fleet: Fleet) -> AsyncIterator[str]:
    """Where its pages are."""
    async with serving(pages(fleet)) as base:
        yield base


@pytest.mark.parametrize(
    ("path", "value"), [("queue", 3.0), ("inflight", 1.0), ("pending", 4.0), ("busy", 1.0), ("oldest_wait", 0.5)]
)
async def test_our_scaler_reads_its_signals_there(url: str, clock: VirtualClock, path: str, value: float) -> None:
    """Each figure is a number that a JSON signal leads to."""
    await clock.advance_to(NOON + 0.5)
    source = JsonNumber(url=f"{url}/pools/{POOL}", path=(path,))
    async with open_documents() as documents:
        read = await documents.read([source], NOON)
    assert read == [Known(value, NOON)]


async def test_prometheus_reads_the_same_figures(url: str) -> None:
    """Every figure is a family with the pool's labels; what only grows is a counter."""
    async with aiohttp.request("GET", f"{url}/metrics") as answer:
        families = {family.name: family for family in text_string_to_metric_families(await answer.text())}
    assert families["fleet_queue"].samples[0].labels == {"namespace": "agents", "pool": "coder"}
    assert families["fleet_queue"].samples[0].value == 3.0
    assert (families["fleet_started"].type, families["fleet_inflight"].type) == ("counter", "gauge")


async def test_a_person_turns_the_load_with_a_form(url: str, fleet: Fleet) -> None:
    """The button leads back to the page, which shows the load that holds now."""
    form = {"pool": POOL, "rate": "0.25", "burst": "2"}
    async with aiohttp.request("POST", f"{url}/load", data=form, headers={"Accept": "text/html"}) as answer:
        page = await answer.text()
    assert "name=rate value=0.25" in page
    assert fleet.pool(POOL).tally.queued == 6


async def test_a_pool_that_is_new_begins_with_its_load(url: str, fleet: Fleet) -> None:
    """Tasks can wait before there is a pod: that is how a pool wakes from zero."""
    async with aiohttp.request("POST", f"{url}/load", data={"pool": "agents/writer", "burst": "3"}) as answer:
        assert (await answer.json())["queue"] == 3
    async with aiohttp.request("GET", f"{url}/pools") as answer:
        assert set(await answer.json()) == {POOL, "agents/writer"}


@pytest.mark.parametrize(
    ("form", "told"),
    [
        ({"pool": "coder"}, "pool is 'coder'; it must be NAMESPACE/NAME"),
        ({"burst": "many"}, "burst is 'many'; it must be a number from 0 to 100000"),
        ({"speed": "1"}, "speed is no figure of a load; there are rate, shorten, subagents, follows"),
    ],
)
async def test_what_cannot_be_is_refused_and_changes_nothing(
    url: str, fleet: Fleet, form: dict[str, str], told: str
) -> None:
    """The answer has the key, the value and the range."""
    async with aiohttp.request("POST", f"{url}/load", data=form) as answer:
        assert (answer.status, (await answer.json())["error"]) == (400, told)
    assert fleet.pool(POOL).tally.queued == 4


async def test_a_pool_that_is_not_there_is_not_made_by_a_look(url: str, fleet: Fleet) -> None:
    """A signal of a mistyped pool is an error, not a zero."""
    async with aiohttp.request("GET", f"{url}/pools/agents/codr") as answer:
        assert answer.status == 404
    assert set(fleet.pools) == {POOL}
