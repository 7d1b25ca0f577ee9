"""The external scaler as KEDA calls it: five RPCs, answered from the board in memory.

The unary RPCs are plain functions, so nothing in them can wait: KEDA sets no deadline, and five calls that hang stop
all its reconciling. GetMetricSpec cannot fail, because where it does KEDA's ``fallback`` never fires and its reconciler
stalls. GetMetrics answers an error where the target is not known now, which makes the HPA hold; never a zero. IsActive
answers from the outcome that the GetMetrics of the same poll answered from, and otherwise by what was last known.

Streams say ``true`` and nothing else: KEDA ignores ``false``, and each ``true`` costs it a write. They end with OK on
shutdown, after which KEDA comes back in 2 s instead of up to 60.

Of several replicas one answers, which is looked up by the clock for each answer: what comes to another, or to one that
was frozen until its term was over, gets UNAVAILABLE, or the end of its stream with OK.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from functools import partial
from typing import TypeAlias, TypeVar

import grpc
import grpc.aio
from google.protobuf.message import DecodeError, Message

from scaler.config.pool import PoolKey
from scaler.core.types import Instant, Seconds, Unknown
from scaler.external import wire
from scaler.external.desk import Desk, RefusedError, Visit
from scaler.external.guard import Guard
from scaler.external.proto import externalscaler_pb2 as pb
from scaler.external.warm import NoWarmPools, WarmDesk, WarmPools
from scaler.live import telling
from scaler.live.board import Board, Posted
from scaler.live.calls import Calls
from scaler.live.clock import Clock
from scaler.live.office import ALONE, Office
from scaler.sources.timing import stopwatch

Request = TypeVar("Request", bound=Message)
Response = TypeVar("Response", bound=Message)
Listening: TypeAlias = Callable[[Callable[[], None]], AbstractContextManager[None]]
Write: TypeAlias = Callable[[Response], Awaitable[None]]
_OK, _FAILED, _LEFT = (code.name for code in (grpc.StatusCode.OK, grpc.StatusCode.UNKNOWN, grpc.StatusCode.CANCELLED))
Handler: TypeAlias = "grpc.GenericRpcHandler[Message, Message]"
Context: TypeAlias = "grpc.aio.ServicerContext[Request, Response]"
OPEN = Guard(lambda: None)
NO_WARM_POOLS = NoWarmPools()


@dataclass(frozen=True, slots=True, kw_only=True)
class Streams:
    """How streams are kept.

    Attributes:
        heartbeat: seconds after which a stream says again that its pool is active. A third of KEDA's default cooldown:
            one may be lost and the pool still counts as active.
        most: open at once. Two for each of ten thousand pools, and some that reconnect.
    """

    heartbeat: Seconds = 100.0
    most: int = 25_000


class ExternalScaler:
    """The RPCs. Belongs to one event loop."""

    def __init__(  # noqa: PLR0913 (what it answers from, and how)
        self,
        board: Board,
        desk: Desk,
        clock: Clock,
        *,
        streams: Streams = Streams(),
        guard: Guard = OPEN,
        office: Office = ALONE,
        warm: WarmPools = NO_WARM_POOLS,
    ) -> None:
        self._board, self._desk, self._clock = board, desk, clock
        self._warm = WarmDesk(warm, board.stale_after)
        self._kept, self.guard, self._office = streams, guard, office
        self._streams: set[asyncio.Event] = set()
        self._closed = False
        self.calls = Calls()

    @property
    def open_streams(self) -> int:
        """Streams open now, of both kinds."""
        return len(self._streams)

    def handler(self) -> Handler:
        """The RPCs by name, as a server takes them."""
        return grpc.method_handlers_generic_handler(
            wire.SERVICE,
            {
                "IsActive": _unary(self, self.IsActive, pb.ScaledObjectRef, pb.IsActiveResponse),
                "StreamIsActive": _stream(self, self.StreamIsActive, pb.ScaledObjectRef, pb.IsActiveResponse),
                "GetMetricSpec": _unary(self, self.GetMetricSpec, pb.ScaledObjectRef, pb.GetMetricSpecResponse),
                "GetMetrics": _unary(self, self.GetMetrics, pb.GetMetricsRequest, pb.GetMetricsResponse),
                "StreamMetricSpec": _stream(self, self.StreamMetricSpec, pb.ScaledObjectRef, pb.GetMetricSpecResponse),
            },
        )

    def GetMetricSpec(self, _: pb.ScaledObjectRef) -> pb.GetMetricSpecResponse:
        """The one metric and its target of 1, whoever asks and whatever they say."""
        return wire.SPEC

    def GetMetrics(self, request: pb.GetMetricsRequest) -> pb.GetMetricsResponse:
        """The pool's replicas, or Jobs, while its outcome is fresh."""
        self._demand_office()
        now = self._clock.now()
        if (key := self._warm.key(request.scaledObjectRef)) is not None:
            return wire.metrics(request.metricName, self._warm.size(key, now))
        visit = self._desk.receive(request.scaledObjectRef, now)
        posted = self._posted(visit.key)
        value = telling.value(posted.outcome, visit.strategy)
        if isinstance(value, Unknown) or not self._board.is_fresh(posted, now):
            raise self._withheld(visit.key, posted, now, value)
        visit.serve(posted, now)
        return wire.metrics(request.metricName, value)

    def IsActive(self, ref: pb.ScaledObjectRef) -> pb.IsActiveResponse:
        """Whether the pool may not be at zero; by what was last known where it is not known now."""
        self._demand_office()
        now = self._clock.now()
        if (key := self._warm.key(ref)) is not None:
            return wire.ACTIVE if self._warm.size(key, now) > 0 else wire.INACTIVE
        visit = self._desk.receive(ref, now)
        posted = visit.served(now) or self._posted(visit.key)
        active = telling.activity(posted, visit.strategy)
        if isinstance(active, Unknown):
            raise self._withheld(visit.key, posted, now, active)
        return wire.ACTIVE if active else wire.INACTIVE

    async def StreamIsActive(self, ref: pb.ScaledObjectRef, write: Write[pb.IsActiveResponse]) -> None:
        """``true`` now if the pool is active, whenever it wakes, and again after each heartbeat."""
        if self._ending:
            return
        is_active, listening = self._watched(ref)
        with self._stream() as wake, listening(wake.set):
            while not self._ending:
                wake.clear()
                if is_active():
                    await write(wire.ACTIVE)
                await self._wait(wake)

    async def StreamMetricSpec(self, _: pb.ScaledObjectRef, write: Write[pb.GetMetricSpecResponse]) -> None:
        """The one metric at once. It never changes, so that is all, but the stream stays open."""
        with self._stream() as wake:
            await write(wire.SPEC)
            while not self._ending:
                wake.clear()
                await wake.wait()

    def take_streams(self) -> None:
        """Let streams stay open, where this process has the right to answer them."""
        self._closed = False

    def end_streams(self) -> None:
        """End every stream with OK, and each later one after its first message."""
        self._closed = True
        for wake in self._streams:
            wake.set()

    @property
    def _ending(self) -> bool:
        return self._closed or self._office.term is None

    def _demand_office(self) -> None:
        """Refuse where another replica is to be asked."""
        if self._office.term is None:
            leads = f"{self._office.holder} leads" if self._office.holder else "none is known to lead"
            why = f"this replica stands by, and {leads}; the address must be that of the leader's Service"
            raise RefusedError(grpc.StatusCode.UNAVAILABLE, why)

    def _posted(self, key: PoolKey) -> Posted:
        posted = self._board.get(key)
        if posted is None:
            why = f"{key} is not evaluated yet; it is taken in, so the next poll finds a target"
            raise RefusedError(grpc.StatusCode.UNAVAILABLE, why)
        return posted

    def _withheld(self, key: PoolKey, posted: Posted, now: Instant, value: int | Unknown) -> RefusedError:
        """Why an outcome that is there is not answered from."""
        why = value.why if isinstance(value, Unknown) else "its evaluation has stopped or hangs; see the scaler's log"
        age = f"evaluated {posted.age(now):.0f} s ago, and an outcome holds for {self._board.stale_after:.0f} s"
        return RefusedError(grpc.StatusCode.UNAVAILABLE, f"{key} has no target to report ({age}): {why}")

    def _watched(self, ref: pb.ScaledObjectRef) -> tuple[Callable[[], bool], Listening]:
        """What says whether the pool is active, and what rings when that changes."""
        if (key := self._warm.key(ref)) is not None:
            return partial(self._warm.is_active, key), partial(self._warm.listening, key)
        visit = self._desk.receive(ref, self._clock.now())
        return partial(self._is_active, visit), partial(self._board.listening, visit.key)

    def _is_active(self, visit: Visit) -> bool:
        """Whether the pool is known to be active."""
        posted = self._board.get(visit.key)
        return posted is not None and telling.activity(posted, visit.strategy) is True

    @contextmanager
    def _stream(self) -> Iterator[asyncio.Event]:
        """Count a stream while it is open; the event wakes it when all are to end."""
        if len(self._streams) >= self._kept.most:
            why = (
                f"{self._kept.most} streams are open, which is the most; use triggers of type `external` for some pools"
            )
            raise RefusedError(grpc.StatusCode.RESOURCE_EXHAUSTED, why)
        wake = asyncio.Event()
        self._streams.add(wake)
        try:
            yield wake
        finally:
            self._streams.discard(wake)

    async def _wait(self, wake: asyncio.Event) -> None:
        """Until the stream is woken, or has been silent for a heartbeat."""
        alarm = self._clock.alarm(self._clock.now() + self._kept.heartbeat, wake.set)
        try:
            await wake.wait()
        finally:
            alarm.cancel()


