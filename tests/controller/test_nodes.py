"""What nodes ask of their pods, on an API server as small as that."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import pytest
from aiohttp import web

from scaler.controller.api import open_api
from scaler.controller.facts import PodFacts
from scaler.controller.names import ASKED_BY, EPOCH, PHASE
from scaler.controller.nodes import FORGOTTEN, Nodes, node
from scaler.core.types import Instant
from tests.controller.objects import Object, a_pod
from tests.support.api_server import TOKEN, kubeconfig_for
from tests.support.http import serving
from tests.support.wait import eventually

NOW: Instant = 1_800_000_000.0


def a_node(
    name: str = "node-a",
    *,
    uid: str = "1",
    version: str = "1",
    taints: list[Object] | None = None,
    **more: Object | bool,
) -> Object:
    """A node; ``more`` is what else its spec says, and ``leaving``."""
    metadata: Object = {"name": name, "uid": uid, "resourceVersion": version}
    if more.pop("leaving", False):
        metadata["deletionTimestamp"] = "2026-11-21T12:01:00Z"
    return {"metadata": metadata, "spec": {"taints": taints or [], **more}}


def taint(key: str, effect: str = "NoExecute", **more: str) -> Object:
    """A taint."""
    return {"key": key, "effect": effect, **more}


@pytest.mark.parametrize(
    ("found", "why"),
    [
        (a_node(), ""),
        (a_node(unschedulable=True), "is cordoned"),
        (
            a_node(taints=[taint("ToBeDeletedByClusterAutoscaler", "NoSchedule")]),
            "is being removed by the cluster autoscaler",
        ),
        (a_node(taints=[taint("DeletionCandidateOfClusterAutoscaler", "PreferNoSchedule")]), ""),
        (a_node(taints=[taint("karpenter.sh/disrupted", "NoSchedule")]), "is being disrupted by Karpenter"),
        (a_node(taints=[taint("node.kubernetes.io/out-of-service")]), "is out of service"),
        (a_node(taints=[taint("maintenance")]), "is tainted maintenance:NoExecute"),
        (a_node(taints=[taint("gpu", "NoSchedule")]), ""),
        (a_node(taints=[taint("node.kubernetes.io/not-ready")]), ""),
        (a_node(taints=[taint("node.kubernetes.io/unreachable")]), ""),
        (a_node(leaving=True, unschedulable=True), "is being deleted"),
        (
            a_node(taints=[taint("karpenter.sh/disrupted", "NoSchedule")], unschedulable=True),
            "is being disrupted by Karpenter",
        ),
    ],
)
def test_what_is_a_wish_that_the_pods_go(found: Object, why: str) -> None:
    """Each row: a node, and why it asks its pods away. What it is by itself, or may become, is nobody's wish."""
    assert node(found).why == why


@dataclass
class Server:
    """Nodes, or nobody's business."""

    nodes: list[Object] = field(default_factory=list)
    allowed: bool = True
    changed: asyncio.Queue[bytes] = field(default_factory=asyncio.Queue)

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """A list or a watch."""
        if not self.allowed:
            return web.json_response({"message": "nodes is forbidden"}, status=403)
        if request.query.get("watch") == "true":
            response = web.StreamResponse()
            await response.prepare(request)
            while True:
                await response.write(await self.changed.get())
        return web.json_response({"metadata": {"resourceVersion": "1"}, "items": self.nodes})


@asynccontextmanager
async def watched(folder: Path, server: Server) -> AsyncIterator[Nodes]:
    """Nodes, once they were asked for."""
    app = web.Application()
    app.router.add_route("GET", "/{path:.*}", server.handle)
    async with serving(app) as url:
        folder.joinpath("kubeconfig").write_text(kubeconfig_for(url, TOKEN))
        async with open_api(folder / "kubeconfig") as api:
            nodes = Nodes(api)
            assert not nodes.tried
            going = asyncio.create_task(nodes.follow())
            try:
                await eventually(partial(_tried, nodes))
                yield nodes
            finally:
                going.cancel()
                with suppress(asyncio.CancelledError):
                    await going


