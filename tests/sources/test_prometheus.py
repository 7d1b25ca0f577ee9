"""Reading Prometheus: exactly one number is a value; everything else a server can do is an Unknown that says what."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import replace

import pytest

from scaler.config.pool import PrometheusQuery
from scaler.core.types import Known, Sample, Unknown
from scaler.sources.health import Fault
from scaler.sources.prometheus import Prometheus
from scaler.sources.prometheus_http import Limits
from tests.support.http import Conversation, drop, flood, nobody, stutter, talking, trickle, truncate
from tests.support.prometheus import AT, QueryApi, query_api, success, vector
from tests.support.wait import eventually

NOW = 1_760_000_000.0
QUERY = "sum(agent_queue_depth)"
HASTY = Limits(connect=0.2, silence=0.2, whole=0.5, body=10_000)


@pytest.fixture
async def reader() -> AsyncIterator[Prometheus]:
    """A reader with the limits it has in service."""
    async with Prometheus() as prometheus:
        yield prometheus


async def read(reader: Prometheus, answer: str | tuple[int, str]) -> Sample:
    """What the reader makes of one answer."""
    async with query_api(QueryApi({QUERY: answer})) as url:
        return await reader.read(PrometheusQuery(query=QUERY, url=url), NOW)


async def why(reader: Prometheus, answer: str | tuple[int, str]) -> str:
    """The sentence the reader gives for an answer it cannot use."""
    sample = await read(reader, answer)
    assert isinstance(sample, Unknown)
    return sample.why


def faults(reader: Prometheus) -> dict[Fault, int]:
    """The faults of the one server that was read."""
    (health,) = reader.health()
    return dict(health.faults)


@pytest.mark.parametrize("answer", [vector("7.5"), success("scalar", [AT, "7.5"])], ids=["vector", "scalar"])
async def test_one_finite_number_is_known(reader: Prometheus, answer: str) -> None:
    """A vector of one series and a scalar are the value, at the instant the server gave it."""
    assert await read(reader, answer) == Known(7.5, AT)
    assert faults(reader) == {}


async def test_zero_is_a_value(reader: Prometheus) -> None:
    """An empty queue is known to be empty."""
    assert await read(reader, vector("0")) == Known(0.0, AT)


USELESS = {
    "nan": (vector("NaN"), Fault.VALUE, "the value is NaN; a finite number from 0 to 1e+15 is needed"),
    "infinite": (vector("+Inf"), Fault.VALUE, "the value is +Inf"),
    "minus infinite": (vector("-Inf"), Fault.VALUE, "the value is -Inf"),
    "negative": (vector("-3"), Fault.VALUE, "the value is -3; a finite number from 0 to 1e+15 is needed"),
    "absurd": (vector("1e308"), Fault.VALUE, "the value is 1e308; a finite number from 0 to 1e+15 is needed"),
    "empty": (vector(), Fault.EMPTY, "no series matches"),
    "several": (vector("1", "2"), Fault.SEVERAL, '2 series match ({pod="a-0"}, {pod="a-1"}); one number is needed'),
    "many": (vector(*"12345"), Fault.SEVERAL, '{pod="a-2"}, …)'),
    "string": (success("string", [AT, "5"]), Fault.KIND, "the result is a string"),
    "word": (vector("many"), Fault.KIND, "the value is 'many', not a number"),
    "range": (
        success("matrix", [{"metric": {}, "values": [[AT, "1"]]}]),
        Fault.KIND,
        "a range of samples; take the range selector away",
    ),
    "histogram": (success("vector", [{"metric": {}, "histogram": [AT, {}]}]), Fault.KIND, "the result is a histogram"),
    "partial": (
        success("vector", [{"metric": {}, "value": [AT, "1"]}], warnings=["store b did not answer"]),
        Fault.PARTIAL,
        "the result is partial: store b did not answer",
    ),
    "no instant": (success("vector", [{"metric": {}, "value": ["now", "1"]}]), Fault.GARBAGE, "not [seconds,"),
    "bare number": (success("vector", [{"metric": {}, "value": 5}]), Fault.GARBAGE, "the sample is a number"),
    "no sample": (success("vector", [{"metric": {}}]), Fault.GARBAGE, "the sample is null"),
    "object": (success("vector", {}), Fault.GARBAGE, "the result is an object, not a list"),
    "not json": ("<html>hello</html>", Fault.GARBAGE, "not an answer of the query API: <html>hello</html>"),
    "deep json": ("[" * 60_000, Fault.GARBAGE, "not an answer of the query API"),
    "other json": ('{"queue": 5}', Fault.GARBAGE, "not an answer of the query API"),
    "bad query": (
        (400, '{"status": "error", "errorType": "bad_data", "error": "1:5: parse error"}'),
        Fault.STATUS,
        "HTTP 400: 1:5: parse error",
    ),
    "broken": ((500, "boom"), Fault.STATUS, "HTTP 500"),
    "busy": ((503, ""), Fault.STATUS, "HTTP 503"),
}


@pytest.mark.parametrize(("answer", "fault", "seen"), USELESS.values(), ids=USELESS)
async def test_anything_but_one_number_is_unknown(
    reader: Prometheus, answer: str | tuple[int, str], fault: Fault, seen: str
) -> None:
    """No answer is guessed at: the sentence names the query and what was seen, and the fault is counted."""
    sentence = await why(reader, answer)
    assert seen in sentence
    assert QUERY in sentence
    assert faults(reader) == {fault: 1}


async def test_a_note_on_style_spoils_nothing(reader: Prometheus) -> None:
    """Prometheus remarks on metric names in its warnings; the number is whole all the same."""
    note = "PromQL info: metric might not be a counter"
    answer = success("vector", [{"metric": {}, "value": [AT, "4"]}], warnings=[note])
    assert await read(reader, answer) == Known(4.0, AT)


async def test_a_redirect_is_not_followed(reader: Prometheus) -> None:
    """A server cannot send our readings elsewhere."""
    assert "HTTP 302" in await why(reader, (302, ""))


@pytest.mark.parametrize(
    ("conversation", "fault", "seen"),
    [
        (drop, Fault.UNREACHABLE, "the connection failed: "),
        (truncate, Fault.UNREACHABLE, "the connection failed: "),
        (trickle, Fault.SLOW, "within 0.5 s"),
        (flood, Fault.GARBAGE, "the answer is longer than 10000 bytes"),
    ],
    ids=["drops", "truncates", "trickles", "floods"],
)
async def test_a_server_that_breaks_off_is_unknown(conversation: Conversation, fault: Fault, seen: str) -> None:
    """Half an answer is none, and one without end is not waited for or kept."""
    async with talking(conversation) as url, Prometheus(HASTY) as reader:
        sample = await reader.read(PrometheusQuery(query=QUERY, url=url), NOW)
        assert isinstance(sample, Unknown)
        assert seen in sample.why
        assert faults(reader) == {fault: 1}


async def test_an_answer_of_many_series_is_not_read(reader: Prometheus) -> None:
    """One number is a few hundred bytes: what says of itself that it is long is refused, with its length."""
    many = success("vector", [{"metric": {"pod": f"p{n}"}, "value": [AT, "1"]} for n in range(2_000)])
    sentence = await why(reader, many)
    assert f"the answer is {len(many)} bytes long, and 65536 are read at most; one number is needed" in sentence
    assert faults(reader) == {Fault.GARBAGE: 1}


async def test_an_outage_is_unknown(reader: Prometheus) -> None:
    """Where nobody listens, the sentence gives the system's own word for it."""
    async with nobody() as url:
        sample = await reader.read(PrometheusQuery(query=QUERY, url=url), NOW)
    assert isinstance(sample, Unknown)
    assert sample.why.startswith(f"Prometheus {url}, query {QUERY!r}: the connection failed: ")
    assert "Connection refused" in sample.why
    assert faults(reader) == {Fault.UNREACHABLE: 1}


