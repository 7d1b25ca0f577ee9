"""``scaler explain``: what a running scaler says, on the terminal."""

from __future__ import annotations

import asyncio
import json

import pytest
from aiohttp import web

from tests.cli.conftest import Scaler
from tests.support.http import Conversation, nobody, serving, talking, truncate


async def explain(request: web.Request) -> web.Response:
    """Answers as a scaler that knows one pool."""
    if request.match_info["name"] != "coder":
        problem = {"detail": "there is no such pool; did you mean agents/coder?"}
        return web.Response(status=404, text=json.dumps(problem), content_type="application/problem+json")
    if request.headers["Accept"] == "text/plain":
        return web.Response(text="1 → 3: the work needs more\n  demand: 1 → 3\n")
    return web.json_response({"sentence": "1 → 3: the work needs more"})


@pytest.fixture
def pages() -> web.Application:
    """The pages of that scaler, and one of somebody else."""
    app = web.Application()
    app.add_routes([web.get("/api/v1/pools/{namespace}/{name}/explain", explain)])
    return app


async def test_the_scalers_own_words_are_printed(scaler: Scaler, pages: web.Application) -> None:
    """Lines for people, JSON for programs; nothing is worked out again."""
    async with serving(pages) as url:
        told = await asyncio.to_thread(scaler, "explain", "agents/coder", "--url", f"{url}/")
        data = await asyncio.to_thread(scaler, "explain", "agents/coder", "--json", "--url", url)
    assert (told.exit_code, told.stdout) == (0, "1 → 3: the work needs more\n  demand: 1 → 3\n")
    assert json.loads(data.stdout) == {"sentence": "1 → 3: the work needs more"}


async def test_what_goes_wrong_there_is_told_here(scaler: Scaler, pages: web.Application) -> None:
    """The detail of a problem body; the status of somebody else's page; nobody at all. Each exits 1."""
    async with serving(pages) as url, nobody() as silent:
        unknown = await asyncio.to_thread(scaler, "explain", "agents/codr", "--url", url)
        foreign = await asyncio.to_thread(scaler, "explain", "agents/coder", "--url", f"{url}/else")
        absent = await asyncio.to_thread(scaler, "explain", "agents/coder", "--url", silent)
    assert (unknown.exit_code, unknown.stderr) == (1, "there is no such pool; did you mean agents/coder?\n")
    page = f"{url}/else/api/v1/pools/agents/coder/explain"
    assert (foreign.exit_code, foreign.stderr) == (1, f"{page} answered 404 Not Found; --url must name a scaler\n")
    assert absent.exit_code == 1
    assert absent.stderr.startswith(f"no scaler answers at {silent}/api/v1/pools/agents/coder/explain: ")
    assert absent.stderr.endswith("start one with `scaler serve`, or name it with --url\n")


async def binary(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Send a whole answer that is no text."""
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n\xff\xfe")
    await writer.drain()


async def other(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Send what a server of HTTP/2 does when it is spoken to as one of HTTP/1."""
    writer.write(b"\x00\x00\x12\x04\x00\x00\x00\x00\x00\x00\x03\x7f\xff\xff\xff\n")
    await writer.drain()


async def broken(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Send an error whose body ends early."""
    writer.write(b'HTTP/1.1 404 Not Found\r\nContent-Length: 99\r\n\r\n{"detail')
    await writer.drain()


@pytest.mark.parametrize(
    ("conversation", "why"),
    [
        (
            other,
            "is no HTTP, as at the port where KEDA calls, or behind https: `scaler serve` has its pages at --http",
        ),
        (truncate, "cannot be read: IncompleteRead(9 bytes read, 990 more expected); --url must name a scaler"),
        (binary, "cannot be read: 'utf-8' codec can't decode byte 0xff in position 0: invalid start byte; --url must"),
        (broken, "answered 404 Not Found; --url must name a scaler"),
    ],
    ids=["ThePortForKeda", "AnAnswerCutShort", "AnAnswerThatIsNoText", "AnErrorCutShort"],
)
async def test_an_answer_that_is_none_is_told_in_one_line(scaler: Scaler, conversation: Conversation, why: str) -> None:
    """Whatever is listening there, it ends in a sentence and with 1."""
    async with talking(conversation) as url:
        told = await asyncio.to_thread(scaler, "explain", "agents/coder", "--url", url)
    assert (told.exit_code, told.stdout, told.stderr.count("\n")) == (1, "", 1)
    assert why in told.stderr


async def test_json_that_is_none_is_told(scaler: Scaler) -> None:
    """Somebody else's page answers 200 to anything."""
    app = web.Application()
    app.add_routes([web.get("/{path:.*}", answered)])
    async with serving(app) as url:
        told = await asyncio.to_thread(scaler, "explain", "agents/coder", "--json", "--url", url)
    page = f"{url}/api/v1/pools/agents/coder/explain"
    assert (told.exit_code, told.stderr) == (1, f"the answer of {page} is no JSON; --url must name a scaler\n")


async def answered(_: web.Request) -> web.Response:
    """A page for people."""
    return web.Response(text="<html>", content_type="text/html")


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (["coder"], "'coder' is no pool: write NAMESPACE/NAME, as in agents/coder\n"),
        (["agents/a/b"], "'agents/a/b' is no pool: write NAMESPACE/NAME, as in agents/coder\n"),
        (["agents/coder", "--url", "file:///etc"], "--url 'file:///etc' is no address: write http://HOST:PORT\n"),
        (["agents/coder", "--url", "http://h:abc"], "--url 'http://h:abc' is no address: write http://HOST:PORT\n"),
        (["agents/coder", "--url", "http://[::1"], "--url 'http://[::1' is no address: write http://HOST:PORT\n"),
        (["agents/coder", "--url", "http://a b"], "--url 'http://a b' is no address: write http://HOST:PORT\n"),
        (["agents/coder", "--url", "http://h/p\n"], "--url 'http://h/p\\n' is no address: write http://HOST:PORT\n"),
    ],
)
def test_what_cannot_be_asked_is_bad_input(scaler: Scaler, arguments: list[str], why: str) -> None:
    """Nothing is asked of anybody."""
    told = scaler("explain", *arguments)
    assert (told.exit_code, told.stderr) == (2, why)
