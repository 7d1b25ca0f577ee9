"""A replica that stands by: it reads and learns, decides nothing, and begins anew when it is given the right to act."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field

from scaler.config.pool import PodSource, PoolKey, PoolSpec
from scaler.core.pods import Activity, Pod, Pods
from scaler.core.policy import Policy
from scaler.core.reasons import Reason
from scaler.core.types import Instant, Known, Order, Signal, Unknown, Verb
from scaler.live.board import Board
from scaler.live.hints import Hint, Wish
from scaler.live.loop import Loop
from scaler.live.office import Term
from scaler.live.registry import Registry
from scaler.live.ticker import Moment, Ticker
from tests.support.office import FIRST, Chair
from tests.support.pools import NOON, PODS, QUEUE, REPLICAS, Oracle, Wall, settle, spec


@dataclass
class Others:
    """Who carries orders out, and who writes ticks down."""

    orders: list[Order] = field(default_factory=list)
    moments: list[Moment] = field(default_factory=list)

    def carry_out(self, _: PoolKey, orders: tuple[Order, ...]) -> None:
        """Take these on."""
        self.orders += orders

    def note(self, _: PoolKey, moment: Moment) -> None:
        """Take this in."""
        self.moments.append(moment)

    def forget(self, _: PoolKey) -> None:
        """The pool is no longer evaluated."""


@dataclass
class Replica:
    """A loop over pools, with the office in a chair."""

    chair: Chair
    registry: Registry = field(default_factory=Registry)
    oracle: Oracle = field(default_factory=Oracle)
    board: Board = field(default_factory=Board)
    clock: Wall = field(default_factory=Wall)
    others: Others = field(default_factory=Others)

    def told(self, pool: PoolSpec) -> int | Unknown | None:
        """What KEDA would be told, None where nothing is decided."""
        posted = self.board.get(pool.key)
        return None if posted is None else posted.outcome.report

    def begin(self, term: Term) -> None:
        """Begin a term as the program does."""
        for pool in self.registry:
            self.board.forget(pool.spec.key)
        self.registry.begin_anew(self.clock.now())
        self.chair.give(term)


@asynccontextmanager
async def replica(*specs: PoolSpec, oracle: Oracle, term: Term | None = None) -> AsyncIterator[Replica]:
    """A replica over these pools, stopped at the end."""
    made = Replica(Chair(term), oracle=oracle)
    made.registry.replace(specs, made.clock.now())
    ticker = Ticker(made.board, made.others, made.others, made.chair)
    task = asyncio.create_task(Loop(made.registry, oracle, ticker, made.clock).run())
    await settle()
    try:
        yield made
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


class Idle(Oracle):
    """Three pods that have nothing to do, whenever they are asked."""

    async def pods(self, source: PodSource, now: Instant) -> Pods | Unknown:
        """The pods as they are now."""
        idle = Activity(inflight=0, at=now)
        return Pods.of(Pod(uid=f"u{i}", created_at=NOON, since=NOON, activity=idle) for i in range(3))


async def test_a_replica_that_stands_by_follows_the_live_replicas() -> None:
    """Ten tasks wait for one pod: what to do about it is the leader's to decide, and its doing is seen."""
    pool = spec()
    oracle = Oracle(samples={QUEUE: Known(10.0, NOON), REPLICAS: Known(1.0, NOON)})
    async with replica(pool, oracle=oracle) as standby:
        await standby.clock.pass_time(20)
        assert standby.told(pool) == 1
        oracle.samples[REPLICAS] = Known(9.0, NOON)
        await standby.clock.pass_time(20)
        assert standby.told(pool) == 9
        assert standby.others == Others()


async def test_whoever_takes_over_decides_at_once_on_what_is_read_then() -> None:
    """Not on what was read while it stood by: the first target is one of its own term."""
    pool = spec()
    oracle = Oracle(samples={QUEUE: Known(3.0, NOON), REPLICAS: Known(2.0, NOON)})
    async with replica(pool, oracle=oracle) as standby:
        await standby.clock.pass_time(31)
        asked = len(oracle.instants(REPLICAS))
        oracle.samples[REPLICAS] = Known(5.0, NOON)
        standby.begin(FIRST)
        assert standby.told(pool) is None
        await settle()
        assert len(oracle.instants(REPLICAS)) == asked + 1
        await standby.clock.pass_time(12)
        assert standby.told(pool) == 5
        assert standby.others.moments[0].policy == pool.policy


async def test_what_a_replica_has_learnt_outlives_the_change() -> None:
    """Startups, gaps and skill are of the pool; a target, hints and youth are of the term."""
    pool = spec()
    async with replica(pool, oracle=Oracle(), term=FIRST) as leader:
        await leader.clock.pass_time(30)
        before = leader.registry.get(pool.key)
        assert before is not None
        wish = Wish(id="a", pool=pool.key, slots=1, duration=600, start=None, reason="r")
        before.hints.keep(Hint("planner", 1, wish, slots=1, start=NOON, end=NOON + 600))
        leader.begin(Term("this", 2))
        after = leader.registry.get(pool.key)
        assert after is not None
        assert after is not before
        assert after.memory.lessons is before.memory.lessons
        assert after.memory.forecast is before.memory.forecast
        assert (after.memory.target, after.memory.born) == (None, leader.clock.now())
        assert not after.hints.standing(leader.clock.now())
        assert not after.is_read


async def test_a_new_leader_lowers_nothing_before_one_idle_timer() -> None:
    """Though it has itself seen the pods idle for an hour: it does not know why they were wanted."""
    pool = spec(pods=PODS, policy=Policy(min_replicas=0))
    async with replica(pool, oracle=Idle(samples={QUEUE: Known(0.0, NOON), REPLICAS: Known(3.0, NOON)})) as standby:
        await standby.clock.pass_time(3600)
        standby.begin(FIRST)
        timer = standby.registry.get(pool.key)
        assert timer is not None
        wait = timer.memory.lessons.gaps.timer
        await standby.clock.pass_time(wait - 10)
        posted = standby.board.get(pool.key)
        assert posted is not None
        assert (posted.outcome.report, posted.outcome.trail[-1].reason) == (3, Reason.NEWCOMER)
        assert standby.others.orders == []
        await standby.clock.pass_time(40)
        assert {order.verb for order in standby.others.orders} == {Verb.MARK}


async def test_an_answer_that_was_asked_for_before_the_term_changes_nothing_in_it() -> None:
    """A source that took long: what it says is of before, and goes nowhere."""
    pool = spec(signals={Signal.QUEUE: QUEUE})
    async with replica(pool, oracle=Oracle()) as standby:
        old = standby.registry.get(pool.key)
        assert old is not None
        standby.begin(FIRST)
        old.take_replicas(REPLICAS, Known(99.0, NOON), NOON)
        await standby.clock.pass_time(12)
        assert standby.told(pool) == 1
