"""Reading JSON over HTTP: the number at the end of the path is the value, and all else is an Unknown that says what."""

from __future__ import annotations

import asyncio
import gzip
import json
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest
from aiohttp import web

from scaler.config.path import steps
from scaler.config.pool import JsonNumber
from scaler.core.types import Known, Sample, Unknown
from scaler.sources.health import Fault
from scaler.sources.http import LIMITS, Documents, open_documents
from tests.support import documents as support
from tests.support.documents import documents_at
from tests.support.http import Conversation, drop, flood, nobody, stutter, talking, trickle, truncate

NOW = 1_760_000_000.0
HASTY = replace(LIMITS, whole=0.3, body=10_000)


@pytest.fixture
async def reader() -> AsyncIterator[Documents]:
    """A reader with the limits it has in service."""
    async with open_documents() as documents:
        yield documents


def source(url: str, path: str, token_file: Path | None = None) -> JsonNumber:
    """The number that the path leads to."""
    found = steps(path)
    assert found is not None
    return JsonNumber(url=url, path=found, token_file=None if token_file is None else str(token_file))


async def one(reader: Documents, number: JsonNumber, now: float) -> Sample:
    """A number that is asked for alone."""
    (sample,) = await reader.read([number], now)
    return sample


async def why(reader: Documents, answer: str | bytes | web.Response, path: str = "queued") -> str:
    """The sentence the reader gives for an answer it cannot use."""
    async with documents_at(support.Documents({"/stats": answer})) as url:
        sample = await one(reader, source(f"{url}/stats", path), NOW)
    assert isinstance(sample, Unknown)
    return sample.why


@pytest.mark.parametrize(
    ("document", "path", "value"),
    [
        ({"queued": 7}, "queued", 7.0),
        ({"queued": 0}, "queued", 0.0),
        ({"queued": 7.25}, "queued", 7.25),
        ({"a": {"b": [1, {"c": 3}]}}, "a.b[1].c", 3.0),
        ([[1, 2], [3]], "[1][0]", 3.0),
        ({"pools": {"agents/coder": {"queued": 4}}}, 'pools["agents/coder"].queued', 4.0),
        ({"0": 5}, "0", 5.0),
        ({"": 1, "x": 1e15}, "x", 1e15),
    ],
)
async def test_the_number_at_the_end_of_the_path_is_known(
    reader: Documents, document: object, path: str, value: float
) -> None:
    """Whole or not, at any depth, at the instant it was asked for."""
    async with documents_at(support.Documents({"/stats": json.dumps(document)})) as url:
        assert await one(reader, source(f"{url}/stats", path), NOW) == Known(value, NOW)
    assert reader.health().faults == {}


