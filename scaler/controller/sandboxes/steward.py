"""Keeps warm pools at the size that their claims ask for: sees, ticks at each arrival and now and then, and writes.

A tick is the core's. A replica that does not lead, and one that may not write a pool, decides as for ``recommend``: it
takes the live size for what it is, so that it can go on from it the moment it may.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Final, Protocol

import structlog

from scaler.config.pool import PoolKey
from scaler.config.warm import WarmSection, WarmSpec, warm_keys, warm_spec
from scaler.controller.api import ApiError
from scaler.controller.feed import Change
from scaler.controller.sandboxes.facts import WarmPool
from scaler.controller.sandboxes.kinds import Kind
from scaler.controller.sandboxes.ledger import Ledger, Served
from scaler.controller.sandboxes.observe import blocked, observe
from scaler.controller.sandboxes.teller import Teller
from scaler.controller.sandboxes.wards import STATES
from scaler.controller.sandboxes.world import NEEDED, World
from scaler.controller.sandboxes.writer import Result, Written
from scaler.core.explain import sentence
from scaler.core.policy import Mode
from scaler.core.types import Instant, Seconds, Unknown
from scaler.core.warmpool import tick_pool
from scaler.core.warmpool_budget import Stake, share
from scaler.core.warmpool_memory import WarmMemory
from scaler.core.warmpool_model import Offered
from scaler.core.warmpool_types import WarmOutcome
from scaler.live.clock import Clock
from scaler.live.hints import Hints
from scaler.live.office import Office
from scaler.live.warm import Block, Blocked, WarmHinted, WarmStanding, hinted

TICK: Final[Seconds] = 2.0  # between two ticks of a pool, at the most
REST: Final[Seconds] = 0.25  # between two, at the least: a storm is answered in batches
FOLLOWED: Final[Seconds] = 5.0  # after a write the watch may be behind for so long, and nothing is written twice
LOG: structlog.stdlib.BoundLogger = structlog.stdlib.get_logger(__name__)


class Sizes(Protocol):
    """Who writes a pool's size."""

    async def write(self, pool: WarmPool, seen: int, size: int) -> Result:
        """Ask for this size, if the pool is still this one and its size is still the one that was seen.

        Raises:
            ApiError: nobody knows whether it was written.
        """
        ...


@dataclass(frozen=True, slots=True)
class Ways:
    """How the cluster is seen, which kinds of it, how it is written, and who is told."""

    follow: Callable[[Kind], AsyncIterator[Change]]
    sizes: Sizes
    teller: Teller
    kinds: tuple[Kind, ...] = NEEDED


@dataclass(slots=True)
class _Kept:
    """A pool at work.

    Attributes:
        asked: the size that was written last, of which pool and when.
        idle: sandbox-seconds that stood in it, up to ``counted``.
        writing: the write under way.
    """

    spec: WarmSpec
    memory: WarmMemory
    hints: Hints = field(default_factory=Hints)
    outcome: WarmOutcome | None = None
    blocked: Blocked | None = None
    asked: tuple[str, int, Instant] = ("", -1, 0.0)
    idle: Seconds = 0.0
    counted: Instant | None = None
    writes: int = 0
    writing: asyncio.Task[None] | None = None


@dataclass(frozen=True, slots=True)
class Config:
    """What the file says now."""

    section: WarmSection
    switch: Mode


