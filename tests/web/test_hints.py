"""``/api/v1/hints``: who is let in, what a request may say, what is answered, and that the target follows at once."""

from __future__ import annotations

import asyncio
import hashlib
import json
import logging.config
import ssl
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import aiohttp
import pytest
from yarl import URL

from scaler.config.hints import HintsSection
from scaler.config.pool import PodSource, PoolKey
from scaler.config.settings import parse_settings
from scaler.core.pods import Pods
from scaler.core.policy import Policy
from scaler.core.types import Known, Seconds, Unknown
from scaler.external.client import Trigger, connected
from scaler.external.desk import Desk
from scaler.external.listener import listening
from scaler.external.server import ExternalScaler
from scaler.live.certificates import Certificates
from scaler.live.hinting import HintDesk
from scaler.live.loop import Loop
from scaler.live.ticker import Ticker
from scaler.web.app import application, served
from scaler.web.hints import BODY_MOST, hint_pages
from scaler.web.views import Json
from tests.contract.door import Keeper
from tests.support.certificates import Mount, authority
from tests.support.pools import NOON, PODS, QUEUE, REPLICAS, Oracle
from tests.support.pools import spec as pool
from tests.web.conftest import Scaler, spec

TOKEN, DIGESTED = "planner-token", "digested-token"
CONFIG = """\
hints:
  longest: 10m
  callers:
    planner: {{token_file: {file}, namespaces: [agents]}}
    runner: {{token_sha256: {digest}, namespaces: ["*"]}}
    accountant: {{certificate: CN=accountant, namespaces: [billing]}}
"""
FAN_OUT = {"pool": "agents/coder", "slots": 40, "duration": "5m", "reason": "40 sub-agents", "id": "fan-out"}


@dataclass(frozen=True)
class Answer:
    """What a request for a hint came to."""

    status: int
    headers: Mapping[str, str]
    body: dict[str, Json]

    @property
    def detail(self) -> str:
        """Why it was refused; nothing where it was not."""
        return str(self.body.get("detail", ""))


@dataclass
class Callers:
    """A client of the API, the file that holds the planner's token, and the configuration in force."""

    scaler: Scaler
    desk: HintDesk
    http: aiohttp.ClientSession
    file: Path
    section: HintsSection

    async def post(self, body: Mapping[str, object] | bytes, token: str | None = TOKEN, **headers: str) -> Answer:
        """Give a hint."""
        said = body if isinstance(body, bytes) else json.dumps(body).encode()
        sent = {"Content-Type": "application/json", **bearing(token), **headers}
        async with self.http.post("/api/v1/hints", data=said, headers=sent) as answer:
            assert answer.content_type == ("application/json" if answer.ok else "application/problem+json")
            return Answer(answer.status, answer.headers, await answer.json(content_type=None))

    async def delete(self, id_: str, token: str = TOKEN) -> int:
        """Withdraw a hint."""
        async with self.http.delete(f"/api/v1/hints/{id_}", headers=bearing(token)) as answer:
            return answer.status

    async def wait(self, seconds: Seconds) -> None:
        """Let time pass."""
        await self.scaler.clock.advance_to(self.scaler.clock.now() + seconds)


def bearing(token: str | None) -> dict[str, str]:
    """The header with a token."""
    return {} if token is None else {"Authorization": f"Bearer {token}"}


def section_of(file: Path, old: str = "", new: str = "") -> HintsSection:
    """The configuration with the token's file, changed in one place."""
    digest = hashlib.sha256(DIGESTED.encode()).hexdigest()
    return parse_settings(CONFIG.format(file=file, digest=digest).replace(old, new)).hints


@asynccontextmanager
async def calling(scaler: Scaler, prompt: Callable[[PoolKey], None], file: Path) -> AsyncIterator[Callers]:
    """Serve the pages of a scaler, and hints, to one caller by a file, one by a digest and one by a certificate."""
    await asyncio.to_thread(file.write_text, f"{TOKEN}\n")
    desk = HintDesk(scaler.registry, prompt, lambda: given.section)
    app = application(scaler.running())
    app.add_routes(hint_pages(desk, scaler.clock).routes())
    async with served(app, "127.0.0.1", 0) as port:
        scaler.url = f"http://127.0.0.1:{port}"
        async with aiohttp.ClientSession(scaler.url) as http:
            given = Callers(scaler, desk, http, file, section_of(file))
            yield given


