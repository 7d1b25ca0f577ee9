"""A warm pool without a cluster: claims come, take a ready sandbox or start their own, and the pool refills itself.

As agent-sandbox does it: an adoption removes a member and the next reconciliation makes another one, one for one. A
claim that finds none ready adopts one that is about to be, once that has its address; without one it starts its own,
outside the pool, and stays with it. Of too many members those that are not ready go first, then the newest.
"""

from __future__ import annotations

import heapq
import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

import numpy as np

from scaler.core.pods import Floats
from scaler.core.types import Instant, Seconds
from scaler.sim.warm_sight import Sizer, Stock
from scaler.sim.workload import CHUNK, Lognormal

ADDRESSED: Final = 0.9  # share of its lead time after which a sandbox has an address: images are pulled before that
STREAM: Final = 7_919  # sets the lead times of a seed apart from its arrivals


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Claiming:
    """Who claims: instants from 0 on, ascending, and for how many seconds each keeps its sandbox; equal shapes (n,)."""

    at: Floats
    held: Floats
    ends: Seconds


@dataclass(slots=True)
class Tally:
    """What happened.

    Attributes:
        cold, unready: claims that started their own sandbox, and those that got one that was not ready.
        waits: seconds that each of these waited; all others waited for nothing.
        idle, standing: sandbox-seconds ready and unclaimed, and those of all members of the pool.
        largest: the largest size asked for.
    """

    claims: int = 0
    cold: int = 0
    unready: int = 0
    waits: list[Seconds] = field(default_factory=list)
    idle: float = 0.0
    standing: float = 0.0
    largest: int = 0

    @property
    def missed(self) -> float:
        """The share of claims that found no ready sandbox."""
        return (self.cold + self.unready) / max(1, self.claims)


class WarmPool:
    """The pool and its controller.

    Args:
        size: sandboxes that stand ready when the run begins.
        lead: how long one takes from creation to ready; its draws depend on the seed alone.
    """

    def __init__(self, size: int, lead: Lognormal, seed: int) -> None:
        self.tally = Tally(largest=size)
        self.size = size
        self._now: Instant = 0.0
        self._leads = _draws(lead, seed)
        self._ready = size
        self._starting: list[tuple[Instant, Seconds]] = []  # a heap: when it is ready, and how long it took
        self._measured: list[Seconds] = []
        self._in_use: list[Instant] = []  # a heap: when each is given back

    def claim(self, at: Instant, held: Seconds) -> None:
        """A claim comes, and keeps what it gets for so long."""
        self._pass(at)
        self.tally.claims += 1
        wait = self._adopt(at)
        if wait > 0:
            self.tally.waits.append(wait)
        heapq.heappush(self._in_use, at + wait + held)

    def resize(self, size: int) -> None:
        """Another size is asked for."""
        self.size = size
        self.tally.largest = max(self.tally.largest, size)
        surplus = self._ready + len(self._starting) - size
        if surplus > 0:
            unready = min(surplus, len(self._starting))
            self._starting = sorted(self._starting)[: len(self._starting) - unready]  # sorted is a heap
            self._ready -= surplus - unready
        self._refill()

    def look(self, at: Instant) -> Stock:
        """What can be seen at this instant."""
        self._pass(at)
        while self._in_use and self._in_use[0] <= at:
            heapq.heappop(self._in_use)
        measured, self._measured = tuple(self._measured), []
        return Stock(
            now=at,
            size=self.size,
            ready=self._ready,
            starting=len(self._starting),
            claims=self.tally.claims,
            in_use=len(self._in_use),
            cold=self.tally.cold,
            unready=self.tally.unready,
            leads=measured,
        )

    def end(self, at: Instant) -> Tally:
        """What happened until now."""
        self._pass(at)
        return self.tally

    def _adopt(self, at: Instant) -> Seconds:
        """Take the best there is, and say how long it is waited for."""
        if self._ready:
            self._ready -= 1
            self._refill()
            return 0.0
        if self._starting:
            ready_at, lead = self._starting[0]
            if ready_at - at <= (1.0 - ADDRESSED) * lead:
                heapq.heappop(self._starting)
                self._refill()
                self.tally.unready += 1
                return ready_at - at
        self.tally.cold += 1
        return next(self._leads)

    def _refill(self) -> None:
        for _ in range(self.size - self._ready - len(self._starting)):
            lead = next(self._leads)
            heapq.heappush(self._starting, (self._now + lead, lead))

    def _pass(self, to: Instant) -> None:
        """Let time pass: sandboxes become ready, and what stands is counted."""
        while self._starting and self._starting[0][0] <= to:
            ready_at, lead = heapq.heappop(self._starting)
            self._count(ready_at, extra=1)
            self._ready += 1
            self._measured.append(lead)
        self._count(to)

    def _count(self, to: Instant, *, extra: int = 0) -> None:
        passed = to - self._now
        self.tally.idle += passed * self._ready
        self.tally.standing += passed * (self._ready + len(self._starting) + extra)
        self._now = to


def play(claiming: Claiming, sizer: Sizer, pool: WarmPool) -> Tally:
    """All claims against the pool, with the policy looking every period from the first instant on."""
    look: Instant = 0.0
    for at, held in zip(claiming.at.tolist(), claiming.held.tolist(), strict=True):
        while look <= at:
            pool.resize(sizer.decide(pool.look(look)))
            look += sizer.period
        pool.claim(at, held)
    while look <= claiming.ends:
        pool.resize(sizer.decide(pool.look(look)))
        look += sizer.period
    return pool.end(claiming.ends)


def wait_p95(tally: Tally) -> Seconds:
    """The wait that 95 in 100 claims do not exceed."""
    rank = math.ceil(0.95 * tally.claims) - (tally.claims - len(tally.waits))
    return sorted(tally.waits)[rank - 1] if rank > 0 else 0.0


def _draws(lead: Lognormal, seed: int) -> Iterator[Seconds]:
    rng = np.random.default_rng((STREAM, seed))
    while True:
        yield from lead.draw(rng, CHUNK).tolist()
