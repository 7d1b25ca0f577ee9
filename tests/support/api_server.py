"""As much of an API server as an election needs: one namespace's Leases and pods, with optimistic concurrency.

It can be told to misbehave. What the real one does beside this, the cluster's tests have.
"""

from __future__ import annotations

import asyncio
import enum
import itertools
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml
from aiohttp import web

from tests.support.http import serving

Object = dict[str, Any]
TOKEN = "first-token"  # noqa: S105 (a word that the two ends of a test agree on)


class Manner(enum.Enum):
    """How calls are answered."""

    SERVE = enum.auto()
    FAIL = enum.auto()  # 500, and nothing is done
    HANG = enum.auto()  # nothing is done, and nothing said
    FORGET = enum.auto()  # writes are made, and nothing said


@dataclass
class ApiServer:
    """The server's objects by path, and what it knows of its callers.

    Attributes:
        token: who sends another one is not known.
        writes: every write that was made, by path.
        made: is called after each write, before it is answered.
    """

    objects: dict[str, Object] = field(default_factory=dict)
    manner: Manner = Manner.SERVE
    token: str = TOKEN
    writes: list[str] = field(default_factory=list)
    made: Callable[[], None] = lambda: None
    _versions: itertools.count[int] = field(default_factory=lambda: itertools.count(1))

    def add(self, path: str, **parts: Object) -> Object:
        """Put an object there."""
        metadata = {"name": path.rpartition("/")[2], "namespace": path.split("/")[-3], "uid": f"uid-of-{path}"}
        self.objects[path] = {**parts, "metadata": metadata | parts.get("metadata", {}) | {"resourceVersion": "0"}}
        return self.objects[path]

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """One call."""
        body = await request.json() if request.can_read_body else None
        if request.headers.get("Authorization") != f"Bearer {self.token}":
            return _status(401, "Unauthorized")
        if self.manner is Manner.FAIL:
            return _status(500, "etcd is away")
        if self.manner is Manner.HANG:
            await asyncio.Event().wait()
        answer = self._dealt_with(request, body)
        if self.manner is Manner.FORGET:
            await asyncio.Event().wait()
        return answer

    def _dealt_with(self, request: web.Request, body: Object | None) -> web.Response:
        path, stands = request.path, self.objects.get(request.path)
        if request.method == "GET":
            return self._read(path, request.query.get("labelSelector", ""), request.query.get("fieldSelector", ""))
        assert body is not None
        if request.method == "POST":
            path = f"{path}/{body['metadata']['name']}"
            return _status(409, "there is one") if path in self.objects else self._write(path, body)
        if stands is None:
            return _status(404, "there is none")
        if body["metadata"].get("resourceVersion") != stands["metadata"]["resourceVersion"]:
            return _status(409, "the object has been modified")
        return self._write(path, body if request.method == "PUT" else _labelled(stands, body["metadata"]["labels"]))

    def _read(self, path: str, label: str, name: str) -> web.Response:
        if path in self.objects:
            return web.json_response(self.objects[path])
        if not path.endswith("/pods"):
            return _status(404, "there is none")
        pods = [found for place, found in self.objects.items() if place.startswith(f"{path}/")]
        if label:
            pods = [pod for pod in pods if label in _labels(pod)]
        if name:
            pods = [pod for pod in pods if f"metadata.name={pod['metadata']['name']}" == name]
        return web.json_response({"items": pods or None})

    def _write(self, path: str, body: Object) -> web.Response:
        metadata = body["metadata"] | {
            "resourceVersion": str(next(self._versions)),
            "managedFields": [{"manager": "x"}],
        }
        self.objects[path] = {**body, "metadata": metadata}
        self.writes.append(path)
        self.made()
        return web.json_response(self.objects[path])


@asynccontextmanager
async def api_server(folder: Path) -> AsyncIterator[tuple[ApiServer, Path]]:
    """A server on loopback, and a kubeconfig for it."""
    server, kubeconfig = ApiServer(), folder / "kubeconfig"
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", server.handle)
    async with serving(app) as url:
        kubeconfig.write_text(kubeconfig_for(url, TOKEN))
        yield server, kubeconfig


def kubeconfig_for(url: str, token: str, cluster: str = "") -> str:
    """A kubeconfig that says this, with more of its cluster as YAML."""
    more = yaml.safe_load(cluster) or {}
    return yaml.safe_dump(
        {
            "current-context": "x",
            "contexts": [{"name": "x", "context": {"cluster": "x", "user": "x"}}],
            "clusters": [{"name": "x", "cluster": {"server": url} | more}],
            "users": [{"name": "x", "user": {"token": token}}],
        }
    )


def _labels(pod: Object) -> list[str]:
    return [f"{key}={value}" for key, value in pod["metadata"].get("labels", {}).items()]


def _labelled(pod: Object, change: Object) -> Object:
    labels = {key: value for key, value in (pod["metadata"].get("labels", {}) | change).items() if value is not None}
    return {**pod, "metadata": pod["metadata"] | {"labels": labels}}


def _status(code: int, message: str) -> web.Response:
    return web.json_response({"kind": "Status", "message": message, "code": code}, status=code)