@pytest.fixture
async def callers(tmp_path: Path) -> AsyncIterator[Callers]:
    """A scaler with one pool, of at most 100 pods, that nobody ticks."""
    scaler = Scaler()
    scaler.admit(spec("coder", max=100))
    async with calling(scaler, lambda _: None, tmp_path / "token") as callers:
        yield callers


async def test_a_hint_is_answered_with_what_was_granted_until_when(callers: Callers) -> None:
    """202: it stands, and the page that explains its effect is named."""
    answer = await callers.post(FAN_OUT)
    assert answer.status == 202
    assert answer.body == {
        "id": "fan-out",
        "caller": "planner",
        "pool": "agents/coder",
        "slots": {"wished": 40, "granted": 40},
        "start": "2026-11-21T12:00:00+00:00",
        "end": "2026-11-21T12:05:00+00:00",
        "reason": "40 sub-agents",
        "bounds": [],
        "explain": "/api/v1/pools/agents/coder/explain",
    }
    assert (await callers.post(FAN_OUT)).status == 202


async def test_a_hint_without_an_id_is_given_one(callers: Callers) -> None:
    """It can be withdrawn by it like any other, once."""
    told = (await callers.post({**FAN_OUT, "id": None, "start": "2026-11-21T12:01:00+00:00"})).body
    id_ = str(told["id"])
    assert len(id_) == 16
    assert told["start"] == "2026-11-21T12:01:00+00:00"
    assert [await callers.delete(id_, DIGESTED), await callers.delete(id_), await callers.delete(id_)] == [
        404,
        204,
        404,
    ]


async def test_what_bounds_a_hint_is_told_in_words(callers: Callers) -> None:
    """Half of a hundred pods, and ten minutes."""
    told = (await callers.post({**FAN_OUT, "slots": 1000, "duration": "2h"})).body
    assert (told["slots"], told["end"]) == ({"wished": 1000, "granted": 50}, "2026-11-21T12:10:00+00:00")
    assert told["bounds"] == [
        (
            "slots: 50 of 1000 are granted, because all hints of agents/coder together may ask for 0.5 of its "
            "100 pods, which is 50 slots"
        ),
        "duration: 600 s of 7200 s are granted, because no hint may stand longer",
    ]


async def test_hints_stand_in_the_explanation_until_they_end(callers: Callers) -> None:
    """For programs and for people, with who asked and why."""
    await callers.post(FAN_OUT)
    await callers.post({**FAN_OUT, "id": "greedy", "slots": 20, "reason": "more"}, DIGESTED)
    coder = spec("coder", max=100)
    callers.scaler.tick(coder, queue=callers.scaler.known(0))
    page = "/api/v1/pools/agents/coder/explain"
    async with callers.http.get(page) as answer:
        hints = (await answer.json())["hints"]
    assert [(h["id"], h["caller"], h["slots"]) for h in hints] == [
        ("fan-out", "planner", {"wished": 40, "granted": 40}),
        ("greedy", "runner", {"wished": 20, "granted": 10}),
    ]
    span = "from 2026-11-21T12:00:00+00:00 to 2026-11-21T12:05:00+00:00"
    async with callers.http.get(page, headers={"Accept": "text/plain"}) as answer:
        lines = (await answer.text()).splitlines()
    assert f"hint fan-out of planner: 40 slots {span}: 40 sub-agents" in lines
    assert f"hint greedy of runner: 10 of 20 slots {span}: more" in lines
    await callers.wait(300)
    async with callers.http.get(page) as answer:
        assert (await answer.json())["hints"] == []


@pytest.mark.parametrize(
    "header",
    [
        *("", "Bearer", "Bearer ", "Bearer wrong", "Basic cGxhbm5lcg==", TOKEN, f"Bearer {TOKEN} {TOKEN}"),
        *(f"Bearer {TOKEN}x", f"Bearer {TOKEN[:-1]}", "Bearer \xff\xfe", f"Bearer {'x' * 8_000}"),
    ],
    ids=lambda header: header[:30].encode("unicode_escape").decode(),
)
async def test_who_is_not_known_is_not_let_in(callers: Callers, header: str) -> None:
    """401, with how to make oneself known; the body is not even read."""
    answer = await callers.post(b"x", None, Authorization=header)
    assert (answer.status, answer.headers["WWW-Authenticate"]) == (401, "Bearer")
    assert "send Authorization: Bearer" in answer.detail


