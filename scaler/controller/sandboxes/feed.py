"""Objects as they come, change and go: one list, and from then on a watch, for each kind.

Objects are raw JSON, of which facts are taken at once; a typed client would cost ten times the processor time.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Final, Protocol, TypeAlias

import structlog

from scaler.controller.api import Api, ApiError, Json, Request, StaleError
from scaler.controller.dig import at, objects, parsed, text
from scaler.controller.sandboxes import kinds
from scaler.controller.sandboxes.kinds import Kind
from scaler.core.types import Seconds

PAGE: Final = "500"  # objects of one answer to a list
AGAIN: Final[Seconds] = 1.0  # between two tries
ABSENT: Final[Seconds] = 15.0  # between two looks whether a kind has come to be served
PATIENCE: Final[Seconds] = 15.0
LASTS: Final = "60"  # seconds after which the server ends a watch: one that is silent for longer is broken
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


class Feed(Protocol):
    """Where objects are seen."""

    def follow(self, kind: Kind) -> AsyncIterator[Change]:
        """All objects of a kind, then every change, without end."""
        ...


class NotServedError(Exception):
    """The API server does not serve this kind."""


class _ExpiredError(Exception):
    """The watch cannot go on from where it was."""


class Watches:
    """Feeds from the API server. What ends or fails is begun anew, with a list where there is no other way."""

    def __init__(self, api: Api) -> None:
        self._api = api

    async def follow(self, kind: Kind) -> AsyncGenerator[Change, None]:
        """All objects of a kind, then every change. A kind that is not served has no objects."""
        trouble = ""  # told once
        while True:
            wait = AGAIN
            try:
                async with aclosing(self._once(kind)) as changes:
                    async for change in changes:
                        yield change
            except NotServedError:
                yield Listed(frozenset())
                wait = ABSENT
            except _ExpiredError as error:
                yield Lost(str(error))
            except ApiError as error:
                if trouble != str(error):
                    trouble = str(error)
                    LOG.warning("a watch is begun anew", path=kind.value, why=trouble)
                yield Lost(str(error))
            await asyncio.sleep(wait)

    async def _once(self, kind: Kind) -> AsyncGenerator[Change, None]:
        """A list, then watches for as long as one goes on where the one before it ended.

        One that breaks is taken up again at once, where it was; only when that fails as well is nothing known.
        """
        listing = _Listing(self._api, kind)
        async for item in listing.items():
            yield Put(item)
        yield Listed(frozenset(listing.uids))
        version, broken = listing.version, False
        while True:
            try:
                async with aclosing(self._watch(kind, version)) as events:
                    async for name, item in events:
                        version, broken = text(item, "metadata", "resourceVersion") or version, False
                        if name != "BOOKMARK":
                            yield Gone(item) if name == "DELETED" else Put(item)
                broken = False
            except ApiError:
                if broken:
                    raise
                broken = True

    async def _watch(self, kind: Kind, version: str) -> AsyncGenerator[tuple[str, Mapping[str, Json]], None]:
        """The events of one watch, until the server ends it."""
        query = {
            **kind.query,
            "watch": "true",
            "allowWatchBookmarks": "true",
            "resourceVersion": version,
            "timeoutSeconds": LASTS,
        }
        request = Request(method="GET", path=kind.value, query=query, within=PATIENCE)
        async for line in self._api.stream(request):
            event = parsed(line)
            if text(event, "type") == "ERROR":
                raise _ExpiredError(text(event, "object", "message") or "the watch ended with an error")
            found = at(event, "object")
            if isinstance(found, Mapping):
                yield text(event, "type"), found


@dataclass(slots=True)
class _Listing:
    """One list, page by page; afterwards ``uids`` are those of all objects, and ``version`` is where a watch begins."""

    api: Api
    kind: Kind
    uids: set[str] = field(default_factory=set)
    version: str = ""

    async def items(self) -> AsyncIterator[Mapping[str, Json]]:
        """Every object. An item of a list does not say of what kind it is, so that is added."""
        query = {**self.kind.query, "limit": PAGE}
        while True:
            try:
                body = await self.api.send(Request(method="GET", path=self.kind.value, query=query, within=PATIENCE))
            except StaleError:
                raise NotServedError(self.kind.value) from None
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


async def versions(api: Api) -> frozenset[str]:
    """The versions of the extensions' group that are served; none where it is not installed.

    Raises:
        ApiError: nobody answers.
    """
    try:
        body = await api.send(Request(method="GET", path=f"/apis/{kinds.EXTENSIONS}", within=PATIENCE))
    except StaleError:
        return frozenset()
    return frozenset(text(each, "version") for each in objects(parsed(body), "versions"))