USELESS = {
    "no key": ('{"queud": 1, "b": 2}', "queued", Fault.EMPTY, "the document has no key 'queued'; it has queud, b"),
    "no key in nothing": ("{}", "queued", Fault.EMPTY, "the document has no key 'queued'"),
    "many keys": (json.dumps(dict.fromkeys("abcdefg")), "queued", Fault.EMPTY, "it has a, b, c, d, e, …"),
    "no item": ('{"a": [1]}', "a[1]", Fault.EMPTY, "a has 1 items, and none at [1]"),
    "key of a list": ('{"a": [1]}', "a.b", Fault.KIND, "a is a list, not an object"),
    "item of an object": ('{"a": {"0": 1}}', "a[0]", Fault.KIND, "a is an object, not a list"),
    "key of a number": ('{"a": 1}', "a.b.c", Fault.KIND, "a is a number, not an object"),
    "null": ('{"queued": null}', "queued", Fault.KIND, "the value is null, not a number"),
    "true": ('{"queued": true}', "queued", Fault.KIND, "the value is a truth value, not a number"),
    "digits in quotes": ('{"queued": "7"}', "queued", Fault.KIND, "the value is a string, not a number"),
    "list": ('{"queued": [7]}', "queued", Fault.KIND, "the value is a list, not a number"),
    "object": ('{"queued": {}}', "queued", Fault.KIND, "the value is an object, not a number"),
    "nan": ('{"queued": NaN}', "queued", Fault.VALUE, "the value is nan; a finite number from 0 to 1e+15 is needed"),
    "infinite": ('{"queued": Infinity}', "queued", Fault.VALUE, "the value is inf"),
    "overflowing": ('{"queued": 1e999}', "queued", Fault.VALUE, "the value is inf"),
    "negative": ('{"queued": -1}', "queued", Fault.VALUE, "the value is -1"),
    "absurd": ('{"queued": 1e16}', "queued", Fault.VALUE, "the value is 1e+16"),
    "hundreds of digits": (f'{{"queued": 1{"0" * 400}}}', "queued", Fault.VALUE, "more than 300 digits"),
    "thousands of digits": (f'{{"queued": {"9" * 5000}}}', "queued", Fault.GARBAGE, "the answer is not JSON"),
    "not json": ("queued 7", "queued", Fault.GARBAGE, "the answer is not JSON: 'queued 7'"),
    "empty": ("", "queued", Fault.GARBAGE, "the answer is not JSON: ''"),
    "two documents": ('{"queued": 1}{"queued": 2}', "queued", Fault.GARBAGE, "the answer is not JSON"),
    "not utf-8": (b'{"queued\xff": 1}', "queued", Fault.GARBAGE, "the answer is not JSON"),
    "deep": ("[" * 100_000, "queued", Fault.GARBAGE, "the answer is not JSON"),
    "half a pair": ('{"\\ud800": 1}', "queued", Fault.EMPTY, "it has \N{REPLACEMENT CHARACTER}"),
    "orders to a terminal": ('{"\\u001b[2J": 1}', "queued", Fault.EMPTY, "it has \N{REPLACEMENT CHARACTER}[2J"),
}


@pytest.mark.parametrize(("answer", "path", "fault", "seen"), USELESS.values(), ids=USELESS)
async def test_anything_but_a_number_is_unknown(
    reader: Documents, answer: str | bytes, path: str, fault: Fault, seen: str
) -> None:
    """The sentence names the page, the path and what was found there, can be encoded, and is counted by its kind."""
    told = await why(reader, answer, path)
    assert seen in told
    assert f"/stats, {path}: " in told
    assert told.isprintable()
    told.encode()
    assert reader.health().faults == {fault: 1}


async def test_nothing_is_unpacked(reader: Documents) -> None:
    """A few bytes may unpack to any number; and what was not asked for packed is no answer."""
    packed = web.Response(body=gzip.compress(b'{"queued": 1}'), headers={"Content-Encoding": "gzip"})
    assert "the answer is not JSON" in await why(reader, packed)


@pytest.mark.parametrize("status", [204, 301, 302, 401, 404, 500])
async def test_only_200_is_an_answer(reader: Documents, status: int) -> None:
    """A redirect may lead anywhere, and an error page may hold anything."""
    answer = web.Response(status=status, headers={"Location": "/elsewhere"})
    assert f"HTTP {status}" in await why(reader, answer)
    assert reader.health().faults == {Fault.STATUS: 1}


@pytest.mark.parametrize(
    ("conversation", "fault", "seen"),
    [
        (drop, Fault.UNREACHABLE, "the connection failed: "),
        (truncate, Fault.UNREACHABLE, "the connection failed: "),
        (trickle, Fault.SLOW, "no complete answer within 0.3 s"),
        (stutter, Fault.UNREACHABLE, "the connection failed: "),
        (flood, Fault.GARBAGE, "the answer is longer than 10000 bytes"),
    ],
    ids=["drops", "truncates", "trickles", "stutters", "floods"],
)
async def test_an_answer_without_end_is_neither_waited_for_nor_kept(
    conversation: Conversation, fault: Fault, seen: str
) -> None:
    """Time and bytes are bounded, whatever the server does."""
    async with talking(conversation) as url, open_documents(HASTY) as reader:
        sample = await one(reader, source(url, "queued"), NOW)
        assert isinstance(sample, Unknown)
        assert seen in sample.why or (conversation is stutter and "no complete answer" in sample.why)
        assert set(reader.health().faults) <= {fault, Fault.SLOW}


