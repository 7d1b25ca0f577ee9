"""The sidecar before an A2A agent: a task is open until it is over or waits for somebody, whoever asks or does not."""

from __future__ import annotations

import contextlib
import gzip
import json
from collections.abc import AsyncIterator
from dataclasses import replace

import aiohttp
import pytest
from aiohttp import web

from tests.agent.beside import HASTY, Beside, before, sidecar
from tests.agent.material import Site
from tests.agent.upstream import NEW, OLD, Speaker
from tests.support.http import nobody, serving
from tests.support.wait import eventually


@pytest.fixture(params=[OLD, NEW])
async def agent(request: pytest.FixtureRequest) -> Speaker:
    """An agent of each version of the protocol."""
    return Speaker(request.param)


@pytest.fixture
async def beside(site: Site, agent: Speaker) -> AsyncIterator[Beside]:
    """A sidecar before it."""
    async with before(site, agent.application()) as beside:
        yield beside


async def heard(agent: Speaker, name: str) -> None:
    """Return when the sidecar has asked for the task, and asked once more after it had the answer."""

    async def twice() -> bool | None:
        """The sidecar asks."""
        return True if agent.asked[name] >= 2 else None

    await eventually(twice)


@pytest.mark.parametrize(
    "end", ["completed", "failed", "canceled", "cancelled", "rejected", "input-required", "auth-required"]
)
async def test_a_task_holds_the_gate_until_it_is_over(beside: Beside, agent: Speaker, end: str) -> None:
    """The answer to its message came long before; nobody asks for it but the sidecar."""
    await beside.post(agent.call("begin", "t"))
    beside.gate.drain(1)
    await heard(agent, "t")
    assert (beside.gate.activity().inflight, beside.gate.activity().acked) == (1, False)
    agent.states["t"] = agent.state(end)
    await beside.inflight(0)
    assert beside.gate.activity().acked


@pytest.mark.parametrize("state", ["submitted", "working", "unknown", "thinking-of-a-new-state"])
async def test_every_other_state_is_work(beside: Beside, agent: Speaker, state: str) -> None:
    """Also one that nobody has heard of."""
    agent.states["t"] = agent.state(state)
    await beside.post(agent.call("begin", "t"))
    await heard(agent, "t")
    assert beside.gate.activity().inflight == 1


async def test_who_asks_for_a_task_spares_the_sidecar_the_question(site: Site, agent: Speaker) -> None:
    """What its client hears counts as heard, and a closed gate lets it ask, and cancel."""
    async with before(site, agent.application(), replace(HASTY, every=3600.0)) as beside:
        await beside.post(agent.call("begin", "t"))
        beside.gate.drain(1)
        await beside.post(agent.call("get", "t"))
        await beside.inflight(1)
        agent.states["t"] = agent.state("canceled")
        await beside.post(agent.call("cancel", "t"))
        assert beside.gate.activity().acked
        assert agent.asked["t"] == 2


async def test_a_stream_tells_of_its_task(site: Site, agent: Speaker) -> None:
    """The task is open from the first event to the last, and nobody is asked."""
    async with before(site, agent.application(), replace(HASTY, every=3600.0)) as beside:
        async with beside.client.post(f"{beside.url}/a2a", json=agent.call("stream", "t")) as answer:
            await answer.content.readuntil(b"\n\n")
            assert beside.gate.activity().inflight == 2
            agent.hold.set()
            await answer.read()
        await beside.inflight(0)
        assert agent.asked["t"] == 0


async def test_a_task_outlives_the_stream_that_began_it(beside: Beside, agent: Speaker) -> None:
    """Its client went; the sidecar asks until it is over."""
    answer = await beside.client.post(f"{beside.url}/a2a", json=agent.call("stream", "t"))
    await answer.content.readuntil(b"\n\n")
    answer.close()
    await beside.inflight(1)
    agent.states["t"] = agent.state("completed")
    await beside.inflight(0)


async def test_a_task_that_is_open_may_be_continued_on_a_closed_gate(beside: Beside, agent: Speaker) -> None:
    """It lives here and nowhere else. One that waits for input holds no pod, and its next message is sent away."""
    await beside.post(agent.call("begin", "t"))
    beside.gate.drain(1)
    more = agent.call("begin", "u")
    more["params"] = {"message": {"role": "user", "parts": [], "messageId": "u", "taskId": "t"}}
    await beside.post(more)
    agent.states["t"] = agent.state("input-required")
    await beside.inflight(0)
    async with beside.client.post(f"{beside.url}/a2a", json=more) as refused:
        assert refused.status == 503


async def test_a_task_that_the_agent_does_not_know_is_over(beside: Beside, agent: Speaker) -> None:
    """The agent was restarted, and has forgotten what it has shown to us."""
    await beside.post(agent.call("begin", "t"))
    await heard(agent, "t")
    agent.states.clear()
    await beside.inflight(0)


