"""The two servers that ``bench_rpc`` compares: ``python -m benchmarks.rpc_servers door|idle``.

Each listens on a free port of loopback, prints it, and serves until its standard input ends, in a process that is set
up as ``scaler serve`` sets itself up.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final, TypeVar

import grpc
import grpc.aio
from google.protobuf.message import Message

from scaler.cli.interpreter import serve_well
from scaler.config.metadata import TriggerMetadata
from scaler.config.pool import PoolKey, PoolSpec, PrometheusQuery
from scaler.core.memory import Memory
from scaler.core.policy import Policy
from scaler.core.tick import tick
from scaler.core.types import Instant, Known, Observation, Signal, Unknown
from scaler.external import wire
from scaler.external.desk import Desk
from scaler.external.listener import listening
from scaler.external.proto import externalscaler_pb2 as pb
from scaler.external.server import ExternalScaler
from scaler.live.board import Board
from scaler.live.clock import SystemClock

POOLS: Final = 10_000
REPLICAS: Final = 3  # what every pool is told
METADATA: Final = MappingProxyType({"scalerAddress": "scaler.agents:6000", "max": "20", "targetWaitP95": "30s"})

_QUEUE: Final = PrometheusQuery(query="queue", url="http://127.0.0.1:9090")
_HOUR: Final = 3600.0  # the board is filled once, and nothing on it grows stale within the run
Request = TypeVar("Request", bound=Message)


def pool(i: int) -> PoolKey:
    """The i-th pool."""
    return PoolKey(f"team-{i % 50}", f"pool-{i}")


@dataclass
class Keeper:
    """Pools that are all known."""

    specs: dict[PoolKey, PoolSpec] = field(default_factory=dict)

    def find(self, key: PoolKey) -> PoolSpec | None:
        """The pool."""
        return self.specs.get(key)

    def admit(self, key: PoolKey, _: TriggerMetadata) -> PoolSpec:
        """The pool, whose metadata changes nothing here."""
        return self.specs[key]

    def dismiss(self, key: PoolKey) -> None:
        """Forget the pool."""
        del self.specs[key]


def spec(key: PoolKey) -> PoolSpec:
    """A pool measured by its queue."""
    return PoolSpec(
        key=key,
        class_name=None,
        policy=Policy(),
        signals=MappingProxyType({Signal.QUEUE: _QUEUE}),
        pods=None,
        replicas=_QUEUE,
        job_strategy=None,
        schedule=(),
        origin=MappingProxyType({}),
    )


def full_board(now: Instant) -> Board:
    """A board on which every pool has been ticked."""
    board = Board(stale_after=_HOUR)
    for i in range(POOLS):
        signals = {Signal.QUEUE: Known(float(REPLICAS), now)}
        seen = Observation(replicas=Known(0.0, now), pods=Unknown("nobody asks them"), signals=signals)
        board.publish(pool(i), tick(Policy(), Memory.fresh(now), seen, now))
    return board


@asynccontextmanager
async def door() -> AsyncIterator[int]:
    """The external scaler, with every pool on its board."""
    clock = SystemClock()
    keeper = Keeper({pool(i): spec(pool(i)) for i in range(POOLS)})
    scaler = ExternalScaler(full_board(clock.now()), Desk(keeper), clock)
    async with listening(scaler, "127.0.0.1:0") as port:
        yield port


@asynccontextmanager
async def idle() -> AsyncIterator[int]:
    """A server that reads each request and answers a constant."""
    server = grpc.aio.server()
    handler = grpc.method_handlers_generic_handler(
        wire.SERVICE,
        {
            "GetMetricSpec": _constant(wire.SPEC, pb.ScaledObjectRef),
            "GetMetrics": _constant(wire.metrics(wire.METRIC, REPLICAS), pb.GetMetricsRequest),
            "IsActive": _constant(wire.ACTIVE, pb.ScaledObjectRef),
        },
    )
    server.add_generic_rpc_handlers((handler,))
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    yield port
    await server.stop(None)


def _constant(answer: Message, request: type[Request]) -> grpc.RpcMethodHandler[Request, Message]:
    async def rpc(_: Request, __: grpc.aio.ServicerContext[Request, Message]) -> Message:
        return answer

    return grpc.unary_unary_rpc_method_handler(rpc, request.FromString, type(answer).SerializeToString)


async def main(name: str) -> None:
    """Serve until standard input ends."""
    async with (door if name == "door" else idle)() as port:
        print(port, flush=True)
        await asyncio.to_thread(sys.stdin.read)


if __name__ == "__main__":
    serve_well(main(sys.argv[1]))
