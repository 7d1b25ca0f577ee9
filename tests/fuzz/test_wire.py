"""Whatever comes over a connection: servers go on serving, and readers say Known or Unknown.

Everything runs for real on loopback, on one event loop for all cases of a test.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import AsyncExitStack
from dataclasses import dataclass

import aiohttp
import grpc
import pytest
from google.protobuf.message import Message
from hypothesis import given
from hypothesis import strategies as st

from scaler.cli.keeper import Keeper
from scaler.config.pool import ActivityEndpoints, JsonNumber, PrometheusQuery, SignalSource
from scaler.config.settings import Sources as SourcesSection
from scaler.config.settings import parse_settings
from scaler.core.pods import Pods
from scaler.core.types import Known, Unknown
from scaler.external.desk import Desk
from scaler.external.listener import listening
from scaler.external.proto import externalscaler_pb2 as pb
from scaler.external.server import ExternalScaler
from scaler.external.wire import SERVICE
from scaler.live.clock import VirtualClock
from scaler.live.hinting import HintDesk
from scaler.sources.reader import Sources, open_sources
from scaler.web.app import application, served
from scaler.web.hints import hint_pages
from tests.contract.door import dialled
from tests.fuzz.examples import ACTIVITY, BODY, DOCUMENT, ENVELOPE, METADATA, METADATA_KEYS, SHARED
from tests.fuzz.material import TEXT, bodies, damaged
from tests.properties.effort import tries
from tests.support.http import talking
from tests.web.conftest import Scaler

NOW = 1_760_000_000.0
UNARY = ("IsActive", "GetMetricSpec", "GetMetrics")
STREAMS = ("StreamIsActive", "StreamMetricSpec")
CLEAR = {"OK", "INVALID_ARGUMENT", "PERMISSION_DENIED", "RESOURCE_EXHAUSTED", "UNAVAILABLE"}


@dataclass
class House:
    """Both doors of a scaler, and a page that answers as it is told, with the readers that read it."""

    runner: asyncio.Runner
    port: int
    channel: grpc.aio.Channel
    http: str
    sources: Sources
    page: str
    answer: bytes = b""

    def ask(self, rpc: str, message: bytes) -> str:
        """The status that a call with these bytes ends with; a stream is left as soon as it stands."""
        return self.runner.run(self._stream(rpc, message) if rpc in STREAMS else self._call(rpc, message))

    async def _call(self, rpc: str, message: bytes) -> str:
        call: grpc.aio.UnaryUnaryMultiCallable[bytes, bytes] = self.channel.unary_unary(f"/{SERVICE}/{rpc}", None, None)
        try:
            await call(message, timeout=20)
        except grpc.aio.AioRpcError as error:
            return error.code().name
        return "OK"

    async def _stream(self, rpc: str, message: bytes) -> str:
        call: grpc.aio.UnaryStreamMultiCallable[bytes, bytes] = self.channel.unary_stream(
            f"/{SERVICE}/{rpc}", None, None
        )
        stream = call(message)
        ended = asyncio.ensure_future(stream.code())
        heard = asyncio.ensure_future(stream.initial_metadata())
        await asyncio.wait([ended, heard], timeout=0.05, return_when=asyncio.FIRST_COMPLETED)
        stream.cancel()
        code = await ended
        return "OK" if code is grpc.StatusCode.CANCELLED else code.name

    def throw(self, port: int, message: bytes) -> None:
        """Send bytes to a port and hang up."""
        self.runner.run(_throw(port, message))


async def _throw(port: int, message: bytes) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        writer.write(message)
        writer.write_eof()
        async with asyncio.timeout(20):
            await reader.read()
    except OSError:
        pass  # it hung up first
    finally:
        writer.close()


@pytest.fixture(scope="module")
def house() -> Iterator[House]:
    """Everything, opened once for all cases."""
    with asyncio.Runner() as runner:
        stack = AsyncExitStack()
        house = runner.run(_open(runner, stack))
        yield house
        runner.run(stack.aclose())


async def _open(runner: asyncio.Runner, stack: AsyncExitStack) -> House:
    scaler, settings = Scaler(clock=VirtualClock(NOW)), parse_settings(SHARED)
    keeper = Keeper(settings, scaler.registry, scaler.clock)
    door = ExternalScaler(scaler.board, Desk(keeper, most_pools=20), scaler.clock)
    port = await stack.enter_async_context(listening(door, "127.0.0.1:0"))
    app = application(scaler.running())
    desk = HintDesk(scaler.registry, lambda _: None, lambda: settings.hints)
    app.add_routes(hint_pages(desk, scaler.clock).routes())
    http = await stack.enter_async_context(served(app, "127.0.0.1", 0))
    hasty = {"prometheus": {"timeout": 0.5}, "activity": {"timeout": 0.5}, "http": {"timeout": 0.5}}
    sources = await stack.enter_async_context(open_sources(SourcesSection.model_validate(hasty)))
    channel = await stack.enter_async_context(dialled(port))
    house = House(runner, port, channel, f"http://127.0.0.1:{http}", sources, "")

    async def answer(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(house.answer)
        await writer.drain()

    house.page = await stack.enter_async_context(talking(answer))
    return house


KEYS = st.sampled_from(METADATA_KEYS) | TEXT
SAID = st.sampled_from(list(METADATA.values())) | TEXT
PLAIN = st.characters(exclude_categories=["Cs"])  # protobuf strings are UTF-8


def _sendable(text: str) -> str:
    """As protobuf can carry it."""
    return text.encode(errors="replace").decode()


REFERENCES = st.builds(
    lambda namespace, name, metadata: pb.ScaledObjectRef(
        namespace=_sendable(namespace),
        name=_sendable(name),
        scalerMetadata={_sendable(k): _sendable(v) for k, v in metadata.items()},
    ),
    namespace=st.sampled_from(["agents", "kube-system"]) | TEXT,
    name=st.sampled_from(["coder", "agents/coder"]) | TEXT,
    metadata=st.dictionaries(KEYS, SAID, max_size=4),
)
REQUESTS: st.SearchStrategy[Message] = REFERENCES | st.builds(
    lambda ref, name: pb.GetMetricsRequest(scaledObjectRef=ref, metricName=_sendable(name)), REFERENCES, TEXT
)


@tries(100)
@given(rpc=st.sampled_from(UNARY + STREAMS), message=REQUESTS)
def test_any_request_is_answered_or_refused_by_its_fault(house: House, rpc: str, message: Message) -> None:
    """Every refusal has a status that says whose fault it is; UNKNOWN would be ours."""
    assert house.ask(rpc, message.SerializeToString()) in CLEAR


@tries(100)
@given(rpc=st.sampled_from([*UNARY, *STREAMS, "Nothing", ""]), message=st.binary(max_size=200))
def test_bytes_that_are_no_message_are_refused(house: House, rpc: str, message: bytes) -> None:
    """And the call after them is answered."""
    assert house.ask(rpc, message) in {*CLEAR, "UNIMPLEMENTED"}
    healthy = pb.ScaledObjectRef(namespace="agents", name="coder")
    assert house.ask("GetMetricSpec", healthy.SerializeToString()) == "OK"


PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"


@tries(20)
@given(message=st.binary(max_size=100) | st.binary(max_size=60).map(lambda frames: PREFACE + frames))
def test_a_connection_that_speaks_no_grpc_harms_no_other(house: House, message: bytes) -> None:
    """Noise, and noise after a proper greeting."""
    house.throw(house.port, message)
    assert house.ask("GetMetricSpec", b"") == "OK"


POST = (
    "POST /api/v1/hints HTTP/1.1\r\nHost: scaler\r\nAuthorization: Bearer token\r\nConnection: close\r\n"
    f"Content-Type: application/json\r\nContent-Length: {len(BODY)}\r\n\r\n{BODY}"
)
EXPLAIN = "GET /api/v1/pools/agents/coder/explain HTTP/1.1\r\nHost: scaler\r\nAccept: text/plain\r\n\r\n"


@tries(60)
@given(message=damaged(POST, EXPLAIN) | st.binary(max_size=100))
def test_a_connection_that_speaks_no_http_harms_no_other(house: House, message: bytes) -> None:
    """Requests cut off, damaged or never meant as such."""
    house.throw(int(house.http.rpartition(":")[2]), message)
    assert house.runner.run(_status(f"{house.http}/healthz")) == 200


async def _status(url: str) -> int:
    async with aiohttp.request("GET", url) as answer:
        return answer.status


HEAD = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
GOOD = [f"{HEAD}Content-Length: {len(body)}\r\n\r\n{body}" for body in (ACTIVITY, ENVELOPE, DOCUMENT)]
SENT = damaged(*GOOD) | bodies(ACTIVITY, ENVELOPE, DOCUMENT).map(lambda body: f"{HEAD}\r\n".encode() + body)


@tries(60)
@given(sent=SENT)
def test_any_answer_is_known_or_unknown(house: House, sent: bytes) -> None:
    """Prometheus, a JSON page and a pod that answer anything at all: nothing is raised and nothing is made up."""
    house.answer = sent
    pods = house.runner.run(house.sources.pods(ActivityEndpoints(urls=(house.page,)), NOW))
    assert isinstance(pods, Pods)
    assert len(pods) == 1
    asked: tuple[SignalSource, ...] = (
        PrometheusQuery(query="up", url=house.page),
        JsonNumber(url=house.page, path=("a", "b", 0, "c")),
    )
    for i, source in enumerate(asked):
        (sample,) = house.runner.run(house.sources.signals([source], NOW + i * 1e6))
        assert isinstance(sample, Known | Unknown)
        if isinstance(sample, Unknown):
            sample.why.encode()
            assert sample.why.isprintable()