def _unary(
    scaler: ExternalScaler, answer: Callable[[Request], Response], request: type[Request], response: type[Response]
) -> grpc.RpcMethodHandler[Request, Response]:
    """The handler of a unary RPC whose refusals become statuses."""

    async def rpc(heard: Request | DecodeError, context: Context[Request, Response]) -> Response:
        begun, code = stopwatch(), _FAILED
        try:
            message = _whole(heard)
            scaler.guard.admit(answer.__name__, message, context)
            response = answer(message)
            code = _OK
            return response
        except RefusedError as refusal:
            code = refusal.code.name
            await context.abort(refusal.code, refusal.why)
        finally:
            scaler.calls.end(answer.__name__, code, stopwatch() - begun)

    return grpc.unary_unary_rpc_method_handler(rpc, _reader(request), response.SerializeToString)


def _stream(
    scaler: ExternalScaler,
    tell: Callable[[Request, Write[Response]], Awaitable[None]],
    request: type[Request],
    response: type[Response],
) -> grpc.RpcMethodHandler[Request, Response]:
    """The handler of a streaming RPC whose refusals become statuses."""

    async def rpc(heard: Request | DecodeError, context: Context[Request, Response]) -> None:
        async def write(told: Response) -> None:
            scaler.guard.admit(tell.__name__, message, context)  # again, for a stream outlives the rules it began with
            await context.write(told)

        code = _FAILED
        try:
            message = _whole(heard)
            scaler.guard.admit(tell.__name__, message, context)
            await tell(message, write)
            code = _OK
        except asyncio.CancelledError:
            code = _LEFT
            raise
        except RefusedError as refusal:
            code = refusal.code.name
            await context.abort(refusal.code, refusal.why)
        finally:
            scaler.calls.end(tell.__name__, code, None)

    return grpc.unary_stream_rpc_method_handler(rpc, _reader(request), response.SerializeToString)


def _reader(request: type[Request]) -> Callable[[bytes], Request | DecodeError]:
    """Reads messages. What it raised would be logged as a fault of ours and answered UNKNOWN, so it returns it."""

    def read(body: bytes) -> Request | DecodeError:
        try:
            return request.FromString(body)
        except DecodeError as error:
            return error

    return read


def _whole(heard: Request | DecodeError) -> Request:
    """The message, if it is one."""
    if isinstance(heard, DecodeError):
        raise RefusedError(grpc.StatusCode.INVALID_ARGUMENT, f"the request cannot be read: {heard}")
    return heard
