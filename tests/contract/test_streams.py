"""What KEDA is told without asking: ``true`` when a pool wakes and now and then while it is awake, and nothing else."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, aclosing

import pytest

from scaler.config.pool import PoolKey
from scaler.external.client import CallError, Client, Metric, Trigger
from scaler.external.server import Streams
from tests.contract.door import CODER, TRIGGER, Door, at_work, dialled, opened, opened_streams, unheard_of
from tests.core.pool import NOW


async def counted(stream: AsyncGenerator[object]) -> int:
    """How many messages a stream had when it ended with OK."""
    return len([message async for message in stream])


async def test_an_active_pool_is_told_at_once(door: Door) -> None:
    """Row StreamIsActive: a stream that opens, perhaps after a failover, finds out at once."""
    door.board.publish(CODER, at_work(1))
    async with aclosing(door.client.pushes(TRIGGER)) as pushes:
        assert await anext(pushes)


async def test_a_pool_that_wakes_is_told_in_that_moment(door: Door) -> None:
    """Row true: KEDA starts the first replica from the push, without waiting for its next poll."""
    door.board.publish(CODER, at_work(0))
    async with aclosing(door.client.pushes(TRIGGER)) as pushes:
        waiting = asyncio.ensure_future(anext(pushes))
        await opened_streams(door, 1)
        assert not waiting.done()
        door.board.publish(CODER, at_work(2))
        assert await waiting


async def test_only_rising_edges_are_told(door: Door) -> None:
    """Rows true and false: three wakings are three messages, however often the pool was evaluated in between."""
    async with aclosing(door.client.pushes(TRIGGER)) as pushes:
        waiting = asyncio.ensure_future(anext(pushes))
        await opened_streams(door, 1)
        for pods in (1, 2, 3):
            door.board.publish(CODER, at_work(pods))
            assert await waiting
            waiting = asyncio.ensure_future(anext(pushes))
            for outcome in (at_work(pods + 1), at_work(pods + 2), unheard_of(), at_work(0), unheard_of(), at_work(0)):
                door.board.publish(CODER, outcome)
            await door.client.metric(TRIGGER)
        await door.listener.close()
        with pytest.raises(StopAsyncIteration):
            await waiting


async def test_an_active_pool_is_told_again_as_a_slow_heartbeat() -> None:
    """Row true: KEDA drops a push while the object is new, so it is repeated; each costs KEDA a write, so seldom."""
    async with opened(streams=Streams(heartbeat=100.0)) as door:
        door.board.publish(CODER, at_work(1))
        async with aclosing(door.client.pushes(TRIGGER)) as pushes:
            for beat in range(1, 4):
                assert await anext(pushes)
                waiting = asyncio.ensure_future(anext(pushes))
                await door.client.metric(TRIGGER)
                await door.clock.advance_to(NOW + 100 * beat - 1)
                await door.client.metric(TRIGGER)
                assert not waiting.done()
                await door.clock.advance_to(NOW + 100 * beat)
                assert await waiting
                door.board.publish(CODER, at_work(0))
                door.board.publish(CODER, at_work(1))


async def test_the_spec_is_told_at_once_and_stands(door: Door) -> None:
    """Row StreamMetricSpec: the current spec on opening, the same as GetMetricSpec's, and then the stream stays."""
    async with aclosing(door.client.specs(TRIGGER)) as specs:
        assert await anext(specs) == await door.client.metric(TRIGGER) == Metric("agent-replicas", 1.0)
        waiting = asyncio.ensure_future(anext(specs))
        door.board.publish(CODER, at_work(4))
        await door.client.poll(TRIGGER)
        assert not waiting.done()
        await door.listener.close()
        with pytest.raises(StopAsyncIteration):
            await waiting


