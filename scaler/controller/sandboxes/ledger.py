"""The books of warm pools: each claim once when it arrives, what it was served with, and how long that took.

Demand is what arrives, not what is served: a claim counts the moment it is seen. One that can only be served cold, for
it brings variables or volumes of its own, asks nothing of the pool and is kept apart, else the pool would grow for it
without end.

Instants to the second are all that objects have by themselves, and a sandbox starts within three. So what is seen as it
happens is timed by our own clock, and what was there before us by what the objects say.
"""

from __future__ import annotations

import enum
from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Final

from scaler.config.pool import PoolKey
from scaler.controller.sandboxes.facts import Claim, Sandbox
from scaler.core.types import Instant, Seconds
from scaler.sources.timing import Timing

SEEN: Final[Seconds] = 2.0  # seen so soon after it was made, a sandbox was seen as it came
PENDING: Final[Seconds] = 30.0  # a claim is given something within seconds, or is one that cannot be served
WAITS: Final = (0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0)  # seconds
SHORTEST: Final[Seconds] = 0.01  # of a start, which no rounding may take to nothing


class Served(enum.StrEnum):
    """What became of a claim."""

    READY = "ready"  # a ready sandbox of the pool
    STARTING = "starting"  # one of the pool that was not ready yet
    COLD = "cold"  # one made for it, for the pool had none
    BYPASS = "bypass"  # one made for it, as it had to be
    NOTHING = "nothing"  # deleted before it was given any


@dataclass(slots=True)
class Fresh:
    """What came since it was last taken.

    Attributes:
        arrivals: claims that a warm sandbox could serve.
        leads: from when a claim took one until its replacement in the pool was ready.
        colds: the same of those that were made for a claim.
        cold, unready: claims that found no sandbox in the pool, or only one that was not ready yet.
    """

    arrivals: int = 0
    leads: list[Seconds] = field(default_factory=list)
    colds: list[Seconds] = field(default_factory=list)
    cold: int = 0
    unready: int = 0


@dataclass(slots=True)
class Book:
    """One pool's books.

    Attributes:
        served: claims that came while we looked, by what became of them.
        waits: from a claim's arrival until it was ready, of those.
    """

    fresh: Fresh = field(default_factory=Fresh)
    served: Counter[Served] = field(default_factory=Counter)
    waits: Timing = field(default_factory=lambda: Timing(WAITS))

    def take(self) -> Fresh:
        """What came since the last time."""
        came, self.fresh = self.fresh, Fresh()
        return came


@dataclass(slots=True)
class _Open:
    """A claim that is there.

    Attributes:
        live: it came while we looked.
        served: None until it is known.
        timed: it was ready, and how long that took is booked.
    """

    key: PoolKey
    arrived: Instant
    live: bool
    bypasses: bool
    served: Served | None = None
    timed: bool = False


