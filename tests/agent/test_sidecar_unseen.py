"""An A2A agent that works on where nobody told the sidecar so: calls and answers in unusual dress, and lost ones."""

from __future__ import annotations

import asyncio
import contextlib
import gzip
import json
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from tests.agent.beside import HASTY, Beside, before, sidecar
from tests.agent.material import Site
from tests.agent.upstream import NEW, OLD, Speaker
from tests.support.http import Conversation, serving, talking
from tests.support.wait import eventually


@pytest.fixture
async def agent() -> Speaker:
    """An agent that reads whatever it is sent as JSON."""
    return Speaker(OLD)


@pytest.fixture
async def beside(site: Site, agent: Speaker) -> AsyncIterator[Beside]:
    """A sidecar before it."""
    async with before(site, agent.application()) as beside:
        yield beside


async def is_busy(beside: Beside, *, because: str = "") -> None:
    """One task is open, and no drain is acknowledged."""
    async with asyncio.timeout(3):
        await beside.inflight(1)
    beside.gate.drain(1)
    assert (beside.gate.activity().inflight, beside.gate.activity().acked) == (1, False)
    assert because in beside.gate.unknown
    assert bool(because) is bool(beside.gate.unknown)


async def asked_again(agent: Speaker, times: int) -> None:
    """Return when the agent was asked for the task so often from now on."""
    before = agent.asked["t"]

    async def probe() -> bool | None:
        """The sidecar asks."""
        return True if agent.asked["t"] >= before + times else None

    await eventually(probe, within=10)


def says(answer: web.Response | Callable[[], web.Response]) -> web.Application:
    """An agent that answers every call so."""

    async def answered(request: web.Request) -> web.Response:
        await request.read()
        return answer() if callable(answer) else answer

    app = web.Application()
    app.router.add_post("/a2a", answered)
    return app


async def post(beside: Beside, body: bytes, headers: list[tuple[str, str]] | None = None) -> int:
    """The status that a call is answered with, once all of the answer is there or nothing more comes."""
    skip = ["Content-Type"]
    async with beside.client.post(f"{beside.url}/a2a", data=body, headers=headers, skip_auto_headers=skip) as answer:
        with contextlib.suppress(aiohttp.ClientPayloadError):
            await answer.read()
        return answer.status


@pytest.mark.parametrize(
    "kind",
    ["", "text/plain; charset=UTF-8", "application/x-www-form-urlencoded", "application/a2a+json", "APPLICATION/JSON"],
)
@pytest.mark.parametrize("pack", [None, gzip.compress], ids=["plain", "packed"])
async def test_a_call_is_one_by_what_it_says(
    beside: Beside, agent: Speaker, kind: str, pack: Callable[[bytes], bytes] | None
) -> None:
    """Most agents never look at the type, and many clients send none, or that of a form."""
    body = json.dumps(agent.call("begin", "t")).encode()
    headers = ([("Content-Type", kind)] if kind else []) + ([("Content-Encoding", "gzip")] if pack else [])
    assert await post(beside, pack(body) if pack else body, headers) == 200
    await is_busy(beside)


async def test_codings_that_are_named_one_by_one_are_all_of_them(beside: Beside, agent: Speaker) -> None:
    """An agent that goes by the second one would have read what the sidecar could not."""
    body = gzip.compress(json.dumps(agent.call("begin", "t")).encode())
    headers = [("Content-Type", "application/json"), ("Content-Encoding", "identity"), ("Content-Encoding", "gzip")]
    if await post(beside, body, headers) != 415:
        await is_busy(beside)
    assert agent.states.keys() <= {"t"}
    assert not agent.states or beside.gate.activity().inflight == 1


LENIENT = {
    "without a version": lambda said: json.dumps({k: v for k, v in said.items() if k != "jsonrpc"}).encode(),
    "bytes that are no text": lambda said: json.dumps(said).encode().replace(b'"role"', b'"x": "\xe4", "role"'),
    "a line in a word": lambda said: json.dumps(said).encode().replace(b'"role"', b'"x": "a\nb", "role"'),
    "a long number": lambda said: json.dumps(said).encode().replace(b'"role"', b'"x": ' + b"9" * 5000 + b', "role"'),
    "something behind it": lambda said: json.dumps(said).encode() + b"\n.",
    "a mark before it": lambda said: b"\xef\xbb\xbf \n" + json.dumps(said).encode(),
    "two bytes a letter": lambda said: json.dumps(said).encode("utf-16"),
}