async def test_every_stream_ends_with_ok_on_shutdown(door: Door) -> None:
    """Row backoff: after OK KEDA comes back in 2 s, after an error in up to 60, so a shutdown is no error."""
    door.board.publish(CODER, at_work(1))
    triggers = [TRIGGER, Trigger("agents", "idle")]
    streams = [kind(trigger) for trigger in triggers for kind in (door.client.pushes, door.client.specs)]
    readers = [asyncio.ensure_future(counted(stream)) for stream in streams]
    await opened_streams(door, 4)
    await door.listener.close()
    assert await asyncio.gather(*readers) == [1, 1, 0, 1]


async def test_a_stream_may_come_before_its_pool(door: Door) -> None:
    """Row reconcile: the streams of a new ScaledObject open before anybody has evaluated it."""
    async with aclosing(door.client.pushes(TRIGGER)) as pushes:
        waiting = asyncio.ensure_future(anext(pushes))
        await opened_streams(door, 1)
        assert [key for key, _ in door.keeper.admitted] == [CODER]
        door.board.publish(CODER, at_work(1))
        assert await waiting


async def test_streams_of_one_pool_are_told_alike(door: Door) -> None:
    """Row generation: an edited object reopens its streams beside the old ones, and nobody is left out."""
    streams = [door.client.pushes(TRIGGER) for _ in range(3)]
    waiting = [asyncio.ensure_future(anext(stream)) for stream in streams]
    await opened_streams(door, 3)
    door.board.publish(CODER, at_work(1))
    assert await asyncio.gather(*waiting) == [True] * 3
    for stream in streams:
        await stream.aclose()


async def test_a_client_that_goes_away_leaves_nothing_behind(door: Door) -> None:
    """Row leader election: a failed-over operator's streams go with it, both when cancelled and when cut off."""
    door.board.publish(CODER, at_work(1))
    async with aclosing(door.client.pushes(TRIGGER)) as pushes, aclosing(door.client.specs(TRIGGER)) as specs:
        await anext(pushes)
        await anext(specs)
        assert door.scaler.open_streams == 2
    await opened_streams(door, 0)


async def test_a_stream_for_what_may_not_be_read_is_refused(door: Door) -> None:
    """Rows metadata and errors: a push trigger gets the same refusal as a poll."""
    for metadata, code in (({"max": "many"}, "INVALID_ARGUMENT"), ({"pool": "others/coder"}, "PERMISSION_DENIED")):
        with pytest.raises(CallError, match=code):
            await anext(door.client.pushes(Trigger(*CODER, metadata)))


async def test_streams_are_bounded() -> None:
    """One stream too many is refused and said so; those that are open stay, and polls are answered."""
    async with opened(streams=Streams(most=2)) as door:
        door.board.publish(CODER, at_work(1))
        async with aclosing(door.client.pushes(TRIGGER)) as pushes, aclosing(door.client.specs(TRIGGER)) as specs:
            await anext(pushes)
            await anext(specs)
            with pytest.raises(CallError, match="RESOURCE_EXHAUSTED: 2 streams are open"):
                await anext(door.client.pushes(TRIGGER))
            assert (await door.client.poll(TRIGGER)).active


async def test_two_thousand_pools_wake_over_five_connections() -> None:
    """Row streams: KEDA's own test, five servers with 500 streams each, turned round: every one of them is told."""
    async with AsyncExitStack() as stack:
        door = await stack.enter_async_context(opened(most_pools=2_000))
        clients = [Client(await stack.enter_async_context(dialled(door.port))) for _ in range(5)]
        keys = [PoolKey("agents", f"pool-{i}") for i in range(2_000)]
        streams = [clients[i % 5].pushes(Trigger(*key)) for i, key in enumerate(keys)]
        waiting = [asyncio.ensure_future(anext(stream)) for stream in streams]
        await opened_streams(door, len(keys))
        for key in keys:
            door.board.publish(key, at_work(1))
        async with asyncio.timeout(60):
            assert await asyncio.gather(*waiting) == [True] * len(keys)
        await asyncio.gather(*(stream.aclose() for stream in streams))
