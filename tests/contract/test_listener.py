"""The socket: what stands beside the protocol on it, and how it opens and closes."""

from __future__ import annotations

import asyncio

import grpc.aio
import pytest
from google.protobuf.descriptor_pb2 import FileDescriptorProto
from grpc_health.v1 import health_pb2
from grpc_reflection.v1alpha import reflection_pb2

from scaler.external.client import CallError, connected
from scaler.external.desk import Desk
from scaler.external.listener import Listener, ListenError, listening
from scaler.external.reception import Reception, receiving
from scaler.external.server import ExternalScaler
from scaler.external.wire import SERVICE
from scaler.live.board import Board
from scaler.live.clock import SystemClock
from scaler.live.office import ALONE
from tests.contract.door import CODER, TRIGGER, Door, Keeper, at_work, dialled
from tests.support.wait import eventually

SERVING, NOT_SERVING = health_pb2.HealthCheckResponse.SERVING, health_pb2.HealthCheckResponse.NOT_SERVING


async def health(door: Door, service: str) -> int:
    """What the health service says of a service."""
    return await health_at(door.channel, service)


async def health_at(channel: grpc.aio.Channel, service: str) -> int:
    """What the health service at the other end says of a service."""
    call: grpc.aio.UnaryUnaryMultiCallable[health_pb2.HealthCheckRequest, health_pb2.HealthCheckResponse]
    call = channel.unary_unary(
        "/grpc.health.v1.Health/Check",
        health_pb2.HealthCheckRequest.SerializeToString,
        health_pb2.HealthCheckResponse.FromString,
    )
    return int((await call(health_pb2.HealthCheckRequest(service=service))).status)


@pytest.mark.parametrize("service", ["", SERVICE])
async def test_health_is_told_for_each_service(door: Door, service: str) -> None:
    """A probe hears SERVING."""
    assert await health(door, service) == SERVING


async def test_health_follows_readiness() -> None:
    """Before every pool is evaluated a probe of the scaler hears that calls find nothing here; the process lives."""
    ready, clock, board = [False], SystemClock(), Board()
    scaler = ExternalScaler(board, Desk(Keeper()), clock)
    reception = Reception(scaler, ALONE, ready=lambda: ready[0])
    async with receiving(reception, "127.0.0.1:0") as port, dialled(port) as channel:
        heeding = asyncio.create_task(reception.heed(clock))
        assert (await health_at(channel, ""), await health_at(channel, SERVICE)) == (SERVING, NOT_SERVING)
        ready[0] = True

        async def serves() -> bool | None:
            """The service is said to serve."""
            return True if await health_at(channel, SERVICE) == SERVING else None

        await eventually(serves)
        heeding.cancel()
        await asyncio.wait([heeding])


async def test_health_of_an_unknown_service_is_not_found(door: Door) -> None:
    """A probe with a slip in its name fails instead of passing for ever."""
    with pytest.raises(grpc.aio.AioRpcError, match="NOT_FOUND"):
        await health(door, "externalscaler.ExternalScalar")


async def test_reflection_shows_the_protocol(door: Door) -> None:
    """A person with grpcurl needs no proto file: the services are listed, and all five RPCs described."""
    requests = [
        reflection_pb2.ServerReflectionRequest(list_services=""),
        reflection_pb2.ServerReflectionRequest(file_containing_symbol=SERVICE),
    ]
    call: grpc.aio.StreamStreamMultiCallable[
        reflection_pb2.ServerReflectionRequest, reflection_pb2.ServerReflectionResponse
    ] = door.channel.stream_stream(
        "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo",
        reflection_pb2.ServerReflectionRequest.SerializeToString,
        reflection_pb2.ServerReflectionResponse.FromString,
    )
    listed, described = [answer async for answer in call(iter(requests))]
    names = {service.name for service in listed.list_services_response.service}
    assert names == {SERVICE, "grpc.health.v1.Health", "grpc.reflection.v1alpha.ServerReflection"}
    [file] = described.file_descriptor_response.file_descriptor_proto
    [service] = FileDescriptorProto.FromString(file).service
    assert len(service.method) == 5


async def test_a_port_has_one_server(door: Door) -> None:
    """A second scaler on the same port would silently get half of the calls; it gets an error that names the port."""
    with pytest.raises(ListenError, match=f"cannot listen on 127.0.0.1:{door.port}"):
        await Listener(_scaler()).open(f"127.0.0.1:{door.port}")


async def test_it_closes_although_somebody_hangs_on(door: Door) -> None:
    """Whoever watches health for ever is cut off after the grace; nobody else waits for him."""
    call: grpc.aio.UnaryStreamMultiCallable[health_pb2.HealthCheckRequest, health_pb2.HealthCheckResponse]
    call = door.channel.unary_stream(
        "/grpc.health.v1.Health/Watch",
        health_pb2.HealthCheckRequest.SerializeToString,
        health_pb2.HealthCheckResponse.FromString,
    )
    watch = aiter(call(health_pb2.HealthCheckRequest(service=SERVICE)))
    seen = [(await anext(watch)).status]
    async with asyncio.timeout(30):
        await door.listener.close(grace=0.1)
    seen.append((await anext(watch)).status)
    assert seen == [SERVING, NOT_SERVING]


async def test_nobody_is_answered_after_closing(door: Door) -> None:
    """KEDA sees a refused connection, holds, and finds the next leader."""
    door.board.publish(CODER, at_work(1))
    await door.client.poll(TRIGGER)
    await door.listener.close()
    with pytest.raises(CallError, match="UNAVAILABLE"):
        await door.client.poll(TRIGGER)


async def test_it_listens_for_as_long_as_the_block() -> None:
    """The composition root needs no more than this: open it, use it, leave it."""
    async with listening(_scaler(), "127.0.0.1:0") as port, connected(f"127.0.0.1:{port}") as client:
        assert (await client.metric(TRIGGER)).target == 1.0


def _scaler() -> ExternalScaler:
    return ExternalScaler(Board(), Desk(Keeper()), SystemClock())