async def _tried(nodes: Nodes) -> bool | None:
    return nodes.tried or None


async def test_a_pod_is_displaced_while_its_node_asks(tmp_path: Path) -> None:
    """And no longer than that."""
    server = Server([a_node(unschedulable=True), a_node("node-b", uid="2")])
    pods = [a_pod("a"), a_pod("b", node="node-b")]
    async with watched(tmp_path, server) as nodes:
        assert nodes.displaced(pods, NOW) == {"uid-a": "node node-a is cordoned"}
        assert nodes.displaced(pods, NOW) == {"uid-a": "node node-a is cordoned"}
        free = a_node(version="2")
        server.changed.put_nowait(json.dumps({"type": "MODIFIED", "object": free}).encode() + b"\n")

        async def asked() -> bool | None:
            """Nobody is asked away any more."""
            return not nodes.displaced(pods, NOW) or None

        await eventually(asked)


async def test_who_came_after_a_taint_that_it_tolerates_stays(tmp_path: Path) -> None:
    """Another that was started in its place might be placed there as well, and so on; a cordon keeps others away."""
    born = a_pod("a").created_at
    for cordoned, since, asked in ((False, born + 60.0, True), (False, born - 60.0, False), (True, born - 60.0, True)):
        async with watched(tmp_path, Server([a_node(taints=[taint("x")], unschedulable=cordoned)])) as nodes:
            assert bool(nodes.displaced([a_pod("a")], since)) is asked
    said = taint("x", timeAdded="2026-11-21T11:59:00Z")  # a minute before
    async with watched(tmp_path, Server([a_node(taints=[said])])) as nodes:
        assert nodes.displaced([a_pod("a")], born + 60.0) == {}


async def test_a_node_that_is_gone_asks_its_pods_away_until_it_is_back(tmp_path: Path) -> None:
    """Kubernetes would take them at work. One that was never seen may be new, and not told of yet."""
    there, pods = a_node(), [a_pod("a"), a_pod("b", node="node-b")]
    server = Server([there])
    async with watched(tmp_path, server) as nodes:
        for kind, version, asked in (
            ("DELETED", "2", {"uid-a": "node node-a is gone"}),
            ("ADDED", "3", {}),
            ("DELETED", "4", {"uid-a": "node node-a is gone"}),
        ):
            assert nodes.displaced(pods, NOW) != asked
            found = a_node(uid="1" if version == "2" else "3", version=version)
            server.changed.put_nowait(json.dumps({"type": kind, "object": found}).encode() + b"\n")
            await eventually(partial(_asked, nodes, pods, asked))
        server.changed.put_nowait(json.dumps({"type": "ADDED", "object": a_node("node-c", uid="9")}).encode() + b"\n")
        await eventually(partial(_asked, nodes, pods, {}, NOW + FORGOTTEN))


async def _asked(nodes: Nodes, pods: list[PodFacts], asked: dict[str, str], now: Instant = NOW) -> bool | None:
    return nodes.displaced(pods, now) == asked or None


async def test_what_drains_for_a_node_goes_on_until_the_node_is_seen(tmp_path: Path) -> None:
    """Whoever leads next knows it from the mark; what has not been seen has not asked for anything else."""
    notes = {EPOCH: "1", ASKED_BY: "node/node-a"}
    pods = [a_pod("a", labels={PHASE: "draining"}, annotations=notes), a_pod("b")]
    async with watched(tmp_path, Server(allowed=False)) as nodes:
        assert nodes.displaced(pods, NOW) == {"uid-a": "node node-a asked for it, and is not seen"}
    async with watched(tmp_path, Server([a_node()])) as nodes:
        assert nodes.displaced(pods, NOW) == {}


async def test_who_may_not_see_nodes_asks_nobody_away(tmp_path: Path) -> None:
    """The rest goes on as before."""
    async with watched(tmp_path, Server(allowed=False)) as nodes:
        assert nodes.displaced([a_pod("a")], NOW) == {}
