"""Facts of all objects of one kind in one namespace, kept as they come, change and go.

A list is complete, and after each list what it does not name is forgotten: an object that vanished while the watch was
broken is not remembered for ever. What we wrote ourselves is taken in from the answer, and a version that comes later
by the watch than a newer one is left out.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import aclosing
from typing import Final, Generic, TypeVar

from scaler.controller.api import Json
from scaler.controller.dig import text
from scaler.controller.facts import version
from scaler.controller.feed import Change, Feed, Gone, Listed, Lost, Put, Reads
from scaler.core.types import Seconds, Unknown
from scaler.live.clock import steady

LOST: Final[Seconds] = 30.0  # the watch is broken for so long before what is kept counts as not known
T = TypeVar("T")


class Mirror(Generic[T]):
    """The facts, by uid. Belongs to one event loop.

    Attributes:
        changes: how many were taken in.
    """

    def __init__(self, api: Reads, path: str, read: Callable[[Json], T]) -> None:
        self._feed, self._path, self._read = Feed(api, path), path, read
        self._facts: dict[str, T] = {}
        self._versions: dict[str, float] = {}
        self.changes = 0
        self._listed = False
        self._broken_since: Seconds | None = None

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
        """Keep to what there is, until cancelled, whatever becomes of the API server."""
        async with aclosing(self._feed.follow()) as changes:
            async for change in changes:
                self._take(change)

    def _take(self, change: Change) -> None:
        self.changes += 1
        match change:
            case Put(found):
                self.put(found)
            case Gone(found):
                uid = text(found, "metadata", "uid")
                self.drop(uid)
                self._versions[uid] = version(found)
            case Listed(uids):
                self._listed, self._broken_since = True, None
                for uid in self._versions.keys() - uids:
                    self.drop(uid)
                    del self._versions[uid]
            case Lost():
                self._broken_since = steady() if self._broken_since is None else self._broken_since