async def test_tokens_are_known_by_file_and_by_digest(callers: Callers) -> None:
    """The scheme's case does not matter; the white space at the file's end is no part of the token."""
    for header in (f"Bearer {TOKEN}", f"bearer {TOKEN}", f"BEARER {DIGESTED}"):
        assert (await callers.post({**FAN_OUT, "id": None, "slots": 1}, None, Authorization=header)).status == 202


async def test_a_rotated_token_holds_within_a_second(callers: Callers) -> None:
    """The old one no longer does. A file that has gone lets nobody in, and keeps nobody else out."""
    one = {**FAN_OUT, "id": None, "slots": 1}
    assert (await callers.post(one)).status == 202
    callers.file.write_text("new-token")
    await callers.wait(1)
    assert [(await callers.post(one, token)).status for token in (TOKEN, "new-token")] == [401, 202]
    callers.file.unlink()
    await callers.wait(1)
    assert [(await callers.post(one, token)).status for token in ("new-token", DIGESTED)] == [401, 202]


async def test_a_token_that_two_callers_have_lets_neither_in(callers: Callers) -> None:
    """Nobody's hints are taken under another's name."""
    callers.file.write_text(DIGESTED)
    assert (await callers.post(FAN_OUT, DIGESTED)).status == 401


async def test_a_new_configuration_holds_at_once(callers: Callers) -> None:
    """Callers come and go with it; with none of them hints are refused, and the answer says what to set."""
    callers.section = section_of(callers.file, "namespaces: [agents]", "namespaces: [billing]")
    assert (await callers.post(FAN_OUT)).status == 403
    callers.section = section_of(callers.file, "planner:", "another:")
    assert (await callers.post({**FAN_OUT, "slots": 1})).body["caller"] == "another"
    callers.section = section_of(callers.file, "token_file: " + str(callers.file), "certificate: CN=planner")
    assert (await callers.post(FAN_OUT)).status == 401
    callers.section = parse_settings("").hints
    answer = await callers.post(FAN_OUT)
    assert answer.status == 503
    assert answer.detail == "nobody may give hints: hints.callers of the configuration names nobody"


@pytest.mark.parametrize(
    ("change", "status", "told"),
    [
        ({"pool": "billing/coder"}, 403, "planner may give no hints for pools of billing"),
        ({"pool": "agents/ghost"}, 404, "there is no pool agents/ghost"),
        ({"start": "2026-11-22T12:00:01+00:00"}, 400, "the start is 86401 s ahead"),
        ({"pool": "coder"}, 400, "pool = 'coder': must be NAMESPACE/NAME"),
        ({"slots": 0}, 400, "slots = 0: must be >= 1"),
        ({"slots": -3}, 400, "slots = -3: must be >= 1"),
        ({"slots": 1_000_001}, 400, "slots = 1000001: must be <= 1000000"),
        ({"slots": 1.5}, 400, "slots = 1.5: must be a whole number"),
        ({"slots": "4"}, 400, "slots = '4': must be a whole number; take the quotes away"),
        ({"slots": True}, 400, "slots = True: must be a whole number"),
        ({"slots": float("nan")}, 400, "slots = nan: must be a whole number"),
        ({"duration": 0}, 400, "duration = 0: must be a duration above zero"),
        ({"duration": "0.5s"}, 400, "duration = '0.5s': must be >= 1"),
        ({"duration": -5}, 400, "duration = -5: must be a duration above zero"),
        ({"duration": float("inf")}, 400, "duration = inf: must be a duration above zero"),
        ({"duration": 1e300}, 400, "duration = 1e+300: must be <= 1000000000"),
        ({"duration": 10**400}, 400, "must be a duration above zero"),
        ({"duration": "1s" * 33}, 400, "must be a duration above zero"),
        ({"duration": "soon"}, 400, "duration = 'soon': must be a duration above zero"),
        ({"reason": ""}, 400, "reason = '': must be 1 to 200 characters on one line"),
        ({"reason": " "}, 400, "reason = ' ': must be 1 to 200 characters"),
        ({"reason": "x" * 201}, 400, "must be 1 to 200 characters"),
        ({"reason": "a\nb"}, 400, "reason = 'a\\nb': must be 1 to 200 characters on one line"),
        ({"reason": "\x1b[2J"}, 400, "must be 1 to 200 characters on one line"),
        ({"reason": "\ud800"}, 400, "must be"),
        ({"reason": 5}, 400, "reason = 5: must be text"),
        ({"id": "a b"}, 400, "id = 'a b': must be 1 to 64 letters"),
        ({"id": ""}, 400, "id = '': must be 1 to 64 letters"),
        ({"start": "noon"}, 400, "start = 'noon': must be an instant in ISO 8601 with an offset"),
        ({"start": "2026-11-21T12:00:00"}, 400, "must be an instant in ISO 8601 with an offset"),
        ({"start": "0001-01-01T00:00:00+23:59"}, 202, ""),
        ({"start": "9999-12-31T23:59:59-23:59"}, 400, "the start is"),
        ({"start": 5}, 400, "start = 5: must be an instant"),
        ({"slot": 4}, 400, 'slot = 4: unknown key; did you mean "slots"?'),
    ],
    ids=str,
)
async def test_a_request_is_read_strictly(callers: Callers, change: dict[str, object], status: int, told: str) -> None:
    """Each fault is told with its key, its value, the range and the way out."""
    answer = await callers.post({**FAN_OUT, **change})
    assert answer.status == status
    assert told in answer.detail


