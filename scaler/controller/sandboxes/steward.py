"""Keeps warm pools at the size that their claims ask for: sees, ticks at each arrival and now and then, and writes.

A tick is the core's. A replica that does not lead, and one that may not write a pool, decides as for ``recommend``: it
takes the live size for what it is, so that it can go on from it the moment it may.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Final

import structlog

from scaler.config.pool import PoolKey
from scaler.config.warm import WarmSection, warm_keys, warm_spec
from scaler.controller.api import ApiError
from scaler.controller.sandboxes.digest import HOUR, Books, digest
from scaler.controller.sandboxes.facts import WarmPool
from scaler.controller.sandboxes.kept import Kept, shared, standing
from scaler.controller.sandboxes.kinds import Kind
from scaler.controller.sandboxes.ledger import Ledger
from scaler.controller.sandboxes.observe import blocked, observe
from scaler.controller.sandboxes.wards import Terms
from scaler.controller.sandboxes.ways import Ways
from scaler.controller.sandboxes.world import World
from scaler.controller.sandboxes.writer import Written
from scaler.core.explain import sentence
from scaler.core.policy import Mode
from scaler.core.types import Instant, Seconds, Unknown
from scaler.core.warmpool import tick_pool
from scaler.core.warmpool_memory import WarmMemory
from scaler.core.warmpool_types import WarmOutcome
from scaler.live.clock import Clock
from scaler.live.office import Office
from scaler.live.warm import Block, Blocked, WarmAnswer, WarmHinted, WarmStanding, hinted

TICK: Final[Seconds] = 2.0  # between two ticks of a pool, at the most
REST: Final[Seconds] = 0.25  # between two, at the least: a storm is answered in batches
FOLLOWED: Final[Seconds] = 5.0  # after a write the watch may be behind for so long, and nothing is written twice
LOG: structlog.stdlib.BoundLogger = structlog.stdlib.get_logger(__name__)


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
        self._kept: dict[PoolKey, Kept] = {}
        self._allowances: dict[PoolKey, int] = {}
        self._due: set[PoolKey] = set()
        self._wake = asyncio.Event()

    async def run(self) -> None:
        """Watch and tick until cancelled."""
        async with asyncio.TaskGroup() as group:
            for kind in self._ways.kinds:
                group.create_task(self._follow(kind), name=kind.name)
            await self._tick_on(group)

    def terms(self, key: PoolKey) -> Terms:
        """What holds for sandboxes claimed from this pool."""
        kept = self._kept.get(key)
        return Terms() if kept is None else Terms(kept.spec.extend_shutdown, kept.spec.release_unused)

    def answer(self, key: PoolKey) -> WarmAnswer | None:
        """What KEDA is told of the pool; None where the file does not name it."""
        kept = self._kept.get(key)
        return None if kept is None else kept.answer or WarmAnswer(0.0, Unknown("not evaluated yet"))

    def memories(self) -> Mapping[PoolKey, WarmMemory]:
        """What every pool remembers now."""
        return {key: kept.memory for key, kept in self._kept.items()}

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
            yield standing(self.world, key, kept)

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
                pace = spec.policy.pace
                self._kept[key] = Kept(spec, self._ways.recall(key, pace, now) or WarmMemory.fresh(now, pace))
        for key in self._kept.keys() - set(keys):
            del self._kept[key]
        self.world.ledger.keep(keys)
        self._allowances = shared(config.section.most, self._kept)

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
            observe(self.world, key, now, asked=self._asked_of_keda(kept)),
            announced=tuple(hint.announcement(1) for hint in kept.hints.standing(now)),
            allowance=self._allowances.get(key),
        )
        before, outcome = kept.outcome, tick_pool(policy, kept.memory, seen, now)
        kept.memory, kept.outcome = outcome.memory, outcome
        self._tell(kept, block, before)
        kept.blocked = block
        self._answer(kept, now)
        self._sum_up(kept, now)
        if policy.mode is Mode.AUTO and self.world.through(key) is None:
            self._ask(kept, now, group)

    def _asked_of_keda(self, kept: Kept) -> int | None:
        """The size that KEDA was told last; None where it is not asked to scale the pool."""
        told = None if kept.answer is None else kept.answer.size
        return told if isinstance(told, int) and self.world.through(kept.spec.key) is not None else None

    def _answer(self, kept: Kept, now: Instant) -> None:
        """Keep what KEDA is told, ring where the pool wakes or rests, and tell people where KEDA does as we say."""
        key, before, outcome = kept.spec.key, kept.answer, kept.outcome
        size, pool = Unknown("not evaluated yet") if outcome is None else outcome.report, self.world.pools.get(key)
        if pool is not None and not isinstance(size, Unknown) and self._keeps(pool, size, now):
            size = pool.size
        kept.answer = WarmAnswer(now, size)
        was = None if before is None else before.size
        if bool(isinstance(size, int) and size) is not bool(isinstance(was, int) and was):
            self._ways.bells.ring(key)
        asked = self.world.through(key) is not None and isinstance(was, int) and size != was
        if (
            asked
            and pool is not None
            and outcome is not None
            and kept.blocked is None
            and self._office.term is not None
        ):
            LOG.info("a warm pool gets another size by its autoscaler", pool=str(key), before=was, after=size)
            self._ways.teller.sized(pool, outcome)

    def _sum_up(self, kept: Kept, now: Instant) -> None:
        """Tell people once an hour what came of the claims, on the replica that leads."""
        book, before, pool = self.world.ledger.book(kept.spec.key), kept.books, self.world.pools.get(kept.spec.key)
        if before is not None and 0.0 <= now - before.at < HOUR:
            return
        kept.books = after = Books(at=now, served=dict(book.served), waits=book.waits.times(), idle=kept.idle)
        said = None if before is None else digest(before, after, kept.spec.policy, kept.spec.idle_price)
        if said is not None and pool is not None and self._office.term is not None:
            self._ways.teller.summed_up(pool, said)

    def _keeps(self, pool: WarmPool, size: int, now: Instant) -> bool:
        """Whether it is too early for a lower size: what it gives up may be what a claim is about to get."""
        return size < pool.size and self.world.ledger.waits(pool.key, now)

    def _ask(self, kept: Kept, now: Instant, group: asyncio.TaskGroup) -> None:
        """Have the size written, unless it stands, or a write of it is under way or not seen yet."""
        pool, outcome = self.world.pools[kept.spec.key], kept.outcome
        if outcome is None or isinstance(outcome.report, Unknown) or kept.writing is not None:
            return
        if self._keeps(pool, outcome.report, now):
            return
        uid, size, at = kept.asked
        seen = pool.size if uid != pool.id.uid or now - at > FOLLOWED else size
        if outcome.report != seen:
            kept.writing = group.create_task(self._write(kept, pool, seen, outcome))

    async def _write(self, kept: Kept, pool: WarmPool, seen: int, outcome: WarmOutcome) -> None:
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

    def _count_idle(self, kept: Kept, now: Instant) -> None:
        pool = self.world.pools.get(kept.spec.key)
        if pool is not None and kept.counted is not None:
            kept.idle += max(0.0, now - kept.counted) * pool.members
        kept.counted = now

    def _tell(self, kept: Kept, block: Blocked | None, before: WarmOutcome | None) -> None:
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
