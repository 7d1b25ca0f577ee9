"""The sidecar before a plain agent: what passes, what is a task and for how long, and what a closed gate says."""

from __future__ import annotations

import asyncio
import gzip
import zlib
from collections.abc import AsyncIterator, Callable
from dataclasses import replace

import aiohttp
import pytest
from aiohttp import web
from multidict import CIMultiDict
from yarl import URL

from scaler.agent.gate import Done
from tests.agent.beside import HASTY, Beside, before, sidecar
from tests.agent.material import Site
from tests.agent.upstream import Plain
from tests.support.http import nobody
from tests.support.wait import eventually


@pytest.fixture
async def agent() -> Plain:
    """An agent that knows nothing of gates."""
    return Plain()


@pytest.fixture
async def beside(site: Site, agent: Plain) -> AsyncIterator[Beside]:
    """A sidecar before it."""
    async with before(site, agent.application()) as beside:
        yield beside


async def test_a_request_is_a_task_until_its_answer_has_ended(beside: Beside, agent: Plain) -> None:
    """And what the agent answers is what its client gets."""
    asking = asyncio.create_task(beside.client.get(f"{beside.url}/work/a"))
    await agent.begun["a"].wait()
    assert beside.gate.activity().inflight == 1
    agent.permits["a"].set()
    assert await (await asking).text() == "done a"
    await beside.inflight(0)


async def test_events_pass_as_they_come(beside: Beside, agent: Plain) -> None:
    """The second is sent only after the first has arrived, so nothing waits in between; the task ends with it."""
    async with beside.client.get(f"{beside.url}/events/a") as answer:
        assert await answer.content.readuntil(b"\n\n") == b"data: first\n\n"
        assert beside.gate.activity().inflight == 1
        agent.permits["a"].set()
        assert await answer.content.read() == b"data: second\n\n"
    await beside.inflight(0)


async def test_a_closed_gate_sends_work_away_and_lets_finish(beside: Beside, agent: Plain) -> None:
    """With 503 and when to ask again; the drain is acknowledged when the last answer has ended."""
    asking = asyncio.create_task(beside.client.get(f"{beside.url}/work/a"))
    await agent.begun["a"].wait()
    assert isinstance(beside.gate.drain(1), Done)
    async with beside.client.get(f"{beside.url}/work/b") as refused:
        assert (refused.status, refused.headers["Retry-After"]) == (503, "5")
    assert not agent.begun["b"].is_set()
    assert not beside.gate.activity().acked
    agent.permits["a"].set()
    assert (await asking).status == 200
    await beside.inflight(0)
    assert beside.gate.activity().acked


async def test_a_probe_is_no_work_and_passes_a_closed_gate(beside: Beside) -> None:
    """A pod that drains stays ready: one that is not would be the first to be taken."""
    beside.gate.drain(1)
    async with beside.client.get(f"{beside.url}/healthz") as answer:
        assert await answer.text() == "ok"


async def test_a_stream_ends_with_its_client(beside: Beside, agent: Plain) -> None:
    """The agent hears that nobody listens, as without a sidecar, and the task is over."""
    answer = await beside.client.get(f"{beside.url}/events/a")
    await agent.begun["a"].wait()
    answer.close()
    await agent.left["a"].wait()
    await beside.inflight(0)


async def test_a_silent_stream_ends_although_its_client_left_before_it_began(site: Site) -> None:
    """It has no first piece by which one would see that nobody listens."""
    begun, go, left = asyncio.Event(), asyncio.Event(), asyncio.Event()

    async def silence(request: web.Request) -> web.StreamResponse:
        begun.set()
        await go.wait()
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        try:
            await asyncio.Event().wait()
        finally:
            left.set()
        return response

    app = web.Application()
    app.router.add_get("/silence", silence)
    async with before(site, app) as beside:
        asking = asyncio.create_task(beside.client.get(f"{beside.url}/silence"))
        await begun.wait()
        asking.cancel()
        await asyncio.wait([asking])
        async with beside.client.get(f"{beside.url}/activity"):  # by now the sidecar knows that the client has gone
            go.set()
        await beside.inflight(0)
        await left.wait()


