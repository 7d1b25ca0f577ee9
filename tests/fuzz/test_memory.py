"""What bad input leaves behind: nothing. Ever new input, and the memory of the last thousand stays that of the first.

``LAWS=thorough`` sends twenty times as much.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import itertools
import random
import tracemalloc
from collections.abc import Awaitable, Callable, Iterator
from typing import TypeAlias

import pytest
from google.protobuf.message import DecodeError

from scaler.cli.keeper import Keeper
from scaler.config.check import checked
from scaler.config.metadata import TriggerMetadata, parse_metadata
from scaler.config.pool import ActivityEndpoints, JsonNumber, PoolKey
from scaler.config.problems import ConfigError
from scaler.config.resolve import resolve
from scaler.config.settings import parse_settings
from scaler.external.desk import Desk, RefusedError
from scaler.external.proto import externalscaler_pb2 as pb
from scaler.live.clock import VirtualClock
from scaler.live.hinting import HintDesk, HintError
from scaler.live.registry import Registry
from scaler.sources.activity import open_activity
from scaler.sources.activity_answer import report
from scaler.sources.http import open_documents
from scaler.sources.json_answer import Document, document, number
from scaler.sources.prometheus_answer import number as prometheus_number
from scaler.sources.roll import FORGOTTEN_AFTER, Roll
from scaler.web.hints import read_wish
from scaler.web.identity import Known
from scaler.web.problem import Refusal
from tests.fuzz.examples import ACTIVITY, BODY, CONFIG, DOCUMENT, METADATA, RESULT, SHARED
from tests.properties.effort import THOROUGH
from tests.support.http import nobody, talking

NOW = 1_760_000_000.0
ROUND = 300 * (20 if THOROUGH else 1)
SLOW_ROUND = ROUND // 5  # a whole file takes ten milliseconds
ALLOWED = 32_768  # bytes: what one more input of any kind would come to within a round is more
Take: TypeAlias = Callable[[bytes], object]


def inputs(good: str) -> Iterator[bytes]:
    """The good input with some bytes replaced, never twice the same."""
    dice = random.Random(7)
    for turn in itertools.count():
        body = bytearray(good.encode())
        for _ in range(dice.randrange(4)):
            at = dice.randrange(len(body))
            body[at : at + dice.randrange(4)] = dice.randbytes(dice.randrange(4))
        yield bytes(body).replace(b"a-1", b"a-%d" % turn)


def grown(take: Take, good: str, count: int) -> int:
    """Bytes that are still held after a second round of inputs and were not after the first."""
    stream = inputs(good)
    held = []
    tracemalloc.start()
    try:
        for _ in range(2):
            for body in itertools.islice(stream, count):
                with contextlib.suppress(ConfigError, Refusal, RefusedError, HintError, DecodeError):
                    take(body)
            gc.collect()
            held.append(tracemalloc.get_traced_memory()[0])
    finally:
        tracemalloc.stop()
    return held[1] - held[0]


def config(body: bytes) -> object:
    """A file."""
    return checked(body.decode(errors="replace"))


def metadata(body: bytes) -> object:
    """A trigger's keys and values, a line each, and the pool they make."""
    lines = (line.partition(b"=") for line in body.splitlines())
    said = parse_metadata({key.decode(errors="replace"): value.decode(errors="replace") for key, _, value in lines})
    return resolve(parse_settings(SHARED), PoolKey("agents", "coder"), said)


def json_number(body: bytes) -> object:
    """A JSON document."""
    said = document(body, NOW)
    return number(said, ("a", "b", 0, "c")) if isinstance(said, Document) else said


def query_result(body: bytes) -> object:
    """The result of a query."""
    said = document(body, NOW)
    return prometheus_number(said.root) if isinstance(said, Document) else said


def roll() -> Take:
    """Pods that answer and are never heard of again."""
    calls, turns = Roll(), itertools.count()

    def take(body: bytes) -> object:
        turn = next(turns)
        return calls.call({f"http://pod-{turn}": report(body)}, NOW + turn * FORGOTTEN_AFTER / 10)

    return take