@pytest.mark.parametrize("dress", LENIENT.values(), ids=LENIENT.keys())
async def test_what_a_lenient_agent_reads_is_read(
    site: Site, agent: Speaker, dress: Callable[[dict[str, object]], bytes]
) -> None:
    """Others than Python's parsers take what those refuse; what they begin is a task all the same."""
    told = {"jsonrpc": "2.0", "id": 1, "result": {"id": "t", "status": {"state": "working"}}}
    async with before(site, says(lambda: web.json_response(told))) as beside:
        headers = [("Content-Type", "application/json")]
        assert await post(beside, dress(agent.call("begin", "t")), headers) == 200
        await is_busy(beside)


async def test_a_call_that_is_too_deep_does_not_reach_the_agent(beside: Beside, agent: Speaker) -> None:
    """An agent may read deeper than we do."""
    deep = b'{"jsonrpc": "2.0", "method": "message/send", "params": ' + b"[" * 100_000 + b"]" * 100_000 + b"}"
    assert await post(beside, deep, [("Content-Type", "application/json")]) == 415


@pytest.mark.parametrize("length", ["told", "untold"])
async def test_a_call_that_is_too_long_does_not_reach_the_agent(site: Site, length: str) -> None:
    """Nobody would have read along what it begins."""

    async def sent() -> AsyncIterator[bytes]:
        yield b'{"jsonrpc": "2.0", "id": 1, "method": "message/send", "params": "'
        for _ in range(65):
            yield b"x" * 1_048_576

    asked = list[str]()

    async def work(request: web.Request) -> web.Response:
        asked.append(request.path)
        return web.Response()

    app = web.Application()
    app.router.add_post("/a2a", work)
    headers = {"Content-Type": "application/json"} | (
        {"Content-Length": str(65 + 65 * 1_048_576)} if length == "told" else {}
    )
    async with before(site, app) as beside:
        with contextlib.suppress(aiohttp.ClientOSError):  # it need not be read to be refused
            async with beside.client.post(f"{beside.url}/a2a", data=sent(), headers=headers) as answer:
                assert answer.status == 415
    assert asked == []


@pytest.mark.parametrize("place", ["/.well-known/../a2a", "/.well-known/%2e%2e/a2a"])
async def test_no_work_is_free(site: Site, agent: Speaker, place: str) -> None:
    """A message that comes where probes do, or by a path that leads elsewhere, is work."""
    app = agent.application()
    app.router.add_post("/{any:.*}", agent.answer)
    async with before(site, app) as beside:
        host = beside.url.removeprefix("http://").split(":")
        body = json.dumps(agent.call("begin", "t")).encode()
        head = (
            f"POST {place} HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
        )
        beside.gate.drain(1)
        reader, writer = await asyncio.open_connection(host[0], int(host[1]))
        writer.write(head.encode() + body)
        assert b" 503 " in await reader.readline()
        writer.close()
    assert agent.states == {}


async def test_a_batch_begins_what_its_calls_begin(site: Site, agent: Speaker) -> None:
    """Each answer names a task."""
    told: list[dict[str, Any]] = [{"id": n, "result": {"id": n, "status": {"state": "working"}}} for n in "ab"]
    told.append({"id": "x", "error": {"code": -32001, "message": "none"}})
    calls = [agent.call("get", "x"), agent.call("begin", "a"), agent.call("begin", "b")]
    async with before(site, says(lambda: web.json_response(told))) as beside:
        assert await post(beside, json.dumps(calls).encode(), [("Content-Type", "application/json")]) == 200
        await beside.inflight(2)
        beside.gate.drain(1)
        assert await post(beside, json.dumps(calls).encode(), [("Content-Type", "application/json")]) == 503


async def test_a_batch_that_is_not_answered_may_have_begun_anything(site: Site, agent: Speaker) -> None:
    """Or in part."""
    told = [{"jsonrpc": "2.0", "id": 1, "error": {"code": -32600, "message": "no"}}]
    calls = [agent.call("get", "x"), agent.call("begin", "a")]
    async with before(site, says(lambda: web.json_response(told))) as beside:
        await post(beside, json.dumps(calls).encode(), [("Content-Type", "application/json")])
        await is_busy(beside, because="named no task")


