"""The external scaler behind a real socket, with a board and a clock that the test moves, and clients of it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import TypeVar

import grpc
import grpc.aio
from google.protobuf.message import Message

from scaler.config.metadata import TriggerMetadata
from scaler.config.pool import JobStrategy, PoolKey, PoolSpec
from scaler.config.problems import ConfigError, Problem
from scaler.core.policy import Policy
from scaler.core.tick import tick
from scaler.core.types import Instant, Outcome, Unknown
from scaler.external.client import Client, Trigger
from scaler.external.desk import Desk
from scaler.external.listener import Listener
from scaler.external.proto import externalscaler_pb2 as pb
from scaler.external.server import ExternalScaler, Streams
from scaler.external.warm import NoWarmPools, WarmPools
from scaler.external.wire import SERVICE
from scaler.live.board import Board
from scaler.live.clock import VirtualClock
from tests.core.pool import NOW, busy, observe, seasoned
from tests.support.pools import spec

CODER = PoolKey("agents", "coder")
TRIGGER = Trigger(*CODER)
Answer = TypeVar("Answer", bound=Message)
WIDE = Policy(max_replicas=10_000)


def at_work(pods: int, at: Instant = NOW) -> Outcome:
    """What a tick says of a pool of so many pods, each of which runs a task; none means that there is no work."""
    return tick(WIDE, seasoned(pods, at), observe([busy(f"pod-{i}") for i in range(pods)], at=at), at)


def unheard_of(at: Instant = NOW) -> Outcome:
    """What a tick says of a pool of which nothing can be learnt, not even how many replicas it has."""
    return tick(WIDE, seasoned(None, at), observe(Unknown("the pods cannot be listed"), at=at), at)


@dataclass
class Keeper:
    """Keeps pools as the service does: those of its configuration, and those it is handed.

    Attributes:
        configured: pools that are known without having been asked for, and their job strategy.
        refused: pools whose metadata contradicts the configuration.
        admitted, dismissed: what it was told, in order.
    """

    configured: dict[PoolKey, JobStrategy | None] = field(default_factory=dict)
    refused: set[PoolKey] = field(default_factory=set)
    admitted: list[tuple[PoolKey, TriggerMetadata]] = field(default_factory=list)
    dismissed: list[PoolKey] = field(default_factory=list)
    _specs: dict[PoolKey, PoolSpec] = field(default_factory=dict)

    def find(self, key: PoolKey) -> PoolSpec | None:
        """The pool, if it is configured or was handed over."""
        if key in self.configured:
            return replace(spec(), key=key, job_strategy=self.configured[key])
        return self._specs.get(key)

    def admit(self, key: PoolKey, metadata: TriggerMetadata) -> PoolSpec:
        """Take the pool, unless it is among the refused."""
        if key in self.refused:
            problem = Problem(path="class", value="'gpu'", allowed="must be an existing class", way_out="choose one")
            raise ConfigError([problem])
        self.admitted.append((key, metadata))
        strategy = metadata.scaled_job_strategy or self.configured.get(key)
        self._specs[key] = replace(spec(), key=key, job_strategy=strategy)
        return self._specs[key]

    def dismiss(self, key: PoolKey) -> None:
        """Drop the pool."""
        self.dismissed.append(key)
        del self._specs[key]


@dataclass(frozen=True)
class Door:
    """An external scaler that is open, and a client on one channel."""

    clock: VirtualClock
    board: Board
    keeper: Keeper
    scaler: ExternalScaler
    listener: Listener
    port: int
    channel: grpc.aio.Channel
    client: Client

    async def ask(self, rpc: str, request: Message, answer: type[Answer]) -> Answer:
        """A unary call with the message itself, without the deadline that KEDA does not set either."""
        call: grpc.aio.UnaryUnaryMultiCallable[Message, Answer] = self.channel.unary_unary(
            f"/{SERVICE}/{rpc}", type(request).SerializeToString, answer.FromString
        )
        return await call(request)

    async def metrics(self, trigger: Trigger = TRIGGER, name: str = "agent-replicas") -> pb.GetMetricsResponse:
        """GetMetrics, with both fields."""
        request = pb.GetMetricsRequest(scaledObjectRef=trigger.ref(), metricName=name)
        return await self.ask("GetMetrics", request, pb.GetMetricsResponse)

    async def refusal(self, rpc: str, trigger: Trigger = TRIGGER) -> tuple[str, str]:
        """The status and the message of a call that must fail."""
        request = trigger.ref()
        wrapped = pb.GetMetricsRequest(scaledObjectRef=request, metricName="agent-replicas")
        try:
            answer = await self.ask(rpc, wrapped if rpc == "GetMetrics" else request, pb.GetMetricsResponse)
        except grpc.aio.AioRpcError as error:
            return error.code().name, error.details() or ""
        raise AssertionError(f"{rpc} answered {answer}")


@asynccontextmanager
async def opened(
    keeper: Keeper | None = None,
    *,
    most_pools: int = 100,
    share: int = 10_000,
    streams: Streams | None = None,
    warm: WarmPools | None = None,
) -> AsyncIterator[Door]:
    """Open a door on a free port of loopback at ``NOW``, with an empty board."""
    clock, board, keeper = VirtualClock(NOW), Board(), keeper or Keeper()
    desk = Desk(keeper, most_pools=most_pools, share=lambda: share)
    scaler = ExternalScaler(board, desk, clock, streams=streams or Streams(), warm=warm or NoWarmPools())
    listener = Listener(scaler)
    port = await listener.open("127.0.0.1:0")
    try:
        async with dialled(port) as channel:
            yield Door(clock, board, keeper, scaler, listener, port, channel, Client(channel))
    finally:
        await listener.close(grace=1.0)


@asynccontextmanager
async def dialled(port: int) -> AsyncIterator[grpc.aio.Channel]:
    """A channel of its own connection, as another operator's."""
    options = (("grpc.use_local_subchannel_pool", 1), ("grpc.enable_http_proxy", 0))
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}", options=options) as channel:
        yield channel


async def opened_streams(door: Door, count: int) -> None:
    """Until so many streams are open, as the server sees it; each question lets it get on."""
    async with asyncio.timeout(60):
        while door.scaler.open_streams != count:
            await door.client.metric(TRIGGER)
