"""An API server that takes Events of the namespace ``agents``, and nothing else."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from aiohttp import web

from scaler.controller.api import Api, open_api
from tests.support.api_server import TOKEN, Object, kubeconfig_for
from tests.support.http import serving


@asynccontextmanager
async def event_server(folder: Path) -> AsyncIterator[tuple[Api, list[Object]]]:
    """A connection to it, and the Events that it has taken."""
    taken: list[Object] = []

    async def take(request: web.Request) -> web.Response:
        taken.append(json.loads(await request.read()))
        return web.json_response({}, status=201)

    app = web.Application()
    app.router.add_post("/api/v1/namespaces/agents/events", take)
    async with serving(app) as url:
        folder.joinpath("kubeconfig").write_text(kubeconfig_for(url, TOKEN))
        async with open_api(folder / "kubeconfig") as api:
            yield api, taken
