"""KEDA's calls at the rate of thousands of ScaledObjects, cheap enough to leave the machine to who answers them.

KEDA asks all triggers over one connection. A visit is GetMetricSpec, then GetMetrics, then IsActive, each once the one
before it is answered. With its defaults, which our push triggers keep, a ScaledObject is visited twice a minute by
KEDA's own poll (pollingInterval 30 s) and four times by the HPA's look (every 15 s), so 10,000 of them are 1,000 visits
or 3,000 calls a second: 18 calls a minute each, which is what a real KEDA makes of 500 (``bench_keda``: 150 a second).
With our pull example's interval of 15 s they would be 4,000; with ``useCachedMetrics``, by which the HPA looks at what
the last poll saw and which we therefore ship nowhere, 1,667.

That is the most there can be, every period kept. Kubernetes must be tuned for it: of its own the controller manager
looks at an HPA with five workers and 20 requests a second, and KEDA writes 20 times a second that an object is active.

Beside that each push trigger holds two streams, StreamIsActive and StreamMetricSpec, open all the time. On them goes a
``true`` for each pool that is active, every 100 s.

A gRPC library for Python would need a core for that. So this speaks the little of HTTP/2 that it takes: requests whose
headers are the same bytes each time, and answers of which the length of the message is read, for an error has none.
"""

from __future__ import annotations

import asyncio
import struct
from array import array
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from time import perf_counter
from types import MappingProxyType
from typing import Final, cast

from scaler.config.pool import PoolKey
from scaler.external import wire
from scaler.external.proto import externalscaler_pb2 as pb

VISITS: Final = 6 / 60  # of one ScaledObject a second: every 30 s by KEDA's poll, every 15 s by the HPA's
CALLS: Final = ("GetMetricSpec", "GetMetrics", "IsActive")
STREAMS: Final = ("StreamIsActive", "StreamMetricSpec")
METADATA: Final[Mapping[str, str]] = MappingProxyType({"scalerAddress": "scaler.agents:6000"})

_DATA, _HEADERS, _RESET, _SETTINGS, _PING, _AWAY, _WINDOW = 0x0, 0x1, 0x3, 0x4, 0x6, 0x7, 0x8
_END_STREAM, _END_HEADERS, _ACK = 0x1, 0x4, 0x1
_PREFACE: Final = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
_HEAD: Final = 9  # bytes before the payload of a frame
_PREFIX: Final = struct.Struct(">BI")  # of a message, as gRPC frames it: not compressed, its length
_GRANT: Final = 1 << 30  # bytes the scaler may send before it has to be given more


class TrafficError(Exception):
    """The scaler ended the connection, or does not keep up at all."""


@dataclass(slots=True)
class Answers:
    """What came of the calls of one method: seconds until each answer, and how many of them were errors."""

    took: array[float] = field(default_factory=lambda: array("d"))
    failed: int = 0


