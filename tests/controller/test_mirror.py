"""A mirror of objects, whatever becomes of its list and its watch: what it knows in the end is what there is."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from scaler.controller.api import open_api
from scaler.controller.facts import PodFacts, pod
from scaler.controller.mirror import Mirror
from tests.controller.objects import Object, pod_object
from tests.support.api_server import TOKEN, kubeconfig_for
from tests.support.http import serving
from tests.support.wait import eventually

PATH = "/api/v1/namespaces/agents/pods"


@dataclass
class Server:
    """One namespace's pods, listed in pages of two, and one watch at a time, which the test feeds line by line."""

    pods: dict[str, Object] = field(default_factory=dict)
    version: int = 10
    lists: int = 0
    watches: list[str] = field(default_factory=list)
    lines: asyncio.Queue[bytes | None] = field(default_factory=asyncio.Queue)
    refuses: int = 0

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """A list or a watch."""
        if self.refuses:
            self.refuses -= 1
            return web.json_response({"message": "come again"}, status=500)
        if request.query.get("watch") != "true":
            return self._page(request.query.get("continue", ""))
        self.watches.append(request.query["resourceVersion"])
        response = web.StreamResponse()
        await response.prepare(request)
        while (line := await self.lines.get()) is not None:
            await response.write(line)
        return response

    def _page(self, after: str) -> web.Response:
        self.lists += not after
        left = [found for name, found in sorted(self.pods.items()) if name > after]
        more = left[1]["metadata"]["name"] if len(left) > 2 else ""
        head = {"resourceVersion": str(self.version), **({"continue": more} if more else {})}
        return web.json_response({"metadata": head, "items": left[:2]})

    def tell(self, kind: str, found: Object) -> None:
        """An event of the watch."""
        self.lines.put_nowait(json.dumps({"type": kind, "object": found}).encode() + b"\n")


Known = Callable[[], set[tuple[str, str]]]


@asynccontextmanager
async def mirrored(folder: Path, server: Server) -> AsyncIterator[Mirror[PodFacts]]:
    """A mirror of the server's pods, at work."""
    app = web.Application()
    app.router.add_get(PATH, server.handle)
    async with serving(app) as url:
        folder.joinpath("kubeconfig").write_text(kubeconfig_for(url, TOKEN))
        async with open_api(folder / "kubeconfig") as api:
            mirror = Mirror(api, PATH, pod)
            following = asyncio.create_task(mirror.follow())
            try:
                yield mirror
            finally:
                following.cancel()
                server.lines.put_nowait(None)
                with suppress(asyncio.CancelledError):
                    await following


def has(mirror: Mirror[PodFacts], *names: str) -> Callable[[], Awaitable[bool | None]]:
    """Whether these are the pods that it knows."""

    async def known() -> bool | None:
        """The mirror knows these pods and no others."""
        return ({found.name for found in mirror} == set(names) and mirror.why_not is None) or None

    return known


def version(found: Object, number: int, **more: Any) -> Object:  # noqa: ANN401 (parts of an object)
    """A later version of a pod."""
    return pod_object(found["metadata"]["name"], version=str(number), **more)


async def test_a_list_is_taken_page_by_page_and_a_watch_goes_on_from_it(tmp_path: Path) -> None:
    """Pods come, change and go; a bookmark says only where to go on."""
    server = Server({name: pod_object(name) for name in "abcde"})
    async with mirrored(tmp_path, server) as mirror:
        await eventually(has(mirror, *"abcde"))
        server.tell("ADDED", pod_object("f", version="11"))
        server.tell("DELETED", pod_object("a", version="12"))
        server.tell("BOOKMARK", {"metadata": {"resourceVersion": "40"}})
        await eventually(has(mirror, *"bcdef"))
        server.lines.put_nowait(None)  # the server ends the watch, as it does every few minutes

        async def again() -> bool | None:
            """The watch has been begun again."""
            return len(server.watches) == 2 or None

        await eventually(again)
        assert (server.watches, server.lists) == (["10", "40"], 1)


async def test_what_vanished_while_the_watch_was_broken_is_forgotten(tmp_path: Path) -> None:
    """The server has forgotten where the watch began: all is listed anew, and only what is there is known."""
    server = Server({name: pod_object(name) for name in "ab"})
    async with mirrored(tmp_path, server) as mirror:
        await eventually(has(mirror, *"ab"))
        del server.pods["a"]
        server.pods["c"] = pod_object("c")
        server.tell("ERROR", {"code": 410})
        server.lines.put_nowait(None)
        await eventually(has(mirror, *"bc"))
        assert server.lists == 2


async def test_a_server_that_refuses_is_asked_until_it_answers(tmp_path: Path) -> None:
    """Until then it is not known which pods there are: an empty mirror is no empty namespace."""
    server = Server({"a": pod_object("a")}, refuses=2)
    async with mirrored(tmp_path, server) as mirror:
        assert mirror.why_not is not None
        await eventually(has(mirror, "a"), within=20.0)


async def test_an_old_version_that_comes_late_changes_nothing(tmp_path: Path) -> None:
    """What we wrote is known from the answer, and the watch tells it again, with all that was before it."""
    server = Server({"a": pod_object("a")})
    async with mirrored(tmp_path, server) as mirror:
        await eventually(has(mirror, "a"))
        mirror.put(version(server.pods["a"], 20, labels={"app": "ours"}))
        for late in (15, 20, 15):
            server.tell("MODIFIED", version(server.pods["a"], late, labels={"app": "ours" if late == 20 else "old"}))
        server.tell("ADDED", pod_object("b", version="21"))
        await eventually(has(mirror, *"ab"))
        found = mirror.get("uid-a")
        assert found is not None
        assert found.labels == {"app": "ours"}


@pytest.mark.parametrize("times", [1, 3])
async def test_events_that_come_again_change_nothing(tmp_path: Path, times: int) -> None:
    """Also the end of a pod that is gone already."""
    server = Server({name: pod_object(name) for name in "ab"})
    async with mirrored(tmp_path, server) as mirror:
        await eventually(has(mirror, *"ab"))
        for _ in range(times):
            server.tell("DELETED", pod_object("a", version="11"))
            server.tell("MODIFIED", pod_object("a", version="9"))
            server.tell("ADDED", pod_object("c", version="12"))
        await eventually(has(mirror, *"bc"))
