"""The loop's laws, on a clock that the test moves: on time, at once where it matters, and each pool by itself."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field

import pytest

from scaler.config.pool import ActivityEndpoints, JsonNumber, PoolSpec
from scaler.core.pods import Activity, Pod, Pods
from scaler.core.policy import Policy
from scaler.core.types import Known, Order, Signal, Unknown, Verb
from scaler.live.grid import Grid, phase
from scaler.live.loop import Counts, Loop
from scaler.live.registry import Registry
from scaler.live.ticker import Ticker
from tests.support.pools import NOON, PODS, QUEUE, REPLICAS, Diary, Oracle, Wall, query, settle, spec


@dataclass
class World:
    """One running loop and everything around it."""

    registry: Registry = field(default_factory=Registry)
    oracle: Oracle = field(default_factory=Oracle)
    board: Diary = field(default_factory=Diary)
    clock: Wall = field(default_factory=Wall)
    counts: Counts = field(default_factory=Counts)

    def told(self, pool: PoolSpec) -> list[int | Unknown]:
        """What each tick of the pool reported."""
        return [outcome.report for outcome in self.board.outcomes.get(pool.key, [])]


@asynccontextmanager
async def running(*specs: PoolSpec, oracle: Oracle | None = None) -> AsyncIterator[World]:
    """A loop over these pools, stopped at the end."""
    world = World(oracle=oracle or Oracle())
    world.registry.replace(specs, world.clock.now())
    loop = Loop(world.registry, world.oracle, Ticker(world.board), world.clock)
    world.counts = loop.counts
    task = asyncio.create_task(loop.run())
    await settle()
    try:
        yield world
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


def slots(pool: PoolSpec, start: float, seconds: float) -> list[float]:
    """The instants at which the pool is due between two instants."""
    grid, at, due = Grid(phase(str(pool.key), 5.0), 5.0), start, []
    while (at := grid.after(at)) <= start + seconds:
        due.append(at)
    return due


def scheduled(world: World, pool: PoolSpec) -> list[float]:
    """When the pool was ticked, but for the tick that its first reading calls for."""
    return world.board.instants(pool.key)[1:]


def idle_pods(n: int) -> Pods:
    """Pods with nothing to do."""
    return Pods.of(
        Pod(uid=f"u{i}", created_at=NOON, since=NOON, activity=Activity(inflight=0, at=NOON)) for i in range(n)
    )


async def test_a_pool_ticks_every_five_seconds_without_drift() -> None:
    """After an hour it ticks at the very instants that were due from the start, none left out."""
    pool = spec()
    async with running(pool) as world:
        await world.clock.pass_time(3600)
        assert scheduled(world, pool) == slots(pool, NOON, 3600)
        assert len(scheduled(world, pool)) == 720


async def test_a_new_pool_answers_as_soon_as_it_has_been_read() -> None:
    """Nobody waits five seconds for the first target: the reading that completes the picture ticks the pool."""
    pool = spec(pods=PODS)
    async with running(pool, oracle=Oracle(pods_at={PODS: idle_pods(2)})) as world:
        assert world.board.instants(pool.key) == [NOON]
        assert world.counts.at_once == 1


async def test_a_stall_shifts_nothing_and_is_not_made_up_for() -> None:
    """The process stands still for twelve seconds: one late tick, two missed ones gone, and the grid as it was."""
    pool = spec()
    async with running(pool) as world:
        await world.clock.pass_time(20)
        before = len(scheduled(world, pool))
        world.clock.moved += 12
        await world.clock.pass_time(20)
        after = scheduled(world, pool)[before:]
        assert after[0] > slots(pool, NOON + 20, 5)[0]
        assert after[1:] == [at for at in slots(pool, NOON + 32, 20) if at > after[0]]


async def test_a_clock_set_back_an_hour_costs_no_tick() -> None:
    """No pool waits for the hour to come round again."""
    pool = spec()
    async with running(pool) as world:
        await world.clock.pass_time(20)
        before = len(scheduled(world, pool))
        world.clock.moved -= 3600
        await world.clock.pass_time(60)
        assert len(scheduled(world, pool)) - before >= 12


async def test_a_timer_that_rings_early_makes_no_tick_early_or_twice() -> None:
    """Timers and the wall disagree by a hair: the tick waits for its instant, and that instant is over then."""
    pool = spec()
    async with running(pool) as world:
        world.clock.early = 0.01
        await world.clock.pass_time(60)
        ticks, due = scheduled(world, pool), slots(pool, NOON, 60)
        assert len(ticks) == len(due)
        assert all(instant <= tick for instant, tick in zip(due, ticks, strict=True))


async def test_a_rising_queue_ticks_its_pool_at_once() -> None:
    """The rise is seen at the next reading, a second later at the most, and the target follows in the same instant."""
    pool = spec()
    async with running(pool, oracle=Oracle({QUEUE: Known(0, NOON)})) as world:
        await world.clock.pass_time(8)
        world.oracle.samples[QUEUE] = Known(4, NOON)
        await world.clock.pass_time(1)
        last = world.board.outcomes[pool.key][-1]
        assert last.at == world.oracle.instants(QUEUE)[-1]
        assert last.report == 4
        assert world.counts.at_once == 2


@pytest.mark.parametrize(("signal", "times"), [(Signal.PENDING, 2), (Signal.INFLIGHT, 1)])
async def test_only_work_that_waits_is_an_edge(signal: Signal, times: int) -> None:
    """Unfinished tasks are answered at once like the queue; tasks that already run can wait for the schedule."""
    pool = spec(signals={signal: QUEUE})
    async with running(pool, oracle=Oracle({QUEUE: Known(0, NOON)})) as world:
        world.oracle.samples[QUEUE] = Known(6, NOON)
        await world.clock.pass_time(6)
        assert world.counts.at_once == times


async def test_values_of_one_page_are_read_at_the_same_instants() -> None:
    """What is read every five seconds is read together with what is read every second, so that one call serves both."""
    queued, tokens = (JsonNumber(url="http://stats", path=(key,)) for key in ("queued", "tokens"))
    pool = spec(signals={Signal.QUEUE: queued, Signal.TOKENS: tokens})
    async with running(pool) as world:
        await world.clock.pass_time(60)
        often, seldom = world.oracle.instants(queued), world.oracle.instants(tokens)
        assert (len(often), len(seldom)) == (61, 13)
        assert set(seldom) <= set(often)


async def test_a_falling_queue_waits_for_the_schedule() -> None:
    """Only a rise is urgent."""
    pool = spec()
    async with running(pool, oracle=Oracle({QUEUE: Known(6, NOON)})) as world:
        world.oracle.samples[QUEUE] = Known(2, NOON)
        await world.clock.pass_time(20)
        assert scheduled(world, pool) == slots(pool, NOON, 20)


async def test_a_hung_source_delays_no_pool_and_not_its_own() -> None:
    """Ticks do not wait for readings: the pool says what is missing, and its neighbour notices nothing."""
    stuck, well = spec("stuck", signals={Signal.QUEUE: query("hangs")}), spec("well")
    async with running(stuck, well, oracle=Oracle(hung={query("hangs")})) as world:
        await world.clock.pass_time(30)
        assert world.board.instants(stuck.key) == slots(stuck, NOON, 30)
        assert scheduled(world, well) == slots(well, NOON, 30)
        ages = world.board.outcomes[stuck.key][-1].evidence.ages
        assert ages == {Signal.QUEUE: Unknown("not read yet")}


async def test_a_failing_tick_is_counted_and_leaves_its_outcome_to_age(caplog: pytest.LogCaptureFixture) -> None:
    """The loop goes on, the others go on, and the pool comes back by itself when its ticks succeed again."""
    bad, good = spec("bad"), spec("good")
    async with running(bad, good) as world:
        await world.clock.pass_time(10)
        posted = world.board.get(bad.key)
        world.board.refused.add(bad.key)
        with caplog.at_level(logging.CRITICAL):
            await world.clock.pass_time(60)
        assert posted is not None
        assert world.board.get(bad.key) == posted
        assert not world.board.is_fresh(posted, world.clock.now())
        assert world.counts.failures == 12
        assert scheduled(world, good) == slots(good, NOON, 70)
        world.board.refused.clear()
        await world.clock.pass_time(5)
        assert world.board.instants(bad.key)[-1] > NOON + 70


async def test_a_reader_that_breaks_is_an_unknown() -> None:
    """A mistake of ours in a source is told like a failure of the source, and counted; pods are no different."""
    pool = spec(pods=PODS)
    async with running(pool, oracle=Oracle(broken={QUEUE, PODS})) as world:
        await world.clock.pass_time(5)
        outcome = world.board.outcomes[pool.key][-1]
        why = "the reading failed unexpectedly: RuntimeError('a mistake of ours')"
        assert outcome.evidence.ages == {Signal.QUEUE: Unknown(why)}
        assert world.counts.failures > 0


async def test_a_missed_reading_blinds_nobody_until_the_sample_is_stale() -> None:
    """For three scrapes the last number stands and ages; then the pool holds and repeats the source's own sentence."""
    pool = spec(pods=PODS)
    async with running(pool, oracle=Oracle({QUEUE: Known(4, NOON)}, pods_at={PODS: Pods.of([])})) as world:
        await world.clock.pass_time(10)
        world.oracle.samples[QUEUE] = Unknown("Prometheus is away")
        await world.clock.pass_time(40)
        ages = [outcome.evidence.ages[Signal.QUEUE] for outcome in world.board.outcomes[pool.key]]
        numbers = [age for age in ages if isinstance(age, float)]
        assert ages == [*numbers, *[Unknown("Prometheus is away")] * (len(ages) - len(numbers))]
        assert 10 < max(numbers) <= 15
        assert world.told(pool) == [4] * len(ages)


