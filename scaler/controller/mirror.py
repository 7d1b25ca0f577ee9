"""Facts of all objects of one kind in one namespace, kept by a list and the watch that goes on from it.

A list is complete, and after each list what it does not name is forgotten: an object that vanished while the watch was
broken is not remembered for ever. What we wrote ourselves is taken in from the answer, and a version that comes later
by the watch than a newer one is left out.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterator, Mapping
from typing import Final, Generic, TypeVar

import structlog

from scaler.controller.api import Api, ApiError, Json, Request, StaleError
from scaler.controller.dig import objects, parsed, text
from scaler.controller.facts import version
from scaler.core.types import Seconds, Unknown
from scaler.live.clock import steady

PAGE: Final = 500  # objects of one answer to a list
PATIENCE: Final[Seconds] = 30.0
AGAIN: Final[Seconds] = 1.0  # between two tries to list or watch
LASTS: Final = "60"  # seconds after which the server ends a watch, which goes on where it ended; below api.SILENCE
ANEW: Final[Seconds] = 600.0  # all is listed again after so long: a proxy on the way may have lost an event
LOST: Final[Seconds] = 30.0  # the watch is broken for so long before what is kept counts as not known
LOG: structlog.stdlib.BoundLogger = structlog.stdlib.get_logger(__name__)
T = TypeVar("T")


class Mirror(Generic[T]):
    """The facts, by uid. Belongs to one event loop.

    Attributes:
        events: changes that were seen.
        lists: how often all was listed.
    """

    def __init__(self, api: Api, path: str, read: Callable[[Json], T]) -> None:
        self._api, self._path, self._read = api, path, read
        self._facts: dict[str, T] = {}
        self._versions: dict[str, float] = {}
        self._listed = False
        self._broken_since: Seconds | None = None
        self._trouble = False
        self.events = 0
        self.lists = 0

    def __iter__(self) -> Iterator[T]:
        """Everything that is there, as of now."""
        return iter(tuple(self._facts.values()))

    def get(self, uid: str) -> T | None:
        """The one of this uid, None where there is none."""
        return self._facts.get(uid)

    @property
    def tried(self) -> bool:
        """Whether all was listed once, or could not be."""
        return self._listed or self._broken_since is not None

    @property
    def why_not(self) -> Unknown | None:
        """Why what is kept is not known to be all there is; None where it is."""
        if not self._listed:
            return Unknown(f"{self._path} has not been listed yet")
        since = self._broken_since
        if since is not None and (ago := steady() - since) > LOST:
            return Unknown(f"{self._path} has not been watched for {ago:.0f} s")
        return None

    def put(self, found: Mapping[str, Json]) -> T:
        """Take in an object as it is now, unless a later version is known; returns what it says."""
        uid, late, facts = text(found, "metadata", "uid"), version(found), self._read(found)
        known = self._versions.get(uid)
        if known is None or late > known or (late == known and uid in self._facts):
            self._facts[uid], self._versions[uid] = facts, late
        return self._facts.get(uid, facts)

    def drop(self, uid: str) -> None:
        """Forget one that is no more. What comes late of it is left out, until all is listed again."""
        self._facts.pop(uid, None)

    async def follow(self) -> None:
        """List and watch, until cancelled, whatever becomes of the API server."""
        while True:
            try:
                await self._once()
            except (ApiError, StaleError) as error:
                self._fail(str(error))
            await asyncio.sleep(AGAIN)

    async def _once(self) -> None:
        """A list, then watches for as long as the server knows what has changed since."""
        since, listed_at = await self._list(), steady()
        self._listed, self._broken_since = True, None
        self._work()
        while since and steady() - listed_at < ANEW:
            since = await self._watch(since)

    async def _list(self) -> str:
        """Take in all there is, and forget the rest; returns the version of the list."""
        seen: set[str] = set()
        query = {"limit": str(PAGE)}
        while True:
            body = await self._api.send(Request(method="GET", path=self._path, query=query, within=PATIENCE))
            answer = parsed(body)
            for found in objects(answer, "items"):
                seen.add(text(found, "metadata", "uid"))
                self.put(found)
            more = text(answer, "metadata", "continue")
            if not more:
                break
            query["continue"] = more
        self.lists += 1
        for uid in self._versions.keys() - seen:
            self.drop(uid)
            del self._versions[uid]
        return text(answer, "metadata", "resourceVersion")

    async def _watch(self, since: str) -> str:
        """One watch, to its end; returns where to go on, empty where all must be listed again."""
        query = {"watch": "true", "allowWatchBookmarks": "true", "resourceVersion": since, "timeoutSeconds": LASTS}
        async for line in self._api.stream(Request(method="GET", path=self._path, query=query, within=PATIENCE)):
            event = json.loads(line)
            if event["type"] == "ERROR":
                return ""
            since = text(event["object"], "metadata", "resourceVersion")
            self._take(event["type"], event["object"])
        return since

    def _take(self, kind: str, found: Mapping[str, Json]) -> None:
        if kind == "BOOKMARK":
            return
        self.events += 1
        if kind == "DELETED":
            uid = text(found, "metadata", "uid")
            self.drop(uid)
            self._versions[uid] = version(found)
        else:
            self.put(found)

    def _fail(self, why: str) -> None:
        """Say it once, until it works again."""
        if self._broken_since is None:
            self._broken_since = steady()
        if not self._trouble:
            self._trouble = True
            LOG.warning("objects cannot be watched", path=self._path, why=why)

    def _work(self) -> None:
        if self._trouble:
            self._trouble = False
            LOG.info("objects can be watched again", path=self._path)
