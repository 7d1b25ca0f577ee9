"""A feed from an API server that ends, breaks and forgets: nothing is missed, and not knowing is said."""

from __future__ import annotations

import asyncio
import itertools
import json
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from aiohttp import web
from hypothesis import given
from hypothesis import strategies as st

from scaler.controller.api import open_api
from scaler.controller.feed import UNINSTALLED, Change, Feed, Gone, Listed, Lost, Presence, Put
from scaler.controller.sandboxes.installed import versions
from scaler.controller.sandboxes.kinds import Kind
from scaler.live.clock import steady
from tests.controller.sandboxed import Object, claim
from tests.support.api_server import TOKEN, kubeconfig_for
from tests.support.http import serving
from tests.support.wait import eventually

EXPIRED: Object = {"type": "ERROR", "object": {"kind": "Status", "code": 410, "message": "too old"}}


@dataclass
class Server:
    """Answers lists with pages, and watches with what the test has prepared for each in turn.

    Attributes:
        pages: of the list; none where the kind is not served.
        refuses: lists that are refused before one is answered.
        ends: whether a watch that nothing is prepared for ends at once.
        serves: lists that are answered before the kind is not served any more.
        watches: events of each watch; one that is None breaks the connection in its middle.
        asked: queries of watches; ``listed`` and ``asked_at`` when lists and watches came.
    """

    pages: list[list[Object]] = field(default_factory=list)
    refuses: int = 0
    serves: int = 1000
    ends: bool = False
    watches: list[list[Object] | None] = field(default_factory=list)
    asked: list[dict[str, str]] = field(default_factory=list)
    listed: list[float] = field(default_factory=list)
    asked_at: list[float] = field(default_factory=list)
    served: tuple[str, ...] = ("v1beta1",)
    idle: asyncio.Event = field(default_factory=asyncio.Event)

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """One call."""
        if request.path.count("/") == 2:
            return web.json_response({"versions": [{"version": each} for each in self.served]})
        if "watch" in request.query:
            return await self._watch(request)
        page = int(request.query.get("continue", "0"))
        self.listed += [steady()] if page == 0 else []
        if len(self.listed) <= self.refuses:
            return web.json_response({"kind": "Status", "message": "come again"}, status=500)
        if not self.pages or len(self.listed) > self.serves:
            return web.json_response({"kind": "Status", "message": "no such kind"}, status=404)
        more = str(page + 1) if page + 1 < len(self.pages) else ""
        metadata = {"resourceVersion": "100", "continue": more}
        return web.json_response({"kind": "SandboxClaimList", "metadata": metadata, "items": self.pages[page]})

    async def _watch(self, request: web.Request) -> web.StreamResponse:
        self.asked.append(dict(request.query))
        self.asked_at.append(steady())
        events = self.watches.pop(0) if self.watches else []
        answer = web.StreamResponse()
        await answer.prepare(request)
        for event in events or ():
            await answer.write(json.dumps(event).encode() + b"\n")
        if events is None and request.transport is not None:
            request.transport.abort()
        elif not events and not self.ends:
            self.idle.set()
            await asyncio.Event().wait()
        return answer


@asynccontextmanager
async def watching(server: Server, folder: Path, *, optional: bool = True) -> AsyncIterator[Feed]:
    """A feed from it, of claims."""
    app, kubeconfig = web.Application(), folder / "kubeconfig"
    app.router.add_route("*", "/{path:.*}", server.handle)
    async with serving(app) as url:
        kubeconfig.write_text(kubeconfig_for(url, TOKEN))
        async with open_api(kubeconfig) as api:
            yield Feed(api, Kind.CLAIM.value, optional=optional)


def event(kind: str, found: Object, version: str) -> Object:
    """A watch's event."""
    return {"type": kind, "object": found | {"metadata": found["metadata"] | {"resourceVersion": version}}}


async def changes(feed: Feed, count: int) -> list[Change]:
    """The first so many changes of the claims."""
    found: list[Change] = []
    async with aclosing(feed.follow()) as following:
        async for change in following:
            found.append(change)
            if len(found) == count:
                break
    return found


def names(found: list[Change]) -> list[str]:
    """What happened, to which claim."""
    return [
        f"{type(each).__name__} {each.found['metadata']['name']}"  # type: ignore[index, call-overload] # as every claim
        if isinstance(each, Put | Gone)
        else type(each).__name__
        for each in found
    ]


async def test_a_list_of_several_pages_is_followed_by_what_changes(tmp_path: Path) -> None:
    """From the version of the list on."""
    server = Server(
        pages=[[claim("a")], [claim("b")]],
        watches=[[event("ADDED", claim("c"), "101"), event("DELETED", claim("a"), "102")]],
    )
    async with watching(server, tmp_path) as feed:
        found = await changes(feed, 5)
    assert names(found) == ["Put a", "Put b", "Listed", "Put c", "Gone a"]
    assert found[2] == Listed(frozenset({"uid-a", "uid-b"}))
    assert server.asked[0]["resourceVersion"] == "100"