def requests() -> Take:
    """KEDA's requests for ever new pools, of which so many are kept, an hour apart."""
    clock, turns, registry = VirtualClock(NOW), itertools.count(), Registry()
    desk = Desk(Keeper(parse_settings(SHARED), registry, clock), most_pools=10)

    def take(body: bytes) -> object:
        turn = next(turns)
        pool = pb.ScaledObjectRef(namespace="agents", name=f"pool-{turn}", scalerMetadata={"max": str(turn % 90 + 1)})
        desk.receive(pool, NOW + turn * 4_000.0)
        asyncio.run(registry.changed())  # as the loop does, which is told of each pool once
        return desk.receive(pb.ScaledObjectRef.FromString(body), NOW + turn * 4_000.0)

    return take


def hints() -> Take:
    """Hints that are given, and end or are withdrawn."""
    registry, turns = Registry(), itertools.count()
    settings = parse_settings(SHARED)
    registry.put(resolve(settings, PoolKey("agents", "coder"), TriggerMetadata()), NOW)
    desk = HintDesk(registry, lambda _: None, lambda: settings.hints)

    def take(body: bytes) -> object:
        turn = next(turns)
        caller, now = Known(f"caller-{turn}", ("*",)), NOW + turn * 60.0
        granted = desk.give(caller, read_wish(body), now)
        if turn % 2:
            desk.withdraw(caller, granted.hint.wish.id, now)
        return None

    return take


SAID = "\n".join(f"{key}={value}" for key, value in METADATA.items())
TARGETS: dict[str, tuple[Callable[[], Take], str]] = {
    "configuration": (lambda: config, CONFIG),
    "metadata": (lambda: metadata, SAID),
    "hints": (hints, BODY.replace("2026-11-21", "2025-10-09")),
    "activity": (roll, ACTIVITY),
    "documents": (lambda: json_number, DOCUMENT),
    "query results": (lambda: query_result, RESULT),
    "requests": (requests, pb.ScaledObjectRef(namespace="agents", name="a-1").SerializeToString().decode()),
}


@pytest.mark.parametrize(("target", "good"), TARGETS.values(), ids=TARGETS)
def test_bad_input_leaves_nothing_behind(target: Callable[[], Take], good: str) -> None:
    """As much is held after the second round as after the first."""
    assert grown(target(), good, SLOW_ROUND if good is CONFIG else ROUND) < ALLOWED


async def rounds(read: Callable[[int], Awaitable[object]]) -> int:
    """Bytes that are still held after a round of readings and were not before it: of the second and the third the less.

    What leaks does so in both; calls that are just over are dropped a little later when the machine is busy.
    """
    held = []
    tracemalloc.start()
    try:
        for turn in range(3 * ROUND):
            await read(turn)
            if turn % ROUND == ROUND - 1:
                await asyncio.sleep(0)
                gc.collect()
                held.append(tracemalloc.get_traced_memory()[0])
    finally:
        tracemalloc.stop()
    return min(after - before for before, after in itertools.pairwise(held))


async def test_pages_that_come_and_go_leave_nothing_behind() -> None:
    """Ever new URLs of a server: calls that are over are forgotten with their documents."""
    body = f'{{"a": [{",".join(["1234567"] * 500)}]}}'.encode()

    async def answer(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body))
        await writer.drain()

    async with talking(answer) as url, open_documents() as reader:
        grown = await rounds(lambda i: reader.read([JsonNumber(url=f"{url}/{i}", path=("a", 0))], NOW + i))
        assert reader.health().faults == {}
    assert grown < ALLOWED


async def test_pods_that_never_answer_and_go_leave_nothing_behind(caplog: pytest.LogCaptureFixture) -> None:
    """Ever new URLs, half an hour apart: who has left every pool is forgotten, and why they were unheard too."""
    caplog.set_level("ERROR", "scaler")  # what is logged of each is kept by the test itself
    async with nobody() as url, open_activity() as reader:
        grown = await rounds(lambda i: reader.read(ActivityEndpoints(urls=(f"{url}/{i}",)), NOW + i * 1_800))
    assert grown < ALLOWED