@pytest.mark.parametrize(
    ("body", "told"),
    [
        (b"", "the body is not JSON"),
        (b"{", "the body is not JSON"),
        (b"\xff", "the body is not JSON"),
        (b"[" * 4_000, "the body is not JSON"),
        (b'{"slots": ' + b"9" * 4_001 + b"}", "pool: is required"),
        (b"[]", "the body is not a JSON object"),
        (b"null", "the body is not a JSON object"),
        (b"{}", "pool: is required; add it | slots: is required; add it | duration: is required"),
    ],
    ids=["empty", "cut off", "no text", "deep", "long number", "list", "null", "nothing"],
)
async def test_a_body_that_says_nothing_is_told_so(callers: Callers, body: bytes, told: str) -> None:
    """It is neither a fault of ours nor half taken."""
    answer = await callers.post(body)
    assert answer.status == 400
    assert told in answer.detail


async def test_a_body_is_json_by_its_type_and_short(callers: Callers) -> None:
    """A form of some page cannot give hints, and nobody fills the memory."""
    assert (await callers.post(FAN_OUT, **{"Content-Type": "text/plain"})).status == 415
    assert (await callers.post(b" " * (BODY_MOST + 1))).status == 413
    assert (await callers.post(json.dumps(FAN_OUT).encode().ljust(BODY_MOST))).status == 202


async def test_a_body_is_not_unpacked(callers: Callers) -> None:
    """It would be longer than it is, and one that is not packed as it says would be a fault of the caller's."""
    answer = await callers.post(FAN_OUT, **{"Content-Encoding": "gzip"})
    assert (answer.status, "without Content-Encoding" in answer.detail) == (415, True)


HEAD = f"POST /api/v1/hints HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {TOKEN}\r\nContent-Type: application/json\r\n"


