"""An API server as small as one namespace: a Deployment, its pods and their gates, and guards."""

from __future__ import annotations

import asyncio
import json
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from aiohttp import web

from scaler.controller.api import Api, open_api
from scaler.controller.names import GATE_PORT, POOL
from tests.controller.objects import Object, applied
from tests.support.api_server import TOKEN, kubeconfig_for
from tests.support.http import serving

DEPLOYMENT: Object = {
    "metadata": {"name": "coder", "namespace": "agents", "uid": "deployment-1", "resourceVersion": "1"},
    "spec": {"replicas": 2, "selector": {"matchLabels": {"app": "coder"}}},
}
SET: Object = {
    "metadata": {
        "name": "coder-1",
        "namespace": "agents",
        "uid": "set-1",
        "resourceVersion": "1",
        "ownerReferences": [{"kind": "Deployment", "uid": "deployment-1", "controller": True}],
    },
    "spec": {"replicas": 2, "selector": {"matchLabels": {"app": "coder"}}},
}
PODS = "/api/v1/namespaces/agents/pods"
DEPLOYMENTS = "/apis/apps/v1/namespaces/agents/deployments"
BUDGETS = "/apis/policy/v1/namespaces/agents/poddisruptionbudgets"
OURS = "ValidatingAdmissionPolicy 'agent-scaler-delete' denied request"


@dataclass
class Server:
    """A namespace with a Deployment and pods, and guards that hold or do not; ``sealed`` takes no labels of ours."""

    pods: list[Object] = field(default_factory=list)
    guarded: bool = True
    sealed: bool = False
    writes: Counter[str] = field(default_factory=Counter)
    said: defaultdict[str, list[Object]] = field(default_factory=lambda: defaultdict(list))
    lets: set[str] = field(default_factory=set)
    moves: Callable[[], object] = lambda: None
    changed: asyncio.Event = field(default_factory=asyncio.Event)

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """One call."""
        kind, name = [*request.path.split("/agents/")[-1].split("/"), ""][:2]
        if request.method == "GET":
            return await self._listed(request, kind)
        if request.query.get("dryRun") == "All":
            return self._tried(request.method, name)
        call, body = f"{request.method} {request.path}", await request.read()
        self.writes[call] += 1
        said = json.loads(body) if body else {}
        self.said[call].append(said)
        if kind == "pods" and request.method == "PATCH":
            return self._patched(name, said)
        return web.json_response({})

    def stand_at(self, url: str) -> None:
        """The gates of its pods answer here too."""
        for pod in self.pods:
            pod["status"]["podIP"] = "127.0.0.1"
            pod["metadata"].setdefault("annotations", {})[GATE_PORT] = str(urlsplit(url).port)

    async def _listed(self, request: web.Request, kind: str) -> web.StreamResponse:
        """A list, a watch, or one of the pods."""
        for pod in self.pods:
            if request.path.endswith(f"/{pod['metadata']['name']}"):
                return web.json_response(pod)
        if request.query.get("watch") == "true":
            response = web.StreamResponse()
            await response.prepare(request)
            while kind == "pods":
                await self.changed.wait()
                self.changed.clear()
                told = ({"type": "MODIFIED", "object": pod} for pod in self.pods)
                await response.write(b"".join(json.dumps(each).encode() + b"\n" for each in told))
            await asyncio.Event().wait()
        found = {"pods": self.pods, "deployments": [DEPLOYMENT], "replicasets": [SET]}.get(kind, [])
        return web.json_response({"metadata": {"resourceVersion": "9"}, "items": found})

    def _tried(self, method: str, name: str) -> web.Response:
        self.moves()
        if not self.guarded or name in self.lets:
            return web.json_response({}, status=200 if method == "DELETE" else 201)
        if method == "DELETE":
            return web.json_response({"message": OURS}, status=403)
        pool = next(pod["metadata"]["labels"][POOL] for pod in self.pods if pod["metadata"]["name"] == name)
        cause = {"message": f"The disruption budget agent-scaler-{pool} needs 2147483647 healthy pods"}
        return web.json_response({"message": "Cannot evict", "details": {"causes": [cause]}}, status=429)

    def _patched(self, name: str, change: Object | list[Object]) -> web.Response:
        """Labels, or an order; where labels are refused, only an order."""
        place = next(i for i, pod in enumerate(self.pods) if pod["metadata"]["name"] == name)
        found = self.pods[place]
        if isinstance(change, list):
            found = self.pods[place] = applied(found, change)
        elif self.sealed:
            return web.json_response({"message": "another's webhook does not like this label"}, status=403)
        else:
            found["metadata"]["labels"] |= change["metadata"]["labels"]
        found["metadata"]["resourceVersion"] = str(int(found["metadata"]["resourceVersion"]) + 1)
        return web.json_response(found)


@asynccontextmanager
async def reached(folder: Path, server: Server) -> AsyncIterator[Api]:
    """A way to this server, which stands as long; the folder takes the kubeconfig."""
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", server.handle)
    async with serving(app) as url:
        server.stand_at(url)
        folder.joinpath("kubeconfig").write_text(kubeconfig_for(url, TOKEN))
        async with open_api(folder / "kubeconfig") as api:
            yield api