class Steward:
    """Keeps every warm pool of the configuration. Belongs to one event loop.

    Attributes:
        served: versions of the extensions' group that the cluster serves; None while nobody has looked.
    """

    def __init__(self, ways: Ways, config: Callable[[], Config], clock: Clock, office: Office) -> None:
        self.served: frozenset[str] | None = None
        self.world = World(Ledger(clock.now()))
        self._ways, self._config = ways, config
        self._clock, self._office = clock, office
        self._kept: dict[PoolKey, _Kept] = {}
        self._allowances: dict[PoolKey, int] = {}
        self._due: set[PoolKey] = set()
        self._wake = asyncio.Event()

    async def run(self) -> None:
        """Watch and tick until cancelled."""
        async with asyncio.TaskGroup() as group:
            for kind in self._ways.kinds:
                group.create_task(self._follow(kind), name=kind.name)
            await self._tick_on(group)

    def ahead(self, key: PoolKey) -> Seconds | None:
        """How far ahead the expiry of a busy claim on this pool is kept; None where it is left alone."""
        kept = self._kept.get(key)
        return None if kept is None else kept.spec.extend_shutdown

    def hintable(self, key: PoolKey) -> WarmHinted | None:
        """The warm pool of this name, as hints see it; None where there is none."""
        kept = self._kept.get(key)
        return None if kept is None else hinted(key, kept.spec.policy, kept.hints)

    def prompt(self, key: PoolKey) -> None:
        """Tick a pool at once, because of something that was announced."""
        self._due.add(key)
        self._wake.set()

    def standings(self) -> Iterator[WarmStanding]:
        """Every pool as it stands."""
        for key, kept in self._kept.items():
            yield self._standing(key, kept)

    async def _follow(self, kind: Kind) -> None:
        async for change in self._ways.follow(kind):
            came = self.world.take(kind, change, self._clock.now())
            if came:
                self._due |= came
                self._wake.set()

    async def _tick_on(self, group: asyncio.TaskGroup) -> None:
        """Tick all pools now and then, and those for which a claim has come at once."""
        full = self._clock.now()
        while True:
            now = self._clock.now()
            if now >= full:
                full = now + TICK
                self._refresh(now)
                self._due |= self._kept.keys()
            due, self._due = self._due & self._kept.keys(), set()
            for key in sorted(due):
                self._tick(key, now, group)
            await self._pause(full)

    async def _pause(self, full: Instant) -> None:
        """Until the next full round, or, after a rest, until something comes."""
        self._wake.clear()
        await self._clock.sleep_until(min(full, self._clock.now() + REST))
        if not self._due:
            alarm = self._clock.alarm(full, self._wake.set)
            try:
                await self._wake.wait()
            finally:
                alarm.cancel()

    def _refresh(self, now: Instant) -> None:
        """Take what the file says now."""
        config = self._config()
        keys = warm_keys(config.section)
        for key in keys:
            spec = warm_spec(config.section, key, config.switch)
            if key in self._kept:
                self._kept[key].spec = spec
            else:
                self._kept[key] = _Kept(spec, WarmMemory.fresh(now, spec.policy.pace))
        for key in self._kept.keys() - set(keys):
            del self._kept[key]
        self.world.ledger.keep(keys)
        self._allowances = _shared(config.section.most, self._kept)

    def _tick(self, key: PoolKey, now: Instant, group: asyncio.TaskGroup) -> None:
        """Decide, remember, tell, write."""
        kept = self._kept[key]
        self._count_idle(kept, now)
        block = blocked(self.world, key, self.served)
        leads = self._office.term is not None
        policy = kept.spec.policy
        if (block is not None or not leads) and policy.mode is Mode.AUTO:
            policy = replace(policy, mode=Mode.RECOMMEND)
        seen = replace(
            observe(self.world, key, now),
            announced=tuple(hint.announcement(1) for hint in kept.hints.standing(now)),
            allowance=self._allowances.get(key),
        )
        before, outcome = kept.outcome, tick_pool(policy, kept.memory, seen, now)
        kept.memory, kept.outcome = outcome.memory, outcome
        self._tell(kept, block, before)
        kept.blocked = block
        if policy.mode is Mode.AUTO:
            self._ask(kept, now, group)

    def _ask(self, kept: _Kept, now: Instant, group: asyncio.TaskGroup) -> None:
        """Have the size written, unless it stands, or a write of it is under way or not seen yet."""
        pool, outcome = self.world.pools[kept.spec.key], kept.outcome
        if outcome is None or isinstance(outcome.report, Unknown) or kept.writing is not None:
            return
        if outcome.report < pool.size and self.world.ledger.waits(kept.spec.key, now):
            return  # what a lower size gives up may be what the claim is about to get
        uid, size, at = kept.asked
        seen = pool.size if uid != pool.id.uid or now - at > FOLLOWED else size
        if outcome.report != seen:
            kept.writing = group.create_task(self._write(kept, pool, seen, outcome))

    async def _write(self, kept: _Kept, pool: WarmPool, seen: int, outcome: WarmOutcome) -> None:
        """Write the size once. A failure is told, and the next tick tries again by what stands then."""
        key, why, size = str(pool.key), sentence(outcome), outcome.report
        if isinstance(size, Unknown):
            return
        try:
            result = await self._ways.sizes.write(pool, seen, size)
        except ApiError as error:
            LOG.warning("the size of a warm pool cannot be written", pool=key, after=size, why=str(error))
        else:
            if isinstance(result, Written):
                kept.writes += 1
                kept.asked = (pool.id.uid, size, self._clock.now())
                LOG.info("the size of a warm pool was written", pool=key, before=seen, after=size, why=why)
                self._ways.teller.sized(pool, outcome)
            else:
                kept.asked = ("", -1, 0.0)
                LOG.info("the size of a warm pool was changed in the same moment", pool=key, after=size, why=result.why)
        finally:
            kept.writing = None

    def _count_idle(self, kept: _Kept, now: Instant) -> None:
        pool = self.world.pools.get(kept.spec.key)
        if pool is not None and kept.counted is not None:
            kept.idle += max(0.0, now - kept.counted) * pool.members
        kept.counted = now

    def _tell(self, kept: _Kept, block: Blocked | None, before: WarmOutcome | None) -> None:
        """Say once why a pool is left alone, and when it no longer is. That nothing was listed yet is no news."""
        new = before is None and block is not None and block.block is Block.UNSEEN
        if new or (block == kept.blocked and before is not None):
            return
        key = str(kept.spec.key)
        if block is not None:
            LOG.warning("a warm pool is left alone", pool=key, reason=block.block.value, why=block.why)
            if (pool := self.world.pools.get(kept.spec.key)) is not None:
                self._ways.teller.left_alone(pool, block)
        elif kept.blocked is not None:
            LOG.info("a warm pool is sized from now on", pool=key)

    def _standing(self, key: PoolKey, kept: _Kept) -> WarmStanding:
        pool, book = self.world.pools.get(key), self.world.ledger.book(key)
        members = None if pool is None else self.world.members(pool)
        known = None if isinstance(members, Unknown) else members
        return WarmStanding(
            key=key,
            policy=kept.spec.policy,
            outcome=kept.outcome,
            blocked=kept.blocked,
            size=None if pool is None else pool.size,
            ready=None if known is None else known.ready,
            starting=None if known is None else known.starting,
            stuck=None if known is None else known.stuck,
            served={word.value: book.served[word] for word in Served},
            guarded={state: self.world.wards[key, state] for state in STATES},
            waits=book.waits.times(),
            idle=kept.idle,
            idle_price=kept.spec.idle_price,
            writes=kept.writes,
        )


def _shared(most: int | None, kept: Mapping[PoolKey, _Kept]) -> dict[PoolKey, int]:
    """What each pool may have of the sandboxes that all may have together, by what each was last offered."""
    if most is None:
        return {}
    stakes = {
        str(key): Stake(
            rate=each.outcome.evidence.rate if each.outcome else 0.0,
            offered=each.outcome.evidence.offered if each.outcome else Offered(0.0),
            price=each.spec.policy.price,
            least=each.spec.policy.min_size,
            most=each.spec.policy.max_size,
        )
        for key, each in kept.items()
    }
    given = share(most, stakes)
    return {key: given[str(key)] for key in kept}