LOST: dict[str, Callable[[], web.Response]] = {
    "an error of a gateway": lambda: web.Response(status=504, text="upstream request timeout"),
    "an error of the server": lambda: web.Response(status=500, text="Internal Server Error"),
    "a time limit": lambda: web.Response(status=503, text="handler timed out"),
    "accepted": lambda: web.Response(status=202),
    "nothing": lambda: web.Response(status=200),
    "a redirect": lambda: web.Response(status=303, headers={"Location": "/tasks/1"}),
    "a result of another kind": lambda: web.json_response({"jsonrpc": "2.0", "id": 1, "result": "in hand"}),
    "a task by number": lambda: web.json_response({"jsonrpc": "2.0", "id": 1, "result": {"id": 7, "status": {}}}),
    "a stream of nothing": lambda: web.Response(content_type="text/event-stream"),
    "a stream that says hello": lambda: web.Response(
        content_type="text/event-stream", body=b'data: {"jsonrpc": "2.0", "id": 1, "result": {}}\n\n'
    ),
    "a stream that is packed": lambda: web.Response(
        content_type="text/event-stream", headers={"Content-Encoding": "gzip"}, body=gzip.compress(b"data: {}\n\n")
    ),
}


@pytest.mark.parametrize("answer", LOST.values(), ids=LOST.keys())
@pytest.mark.parametrize("method", ["message/send", "SendStreamingMessage", "tasks/send", "tasks/sendSubscribe"])
async def test_an_answer_that_names_no_task_may_have_begun_one(
    site: Site, agent: Speaker, method: str, answer: Callable[[], web.Response]
) -> None:
    """Whatever its status: only a refusal, an error of the protocol and a message say that nothing runs."""
    async with before(site, says(answer)) as beside:
        said = agent.call("begin", "t") | {"method": method}
        await post(beside, json.dumps(said).encode(), [("Content-Type", "application/json")])
        await is_busy(beside, because="named no task")


async def test_a_packed_answer_is_read(site: Site, agent: Speaker) -> None:
    """By an agent that packs although it was asked not to."""
    said = gzip.compress(b'{"jsonrpc": "2.0", "id": 1, "result": {"id": "t", "status": {"state": "working"}}}')
    packed = {"Content-Encoding": "gzip", "Content-Type": "application/json"}
    async with before(site, says(lambda: web.Response(body=said, headers=packed))) as beside:
        await post(beside, json.dumps(agent.call("begin", "t")).encode(), [("Content-Type", "application/json")])
        await is_busy(beside)


HINTS: dict[str, dict[str, Any]] = {
    "an artifact": {"kind": "artifact-update", "taskId": "t", "artifact": {"parts": []}},
    "an artifact of 1.0": {"artifactUpdate": {"taskId": "t", "artifact": {"parts": []}}},
    "a task without a state": {"kind": "task", "id": "t"},
    "a task in names of the schema": {"status_update": {"task_id": "t", "status": {"state": "TASK_STATE_WORKING"}}},
}


