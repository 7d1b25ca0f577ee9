"""The objects of one list as they come, change and go: a list, and the watch that goes on from it, whatever befalls.

A watch that ends is taken up where it was, and so is one that breaks, once. When that fails as well, or the server has
forgotten what came since, nobody knows what there is: that is said, and all is listed anew. What a list does not name
is gone. Tries that fail one after the other come at growing distances.

Objects are raw JSON, one page of them at a time; who follows takes facts of them at once. A typed client would cost ten
times the processor time.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Final, Protocol, TypeAlias

import structlog

from scaler.controller.api import ApiError, Json, Request, StaleError
from scaler.controller.dig import NOTHING, at, objects, parsed, text
from scaler.core.types import Instant, Seconds
from scaler.live.clock import steady

PAGE: Final = "500"  # objects of one answer to a list
PATIENCE: Final[Seconds] = 30.0
AGAIN: Final[Seconds] = 1.0  # before the next try; twice as long after each that fails
SELDOM: Final[Seconds] = 8.0  # the longest of these: an API server that is back is seen so soon
LASTS: Final = "60"  # seconds after which the server ends a watch; below api.SILENCE
ANEW: Final[Seconds] = 600.0  # all is listed again after so long: a proxy on the way may have lost an event
ABSENT: Final[Seconds] = 15.0  # between two looks whether a kind has come to be served
UNINSTALLED: Final[Seconds] = 60.0  # what was served is not for so long before its objects count as gone
LOG: structlog.stdlib.BoundLogger = structlog.stdlib.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Put:
    """An object that is there, as it is now."""

    found: Mapping[str, Json]


@dataclass(frozen=True, slots=True)
class Gone:
    """An object that was there, as it was last."""

    found: Mapping[str, Json]


@dataclass(frozen=True, slots=True)
class Listed:
    """Every object there is has been put since the last ``Listed``; whatever else was known is gone."""

    uids: frozenset[str]


@dataclass(frozen=True, slots=True)
class Lost:
    """Nobody knows any more what there is, because ``why``; a new list is under way."""

    why: str


Change: TypeAlias = Put | Gone | Listed | Lost


class Reads(Protocol):
    """The API server, as far as it is read."""

    async def send(self, request: Request) -> bytes:
        """Make a call, and return the body of its answer.

        Raises:
            StaleError: there is nothing of that name.
            ApiError: every other failure.
        """
        ...

    def stream(self, request: Request) -> AsyncGenerator[bytes, None]:
        """The lines of an answer that goes on, until the server ends it.

        Raises:
            ApiError: it is refused, it breaks, or it says nothing for too long.
        """
        ...


@dataclass(slots=True)
class Presence:
    """Whether a kind is served. One that was is believed gone once it was denied for a minute without a break.

    An API server that has just started may not know of all kinds yet, and one that says nothing denies nothing.
    """

    served: bool = False
    denied_since: Instant | None = None

    def told(self) -> None:
        """It is served."""
        self.served, self.denied_since = True, None

    def unheard(self) -> None:
        """Nobody has said whether it is."""
        self.denied_since = None

    def denied(self, now: Instant) -> bool:
        """It is not, says the API server; the value is whether its objects are gone, then."""
        self.denied_since = now if self.denied_since is None else self.denied_since
        if self.served and now - self.denied_since <= UNINSTALLED:
            return False
        self.served = False
        return True


class Feed:
    """The objects at one path. Followed by one at a time.

    Attributes:
        presence: whether they are of a kind that is served.

    ``optional`` is for kinds that need not be installed: then there are none. Else an API server that does not have the
    path is one that cannot be read.
    """

    def __init__(self, api: Reads, path: str, query: Mapping[str, str] = NOTHING, *, optional: bool = False) -> None:
        self._api, self._path, self._query, self._optional = api, path, query, optional
        self.presence = Presence()
        self._failed = 0  # tries since the last whole list
        self._trouble = False

    async def follow(self) -> AsyncGenerator[Change, None]:
        """All objects, then every change, without end."""
        while True:
            wait = 0.0
            try:
                async with aclosing(self._once()) as changes:
                    async for change in changes:
                        yield change
            except StaleError:
                change = self._absent()
                wait = ABSENT if isinstance(change, Listed) else self._rest()
                yield change
            except ApiError as error:
                self.presence.unheard()
                yield self._lost(str(error))
                wait = self._rest()
            await asyncio.sleep(wait)

    async def _once(self) -> AsyncGenerator[Change, None]:
        """A list, then watches for as long as one goes on where the one before it ended."""
        listing, begun = _Listing(self._api, self._path, self._query), steady()
        async for item in listing.items():
            yield Put(item)
        yield Listed(frozenset(listing.uids))
        self._work()
        version, broken = listing.version, False
        while steady() - begun < ANEW:
            started, before = steady(), version
            try:
                async with aclosing(self._watch(version)) as events:
                    async for name, item in events:
                        version, broken = text(item, "metadata", "resourceVersion") or version, False
                        if name != "BOOKMARK":
                            yield Gone(item) if name == "DELETED" else Put(item)
                broken = False
            except _ForgottenError:
                raise
            except ApiError:
                if broken:
                    raise
                broken = True
            if version == before and steady() - started < AGAIN:
                await asyncio.sleep(AGAIN)  # a server that ends every watch at once is not asked without a pause

    async def _watch(self, version: str) -> AsyncGenerator[tuple[str, Mapping[str, Json]], None]:
        """The events of one watch, until the server ends it."""
        asked = {"watch": "true", "allowWatchBookmarks": "true", "resourceVersion": version, "timeoutSeconds": LASTS}
        request = Request(method="GET", path=self._path, query={**self._query, **asked}, within=PATIENCE)
        async with aclosing(self._api.stream(request)) as lines:
            async for line in lines:
                event = parsed(line)
                if text(event, "type") == "ERROR":
                    raise _ForgottenError(text(event, "object", "message") or "the watch ended with an error")
                found = at(event, "object")
                if isinstance(found, Mapping):
                    yield text(event, "type"), found

    def _rest(self) -> Seconds:
        """How long until the next try, after those that failed."""
        return min(SELDOM, AGAIN * 2.0 ** (self._failed - 1))

    def _absent(self) -> Change:
        """The path is not there."""
        if self._optional and self.presence.denied(steady()):
            return Listed(frozenset())
        return self._lost(f"{self._path} is not served")

    def _lost(self, why: str) -> Lost:
        """Say it once, until it works again, and not of a watch that a new list mends."""
        self._failed += 1
        if not self._trouble and self._failed > 1:
            self._trouble = True
            LOG.warning("objects cannot be watched", path=self._path, why=why)
        return Lost(why)

    def _work(self) -> None:
        self.presence.told()
        self._failed = 0
        if self._trouble:
            self._trouble = False
            LOG.info("objects can be watched again", path=self._path)


class _ForgottenError(ApiError):
    """The watch cannot go on from where it was."""


@dataclass(slots=True)
class _Listing:
    """One list, page by page; afterwards ``uids`` are those of all objects, and ``version`` is where a watch begins."""

    api: Reads
    path: str
    query: Mapping[str, str]
    uids: set[str] = field(default_factory=set)
    version: str = ""

    async def items(self) -> AsyncIterator[Mapping[str, Json]]:
        """Every object. An item of a list does not say of what kind it is, so that is added."""
        query = {**self.query, "limit": PAGE}
        while True:
            body = await self.api.send(Request(method="GET", path=self.path, query=query, within=PATIENCE))
            answer = parsed(body)
            one = text(answer, "kind").removesuffix("List")
            for item in objects(answer, "items"):
                self.uids.add(text(item, "metadata", "uid"))
                yield {"kind": one, **item}
            self.version = text(answer, "metadata", "resourceVersion")
            more = text(answer, "metadata", "continue")
            if not more:
                return
            query["continue"] = more
