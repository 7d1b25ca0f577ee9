"""Pools discovered: what ScaledObjects that come, change and go do to them, and kopf on a server of our own."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from aiohttp import web
from structlog.testing import capture_logs

from scaler.config.metadata import TriggerMetadata
from scaler.config.pool import Found, PoolKey
from scaler.config.problems import ConfigError, Problem
from scaler.controller import discovery as discoveries
from scaler.controller.api import open_api
from scaler.controller.discovery import ENDED, Discovery, Whence
from scaler.live.clock import SystemClock, VirtualClock
from tests.controller.objects import Object
from tests.support.api_server import TOKEN, kubeconfig_for
from tests.support.http import serving
from tests.support.pools import NOON
from tests.support.wait import eventually

ADDRESS = "agent-scaler.agent-scaler:6000"
CODER, OTHER = PoolKey("agents", "coder"), PoolKey("agents", "other")


@dataclass
class Pools:
    """Who keeps the pools: those that there are, and those that it will not have."""

    there: dict[PoolKey, Found] = field(default_factory=dict)
    refused: set[PoolKey] = field(default_factory=set)

    def discover(self, key: PoolKey, metadata: TriggerMetadata, found: Found) -> None:
        """Take it in."""
        if key in self.refused:
            raise ConfigError([Problem(path="class", value="x", allowed="must be another", way_out="choose one")])
        self.there[key] = found

    def lose(self, key: PoolKey) -> None:
        """It is gone."""
        del self.there[key]


def scaled_object(uid: str = "so-1", *, pool: str = "", most: int = 9, address: str = ADDRESS, **more: str) -> Object:
    """A ScaledObject that names our address."""
    metadata = {"scalerAddress": address, **({"pool": pool} if pool else {}), **more}
    return {
        "apiVersion": "keda.sh/v1alpha1",
        "kind": "ScaledObject",
        "metadata": {"name": "coder", "namespace": "agents", "uid": uid, "resourceVersion": "7"},
        "spec": {
            "scaleTargetRef": {"name": "coder"},
            "maxReplicaCount": most,
            "triggers": [{"type": "external", "metadata": metadata}],
        },
    }


@pytest.fixture
async def scene(tmp_path: Path) -> AsyncIterator[tuple[Discovery, Pools]]:
    """A discovery that is told of objects by the test."""
    pools = Pools()
    tmp_path.joinpath("kubeconfig").write_text(kubeconfig_for("http://127.0.0.1:1", TOKEN))
    async with open_api(tmp_path / "kubeconfig") as api:
        yield Discovery(api, Whence(None, ADDRESS, ()), pools, VirtualClock(NOON)), pools


async def test_objects_come_change_and_go(scene: tuple[Discovery, Pools]) -> None:
    """And with them their pools."""
    discovery, pools = scene
    discovery.take("scaledobjects", scaled_object(), gone=False)
    assert pools.there[CODER].most == 9
    discovery.take("scaledobjects", scaled_object(most=4), gone=False)
    assert pools.there[CODER].most == 4
    discovery.take("scaledobjects", scaled_object(pool="other"), gone=False)
    assert set(pools.there) == {OTHER}
    discovery.take("scaledobjects", scaled_object(pool="other"), gone=True)
    assert pools.there == {}
    discovery.take("scaledobjects", scaled_object(), gone=True)  # told twice


async def test_an_object_that_names_another_scaler_gives_its_pool_up(scene: tuple[Discovery, Pools]) -> None:
    """It is theirs now."""
    discovery, pools = scene
    discovery.take("scaledobjects", scaled_object(), gone=False)
    discovery.take("scaledobjects", scaled_object(address="other.scaler:6000"), gone=False)
    assert pools.there == {}


async def test_a_pool_stays_while_one_object_asks_for_it(scene: tuple[Discovery, Pools]) -> None:
    """Two may, and the one that goes does not take it from the other."""
    discovery, pools = scene
    for uid in ("so-1", "so-2"):
        discovery.take("scaledobjects", scaled_object(uid), gone=False)
    discovery.take("scaledobjects", scaled_object("so-1"), gone=True)
    assert set(pools.there) == {CODER}
    discovery.take("scaledobjects", scaled_object("so-2"), gone=True)
    assert pools.there == {}


async def test_what_cannot_be_used_leaves_the_pool_as_it_was(scene: tuple[Discovery, Pools]) -> None:
    """A slip in the metadata, or a contradiction to the file."""
    discovery, pools = scene
    discovery.take("scaledobjects", scaled_object(), gone=False)
    discovery.take("scaledobjects", scaled_object(most=4, unheardOf="1"), gone=False)
    pools.refused.add(CODER)
    discovery.take("scaledobjects", scaled_object(most=5), gone=False)
    assert pools.there[CODER].most == 9
    assert [each.found.most for each in discovery] == [9]


@dataclass
class Server:
    """An API server with KEDA's kinds, as much of it as kopf asks for."""

    objects: dict[str, Object] = field(default_factory=dict)
    refusals: int = 0  # that kopf gets before it is told which kinds there are
    looks: int = 0  # lists of names
    meanwhile: Callable[[], Awaitable[None]] | None = None  # what happens between a list of names and its answer
    lines: asyncio.Queue[bytes | None] = field(default_factory=asyncio.Queue)

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """One call."""
        path = request.path
        if path == "/apis":
            if self.refusals:
                self.refusals -= 1
                raise web.HTTPUnsupportedMediaType
            version = {"groupVersion": "keda.sh/v1alpha1", "version": "v1alpha1"}
            group = {"name": "keda.sh", "versions": [version], "preferredVersion": version}
            return web.json_response({"groups": [group]})
        if path == "/apis/keda.sh/v1alpha1":
            kinds = [("scaledobjects", "ScaledObject"), ("scaledjobs", "ScaledJob")]
            more = {"namespaced": True, "verbs": ["list", "watch"]}
            found = [{"name": name, "kind": kind, "singularName": kind.lower(), **more} for name, kind in kinds]
            return web.json_response({"resources": found})
        if path == "/api":
            return web.json_response({"versions": ["v1"]})
        if path == "/api/v1":
            core = {"name": "namespaces", "kind": "Namespace", "singularName": "namespace", "namespaced": False}
            return web.json_response({"resources": [{**core, "verbs": ["list", "watch"]}]})
        if request.query.get("watch") == "true":
            return await self._watch(request)
        items = list(self.objects.values()) if path.endswith("scaledobjects") else []
        if "PartialObjectMetadata" in request.headers["Accept"]:
            self.looks += 1
            if self.meanwhile is not None:
                await self.meanwhile()
        return web.json_response({"metadata": {"resourceVersion": "9"}, "items": items})

    async def _watch(self, request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        if request.path.endswith("scaledjobs"):
            await asyncio.Event().wait()
        while (line := await self.lines.get()) is not None:
            await response.write(line)
        return response


@asynccontextmanager
async def discovering(folder: Path, server: Server) -> AsyncIterator[Pools]:
    """Kopf at work on that server."""
    app, pools = web.Application(), Pools()
    app.router.add_get("/{path:.*}", server.handle)
    async with serving(app) as url:
        kubeconfig = folder / "kubeconfig"
        kubeconfig.write_text(kubeconfig_for(url, TOKEN))
        async with open_api(kubeconfig) as api:
            going = asyncio.create_task(Discovery(api, Whence(kubeconfig, ADDRESS, ()), pools, SystemClock()).run())
            try:
                yield pools
            finally:
                going.cancel()
                with suppress(asyncio.CancelledError):
                    await going
                server.lines.put_nowait(None)


async def known(pools: Pools, *keys: PoolKey) -> None:
    """Return once these are the pools."""

    async def are() -> bool | None:
        """These pools are known."""
        return set(pools.there) == set(keys) or None

    await eventually(are, within=60.0)


async def test_kopf_tells_what_there_is_and_what_comes(tmp_path: Path) -> None:
    """It lists and watches, in a thread of its own, and writes nothing: the server would refuse it."""
    server = Server({"coder": scaled_object()})
    async with discovering(tmp_path, server) as pools:
        await known(pools, CODER)
        added = scaled_object("so-2", pool="other")
        server.lines.put_nowait(json.dumps({"type": "ADDED", "object": added}).encode() + b"\n")
        await known(pools, CODER, OTHER)
        server.lines.put_nowait(json.dumps({"type": "DELETED", "object": added}).encode() + b"\n")
        await known(pools, CODER)


async def test_an_object_that_comes_while_names_are_listed_is_not_lost(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The list is from before it came, and says nothing of it."""
    monkeypatch.setattr(discoveries, "LOOK", 0.1)
    server, added = Server({"coder": scaled_object()}), scaled_object("so-2", pool="other")
    async with discovering(tmp_path, server) as pools:
        await known(pools, CODER)

        async def comes() -> None:
            if "other" not in server.objects:
                server.objects["other"] = added
                server.lines.put_nowait(json.dumps({"type": "ADDED", "object": added}).encode() + b"\n")
                await known(pools, CODER, OTHER)

        server.meanwhile = comes

        async def listed_again() -> bool | None:
            """It came, and names have been listed since."""
            return ("other" in server.objects and server.looks >= seen + 6) or None

        seen = server.looks
        await eventually(listed_again, within=60.0)
        assert set(pools.there) == {CODER, OTHER}


async def test_kopf_that_gives_up_is_told_of_and_started_again(tmp_path: Path) -> None:
    """It ends where it is not told which kinds there are; nobody must wait for pools and not know why."""
    server = Server({"coder": scaled_object()}, refusals=1)
    with capture_logs() as said:
        async with discovering(tmp_path, server) as pools:
            await known(pools, CODER)
    assert [line["event"] for line in said if line["log_level"] == "error"] == [ENDED]
    await eventually(nobody_watches, within=60.0)


async def nobody_watches() -> bool | None:
    """Kopf's thread has ended."""
    return not [thread for thread in threading.enumerate() if thread.name == "kopf"] or None