async def test_silence_is_unknown() -> None:
    """A server that accepts and says nothing costs its time limit and no more."""
    api = QueryApi({QUERY: vector("1")}, held={QUERY})
    async with query_api(api) as url, Prometheus(HASTY) as reader:
        sample = await reader.read(PrometheusQuery(query=QUERY, url=url), NOW)
        assert isinstance(sample, Unknown)
        assert "nothing heard for 0.2 s" in sample.why
        assert faults(reader) == {Fault.SLOW: 1}


async def test_headers_that_trickle_are_not_waited_for() -> None:
    """No single wait is long and no body ever begins; the reading ends all the same."""
    async with talking(stutter) as url, Prometheus(HASTY) as reader:
        sample = await reader.read(PrometheusQuery(query=QUERY, url=url), NOW)
        assert sample == Unknown(f"Prometheus {url}, query {QUERY!r}: no answer within 0.5 s")
        assert faults(reader) == {Fault.SLOW: 1}


async def test_a_trickle_gives_its_thread_back() -> None:
    """The only thread there is was held by a body without end; the next reading has it again."""
    limits = replace(HASTY, calls=1, silence=1.0, whole=1.0)
    api = QueryApi({QUERY: vector("1")})
    api.endless.add("endless")
    async with query_api(api) as url, Prometheus(limits) as reader:
        first = await reader.read(PrometheusQuery(query="endless", url=url), NOW)
        assert isinstance(first, Unknown)
        assert await reader.read(PrometheusQuery(query=QUERY, url=url), NOW) == Known(1.0, AT)


