"""Ten traps that external scalers have fallen into, each with the test that keeps this one out of it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, aclosing, asynccontextmanager, suppress

import pytest

from scaler.config.pool import PoolKey, PoolSpec
from scaler.core.pods import Pods
from scaler.core.policy import Policy
from scaler.core.types import Known, Signal
from scaler.external.client import Trigger, connected
from scaler.external.desk import Desk
from scaler.external.listener import listening
from scaler.external.proto import externalscaler_pb2 as pb
from scaler.external.server import ExternalScaler
from scaler.live.board import Board
from scaler.live.loop import Loop
from scaler.live.registry import Registry
from scaler.live.ticker import Ticker
from tests.contract.door import CODER, TRIGGER, Door, Keeper, at_work, opened
from tests.core.pool import NOW, Story, busy, idle
from tests.support.pools import PODS, QUEUE, REPLICAS, Oracle, Wall, spec


def exact_hpa(report: float, target: float, current: int) -> int:
    """The HPA's arithmetic for an average value with its tolerance at zero: milli-units, rounded up."""
    usage, per_pod = round(report * 1000), round(target * 1000)
    return current if usage == per_pod * current else -(-usage // per_pod)


async def test_trap_1_the_number_told_is_the_number_that_lands(door: Door) -> None:
    """Believing that N told is N landed: with whole numbers, a target of 1 and no tolerance it is, from anywhere."""
    for pods in (0, 1, 2, 9, 10, 11, 21, 45, 99, 100):
        door.board.publish(CODER, at_work(pods))
        poll = await door.client.poll(TRIGGER)
        landed = {exact_hpa(poll.value, poll.metric.target, current) for current in range(1, 120)}
        assert landed == {pods}


async def test_trap_2_two_thousand_streams_leave_room_for_a_poll() -> None:
    """A thread for each stream: two per trigger fill a pool of threads, and the next poll waits for ever."""
    async with opened(Keeper(configured={CODER: None}), most_pools=1_000) as door:
        door.board.publish(CODER, at_work(3))
        triggers = [Trigger("agents", f"pool-{i}") for i in range(1_000)]
        specs = [door.client.specs(trigger) for trigger in triggers]
        pushes = [door.client.pushes(trigger) for trigger in triggers]
        waiting = [asyncio.ensure_future(anext(stream)) for stream in pushes]
        async with asyncio.timeout(60):
            await asyncio.gather(*(anext(stream) for stream in specs))
            while door.scaler.open_streams < 2_000:
                await door.client.metric(TRIGGER)
            for _ in range(20):
                assert (await door.client.poll(TRIGGER)).value == 3.0
        assert not any(push.done() for push in waiting)
        await door.listener.close()
        assert all(isinstance(e, StopAsyncIteration) for e in await asyncio.gather(*waiting, return_exceptions=True))
        await asyncio.gather(*(stream.aclose() for stream in specs))


@asynccontextmanager
async def living(oracle: Oracle, pool: PoolSpec) -> AsyncIterator[tuple[Wall, Trigger, int]]:
    """The real loop over a pool whose sources do as the oracle says, behind a door; clock, trigger and port."""
    clock, board, registry = Wall(), Board(), Registry()
    registry.put(pool, clock.now())
    scaler = ExternalScaler(board, Desk(Keeper(configured={pool.key: None})), clock)
    async with AsyncExitStack() as stack:
        loop = asyncio.create_task(Loop(registry, oracle, Ticker(board), clock).run())
        port = await stack.enter_async_context(listening(scaler, "127.0.0.1:0"))
        try:
            yield clock, Trigger(*pool.key), port
        finally:
            loop.cancel()
            with suppress(asyncio.CancelledError):
                await loop


@pytest.mark.parametrize("hung", [True, False], ids=["hung", "broken"])
async def test_trap_3_no_source_delays_an_answer(*, hung: bool) -> None:
    """Asking upstream inside the call: here every source hangs or fails for ten minutes, and polls are answered."""
    oracle, pool = Oracle(), spec(signals={Signal.QUEUE: QUEUE}, pods=PODS)
    oracle.samples[REPLICAS], oracle.pods_at[PODS] = Known(2.0, NOW), Pods.of([busy("a"), busy("b")])
    async with living(oracle, pool) as (clock, trigger, port), connected(f"127.0.0.1:{port}", deadline=10.0) as client:
        await clock.pass_time(30)
        assert await client.is_active(trigger)
        (oracle.hung if hung else oracle.broken).update({QUEUE, REPLICAS, PODS})
        for _ in range(2):
            await clock.pass_time(300)
            assert (await client.metric(trigger)).target == 1.0
            assert (await client.value(trigger, "agent-replicas")) >= 2.0
            assert await client.is_active(trigger)


async def test_trap_4_the_spec_and_the_activity_never_fail(door: Door) -> None:
    """Leaning on KEDA's ``fallback``, which does not fire where GetMetricSpec fails: only GetMetrics ever does."""
    door.board.publish(CODER, at_work(3))
    await door.clock.advance_to(NOW + 86_400)
    assert (await door.client.metric(TRIGGER)).target == 1.0
    assert await door.client.is_active(TRIGGER)
    assert (await door.refusal("GetMetrics"))[0] == "UNAVAILABLE"


async def test_trap_5_a_stream_says_true_or_ends_with_ok(door: Door) -> None:
    """Pushing ``false``, floods of ``true``, or an error at shutdown: fifty ticks without an edge push nothing."""
    door.board.publish(CODER, at_work(1))
    async with aclosing(door.client.pushes(TRIGGER)) as pushes:
        told = [await anext(pushes)]
        for pods in range(1, 50):
            door.board.publish(CODER, at_work(pods))
        door.board.publish(CODER, at_work(0))
        await door.client.metric(TRIGGER)
        await door.listener.close()
        told += [message async for message in pushes]
    assert told == [True]


async def test_trap_6_one_metric_with_one_value(door: Door) -> None:
    """Several values are added up, several specs overwrite each other, and a name becomes part of a URL."""
    door.board.publish(CODER, at_work(3))
    specs = (await door.ask("GetMetricSpec", TRIGGER.ref(), pb.GetMetricSpecResponse)).metricSpecs
    values = (await door.metrics()).metricValues
    assert [spec.metricName for spec in specs] == [value.metricName for value in values]
    assert set(specs[0].metricName) <= set("abcdefghijklmnopqrstuvwxyz0123456789-")
    assert len(specs) == 1


async def test_trap_7_replicas_with_one_outcome_answer_alike() -> None:
    """Behind a headless Service the calls of one poll reach different replicas, which share nothing but the outcome."""
    async with opened() as first, opened() as second:
        for at, pods in ((NOW, 4), (NOW + 15, 0), (NOW + 30, 7)):
            outcome = at_work(pods, at)
            for door in (first, second):
                await door.clock.advance_to(at)
                door.board.publish(CODER, outcome)
            for one, other in ((first, second), (second, first)):
                value = await one.client.value(TRIGGER, (await other.client.metric(TRIGGER)).name)
                assert (value, await other.client.is_active(TRIGGER)) == (pods, pods > 0)


async def test_trap_8_zero_is_zero_in_both_fields(door: Door) -> None:
    """A float of zero makes KEDA read the integer: both are told, both are whole, and none is ever below zero."""
    for pods in (0, 1, 10_000):
        door.board.publish(CODER, at_work(pods))
        [value] = (await door.metrics()).metricValues
        assert (value.metricValue, value.metricValueFloat) == (pods, float(pods))


async def test_trap_9_active_until_the_last_pod_is_drained(door: Door) -> None:
    """KEDA goes from N to 0 in one step past the HPA: so while one pod is not drained the answer is active and N."""
    story = Story.of(Policy(), busy("works"), idle("waits"))
    seen: list[tuple[float, bool]] = []
    for _ in range(240):
        if len(seen) == 120:
            story.runs("works", 0)
        before = set(story.pods)
        door.board.publish(CODER, story.tick())
        await door.clock.advance_to(story.now)
        poll = await door.client.poll(TRIGGER)
        assert poll.active or "works" not in before or len(seen) > 120
        assert poll.active == (poll.value > 0)
        seen.append((poll.value, poll.active))
    assert (2.0, True) in seen[:120]
    assert seen[119] == (1.0, True)
    assert seen[-1] == (0.0, False)


async def test_trap_10_metadata_opens_no_other_tenants_pool(door: Door) -> None:
    """Trusting metadata: any namespace may write it, so neither a name nor an alias reaches across namespaces."""
    door.board.publish(CODER, at_work(3))
    for name in ("agents/coder", "/coder", "others/../agents/coder"):
        for trigger in (Trigger("others", "x", {"pool": name}), Trigger("others", name)):
            assert (await door.refusal("GetMetrics", trigger))[0] == "PERMISSION_DENIED"
    assert (await door.refusal("GetMetrics", Trigger("", "coder")))[0] == "INVALID_ARGUMENT"
    assert (await door.refusal("GetMetrics", Trigger("others", "coder")))[0] == "UNAVAILABLE"
    assert [key for key, _ in door.keeper.admitted] == [PoolKey("others", "coder")]