async def test_work_goes_on_without_its_client(beside: Beside, agent: Plain) -> None:
    """The agent works although nobody waits, so the pod is busy until it has answered."""
    asking = asyncio.create_task(beside.client.get(f"{beside.url}/work/a"))
    await agent.begun["a"].wait()
    asking.cancel()
    await asyncio.wait([asking])
    beside.gate.drain(1)
    async with beside.client.get(
        f"{beside.url}/healthz"
    ) as answer:  # by now the sidecar knows that the client has gone
        assert answer.status == 200
    assert (beside.gate.activity().inflight, beside.gate.activity().acked) == (1, False)
    agent.permits["a"].set()

    async def ended() -> bool | None:
        """The agent ends its work."""
        return True if agent.ended["a"].is_set() else None

    await eventually(ended)
    await beside.inflight(0)
    assert beside.gate.activity().acked


async def test_a_request_passes_unchanged(beside: Beside) -> None:
    """Path, query, host, headers and body, but for what is the connection's own; the agent learns who asks."""
    headers = {"Connection": "X-Of-The-Connection", "X-Of-The-Connection": "1", "User-Agent": "somebody"}

    async def upload() -> AsyncIterator[bytes]:
        for _ in range(10):
            yield b"x" * 100_000

    url = URL(f"{beside.url}/echo?a=%2F&b", encoded=True)
    async with beside.client.post(url, data=upload(), headers=headers) as answer:
        assert answer.headers["X-Answered"] == "yes"
        assert answer.headers["Content-Encoding"] == "gzip"
        seen = await answer.json()
    assert seen == {
        "path": "/echo?a=%2F&b",
        "host": beside.url.removeprefix("http://"),
        "for": "127.0.0.1",
        "connection": None,
        "agent": "somebody",
        "length": 1_000_000,
    }


async def test_the_agent_learns_of_every_proxy_before_the_sidecar(beside: Beside) -> None:
    """Who each says in a header of its own that it asks for: the last one is the one to trust."""
    headers = CIMultiDict((("X-Forwarded-For", "said by anybody"), ("X-Forwarded-For", "10.0.0.1")))
    async with beside.client.post(f"{beside.url}/echo", headers=headers) as answer:
        assert (await answer.json())["for"] == "said by anybody, 10.0.0.1, 127.0.0.1"


async def test_who_takes_the_sidecar_for_a_forward_proxy_is_served(beside: Beside) -> None:
    """It names the host with the path, and the agent is asked for the path."""
    url = URL("http://agent.example/echo?a=%2F", encoded=True)
    async with beside.client.post(url, proxy=beside.url) as answer:
        seen = await answer.json()
    assert (seen["path"], seen["host"]) == ("/echo?a=%2F", "agent.example")


async def test_a_redirect_is_the_clients_to_follow(beside: Beside) -> None:
    """Errors of the agent pass as well."""
    async with beside.client.get(f"{beside.url}/moved", allow_redirects=False) as answer:
        assert (answer.status, answer.headers["Location"]) == (302, "/elsewhere")
    async with beside.client.get(f"{beside.url}/nowhere") as answer:
        assert answer.status == 404


async def test_an_agent_that_is_away_is_told(site: Site) -> None:
    """502, and no task is left."""
    async with nobody() as upstream, sidecar(site, upstream) as beside:
        async with beside.client.get(f"{beside.url}/work/a") as answer:
            assert answer.status == 502
        await beside.inflight(0)


async def test_a_websocket_is_a_task_until_it_is_closed(beside: Beside) -> None:
    """Both ways, with the protocol that the agent chose and the code with which it closed."""
    async with beside.client.ws_connect(f"{beside.url}/socket", protocols=["agent.v1"]) as socket:
        assert socket.protocol == "agent.v1"
        await socket.send_str("hello")
        await socket.send_bytes(b"\x00")
        assert (await socket.receive_str(), await socket.receive_bytes()) == ("hello", b"\x00")
        assert beside.gate.activity().inflight == 1
        beside.gate.drain(1)
        await socket.send_str("still here")
        assert await socket.receive_str() == "still here"
        await socket.send_str("end")
        assert (await socket.receive()).type is aiohttp.WSMsgType.CLOSE
        assert socket.close_code == 4001
    await beside.inflight(0)
    with pytest.raises(aiohttp.WSServerHandshakeError, match="503"):
        await beside.client.ws_connect(f"{beside.url}/socket")


async def test_a_websocket_whose_client_has_gone_is_over(beside: Beside) -> None:
    """However it went."""
    socket = await beside.client.ws_connect(f"{beside.url}/socket")
    await beside.inflight(1)
    await socket.close()
    await beside.inflight(0)


async def test_a_websocket_that_its_agent_breaks_off_is_closed(beside: Beside) -> None:
    """With a code that may be sent: the one for a broken connection may not, and clients take it for an error."""
    async with beside.client.ws_connect(f"{beside.url}/socket") as socket:
        await socket.send_str("break")
        assert (await socket.receive()).data == aiohttp.WSCloseCode.GOING_AWAY
    await beside.inflight(0)