async def test_pods_are_read_a_second_before_the_tick_that_uses_them() -> None:
    """What the decision sees of the pods is fresh and complete."""
    pool = spec(pods=PODS)
    async with running(pool, oracle=Oracle(pods_at={PODS: idle_pods(1)})) as world:
        await world.clock.pass_time(20)
        due = slots(pool, NOON + 1, 19)
        seen = [at + 1 for at in world.oracle.instants(PODS)[1:]]
        assert seen[: len(due)] == pytest.approx(due, abs=1e-6)


async def test_pools_read_a_shared_source_at_the_same_instants() -> None:
    """Sharing a call takes asking at once, whatever the pools' own schedules are."""
    one, two = spec("one"), spec("two")
    async with running(one, two) as world:
        await world.clock.pass_time(10)
        asked = world.oracle.instants(QUEUE)
        assert asked[::2] == asked[1::2]
        assert scheduled(world, one) != scheduled(world, two)


async def test_a_pool_may_ask_to_be_read_more_often() -> None:
    """A scrape interval shorter than ours is followed, or its samples would always look stale."""
    pool = spec(policy=Policy(scrape_interval=0.5))
    async with running(pool) as world:
        await world.clock.pass_time(10)
        assert len(world.oracle.instants(REPLICAS)) == 21


