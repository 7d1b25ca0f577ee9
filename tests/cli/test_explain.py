"""``scaler explain``: what a running scaler says, on the terminal."""

from __future__ import annotations

import asyncio
import json

import pytest
from aiohttp import web

from tests.cli.conftest import Scaler
from tests.support.http import nobody, serving


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


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (["coder"], "'coder' is no pool: write NAMESPACE/NAME, as in agents/coder\n"),
        (["agents/a/b"], "'agents/a/b' is no pool: write NAMESPACE/NAME, as in agents/coder\n"),
        (["agents/coder", "--url", "file:///etc"], "--url 'file:///etc' is no address: write http://HOST:PORT\n"),
    ],
)
def test_what_cannot_be_asked_is_bad_input(scaler: Scaler, arguments: list[str], why: str) -> None:
    """Nothing is asked of anybody."""
    told = scaler("explain", *arguments)
    assert (told.exit_code, told.stderr) == (2, why)