@pytest.mark.parametrize(
    "sent",
    [
        f"{HEAD}Content-Length: 100\r\n\r\n{{",
        f"{HEAD}Transfer-Encoding: chunked\r\n\r\nzz\r\n",
        "GET /metrics HTTP/9.9\r\n\r\n",
    ],
    ids=["a caller that leaves", "a chunk without a length", "no HTTP"],
)
async def test_what_callers_do_wrong_is_no_failure_in_the_log(
    tmp_path: Path, sent: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Whoever reads the log looks for mistakes of ours; a port that is scanned has none.

    A library of this process may configure logging, which enables every logger that was disabled.
    """
    logging.config.dictConfig({"version": 1, "disable_existing_loggers": False})
    async with calling(Scaler(), lambda _: None, tmp_path / "token") as callers:
        _, writer = await asyncio.open_connection("127.0.0.1", URL(callers.scaler.url).port)
        writer.write(sent.encode())
        await writer.drain()
        async with callers.http.get("/healthz") as answer:
            assert answer.status == 200
        writer.close()
        await writer.wait_closed()
        async with callers.http.get("/healthz") as answer:
            assert answer.status == 200
    assert [record.getMessage() for record in caplog.records] == []


async def test_when_it_is_worth_asking_again_is_told(callers: Callers) -> None:
    """As soon as the first of the hints that are in the way has ended."""
    await callers.post({**FAN_OUT, "slots": 50})
    answer = await callers.post({**FAN_OUT, "id": "late"})
    assert (answer.status, answer.headers["Retry-After"]) == (429, "300")
    assert (await callers.post({**FAN_OUT, "slots": 49})).status == 409


async def test_a_caller_that_hangs_up_leaves_nothing(callers: Callers) -> None:
    """Half a request is none."""
    reader, writer = await asyncio.open_connection(*callers.scaler.url.removeprefix("http://").split(":"))
    writer.write(b"POST /api/v1/hints HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\nContent-Type: application/json\r\n")
    writer.write(f"Authorization: Bearer {TOKEN}\r\n\r\n{{".encode())
    await writer.drain()
    writer.close()
    await reader.read()
    assert (await callers.post(FAN_OUT)).status == 202
    assert sum(callers.desk.counts().values()) == 1


@pytest.mark.parametrize(("common", "status"), [("accountant", 202), ("somebody", 401)])
async def test_a_certificate_is_as_good_as_a_token(tmp_path: Path, common: str, status: int) -> None:
    """Over mTLS a caller is known by its certificate's name, which must be one of the configuration's."""
    servers, clients, mount = authority("servers"), authority("clients"), Mount(tmp_path / "tls")
    mount.put(servers.server(), clients.certificate)
    known = clients.client(common)
    await asyncio.to_thread((tmp_path / "client.pem").write_bytes, known.key + known.certificate)
    context = ssl.create_default_context(cadata=servers.certificate.decode())
    context.load_cert_chain(tmp_path / "client.pem")
    scaler, section = Scaler(), section_of(tmp_path / "token", "[billing]", "[agents]")
    scaler.admit(spec("coder", max=100))
    app = application(scaler.running(), dict)
    app.add_routes(hint_pages(HintDesk(scaler.registry, lambda _: None, lambda: section), scaler.clock).routes())
    async with (
        served(app, "localhost", 0, certificates=Certificates("http", mount.files, NOON)) as port,
        aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=context)) as http,
        http.post(f"https://localhost:{port}/api/v1/hints", json=FAN_OUT) as answer,
    ):
        assert answer.status == status
        assert (await answer.json(content_type=None)).get("caller") == (common if status == 202 else None)


async def test_forty_sub_agents_raise_the_target_before_the_first_of_them_is_queued(tmp_path: Path) -> None:
    """KEDA is told 0 over gRPC, the hint is given over HTTP, KEDA is told 40: nothing queues and no time passes."""
    none: dict[PodSource, Pods | Unknown] = {PODS: Pods.of([])}
    scaler, oracle = Scaler(), Oracle({QUEUE: Known(0, NOON), REPLICAS: Known(0, NOON)}, pods_at=none)
    loop = Loop(scaler.registry, oracle, Ticker(scaler.board), scaler.clock)
    coder = scaler.admit(pool(pods=PODS, policy=Policy(max_replicas=100)))
    door = ExternalScaler(scaler.board, Desk(Keeper({coder.key: None})), scaler.clock)
    running = asyncio.create_task(loop.run())
    async with (
        calling(scaler, loop.prompt, tmp_path / "token") as callers,
        listening(door, "127.0.0.1:0") as port,
        connected(f"127.0.0.1:{port}") as keda,
    ):
        trigger, before = Trigger(*coder.key), scaler.clock.now()
        first = await keda.poll(trigger)
        assert (await callers.post(FAN_OUT)).status == 202
        second = await keda.poll(trigger)
        assert [(poll.value, poll.active) for poll in (first, second)] == [(0, False), (40, True)]
        posted = scaler.board.get(coder.key)
        assert posted is not None
        assert (posted.at, posted.outcome.evidence.demand.now) == (before, 0)
        assert [step.reason.value for step in posted.outcome.trail] == ["announced"]
    running.cancel()
    await asyncio.wait([running])