class Traffic(asyncio.Protocol):
    """One connection, and the visits under way on it.

    Attributes:
        answers: by method, since ``forget``.
        told: the replicas that each pool was told last.
        ended: why the connection is of no more use.
        lost: done once it is closed.
    """

    def __init__(self, pools: Sequence[PoolKey], authority: str) -> None:
        self._requests = [_requests(key) for key in pools]
        self._headers = [_block(authority, rpc) for rpc in (*CALLS, *STREAMS)]
        self._open: dict[int, tuple[int, int, float]] = {}  # by stream: pool, step and when it was asked
        self._messages: dict[int, bytes] = {}  # by stream
        self._stream, self._next = 1, 0
        self._credit, self._rest = 65_535, b""
        self._transport: asyncio.Transport | None = None
        self._pools = tuple(pools)
        self.ended: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self.lost: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.told: dict[PoolKey, int] = {}
        self.forget()

    def forget(self) -> None:
        """Count from here."""
        self.answers = {rpc: Answers() for rpc in CALLS}

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Say what HTTP/2 wants to be said first."""
        self._transport = cast("asyncio.Transport", transport)
        settings = _frame(_SETTINGS, 0, 0, b"")
        self._transport.write(_PREFACE + settings + _frame(_WINDOW, 0, 0, _GRANT.to_bytes(4, "big")))

    def connection_lost(self, exc: Exception | None) -> None:
        """Nothing is asked any more."""
        if not self.ended.done():
            self.ended.set_result(f"the connection ended: {exc!r}")
        self.lost.set_result(None)

    def visit(self) -> None:
        """Begin with the next pool."""
        self._ask(self._next, 0)
        self._next = (self._next + 1) % len(self._requests)

    def watch(self, pool: int) -> None:
        """Open the streams of a push trigger of this pool. What comes on them is let go, for it is no answer."""
        for kind in range(len(CALLS), len(CALLS) + len(STREAMS)):
            self._send(self._headers[kind], self._requests[pool][0])

    def _ask(self, pool: int, step: int) -> None:
        self._open[self._stream] = pool, step, perf_counter()
        self._send(self._headers[step], self._requests[pool][step])

    def _send(self, headers: bytes, body: bytes) -> None:
        """Begin a stream of HTTP/2 with a request."""
        self._credit -= len(body)
        if self._transport is None or self._transport.is_closing():
            return
        if self._credit < 0:
            raise TrafficError("the scaler takes no more requests")
        begin = _frame(_HEADERS, _END_HEADERS, self._stream, headers)
        self._transport.write(begin + _frame(_DATA, _END_STREAM, self._stream, body))
        self._stream += 2

    def data_received(self, data: bytes) -> None:
        """Take what came frame by frame."""
        data, at = self._rest + data, 0
        while len(data) - at >= _HEAD:
            length, kind, flags = int.from_bytes(data[at : at + 3], "big"), data[at + 3], data[at + 4]
            end = at + _HEAD + length
            if end > len(data):
                break
            stream = int.from_bytes(data[at + 5 : at + _HEAD], "big")
            self._take(kind, flags, stream, data[at + _HEAD : end])
            at = end
        self._rest = data[at:]

    def _take(self, kind: int, flags: int, stream: int, payload: bytes) -> None:
        if kind == _DATA and payload and stream in self._open:
            self._messages[stream] = payload
        elif kind == _RESET or (kind == _HEADERS and flags & _END_STREAM):
            self._answered(stream)
        elif kind == _WINDOW and stream == 0:
            self._credit += int.from_bytes(payload, "big")
        elif kind in {_PING, _SETTINGS} and not flags & _ACK and self._transport is not None:
            self._transport.write(_frame(kind, _ACK, 0, payload if kind == _PING else b""))
        elif kind == _AWAY and not self.ended.done():
            self.ended.set_result("the scaler says that it goes away")

    def _answered(self, stream: int) -> None:
        pool, step, begun = self._open.pop(stream, (0, len(CALLS), 0.0))
        if step == len(CALLS):
            return  # it was answered before, and is reset for good measure
        answers, message = self.answers[CALLS[step]], self._messages.pop(stream, None)
        answers.took.append(perf_counter() - begun)
        if message is None:
            answers.failed += 1
        else:
            self._learn(pool, step, message)
        if step + 1 < len(CALLS):
            self._ask(pool, step + 1)

    def _learn(self, pool: int, step: int, message: bytes) -> None:
        if CALLS[step] == "GetMetrics":
            told = pb.GetMetricsResponse.FromString(message[_PREFIX.size :]).metricValues[0]
            self.told[self._pools[pool]] = told.metricValue


def quantile(values: Iterable[float], q: float) -> float:
    """The nearest rank."""
    ranked = sorted(values)
    return ranked[min(len(ranked) - 1, int(q * len(ranked)))]


async def visits(traffic: Traffic, per_second: float, seconds: float) -> None:
    """Visit pools in turn, evenly, whether the earlier visits are over or not.

    Raises:
        TrafficError: the scaler ended the connection.
    """
    clock = asyncio.get_running_loop().time
    begun, made = clock(), 0
    while (now := clock()) < begun + seconds:
        while made < (now - begun) * per_second:
            traffic.visit()
            made += 1
        await asyncio.sleep(max(0.0, begun + made / per_second - clock()))
        if traffic.ended.done():
            raise TrafficError(traffic.ended.result())


async def watches(traffic: Traffic, pools: int, times: int) -> None:
    """Open the streams of so many pools' push triggers, so many for each, some at a time: KEDA starts by and by.

    Raises:
        TrafficError: the scaler ended the connection.
    """
    for pool in range(pools * times):
        traffic.watch(pool % pools)
        if pool % 50 == 0:
            await asyncio.sleep(0.05)
        if traffic.ended.done():
            raise TrafficError(traffic.ended.result())


@asynccontextmanager
async def connected(pools: Sequence[PoolKey], port: int) -> AsyncIterator[Traffic]:
    """A connection to the scaler at this port of loopback, until the end of the block."""
    loop = asyncio.get_running_loop()
    transport, traffic = await loop.create_connection(lambda: Traffic(pools, f"127.0.0.1:{port}"), "127.0.0.1", port)
    try:
        yield traffic
    finally:
        transport.abort()  # nobody reads what might still be written
        await traffic.lost


def _requests(key: PoolKey) -> tuple[bytes, ...]:
    """The messages of a visit, framed."""
    ref = pb.ScaledObjectRef(namespace=key.namespace, name=key.name, scalerMetadata=METADATA)
    messages = (ref, pb.GetMetricsRequest(scaledObjectRef=ref, metricName=wire.METRIC), ref)
    return tuple(_PREFIX.pack(0, message.ByteSize()) + message.SerializeToString() for message in messages)


def _block(authority: str, rpc: str) -> bytes:
    """The headers of a request as HPACK writes them without a table: indexed names, literal values (RFC 7541)."""
    path = f"/{wire.SERVICE}/{rpc}"
    named = b"".join(
        (b"\x83\x86", b"\x04", _text(path), b"\x01", _text(authority), b"\x0f\x10", _text("application/grpc"))
    )
    return named + b"\x00" + _text("te") + _text("trailers")


def _text(text: str) -> bytes:
    return bytes([len(text)]) + text.encode()


def _frame(kind: int, flags: int, stream: int, payload: bytes) -> bytes:
    """A frame of HTTP/2 (RFC 9113)."""
    return len(payload).to_bytes(3, "big") + bytes((kind, flags)) + stream.to_bytes(4, "big") + payload
