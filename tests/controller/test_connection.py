"""The way to the API server, as a kubeconfig with the keys in it has it."""

from __future__ import annotations

import asyncio
from base64 import b64encode
from pathlib import Path

import yaml
from aiohttp import web

from scaler.controller.api import Answer, Credentials, Request, credentials, open_api
from tests.support.api_server import TOKEN, kubeconfig_for
from tests.support.certificates import Identity, authority
from tests.support.http import serving


def inline(data: bytes) -> str:
    """Bytes as a kubeconfig has them."""
    return b64encode(data).decode()


def written(file: Path, ca: bytes, agent: Identity) -> Path:
    """A kubeconfig whose keys stand in it."""
    cluster = {"server": "https://127.0.0.1:1", "certificate-authority-data": inline(ca)}
    user = {"client-certificate-data": inline(agent.certificate), "client-key-data": inline(agent.key)}
    config = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "here",
        "contexts": [{"name": "here", "context": {"cluster": "it", "user": "us"}}],
        "clusters": [{"name": "it", "cluster": cluster}],
        "users": [{"name": "us", "user": user}],
    }
    file.write_text(yaml.safe_dump(config))
    return file


def stands(found: Credentials) -> list[bytes]:
    """What is in the files that are named."""
    return [Path(file).read_bytes() for file in (found.ca_file, found.certificate_file, found.key_file)]


async def test_keys_that_stand_in_a_kubeconfig_serve_every_connection(tmp_path: Path) -> None:
    """The next one, once the first has been let go, and whoever connects then: a leader, a watch that begins anew."""
    ca = authority()
    agent = ca.client("agent-scaler")
    file = written(tmp_path / "kubeconfig", ca.certificate, agent)
    for _ in range(2):
        async with open_api(file):
            pass
        assert stands(await credentials(file)) == [ca.certificate, agent.certificate, agent.key]


CALLS = 100  # at one time, over one client: more wait for one of them to end


async def test_a_call_that_is_refused_ends_no_other(tmp_path: Path) -> None:
    """One comes with a token that has just been rotated, while others are answered slowly or wait for a connection."""
    arrived, refuse, answer = asyncio.Semaphore(0), asyncio.Event(), asyncio.Event()

    async def handle(request: web.Request) -> web.Response:
        arrived.release()
        if request.path == "/refused":
            await refuse.wait()
            return web.json_response({}, status=401)
        await answer.wait()
        return web.json_response({})

    app = web.Application()
    app.router.add_get("/{path}", handle)
    async with serving(app) as url:
        (tmp_path / "kubeconfig").write_text(kubeconfig_for(url, TOKEN))
        async with open_api(tmp_path / "kubeconfig") as api, asyncio.TaskGroup() as group:

            def call(path: str) -> asyncio.Task[Answer]:
                return group.create_task(api.ask(Request(method="GET", path=path, within=60.0)))

            refused, slow = call("/refused"), [call("/slow") for _ in range(CALLS - 1)]
            for _ in range(CALLS):
                await arrived.acquire()
            waits = call("/waits")
            refuse.set()
            assert (await refused).status == 401
            answer.set()
    assert {(await each).status for each in (*slow, waits)} == {200}