async def test_a_watch_that_ends_or_breaks_goes_on_where_it_was(tmp_path: Path) -> None:
    """Bookmarks move it as well; nothing is listed again, and nobody is told that anything was lost."""
    server = Server(
        pages=[[]],
        watches=[
            [event("ADDED", claim("a"), "101"), event("BOOKMARK", claim("a"), "150")],
            None,
            [event("ADDED", claim("b"), "151")],
        ],
    )
    async with watching(server, tmp_path) as feed:
        found = await changes(feed, 3)
    assert names(found) == ["Listed", "Put a", "Put b"]
    assert [each["resourceVersion"] for each in server.asked] == ["100", "150", "150"]


async def test_a_version_that_the_server_has_forgotten_means_a_new_list(tmp_path: Path) -> None:
    """Until it is whole, nobody knows what there is."""
    server = Server(pages=[[claim("a")]], watches=[[EXPIRED]])
    async with watching(server, tmp_path) as feed:
        found = await changes(feed, 5)
    assert names(found) == ["Put a", "Listed", "Lost", "Put a", "Listed"]
    assert found[2] == Lost("too old")


async def test_a_kind_that_is_not_served_has_no_objects(tmp_path: Path) -> None:
    """KEDA need not be installed."""
    async with watching(Server(), tmp_path) as feed:
        assert await changes(feed, 1) == [Listed(frozenset())]


async def test_a_kind_that_must_be_there_and_is_not_served_cannot_be_read(tmp_path: Path) -> None:
    """No pods where there is no list of pods would be a guess."""
    async with watching(Server(), tmp_path, optional=False) as feed:
        assert names(await changes(feed, 2)) == ["Lost", "Lost"]


async def test_a_kind_that_was_served_a_moment_ago_still_has_its_objects(tmp_path: Path) -> None:
    """An API server that starts knows of no kinds that were installed, for a second: nothing is forgotten for that."""
    server = Server(pages=[[claim("a")]], watches=[[EXPIRED]], serves=1)
    async with watching(server, tmp_path) as feed:
        found = await changes(feed, 4)
    assert names(found) == ["Put a", "Listed", "Lost", "Lost"]
    assert found[3] == Lost(f"{Kind.CLAIM.value} is not served")


ANSWERS = st.lists(st.tuples(st.sampled_from(("served", "denied", "silence")), st.floats(0.0, 40.0)), max_size=30)


@given(ANSWERS)
def test_what_was_served_is_gone_only_after_a_minute_of_nothing_but_denials(answers: list[tuple[str, float]]) -> None:
    """Whatever came before: one answer that it is there, or one try that nobody answers, and the minute begins anew."""
    presence, now, served, denials = Presence(), 0.0, False, list[float]()
    for answer, passed in answers:
        now += passed
        if answer == "served":
            presence.told()
            served, denials = True, []
        elif answer == "silence":
            presence.unheard()
            denials = []
        else:
            denials.append(now)
            gone = presence.denied(now)
            assert gone is (not served or now - denials[0] > UNINSTALLED)
            served = served and not gone


async def test_an_api_server_that_is_away_and_back_twice_has_denied_nothing_for_a_minute(tmp_path: Path) -> None:
    """It knows of no kinds while it starts; between two starts it was not heard."""
    server = Server(pages=[[claim("a")]], watches=[[EXPIRED]], serves=1)
    async with watching(server, tmp_path) as feed:
        async with aclosing(feed.follow()) as following:
            assert names([await anext(following) for _ in range(4)]) == ["Put a", "Listed", "Lost", "Lost"]
            assert feed.presence.denied_since is not None
            server.refuses = 1_000
            assert names([await anext(following)]) == ["Lost"]
        assert feed.presence == Presence(served=True, denied_since=None)


async def test_an_api_server_that_refuses_is_asked_less_and_less_often(tmp_path: Path) -> None:
    """Until it answers: then all is as it was."""
    server = Server(pages=[[claim("a")]], refuses=3)
    async with watching(server, tmp_path) as feed:
        assert names(await changes(feed, 5)) == ["Lost", "Lost", "Lost", "Put a", "Listed"]
    rests = (later - sooner for sooner, later in itertools.pairwise(server.listed))
    assert all(rest >= least for rest, least in zip(rests, (1.0, 2.0, 4.0), strict=True))


async def test_a_server_that_ends_every_watch_at_once_is_not_asked_without_a_pause(tmp_path: Path) -> None:
    """It would be asked a thousand times a second."""
    server = Server(pages=[[]], ends=True)
    async with watching(server, tmp_path) as feed:
        following = asyncio.create_task(changes(feed, 2))

        async def thrice() -> bool | None:
            """It has asked three times."""
            return len(server.asked) == 3 or None

        await eventually(thrice)
        following.cancel()
        with suppress(asyncio.CancelledError):
            await following
    assert all(later - sooner >= 1.0 for sooner, later in itertools.pairwise(server.asked_at))


async def test_the_versions_that_are_served_are_read_from_the_group(tmp_path: Path) -> None:
    """So that one which is too old is told as that."""
    app, kubeconfig = web.Application(), tmp_path / "kubeconfig"
    app.router.add_route("*", "/{path:.*}", Server(served=("v1alpha1", "v1beta1")).handle)
    async with serving(app) as url:
        kubeconfig.write_text(kubeconfig_for(url, TOKEN))
        async with open_api(kubeconfig) as api:
            assert await versions(api) == {"v1alpha1", "v1beta1"}