async def test_nothing_begins_that_could_be_forgotten(site: Site, agent: Plain) -> None:
    """Where the state cannot be written, a sidecar that is killed would not know that something runs."""
    async with before(site, agent.application()) as beside:
        (site.place.folder / "tasks.json.draft").mkdir()
        async with beside.client.get(f"{beside.url}/work/a") as answer:
            assert answer.status == 503
        assert not agent.begun["a"].is_set()


async def test_requests_under_way_are_not_known_to_the_next_process(site: Site, agent: Plain) -> None:
    """It counts one task for them and says so, until nothing can last that long."""
    async with before(site, agent.application()) as beside:
        asking = asyncio.create_task(beside.client.get(f"{beside.url}/work/a"))
        await agent.begun["a"].wait()
        left = (site.place.folder / "tasks.json").read_bytes()
        agent.permits["a"].set()
        await asking
    (site.place.folder / "tasks.json").write_bytes(left)
    async with before(site, agent.application()) as beside:
        beside.gate.drain(1)
        assert (beside.gate.activity().inflight, beside.gate.activity().acked) == (1, False)
        assert "is not known" in beside.gate.unknown
    async with before(site, agent.application(), replace(HASTY, longest=0.01)) as beside:
        await beside.inflight(0)
        assert (beside.gate.activity().acked, beside.gate.unknown) == (True, "")


@pytest.mark.parametrize(
    "left",
    [
        b"{",
        b'{"version": 1}',
        b'{"version": 1, "uid": [], "busy": true}',
        b'{"version": 1, "busy": false, "tasks": {"a": 1}}',
    ],
)
async def test_a_record_that_cannot_be_read_is_not_known(site: Site, agent: Plain, left: bytes) -> None:
    """It may have named anything."""
    site.place.folder.mkdir()
    (site.place.folder / "tasks.json").write_bytes(left)
    async with before(site, agent.application()) as beside:
        assert beside.gate.activity().inflight == 1


async def test_the_record_of_another_pod_is_none_of_ours(site: Site, agent: Plain) -> None:
    """Its agent went with it."""
    site.place.folder.mkdir()
    (site.place.folder / "tasks.json").write_bytes(b'{"version": 1, "uid": "other", "busy": true, "tasks": {}}')
    async with before(site, agent.application()) as beside:
        assert beside.gate.activity().inflight == 0


@pytest.mark.parametrize("kind", ["application/json", "application/octet-stream"])
@pytest.mark.parametrize(
    ("coding", "pack"), [("gzip", gzip.compress), ("deflate", zlib.compress)], ids=["gzip", "deflate"]
)
async def test_what_is_packed_arrives_packed(
    beside: Beside, kind: str, coding: str, pack: Callable[[bytes], bytes]
) -> None:
    """Its headers say how and how long it is; an agent that is sent anything else under them cannot read it."""
    said = b'{"to": "echo"}' * 1000
    headers = {"Content-Type": kind, "Content-Encoding": coding}
    async with beside.client.post(f"{beside.url}/echo", data=pack(said), headers=headers) as answer:
        assert answer.status == 200, await answer.text()
        assert (await answer.json())["length"] == len(said)


@pytest.mark.parametrize(
    ("coding", "body"),
    [
        ("br", b"{}"),
        ("gzip", b"{}"),
        ("gzip", gzip.compress(b"{}")[:-1]),
        ("gzip", gzip.compress(b"{}") + b"{}"),
        ("gzip, gzip", gzip.compress(gzip.compress(b"{}"))),
    ],
    ids=["unknown", "not packed", "cut off", "more behind", "twice"],
)
async def test_a_call_that_cannot_be_read_does_not_reach_the_agent(beside: Beside, coding: str, body: bytes) -> None:
    """It might begin a task of which the gate never hears; its client is told how to send it."""
    headers = {"Content-Type": "application/json", "Content-Encoding": coding}
    async with beside.client.post(f"{beside.url}/echo", data=body, headers=headers) as answer:
        assert (answer.status, "as gzip" in await answer.text()) == (415, True)
    assert beside.gate.activity().inflight == 0


async def test_an_order_that_is_packed_is_none(beside: Beside) -> None:
    """As any body that is no JSON object with an order."""
    headers = {"Content-Type": "application/json", "Content-Encoding": "gzip"}
    async with beside.client.post(f"{beside.url}/drain", data=b"{}", headers=headers) as answer:
        assert answer.status == 400