async def test_a_restarted_sidecar_remembers_open_tasks(site: Site, agent: Speaker) -> None:
    """It cannot acknowledge before it has heard of each of them; an agent that is away says nothing."""
    async with serving(agent.application()) as upstream:
        async with sidecar(site, upstream) as beside:
            await beside.post(agent.call("begin", "t"))
            await beside.post(agent.call("begin", "u"))
            beside.gate.drain(1)
        async with nobody() as away, sidecar(site, away) as beside:
            assert (beside.gate.activity().inflight, beside.gate.activity().acked) == (2, False)
        agent.states["t"] = agent.state("completed")
        async with sidecar(site, upstream) as beside:
            await beside.inflight(1)
            assert not beside.gate.activity().acked
            agent.states["u"] = agent.state("failed")
            await beside.inflight(0)
            assert beside.gate.activity().acked


async def test_a_message_without_a_task_is_over_when_it_is_answered(beside: Beside, agent: Speaker) -> None:
    """So is one that the agent refuses, whatever it says."""
    method = str(agent.call("begin", "t")["method"])
    result = {"kind": "message", "messageId": "m", "parts": []}
    agent.answers[method] = web.json_response({"jsonrpc": "2.0", "id": 1, "result": result})
    await beside.post(agent.call("begin", "t"))
    await beside.inflight(0)
    agent.answers[method] = web.Response(status=401, text="who are you")
    async with beside.client.post(f"{beside.url}/a2a", json=agent.call("begin", "t")) as refused:
        assert refused.status == 401
    await beside.inflight(0)
    assert beside.gate.unknown == ""


async def test_an_answer_that_cannot_be_read_may_have_begun_anything(beside: Beside, agent: Speaker) -> None:
    """Something counts as running, and why is told."""
    agent.answers[str(agent.call("begin", "t")["method"])] = web.Response(text="done, more or less")
    async with beside.client.post(f"{beside.url}/a2a", json=agent.call("begin", "t")) as answer:
        assert answer.status == 200
    await beside.inflight(1)
    assert "not known" in beside.gate.unknown


@pytest.mark.parametrize("head", [None, "application/json", "text/event-stream"])
async def test_an_answer_that_breaks_off_may_have_begun_anything(site: Site, agent: Speaker, head: str | None) -> None:
    """Before its first word, or in the middle, before it has named a task: the agent may work on all the same."""

    async def breaks_off(request: web.Request) -> web.StreamResponse:
        """Take the call, and hang up."""
        assert (await request.json())["id"] == 1
        response = web.StreamResponse(headers={} if head is None else {"Content-Type": head})
        if head is not None:
            await response.prepare(request)
            await response.write(b'{"jsonrpc": "2.0", "resu')
        assert request.transport is not None
        request.transport.close()
        return response

    app = web.Application()
    app.router.add_post("/a2a", breaks_off)
    async with before(site, app) as beside:
        with contextlib.suppress(aiohttp.ClientPayloadError):
            async with beside.client.post(f"{beside.url}/a2a", json=agent.call("begin", "t")) as answer:
                assert answer.status == (502 if head is None else 200)
                await answer.read()
        await beside.inflight(1)
        beside.gate.drain(1)
        assert not beside.gate.activity().acked
        assert "not known" in beside.gate.unknown


async def test_an_agent_that_nobody_could_ask_has_begun_nothing(site: Site, agent: Speaker) -> None:
    """It is not there yet, or no more."""
    async with nobody() as silent, sidecar(site, silent) as beside:
        async with beside.client.post(f"{beside.url}/a2a", json=agent.call("begin", "t")) as answer:
            assert answer.status == 502
        await beside.inflight(0)
        assert beside.gate.unknown == ""


async def test_the_sidecar_asks_with_its_own_token(site: Site, agent: Speaker) -> None:
    """Never with that of a client."""
    token = site.folder / "token"
    token.write_text("ours\n")
    async with before(site, agent.application(), replace(HASTY, token_file=token)) as beside:
        theirs = {"Authorization": "Bearer theirs"}
        await (await beside.client.post(f"{beside.url}/a2a", json=agent.call("begin", "t"), headers=theirs)).read()
        await beside.inflight(1)
        agent.states["t"] = agent.state("completed")
        await beside.inflight(0)
    assert agent.credentials == {"Bearer ours"}


async def test_a_message_that_comes_packed_begins_a_task_like_any_other(beside: Beside, agent: Speaker) -> None:
    """Its client packs what is long; the task goes on after the answer all the same."""
    said = gzip.compress(json.dumps(agent.call("begin", "t")).encode())
    headers = {"Content-Type": "application/json", "Content-Encoding": "gzip"}
    async with beside.client.post(f"{beside.url}/a2a", data=said, headers=headers) as answer:
        assert answer.status == 200, await answer.text()
    await heard(agent, "t")
    assert beside.gate.activity().inflight == 1
    agent.states["t"] = agent.state("completed")
    await beside.inflight(0)