class Ledger:
    """Books what claims and sandboxes show, in whatever order they are seen.

    Claims that were made before ``begun`` were somebody else's to count.
    """

    def __init__(self, begun: Instant) -> None:
        self._begun = begun
        self._waiting: dict[PoolKey, dict[str, Instant]] = {}
        self._books: dict[PoolKey, Book] = {}
        self._open: dict[str, _Open] = {}
        self._bindings: dict[str, Served] = {}  # by claim, of those that were not seen themselves yet
        self._starting: dict[str, Instant] = {}  # sandboxes not ready yet, and since when

    def book(self, key: PoolKey) -> Book:
        """The books of a pool."""
        return self._books.setdefault(key, Book())

    def waits(self, key: PoolKey, now: Instant) -> bool:
        """Whether a claim of the pool is about to be given something. One that has waited for long will not be."""
        return any(now - arrived < PENDING for arrived in self._waiting.get(key, {}).values())

    def keep(self, keys: Collection[PoolKey]) -> None:
        """Close the books of all other pools."""
        for key in [key for key in self._books if key not in keys]:
            del self._books[key]

    def put_claim(self, claim: Claim, now: Instant) -> bool:
        """A claim as it is now. True if it has just arrived and asks something of the pool."""
        known = self._open.get(claim.id.uid)
        came = known is None and claim.created + 1.0 > self._begun  # the second that it says began before it came
        if known is None:
            known = self._open[claim.id.uid] = _opened(claim, now, live=came)
            if not claim.bypasses:
                self._waiting.setdefault(claim.key, {})[claim.id.uid] = known.arrived
            if came and not claim.bypasses:
                self.book(claim.key).fresh.arrivals += 1
        if (served := self._bindings.pop(claim.id.uid, None)) is not None:
            self._settle(claim.id.uid, known, served)
        if claim.ready_at is not None and not known.timed:
            known.timed = True
            if known.live and not claim.bypasses:
                self.book(claim.key).waits.add(max(0.0, claim.ready_at - (claim.observed or known.arrived)))
        return came and not claim.bypasses

    def counted(self, claim: Claim) -> None:
        """Nothing as old as this claim is counted any more: a list that did not name it may have been wrong."""
        self._begun = max(self._begun, claim.created + 1.0)

    def drop_claim(self, claim: Claim) -> None:
        """A claim that is gone."""
        known = self._open.pop(claim.id.uid, None)
        self._bindings.pop(claim.id.uid, None)
        if known is not None and known.served is None:
            self._settle(claim.id.uid, known, Served.NOTHING)

    def put_sandbox(self, sandbox: Sandbox, key: PoolKey | None, now: Instant, *, missing: Seconds = 0.0) -> None:
        """A sandbox as it is now; ``key`` is the pool it is in or came from, None where that is not known.

        ``missing`` is for how long the pool had lacked it when it came.
        """
        if sandbox.claim:
            self._bind(sandbox)
        if key is None:
            return
        uid = sandbox.id.uid
        if not sandbox.ready:
            self._starting.setdefault(uid, now - missing if is_live(sandbox, now) else sandbox.created)
        elif (since := self._starting.pop(uid, None)) is not None:
            self._started(key, sandbox, now - since)

    def drop_sandbox(self, sandbox: Sandbox) -> None:
        """A sandbox that is gone."""
        self._starting.pop(sandbox.id.uid, None)
        self._bindings.pop(sandbox.claim, None)

    def _started(self, key: PoolKey, sandbox: Sandbox, took: Seconds) -> None:
        fresh = self.book(key).fresh
        (fresh.leads if sandbox.warm else fresh.colds).append(max(SHORTEST, took))

    def _bind(self, sandbox: Sandbox) -> None:
        """What a claim was served with is what its sandbox is when it is first seen to be the claim's."""
        served = Served.COLD if not sandbox.warm else Served.READY if sandbox.ready else Served.STARTING
        known = self._open.get(sandbox.claim)
        if known is None:
            self._bindings.setdefault(sandbox.claim, served)
        else:
            self._settle(sandbox.claim, known, served)

    def _settle(self, uid: str, known: _Open, served: Served) -> None:
        if known.served is not None:
            return
        known.served = Served.BYPASS if known.bypasses and served is Served.COLD else served
        self._waiting.get(known.key, {}).pop(uid, None)
        if known.live:
            book = self.book(known.key)
            book.served[known.served] += 1
            book.fresh.cold += known.served is Served.COLD
            book.fresh.unready += known.served is Served.STARTING


def is_live(sandbox: Sandbox, now: Instant) -> bool:
    """Whether it is seen as it comes."""
    return now - sandbox.created < SEEN


def _opened(claim: Claim, now: Instant, *, live: bool) -> _Open:
    """A claim newly seen. It arrived within the second that it says, and not later than it was seen."""
    arrived = claim.observed or min(max(now, claim.created), claim.created + 1.0)
    return _Open(key=claim.key, arrived=arrived, live=live, bypasses=claim.bypasses)