@pytest.mark.parametrize("hint", HINTS.values(), ids=HINTS.keys())
async def test_whatever_first_names_a_task_tells_of_it(site: Site, agent: Speaker, hint: dict[str, Any]) -> None:
    """Its client leaves, and the agent works on."""
    left = asyncio.Event()

    async def streams(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        await response.write(b"data: " + json.dumps({"jsonrpc": "2.0", "id": 1, "result": hint}).encode() + b"\n\n")
        try:
            await agent.hold.wait()
        except asyncio.CancelledError:
            left.set()
            raise
        return response

    app = web.Application()
    app.router.add_post("/a2a", streams)
    async with before(site, app, replace(HASTY, every=3600.0)) as beside:
        answer = await beside.client.post(f"{beside.url}/a2a", json=agent.call("stream", "t"))
        await answer.content.readuntil(b"\n\n")
        answer.close()
        await left.wait()
        await beside.client.get(beside.url)  # by now the sidecar has done what comes after that
        await is_busy(beside)


def hangs_up(head: bytes, said: bytes) -> Conversation:
    """Answer so, and close the connection, which is the end of an answer without a length."""

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(head + b"Connection: close\r\n\r\n" + said)
        await writer.drain()

    return talk


@pytest.mark.parametrize("said", [b"", b": ping\n\n", b'data: {"jsonrpc": "2.0", "id": 1, "resu'])
@pytest.mark.parametrize("version", [b"HTTP/1.0", b"HTTP/1.1"])
async def test_the_end_of_a_stream_without_a_length_may_be_that_of_its_agent(
    site: Site, agent: Speaker, version: bytes, said: bytes
) -> None:
    """One cannot tell a hang-up from an end; what was begun is not known."""
    head = version + b" 200 OK\r\nContent-Type: text/event-stream\r\n"
    async with talking(hangs_up(head, said)) as upstream, sidecar(site, upstream) as beside:
        await post(beside, json.dumps(agent.call("stream", "t")).encode(), [("Content-Type", "application/json")])
        await is_busy(beside, because="named no task")


@pytest.mark.parametrize("version", [OLD, NEW])
async def test_a_client_that_leaves_before_the_first_event_leaves_a_task(site: Site, version: str) -> None:
    """The stream is read on until it names one, and then the agent is asked about that."""
    agent, begun, go = Speaker(version), asyncio.Event(), asyncio.Event()

    async def streams(request: web.Request) -> web.StreamResponse:
        said = await request.json()
        if said["method"] not in {"message/stream", "SendStreamingMessage"}:
            return await agent.answer(request)
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        begun.set()
        await go.wait()
        agent.states["t"] = agent.state("working")
        result: dict[str, Any] = {"id": "t", "status": {"state": agent.states["t"]}}
        await response.write(b"data: " + json.dumps({"id": 1, "result": result}).encode() + b"\n\n")
        await agent.hold.wait()
        return response

    app = web.Application()
    app.router.add_post("/a2a", streams)
    async with before(site, app) as beside:
        answer = await beside.client.post(f"{beside.url}/a2a", json=agent.call("stream", "t"))
        await begun.wait()
        answer.close()
        await post(beside, b"", None)  # by now the sidecar knows that the client has gone
        go.set()
        await asked_again(agent, 1)
        await is_busy(beside)
        agent.states["t"] = agent.state("completed")
        await beside.inflight(0)
        assert beside.gate.activity().acked


@pytest.mark.parametrize("version", [OLD, NEW])
async def test_a_task_that_is_hidden_from_us_is_not_over(site: Site, version: str) -> None:
    """Agents must say "no such task" to whoever may not see it. What its own client hears still ends it."""
    agent, theirs = Speaker(version), {"Authorization": "Bearer theirs"}

    async def hides(request: web.Request) -> web.StreamResponse:
        said = await request.json()
        if request.headers.get("Authorization") != theirs["Authorization"]:
            agent.asked["t"] += 1
            return web.json_response({"jsonrpc": "2.0", "id": said["id"], "error": {"code": -32001, "message": "none"}})
        return await agent.answer(request)

    app = web.Application()
    app.router.add_post("/a2a", hides)
    async with serving(app) as upstream:
        for settings in (HASTY, replace(HASTY, longest=3600.0)):
            async with sidecar(site, upstream, settings) as beside:
                if settings is HASTY:
                    async with beside.client.post(
                        f"{beside.url}/a2a", json=agent.call("begin", "t"), headers=theirs
                    ) as answer:
                        assert answer.status == 200
                await asked_again(agent, 2)
                await is_busy(beside, because="--token-file")
        async with sidecar(site, upstream) as beside:
            agent.states["t"] = agent.state("completed")
            async with beside.client.post(f"{beside.url}/a2a", json=agent.call("get", "t"), headers=theirs) as answer:
                await answer.read()
            assert beside.gate.activity().acked
            assert beside.gate.unknown == ""


async def test_a_hidden_task_is_over_when_nothing_lasts_longer(site: Site, agent: Speaker) -> None:
    """As for all that is not known."""
    async with before(site, agent.application(), replace(HASTY, longest=0.2)) as beside:
        await beside.post(agent.call("begin", "t"))
        agent.states.clear()
        await beside.inflight(0)
        assert beside.gate.unknown == ""


async def test_an_answer_to_an_old_question_ends_nothing(site: Site, agent: Speaker) -> None:
    """The task waited for input when we asked; by the time we hear that, it has had it, and runs."""
    asked, go = asyncio.Event(), asyncio.Event()

    async def slow(request: web.Request) -> web.StreamResponse:
        said = await request.json()
        if said["method"] != "tasks/get" or asked.is_set():
            return await agent.answer(request)
        agent.states["t"] = "input-required"
        told = await agent.answer(request)
        asked.set()
        await go.wait()
        return told

    app = web.Application()
    app.router.add_post("/a2a", slow)
    async with before(site, app) as beside:
        await beside.post(agent.call("begin", "t"))
        await asked.wait()
        agent.states["t"] = "working"
        more = agent.call("begin", "u") | {"params": {"message": {"messageId": "u", "taskId": "t"}}}
        await beside.post(more)
        beside.gate.drain(1)
        go.set()
        await asked_again(agent, 2)
        assert (beside.gate.activity().inflight, beside.gate.activity().acked) == (1, False)
