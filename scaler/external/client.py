"""A client that asks an external scaler as KEDA's operator does.

One channel for all triggers. A poll asks GetMetricSpec, then GetMetrics for that metric, then IsActive, and once more
from the start when one of them fails. A value is the float where that is above zero, and the integer otherwise. Unlike
KEDA, which would wait for ever, every unary call has a deadline.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TypeAlias, TypeVar

import grpc
import grpc.aio
from google.protobuf.message import Message

from scaler.core.types import Seconds
from scaler.external.proto import externalscaler_pb2 as pb
from scaler.external.wire import SERVICE

DEADLINE: Seconds = 10.0

Request = TypeVar("Request", bound=Message)
Response = TypeVar("Response", bound=Message)
Told = TypeVar("Told")
Unary: TypeAlias = "grpc.aio.UnaryUnaryMultiCallable[Request, Response]"
Stream: TypeAlias = "grpc.aio.UnaryStreamMultiCallable[Request, Response]"

_OPTIONS = (("grpc.enable_http_proxy", 0),)  # a scaler is reached directly, whatever the environment says of proxies


@dataclass(frozen=True, slots=True)
class Trigger:
    """A trigger of the ScaledObject or ScaledJob ``name``, with its whole metadata."""

    namespace: str
    name: str
    metadata: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))

    def ref(self) -> pb.ScaledObjectRef:
        """The reference that KEDA sends."""
        return pb.ScaledObjectRef(namespace=self.namespace, name=self.name, scalerMetadata=self.metadata)


@dataclass(frozen=True, slots=True)
class Metric:
    """A metric, and how much of it one replica should carry."""

    name: str
    target: float


@dataclass(frozen=True, slots=True)
class Poll:
    """What one poll learnt."""

    metric: Metric
    value: float
    active: bool


class CallError(Exception):
    """A call that did not end with OK: which RPC, the status' name, and what the scaler said."""

    def __init__(self, rpc: str, code: str, why: str) -> None:
        super().__init__(f"{rpc} answered {code}: {why}")
        self.rpc, self.code, self.why = rpc, code, why


class Client:
    """Asks one scaler, over a channel that the caller closes. Every method raises ``CallError``."""

    def __init__(self, channel: grpc.aio.Channel, *, deadline: Seconds = DEADLINE) -> None:
        self._deadline = deadline
        self._spec = _unary(channel, "GetMetricSpec", pb.ScaledObjectRef, pb.GetMetricSpecResponse)
        self._value = _unary(channel, "GetMetrics", pb.GetMetricsRequest, pb.GetMetricsResponse)
        self._activity = _unary(channel, "IsActive", pb.ScaledObjectRef, pb.IsActiveResponse)
        self._pushes = _stream(channel, "StreamIsActive", pb.ScaledObjectRef, pb.IsActiveResponse)
        self._specs = _stream(channel, "StreamMetricSpec", pb.ScaledObjectRef, pb.GetMetricSpecResponse)

    async def poll(self, trigger: Trigger) -> Poll:
        """One poll, with KEDA's one retry."""
        try:
            return await self._poll(trigger)
        except CallError:
            return await self._poll(trigger)

    async def metric(self, trigger: Trigger) -> Metric:
        """GetMetricSpec: the first metric, which is the only one."""
        return _metric(await self._ask("GetMetricSpec", self._spec, trigger.ref()))

    async def value(self, trigger: Trigger, name: str) -> float:
        """GetMetrics: the first value, which is the only one."""
        request = pb.GetMetricsRequest(scaledObjectRef=trigger.ref(), metricName=name)
        told = (await self._ask("GetMetrics", self._value, request)).metricValues
        if not told:
            raise CallError("GetMetrics", "OK", "no value")
        return _either(told[0].metricValueFloat, told[0].metricValue)

    async def is_active(self, trigger: Trigger) -> bool:
        """IsActive."""
        return (await self._ask("IsActive", self._activity, trigger.ref())).result

    def pushes(self, trigger: Trigger) -> AsyncGenerator[bool]:
        """StreamIsActive, until it ends with OK. Closing the generator cancels the stream."""
        return _told("StreamIsActive", self._pushes(trigger.ref()), lambda message: message.result)

    def specs(self, trigger: Trigger) -> AsyncGenerator[Metric]:
        """StreamMetricSpec, until it ends with OK. Closing the generator cancels the stream."""
        return _told("StreamMetricSpec", self._specs(trigger.ref()), _metric)

    async def _poll(self, trigger: Trigger) -> Poll:
        metric = await self.metric(trigger)
        value = await self.value(trigger, metric.name)
        return Poll(metric, value, await self.is_active(trigger))

    async def _ask(self, rpc: str, call: Unary[Request, Response], request: Request) -> Response:
        try:
            return await call(request, timeout=self._deadline)
        except grpc.aio.AioRpcError as error:
            raise _failed(rpc, error) from None


@asynccontextmanager
async def connected(
    address: str, *, credentials: grpc.ChannelCredentials | None = None, deadline: Seconds = DEADLINE
) -> AsyncIterator[Client]:
    """A client of the scaler at ``host:port``, in plaintext where there are no credentials (see ``authentication``)."""
    async with _channel(address, credentials) as channel:
        yield Client(channel, deadline=deadline)


def _channel(address: str, credentials: grpc.ChannelCredentials | None) -> grpc.aio.Channel:
    if credentials is None:
        return grpc.aio.insecure_channel(address, options=_OPTIONS)
    return grpc.aio.secure_channel(address, credentials, options=_OPTIONS)


def _unary(
    channel: grpc.aio.Channel, rpc: str, request: type[Request], response: type[Response]
) -> Unary[Request, Response]:
    return channel.unary_unary(f"/{SERVICE}/{rpc}", request.SerializeToString, response.FromString)


def _stream(
    channel: grpc.aio.Channel, rpc: str, request: type[Request], response: type[Response]
) -> Stream[Request, Response]:
    return channel.unary_stream(f"/{SERVICE}/{rpc}", request.SerializeToString, response.FromString)


async def _told(
    rpc: str, call: grpc.aio.UnaryStreamCall[Request, Response], read: Callable[[Response], Told]
) -> AsyncGenerator[Told]:
    """What the messages of a stream say."""
    try:
        async for message in call:
            yield read(message)
    except grpc.aio.AioRpcError as error:
        raise _failed(rpc, error) from None
    finally:
        call.cancel()


def _metric(message: pb.GetMetricSpecResponse) -> Metric:
    if not message.metricSpecs:
        raise CallError("GetMetricSpec", "OK", "no metric")
    spec = message.metricSpecs[0]
    return Metric(spec.metricName, _either(spec.targetSizeFloat, spec.targetSize))


def _either(floating: float, whole: int) -> float:
    """The field that KEDA reads."""
    return floating if floating > 0 else whole


def _failed(rpc: str, error: grpc.aio.AioRpcError) -> CallError:
    return CallError(rpc, error.code().name, error.details() or "")
