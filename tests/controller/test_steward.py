"""Pools looked after, on an API server as small as that: what is applied, who is adopted, and whether guards hold."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from aiohttp import web

from scaler.config.metadata import TriggerMetadata
from scaler.config.pool import Found, PoolKey
from scaler.config.resolve import resolve
from scaler.controller.api import open_api
from scaler.controller.estate import Estate
from scaler.controller.events import Events
from scaler.controller.names import MANAGED, PHASE, POOL
from scaler.controller.pen import Pen
from scaler.controller.steward import Steward
from scaler.core.types import Unknown
from scaler.live.board import Board
from scaler.live.charge import Charge
from scaler.live.clock import SystemClock
from scaler.live.office import ALONE, Office
from scaler.live.registry import Pool, Registry
from tests.config.material import QUERY, READABLE, Section, parsed
from tests.controller.objects import Object, pod_object
from tests.support.api_server import TOKEN, kubeconfig_for
from tests.support.http import serving
from tests.support.office import Chair
from tests.support.wait import eventually

KEY = PoolKey("agents", "coder")
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
OURS = "ValidatingAdmissionPolicy 'agent-scaler-delete' denied request"
BUDGET = {"causes": [{"message": "The disruption budget agent-scaler-coder needs 2147483647 healthy pods"}]}


@dataclass
class Server:
    """A namespace with a Deployment and pods, and guards that hold or do not."""

    pods: list[Object] = field(default_factory=list)
    guarded: bool = True
    writes: Counter[str] = field(default_factory=Counter)
    lets: set[str] = field(default_factory=set)
    moves: Callable[[], object] = lambda: None

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """One call."""
        kind, name = [*request.path.split("/agents/")[-1].split("/"), ""][:2]
        if request.method == "GET":
            return await self._listed(request, kind)
        if request.query.get("dryRun") == "All":
            return self._tried(request.method, name)
        self.writes[f"{request.method} {request.path}"] += 1
        if kind == "pods" and request.method == "PATCH":
            return self._labelled(name, json.loads(await request.read()))
        return web.json_response({})

    async def _listed(self, request: web.Request, kind: str) -> web.StreamResponse:
        """A list, a watch, or one of the pods."""
        for pod in self.pods:
            if request.path.endswith(f"/{pod['metadata']['name']}"):
                return web.json_response(pod)
        if request.query.get("watch") == "true":
            response = web.StreamResponse()
            await response.prepare(request)
            await asyncio.Event().wait()
        found = {"pods": self.pods, "deployments": [DEPLOYMENT], "replicasets": [SET]}.get(kind, [])
        return web.json_response({"metadata": {"resourceVersion": "9"}, "items": found})

    def _tried(self, method: str, name: str) -> web.Response:
        self.moves()
        if not self.guarded or name in self.lets:
            return web.json_response({}, status=200 if method == "DELETE" else 201)
        if method == "DELETE":
            return web.json_response({"message": OURS}, status=403)
        return web.json_response({"message": "Cannot evict", "details": BUDGET}, status=429)

    def _labelled(self, name: str, change: Object) -> web.Response:
        found = next(pod for pod in self.pods if pod["metadata"]["name"] == name)
        found["metadata"]["labels"] |= change["metadata"]["labels"]
        found["metadata"]["resourceVersion"] = str(int(found["metadata"]["resourceVersion"]) + 1)
        return web.json_response(found)


@asynccontextmanager
async def steward(folder: Path, server: Server, office: Office = ALONE) -> AsyncIterator[Pool]:
    """A steward at work; the value is the one pool that it looks after."""
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", server.handle)
    read: Section = {"signals": {"queue": QUERY}}
    settings = parsed({**READABLE, "classes": {"coding": read}, "pools": {str(KEY): {"class": "coding"}}})
    found = Found(least=0, most=9, workload=("deployments", "coder"))
    async with serving(app) as url:
        folder.joinpath("kubeconfig").write_text(kubeconfig_for(url, TOKEN))
        async with open_api(folder / "kubeconfig") as api:
            charge = Charge(Registry(), Board(), office, SystemClock())
            pool = charge.registry.put(resolve(settings, KEY, TriggerMetadata(), found), charge.clock.now())
            pen, estate = Pen(api, office, charge.deeds), Estate(api)
            going = asyncio.create_task(Steward(charge, estate, pen, Events(pen, charge.clock)).run())
            try:
                yield pool
            finally:
                going.cancel()
                with suppress(asyncio.CancelledError):
                    await going
                estate.keep(set())


def stranger(name: str, **more: object) -> Object:
    """A pod of the Deployment that nobody of ours has labelled."""
    return pod_object(name, owner="set-1", **more)


async def holds(pool: Pool, *, within: float = 30.0) -> None:
    """Return once its guards are known to hold."""

    async def known() -> bool | None:
        """The guards are known to hold."""
        return pool.unguarded is None or None

    await eventually(known, within=within)


async def test_a_pool_gets_what_it_owns_and_its_pods_are_adopted(tmp_path: Path) -> None:
    """A word on the namespace, a mark on the workload, a budget, and labels on the pods that were there before."""
    server = Server([stranger("coder-a"), stranger("coder-b")])
    async with steward(tmp_path, server) as pool:
        await holds(pool)
    assert {pod["metadata"]["labels"].get(POOL) for pod in server.pods} == {"coder"}
    assert set(server.writes) == {
        "PATCH /api/v1/namespaces/agents",
        "PATCH /apis/apps/v1/namespaces/agents/deployments/coder",
        "PATCH /apis/policy/v1/namespaces/agents/poddisruptionbudgets/agent-scaler-coder",
        "PATCH /api/v1/namespaces/agents/pods/coder-a",
        "PATCH /api/v1/namespaces/agents/pods/coder-b",
    }
    assert server.writes["PATCH /api/v1/namespaces/agents/pods/coder-a"] == 1


async def test_guards_that_do_not_hold_are_told_and_tried_until_they_do(tmp_path: Path) -> None:
    """Somebody applies them late: then the pool is free to fall, and no process has to be restarted."""
    server = Server([stranger("coder-a")], guarded=False)
    async with steward(tmp_path, server) as pool:

        async def bare() -> bool | None:
            """It is known why they do not hold."""
            why = pool.unguarded
            return (isinstance(why, Unknown) and "could be deleted" in why.why) or None

        await eventually(bare)
        server.guarded = True
        await holds(pool)


async def test_where_nobody_is_to_be_protected_nothing_is_held_up(tmp_path: Path) -> None:
    """A new leader finds drained pods alone: they would stay for ever if it waited for one to try the guards on."""
    drained = {"app": "coder", MANAGED: "true", POOL: "coder", PHASE: "drained"}
    server = Server([stranger("coder-a", labels=drained)])
    async with steward(tmp_path, server) as pool:
        assert pool.unguarded is not None
        await holds(pool)


async def test_a_pod_that_is_drained_while_it_tries_them_proves_nothing(tmp_path: Path) -> None:
    """It may be deleted, and its neighbours may not: the guards are tried on another, and nobody is alarmed."""
    first, second = stranger("coder-a"), stranger("coder-b")
    server = Server([first, second])
    server.lets = {"coder-b"}
    async with steward(tmp_path, server) as pool:
        server.moves = lambda: second["metadata"]["labels"].update({PHASE: "drained"})
        await holds(pool)
        assert pool.unguarded is None
    assert not [write for write in server.writes if "events" in write]


async def test_who_stands_by_writes_nothing(tmp_path: Path) -> None:
    """It watches, and is ready to look after them the moment it leads."""
    server = Server([stranger("coder-a")])
    chair = Chair()
    async with steward(tmp_path, server, chair) as pool:
        with pytest.raises(AssertionError, match="The guards are known to hold"):
            await holds(pool, within=3.0)
    assert server.writes == Counter()