async def test_a_hung_server_delays_no_other() -> None:
    """Forty readings hang at one server; another one answers meanwhile, because threads belong to a server."""
    hung, healthy = QueryApi({str(i): vector("1") for i in range(40)}), QueryApi({QUERY: vector("2")})
    hung.held = set(hung.answers)
    async with AsyncExitStack() as stack:
        hung_url, healthy_url = [await stack.enter_async_context(query_api(api)) for api in (hung, healthy)]
        reader = await stack.enter_async_context(Prometheus())
        waiting = [asyncio.create_task(reader.read(PrometheusQuery(query=q, url=hung_url), NOW)) for q in hung.held]
        await eventually(hung.all_asked)
        assert await reader.read(PrometheusQuery(query=QUERY, url=healthy_url), NOW) == Known(2.0, AT)
        assert not any(task.done() for task in waiting)
        assert hung.asked.total() == Limits().calls
        hung.opened.set()
        assert await asyncio.gather(*waiting) == [Known(1.0, AT)] * 40


async def test_pools_share_a_call_under_way() -> None:
    """A hundred pools that ask the same thing at once cost the server one request."""
    api = QueryApi({QUERY: vector("3")})
    async with query_api(api) as url, Prometheus() as reader:
        query = PrometheusQuery(query=QUERY, url=url)
        assert await asyncio.gather(*(reader.read(query, NOW) for _ in range(100))) == [Known(3.0, AT)] * 100
        assert api.asked[QUERY] == 1


async def test_an_answer_is_shared_for_a_moment_only() -> None:
    """Half a second later the number may be a new one; until then it is asked once."""
    api = QueryApi({QUERY: vector("3")})
    async with query_api(api) as url, Prometheus() as reader:
        query = PrometheusQuery(query=QUERY, url=url)
        await reader.read(query, NOW)
        api.answers[QUERY] = vector("4")
        assert await reader.read(query, NOW + 0.25) == Known(3.0, AT)
        assert await reader.read(query, NOW + 0.5) == Known(4.0, AT)
        assert api.asked[QUERY] == 2


async def test_queries_are_not_confused() -> None:
    """The same query on two servers, and two queries on one, are three calls."""
    one, two = QueryApi({QUERY: vector("1"), "up": vector("5")}), QueryApi({QUERY: vector("2")})
    async with query_api(one) as first, query_api(two) as second, Prometheus() as reader:
        asked = [(QUERY, first), (QUERY, second), ("up", first)]
        samples = await asyncio.gather(*(reader.read(PrometheusQuery(query=q, url=u), NOW) for q, u in asked))
        assert samples == [Known(1.0, AT), Known(2.0, AT), Known(5.0, AT)]


async def test_a_pool_that_leaves_does_not_take_the_others_reading() -> None:
    """Whoever asked first may be removed while the answer is on its way."""
    api = QueryApi({QUERY: vector("3")}, held={QUERY})
    async with query_api(api) as url, Prometheus() as reader:
        query = PrometheusQuery(query=QUERY, url=url)
        first, second = (asyncio.create_task(reader.read(query, NOW)) for _ in range(2))
        await asyncio.sleep(0)
        first.cancel()
        api.opened.set()
        assert await second == Known(3.0, AT)


async def test_more_servers_than_allowed_make_room_or_are_refused() -> None:
    """An idle server is let go of for a new one; where all are busy, the new one is refused by a sentence."""
    api = QueryApi({QUERY: vector("3"), "held": vector("1")}, held={"held"})
    limits = Limits(servers=1)
    async with query_api(api) as one, query_api(api) as two, Prometheus(limits) as reader:
        assert await reader.read(PrometheusQuery(query=QUERY, url=one), NOW) == Known(3.0, AT)
        waiting = asyncio.create_task(reader.read(PrometheusQuery(query="held", url=two), NOW))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        refused = await reader.read(PrometheusQuery(query=QUERY, url=one), NOW + 9)
        assert isinstance(refused, Unknown)
        assert "1 servers are being read" in refused.why
        api.opened.set()
        assert await waiting == Known(1.0, AT)


async def test_a_password_in_the_url_stays_there() -> None:
    """No sentence and no counter repeats what the URL keeps secret."""
    async with query_api(QueryApi({QUERY: vector()})) as url, Prometheus() as reader:
        secret = url.replace("http://", "http://reader:hunter2@")
        sample = await reader.read(PrometheusQuery(query=QUERY, url=secret), NOW)
        assert sample == Unknown(f"Prometheus {url}, query {QUERY!r}: no series matches")
        assert [health.source for health in reader.health()] == [f"prometheus {url}"]


async def test_readings_and_their_time_are_counted(reader: Prometheus) -> None:
    """Health is plain values: readings, how long they took, and faults by kind."""
    api = QueryApi({"good": vector("1"), "bad": vector()})
    async with query_api(api) as url:
        for query in ("good", "bad"):
            await reader.read(PrometheusQuery(query=query, url=url), NOW)
    (health,) = reader.health()
    assert (health.reads, dict(health.faults)) == (2, {Fault.EMPTY: 1})
    assert health.times.total > 0
