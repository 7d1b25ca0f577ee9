"""When the scaler is alive and when it is ready."""

from __future__ import annotations

import aiohttp

from scaler.web.running import READY_WITHIN
from tests.web.conftest import NOON, Scaler, spec


async def test_it_is_alive_as_long_as_it_answers(http: aiohttp.ClientSession) -> None:
    """The event loop that answers is the one that ticks."""
    async with http.get("/healthz") as answer:
        assert (answer.status, await answer.json()) == (200, {"status": "ok"})


async def test_it_is_ready_after_the_first_tick_of_every_pool(scaler: Scaler, http: aiohttp.ClientSession) -> None:
    """KEDA is let in when there is an answer for each pool, and a pool that comes later shuts nobody out."""
    coder, writer = scaler.admit(spec("coder")), scaler.admit(spec("writer"))
    scaler.read(coder)
    scaler.tick(coder, queue=scaler.known(0))
    async with http.get("/readyz") as answer:
        assert (answer.status, answer.headers["Retry-After"]) == (503, "1")
        assert (await answer.json())["detail"] == "1 pools are not evaluated yet, among them agents/writer"
    scaler.tick(writer, queue=scaler.known(0))
    assert await status(http, "/readyz") == 503, "a tick before the sources were read is not a full one"
    scaler.read(writer)
    assert await status(http, "/readyz") == 200
    scaler.admit(spec("latecomer"))
    assert await status(http, "/readyz") == 200


async def test_a_pool_that_cannot_be_read_keeps_nobody_out_for_long(
    scaler: Scaler, http: aiohttp.ClientSession
) -> None:
    """After half a minute the others are served."""
    scaler.admit(spec("hung"))
    assert await status(http, "/readyz") == 503
    await scaler.clock.advance_to(NOON + READY_WITHIN - 0.1)
    assert await status(http, "/readyz") == 503
    await scaler.clock.advance_to(NOON + READY_WITHIN)
    assert await status(http, "/readyz") == 200


async def test_it_is_not_ready_any_more_once_it_stops(scaler: Scaler, http: aiohttp.ClientSession) -> None:
    """Endpoints leave the Service while calls that are under way still finish; alive it is to the end."""
    assert await status(http, "/readyz") == 200
    scaler.stopping = True
    async with http.get("/readyz") as answer:
        assert (answer.status, (await answer.json())["detail"]) == (503, "the scaler is stopping")
    assert await status(http, "/healthz") == 200


async def test_without_pools_it_is_ready_at_once(http: aiohttp.ClientSession) -> None:
    """Pools may all come from the cluster, and KEDA must get in to bring them."""
    assert await status(http, "/readyz") == 200


async def status(http: aiohttp.ClientSession, path: str) -> int:
    """The status that a page answers with."""
    async with http.get(path) as answer:
        return answer.status
