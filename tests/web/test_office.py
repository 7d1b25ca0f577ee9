"""The pages of a replica that stands by: its own health and figures, and of pools only who knows of them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack

import aiohttp
import pytest

from scaler.core.types import Unknown
from scaler.live.office import ALONE
from scaler.web.app import application, served
from tests.support.office import FIRST, Chair
from tests.web.conftest import Scaler, spec


@pytest.fixture
async def chair() -> Chair:
    """Nobody has the office here."""
    return Chair()


@pytest.fixture
async def standby(chair: Chair) -> AsyncIterator[aiohttp.ClientSession]:
    """A client of a replica with one pool."""
    scaler = Scaler(office=chair)
    pool = scaler.admit(spec("coder"))
    scaler.read(pool)
    scaler.tick(pool, queue=Unknown("no answer"))
    async with AsyncExitStack() as stack:
        port = await stack.enter_async_context(served(application(scaler.running()), "127.0.0.1", 0))
        yield await stack.enter_async_context(aiohttp.ClientSession(f"http://127.0.0.1:{port}"))


async def page(http: aiohttp.ClientSession, path: str) -> tuple[int, str]:
    """The status and the text of a page."""
    async with http.get(path) as answer:
        return answer.status, await answer.text()


@pytest.mark.parametrize("path", ["/api/v1/pools", "/api/v1/pools/agents/coder/explain", "/api/v1/hints"])
async def test_who_asks_about_pools_is_sent_to_the_leader(
    standby: aiohttp.ClientSession, chair: Chair, path: str
) -> None:
    """By its name, or told that there is none; and answered here as soon as it leads."""
    for other, leads in (("pod-7_1a2b", "pod-7_1a2b leads"), ("", "none is known to lead")):
        chair.other = other
        async with standby.get(path) as answer:
            assert (answer.status, answer.headers["Retry-After"]) == (503, "1")
            detail = (await answer.json())["detail"]
        assert detail == f"this replica stands by, and {leads}; ask the leader's Service"
    chair.give(FIRST)
    assert (await page(standby, "/api/v1/pools"))[0] == 200


async def test_probes_do_not_ask_who_leads(standby: aiohttp.ClientSession, chair: Chair) -> None:
    """Or a rollout would wait for a replica to lead, and a leaderless minute would restart everything."""
    for term in (None, FIRST, None):
        chair.give(term)
        assert [(await page(standby, path))[0] for path in ("/healthz", "/readyz")] == [200, 200]


async def test_figures_of_pools_are_the_leaders(standby: aiohttp.ClientSession, chair: Chair) -> None:
    """A sum over replicas counts each pool once; and of those there is always one that leads."""
    _, before = await page(standby, "/metrics")
    assert "agent_scaler_leader 0.0" in before
    assert "agent_scaler_terms_total 0.0" in before
    assert "agent_scaler_pools 1.0" in before
    assert 'pool="coder"' not in before
    chair.give(FIRST)
    _, then = await page(standby, "/metrics")
    assert "agent_scaler_leader 1.0" in then
    assert "agent_scaler_terms_total 1.0" in then
    assert 'pool="coder"' in then


async def test_alone_one_leads_for_ever() -> None:
    """Without a Lease there is nobody to take over, and nothing that could end."""
    assert (ALONE.term is not None, ALONE.holder, ALONE.begun, ALONE.failures) == (True, "", 1, 0)
    assert await ALONE.turned(ALONE.term, within=0.01) == ALONE.term