async def test_a_pool_added_while_running_is_ticked() -> None:
    """A pool that KEDA names for the first time needs no restart."""
    pool = spec("late")
    async with running() as world:
        await world.clock.pass_time(10)
        world.registry.put(pool, world.clock.now())
        await settle()
        assert world.board.instants(pool.key) == [NOON + 10]


async def test_a_pool_removed_while_running_leaves_the_board() -> None:
    """Nobody reads or ticks it any more, and its last target is not left lying about."""
    pool = spec(pods=PODS)
    async with running(pool, oracle=Oracle(pods_at={PODS: idle_pods(1)})) as world:
        await world.clock.pass_time(10)
        world.registry.remove(pool.key)
        await settle()
        before = len(world.oracle.asked)
        await world.clock.pass_time(20)
        assert world.board.get(pool.key) is None
        assert len(world.oracle.asked) == before


async def test_a_changed_pool_keeps_its_memory_and_its_schedule() -> None:
    """The next tick follows the new policy from where the old one left the target."""
    pool = spec()
    async with running(pool, oracle=Oracle({QUEUE: Known(30, NOON)})) as world:
        await world.clock.pass_time(60)
        assert world.told(pool)[-1] == 20
        changed = spec(policy=Policy(max_replicas=25))
        world.registry.put(changed, world.clock.now())
        await world.clock.pass_time(20)
        assert world.told(pool)[-1] == 25
        assert scheduled(world, pool) == slots(pool, NOON, 80)
        assert world.board.outcomes[pool.key][-1].memory.born == NOON


