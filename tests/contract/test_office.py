"""Of several replicas one answers: what the others say, and what KEDA's connection and streams see of a change."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass

import grpc
import pytest
from grpc_health.v1 import health_pb2

from scaler.external.client import CallError, Client, Metric
from scaler.external.desk import Desk
from scaler.external.reception import Reception, receiving
from scaler.external.server import ExternalScaler
from scaler.external.wire import SERVICE
from scaler.live.board import Board
from scaler.live.clock import VirtualClock
from scaler.live.office import Term
from tests.contract.door import CODER, TRIGGER, Keeper, at_work, dialled
from tests.core.pool import NOW
from tests.support.office import FIRST, Chair

SERVING, NOT_SERVING = health_pb2.HealthCheckResponse.SERVING, health_pb2.HealthCheckResponse.NOT_SERVING


@dataclass
class Replica:
    """One of several, with a pool that works on its board, and a client on one channel."""

    chair: Chair
    board: Board
    channel: grpc.aio.Channel
    client: Client

    async def until(self, there: Callable[[], Awaitable[bool]]) -> None:
        """Ask until it is so; each question is a call, so the server gets on."""
        async with asyncio.timeout(30):
            while not await there():  # noqa: ASYNC110 (what changes is on the other side of a socket)
                await asyncio.sleep(0.01)

    async def answers(self) -> bool:
        """Whether a poll gets a value."""
        try:
            return (await self.client.poll(TRIGGER)).value == 2.0
        except CallError as error:
            if error.code != "UNAVAILABLE":
                raise
            return False

    async def health(self, service: str) -> int:
        """What the health service says of a service."""
        call: grpc.aio.UnaryUnaryMultiCallable[health_pb2.HealthCheckRequest, health_pb2.HealthCheckResponse]
        call = self.channel.unary_unary(
            "/grpc.health.v1.Health/Check",
            health_pb2.HealthCheckRequest.SerializeToString,
            health_pb2.HealthCheckResponse.FromString,
        )
        return int((await call(health_pb2.HealthCheckRequest(service=service))).status)


@asynccontextmanager
async def replica(term: Term | None) -> AsyncIterator[Replica]:
    """A replica that begins in this term."""
    board, chair = Board(), Chair(term)
    board.publish(CODER, at_work(2))
    scaler = ExternalScaler(board, Desk(Keeper()), VirtualClock(NOW), office=chair)
    reception = Reception(scaler, chair, grace=1.0)
    async with receiving(reception, "127.0.0.1:0") as port, dialled(port) as channel:
        following = asyncio.create_task(reception.follow())
        try:
            yield Replica(chair, board, channel, Client(channel))
        finally:
            following.cancel()
            await asyncio.wait([following])


async def test_a_replica_that_stands_by_says_who_leads() -> None:
    """A Service that selects it by mistake shows in KEDA's own error; the metric's specification is static."""
    async with replica(None) as standby:
        assert await standby.client.metric(TRIGGER) == Metric("agent-replicas", 1.0)
        for ask in (standby.client.value(TRIGGER, "agent-replicas"), standby.client.is_active(TRIGGER)):
            with pytest.raises(CallError, match="UNAVAILABLE: this replica stands by, and other-pod_1 leads"):
                await ask
        standby.chair.other = ""
        with pytest.raises(CallError, match="and none is known to lead; the address must be that of the leader's"):
            await standby.client.is_active(TRIGGER)


async def test_streams_at_a_replica_that_stands_by_end_with_ok() -> None:
    """After OK KEDA comes back in 2 s, by then perhaps to the leader; and none of them says that a pool is active."""
    async with replica(None) as standby:
        assert [push async for push in standby.client.pushes(TRIGGER)] == []
        assert [spec async for spec in standby.client.specs(TRIGGER)] == [Metric("agent-replicas", 1.0)]


async def test_a_replica_that_stands_by_is_well_and_does_not_serve() -> None:
    """Ready, for a rollout waits for it; and a probe of the service itself tells the two roles apart."""
    async with replica(None) as standby:
        assert (await standby.health(""), await standby.health(SERVICE)) == (SERVING, NOT_SERVING)
        standby.chair.give(FIRST)
        await standby.until(standby.answers)
        assert (await standby.health(""), await standby.health(SERVICE)) == (SERVING, SERVING)


async def test_a_term_that_ends_ends_streams_with_ok_and_sends_clients_away() -> None:
    """KEDA's connection is told to go, so it asks the Service again instead of staying with who leads no more."""
    async with replica(FIRST) as leader:
        async with aclosing(leader.client.pushes(TRIGGER)) as pushes, aclosing(leader.client.specs(TRIGGER)) as specs:
            assert (await anext(pushes), await anext(specs)) == (True, Metric("agent-replicas", 1.0))
            before = leader.channel.get_state(try_to_connect=False)
            leader.chair.give(None)
            assert ([push async for push in pushes], [spec async for spec in specs]) == ([], [])
        assert before is grpc.ChannelConnectivity.READY
        async with asyncio.timeout(30):
            await leader.channel.wait_for_state_change(grpc.ChannelConnectivity.READY)
        assert not await leader.answers()


async def test_a_client_is_not_left_with_a_replica_that_stands_by() -> None:
    """Although it calls all the time: after a second it is told to go, and would reach another by the Service."""
    async with replica(None) as standby:
        await standby.client.metric(TRIGGER)
        # Watched, not looked at now and then: the next call connects again, sooner than one may look.
        leaving = asyncio.ensure_future(standby.channel.wait_for_state_change(grpc.ChannelConnectivity.READY))

        async def sent_away() -> bool:
            """The connection is gone, though nobody closed it here."""
            await standby.client.metric(TRIGGER)
            return leaving.done()

        await standby.until(sent_away)
        await leaving


async def test_terms_come_and_go_on_one_port() -> None:
    """Whoever is given the office answers on the port that the Service knows, again and again."""
    async with replica(None) as one:
        for epoch in (1, 2, 3):
            one.chair.give(Term("this", epoch))
            await one.until(one.answers)
            async with aclosing(one.client.pushes(TRIGGER)) as pushes:
                assert await anext(pushes)
                one.chair.give(None)
                assert [push async for push in pushes] == []
            assert not await one.answers()


async def test_one_that_was_frozen_beyond_its_term_answers_nobody() -> None:
    """Before any timer of its own has run: the clock is asked for each answer, and for each word on a stream."""
    async with replica(FIRST) as frozen, aclosing(frozen.client.pushes(TRIGGER)) as pushes:
        assert await anext(pushes)
        frozen.chair.lapse()
        with pytest.raises(CallError, match="UNAVAILABLE: this replica stands by"):
            await frozen.client.value(TRIGGER, "agent-replicas")
        frozen.board.publish(CODER, at_work(0))
        frozen.board.publish(CODER, at_work(2))
        assert [push async for push in pushes] == []