async def test_where_nobody_is_nothing_is_known(reader: Documents) -> None:
    """Nor at a host that no resolver can spell."""
    async with nobody() as url:
        for page in (url, "http://a..b/", "http://" + "a" * 300 + "/"):
            sample = await one(reader, source(page, "queued"), NOW)
            assert isinstance(sample, Unknown)
            assert "the connection failed" in sample.why
    assert reader.health().faults == {Fault.UNREACHABLE: 3}


async def test_values_of_one_page_cost_one_call(reader: Documents) -> None:
    """Signals and pools that name the same URL share its GET, while it is under way and for a moment after."""
    pages = support.Documents({"/stats": '{"queued": 7, "tokens": 120.5}'})
    async with documents_at(pages) as url:
        both = (one(reader, source(f"{url}/stats", path), NOW) for path in ("queued", "tokens"))
        assert await asyncio.gather(*both) == [Known(7.0, NOW), Known(120.5, NOW)]
        assert await one(reader, source(f"{url}/stats", "tokens"), NOW + 0.4) == Known(120.5, NOW)
        assert pages.asked == {"/stats": 1}
        await one(reader, source(f"{url}/stats", "queued"), NOW + 0.5)
        await one(reader, source(f"{url}/stats?pool=coder", "queued"), NOW + 0.5)
        assert pages.asked == {"/stats": 2, "/stats?pool=coder": 1}
        assert pages.methods == {"GET"}


async def test_a_path_that_leads_nowhere_spoils_nobody_elses(reader: Documents) -> None:
    """Of one document, one value can be known and another not."""
    async with documents_at(support.Documents({"/": '{"queued": 7}'})) as url:
        assert await one(reader, source(url, "queued"), NOW) == Known(7.0, NOW)
        assert isinstance(await one(reader, source(url, "tokens"), NOW), Unknown)
    assert reader.health().reads == 2


async def test_a_server_is_asked_by_so_many_at_once() -> None:
    """Twenty pages of a server that hangs wait for four connections, and another server is read meanwhile."""
    hung = support.Documents(dict.fromkeys((f"/{i}" for i in range(20)), '{"a": 1}'))
    hung.held = set(hung.answers)
    healthy = support.Documents({"/": '{"a": 2}'})
    async with documents_at(hung) as url, documents_at(healthy) as other, open_documents() as reader:
        waiting = [asyncio.create_task(one(reader, source(f"{url}/{i}", "a"), NOW)) for i in range(20)]
        assert await one(reader, source(other, "a"), NOW) == Known(2.0, NOW)
        assert hung.at_once <= 4
        hung.opened.set()
        assert await asyncio.gather(*waiting) == [Known(1.0, NOW)] * 20
        assert hung.at_once <= 4


async def test_a_token_is_read_again_each_time(reader: Documents, tmp_path: Path) -> None:
    """A rotated file holds from the next call on; pages asked with other tokens are other calls."""
    file = tmp_path / "token"
    pages = support.Documents({"/": '{"a": 1}'})
    async with documents_at(pages) as url:
        for i, token in enumerate(("first\n", " second ")):
            file.write_text(token)
            assert await one(reader, source(url, "a", file), NOW + i) == Known(1.0, NOW + i)
        await one(reader, source(url, "a"), NOW + 1)
    assert pages.credentials == ["Bearer first", "Bearer second", None]


@pytest.mark.parametrize("held", [None, b"", b" \n", b"two words", b"line\r\nX-Evil: 1", b"\xff\xfe", b"x" * 9_000])
async def test_a_token_that_cannot_be_sent_is_told_without_telling_it(
    reader: Documents, tmp_path: Path, held: bytes | None
) -> None:
    """No file, nothing in it, or what is no token: the page is not asked, and what was found is not shown."""
    file = tmp_path / "token"
    if held is not None:
        file.write_bytes(held)
    pages = support.Documents({"/": '{"a": 1}'})
    async with documents_at(pages) as url:
        sample = await one(reader, source(url, "a", file), NOW)
    assert isinstance(sample, Unknown)
    assert f"no token to send: {'there is no file ' if held is None else ''}{file}" in sample.why
    assert "two words" not in sample.why
    assert pages.asked == {}
    assert reader.health().faults == {Fault.CREDENTIAL: 1}