async def test_a_changed_pool_is_read_where_it_says_now() -> None:
    """From the change on nobody asks its former sources, and its new ones are asked at once."""
    pool, other = spec(pods=PODS), ActivityEndpoints(urls=("http://c",))
    oracle = Oracle(pods_at={PODS: idle_pods(1), other: idle_pods(2)})
    async with running(pool, oracle=oracle) as world:
        await world.clock.pass_time(10)
        world.registry.put(spec(signals={Signal.QUEUE: query("new")}, pods=other), world.clock.now())
        await settle()
        asked = len(oracle.asked)
        assert {source for source, at in oracle.asked if at == NOON + 10} >= {query("new"), other}
        await world.clock.pass_time(20)
        assert {source for source, _ in oracle.asked[asked:]} == {query("new"), REPLICAS, other}


async def test_a_loop_that_has_ended_reads_and_ticks_no_more() -> None:
    """What it had set for later is taken back: a scaler that stops, or stops leading, decides nothing afterwards."""
    pool = spec(pods=PODS)
    async with running(pool, oracle=Oracle(pods_at={PODS: idle_pods(1)})) as world:
        await world.clock.pass_time(10)
    ticks, asked = len(world.board.instants(pool.key)), len(world.oracle.asked)
    await world.clock.pass_time(20)
    assert (len(world.board.instants(pool.key)), len(world.oracle.asked)) == (ticks, asked)


async def test_a_pool_put_back_at_once_starts_afresh() -> None:
    """Removed and added again before the loop looked: the new pool is ticked, not the ghost of the old one."""
    pool = spec()
    async with running(pool) as world:
        await world.clock.pass_time(10)
        world.registry.remove(pool.key)
        fresh = world.registry.put(pool, world.clock.now())
        await world.clock.pass_time(10)
        assert fresh.memory is world.board.outcomes[pool.key][-1].memory
        assert fresh.memory.born == NOON + 10


def idle_story() -> Iterable[float]:
    """Instants of ticks over four minutes, five seconds apart."""
    return (NOON + 5 * k for k in range(1, 120))


def test_the_ticker_alone_drives_a_pool_in_lockstep() -> None:
    """Who moves time himself gets the same path: decide, remember, publish, and orders to whoever carries them out."""

    class Hands:
        """Takes orders and keeps them."""

        def __init__(self) -> None:
            self.taken: list[Order] = []

        def carry_out(self, key: object, orders: tuple[Order, ...]) -> None:
            """Keep them."""
            self.taken += orders

    hands, board, registry = Hands(), Diary(), Registry()
    ticker, pool = Ticker(board, hands), registry.put(spec(pods=PODS), NOON)
    pool.take_replicas(REPLICAS, Known(3.0, NOON), NOON)
    for now in idle_story():
        seen = (Pod(uid=f"u{i}", created_at=NOON, since=NOON, activity=Activity(inflight=0, at=now)) for i in range(3))
        pool.take_pods(PODS, Pods.of(seen))
        pool.take_signal(Signal.QUEUE, QUEUE, Known(0, now), now)
        pool.take_replicas(REPLICAS, Known(3.0, now), now)
        outcome = ticker.tick(pool, pool.observe(now), now)
        assert pool.memory is outcome.memory
        posted = board.get(pool.spec.key)
        assert posted is not None
        assert posted.outcome is outcome
    assert {order.verb for order in hands.taken} == {Verb.MARK}
