"""The API: every pool, and why it is what it is."""

from __future__ import annotations

from dataclasses import replace

import aiohttp
import pytest

from scaler.core.explain import lines, sentence
from scaler.core.types import Unknown
from scaler.live import telling
from tests.web.conftest import NOON, Scaler, spec

ASKED = 'sum(queued{namespace="agents", pool="coder"}) at http://prometheus:9090'


async def test_the_list_has_a_row_for_every_pool(scaler: Scaler, http: aiohttp.ClientSession) -> None:
    """In order of their names; what was not evaluated yet says so by null, not by zeros."""
    scaler.admit(spec("writer", mode="recommend"))
    coder = scaler.admit(spec("coder"))
    outcome = scaler.tick(coder, queue=scaler.known(3), replicas=1)
    await scaler.clock.advance_to(NOON + 2.5)
    async with http.get("/api/v1/pools") as answer:
        first, second = (await answer.json())["pools"]
    assert (first["namespace"], first["name"], first["class"], first["mode"]) == ("agents", "coder", "coding", "auto")
    assert (first["min"], first["max"], first["explain"]) == (0, 9, "/api/v1/pools/agents/coder/explain")
    told = first["outcome"]
    assert (told["target"], told["report"], told["active"]) == (outcome.report, outcome.report, True)
    assert (told["at"], told["age"], told["stale"]) == ("2026-11-21T12:00:00+00:00", 2.5, False)
    assert told["sentence"] == sentence(outcome)
    assert told["demand"]["work"] == 3.0
    assert (second["name"], second["mode"], second["outcome"]) == ("writer", "recommend", None)


async def test_an_explanation_holds_what_the_decision_stands_on(scaler: Scaler, http: aiohttp.ClientSession) -> None:
    """The trail step by step, the evidence, and for every setting its value and who decided it."""
    coder = scaler.admit(spec("coder", target_wait_p95="45s"))
    outcome = scaler.tick(coder, queue=scaler.known(3))
    async with http.get("/api/v1/pools/agents/coder/explain") as answer:
        told = await answer.json()
    assert told["sentence"] == sentence(outcome)
    assert told["decision"] == {"kind": "scale", "replicas": outcome.report}
    assert [(s["reason"], s["before"], s["after"]) for s in told["trail"]] == [
        (s.reason.value, s.before, s.after) for s in outcome.trail
    ]
    assert told["evidence"]["demand"]["need_up"] == 3
    assert told["evidence"]["ages"] == {"queue": 0.0}
    assert told["settings"]["max"] == {"value": 9, "origin": "class coding"}
    assert told["settings"]["target_wait_p95"] == {"value": 45.0, "origin": "pool"}
    assert told["settings"]["min"] == {"value": 0, "origin": "default"}
    assert "memory" not in told


async def test_what_is_not_known_says_why(scaler: Scaler, http: aiohttp.ClientSession) -> None:
    """A hold names what is missing; nothing becomes a zero on the way."""
    coder = scaler.admit(spec("coder"))
    scaler.tick(coder, queue=Unknown("Prometheus did not answer"))
    async with http.get("/api/v1/pools/agents/coder/explain") as answer:
        told = await answer.json()
    assert told["decision"]["kind"] == "hold"
    assert told["evidence"]["ages"] == {"queue": {"unknown": "Prometheus did not answer"}}
    async with http.get("/api/v1/pools") as answer:
        assert (await answer.json())["pools"][0]["outcome"]["demand"]["work"] is None


SETTINGS = [
    "settings: documented defaults, but for",
    "  class = coding (pool)",
    "  max = 9 (class coding)",
    f"  replicas = {ASKED} (class coding)",
    f"  signals.queue = {ASKED} (class coding)",
]


async def test_people_get_the_lines_that_every_surface_prints(scaler: Scaler, http: aiohttp.ClientSession) -> None:
    """The page prints the core's own words and works nothing out again."""
    outcome = scaler.tick(scaler.admit(spec("coder")), queue=scaler.known(3))
    for accept in ("text/plain", "text/plain;q=1, application/json;q=0.5", "text/html, text/plain, application/json"):
        async with http.get("/api/v1/pools/agents/coder/explain", headers={"Accept": accept}) as answer:
            assert answer.content_type == "text/plain"
            assert (await answer.text()).splitlines() == [*lines(outcome), *SETTINGS]
    for accept in ("*/*", "application/json, text/plain", ""):
        async with http.get("/api/v1/pools/agents/coder/explain", headers={"Accept": accept}) as answer:
            assert (answer.content_type, answer.headers["Vary"]) == ("application/json", "Accept")


@pytest.mark.parametrize(("strategy", "told"), [("default", (0, False)), ("accurate", (0, False)), (None, (4, True))])
async def test_every_page_tells_of_jobs_what_keda_is_told(
    scaler: Scaler, http: aiohttp.ClientSession, strategy: str | None, told: tuple[int, bool]
) -> None:
    """Four Jobs stand and nothing waits: KEDA is told of no Jobs to create, and no page may tell of four."""
    coder = scaler.admit(spec("coder", **({} if strategy is None else {"scaled_job_strategy": strategy})))
    outcome = scaler.tick(coder, queue=scaler.known(0), replicas=4, inflight=scaler.known(0))
    posted = scaler.board.get(coder.key)
    assert posted is not None
    assert outcome.report == 4
    assert (telling.value(outcome, coder.job_strategy), telling.activity(posted, coder.job_strategy)) == told
    async with http.get("/api/v1/pools") as answer:
        (row,) = (await answer.json())["pools"]
    assert (row["outcome"]["report"], row["outcome"]["active"]) == told
    async with http.get("/api/v1/pools/agents/coder/explain") as answer:
        whole = await answer.json()
    assert (whole["report"], whole["active"]) == told
    async with http.get("/api/v1/pools/agents/coder/explain", headers={"Accept": "text/plain"}) as answer:
        assert f"reported to KEDA: {told[0]}" in (await answer.text()).splitlines()
    async with http.get("/metrics") as answer:
        page = await answer.text()
    assert f'agent_scaler_pool_reported_replicas{{pool="coder",pool_namespace="agents"}} {told[0]:.1f}\n' in page
    assert f'agent_scaler_pool_active{{pool="coder",pool_namespace="agents"}} {told[1]:.1f}\n' in page


async def test_an_outcome_grows_old_in_sight(scaler: Scaler, http: aiohttp.ClientSession) -> None:
    """The page says itself that KEDA is not told this target any more."""
    scaler.tick(scaler.admit(spec("coder")), queue=scaler.known(3))
    await scaler.clock.advance_to(NOON + scaler.board.stale_after + 1)
    async with http.get("/api/v1/pools/agents/coder/explain") as answer:
        told = await answer.json()
    assert (told["stale"], told["age"]) == (True, scaler.board.stale_after + 1)


@pytest.mark.parametrize(
    ("method", "path", "status", "title", "detail"),
    [
        (
            "GET",
            "/api/v1/pools/agents/codr/explain",
            404,
            "Not Found",
            'no pool agents/codr; did you mean "agents/coder"?',
        ),
        ("GET", "/api/v1/pools/zzz/yyy/explain", 404, "Not Found", "GET /api/v1/pools lists those there are"),
        ("GET", "/api/v1/pools/agents/coder/explain", 503, "Service Unavailable", "has not been evaluated yet"),
        ("GET", "/nowhere", 404, "Not Found", "there is no such page; see /api/v1/pools"),
        ("POST", "/api/v1/pools", 405, "Method Not Allowed", "this page is read with GET, HEAD"),
    ],
)
async def test_every_error_is_a_problem_body(
    scaler: Scaler, http: aiohttp.ClientSession, method: str, path: str, status: int, title: str, detail: str
) -> None:
    """Programs read the same four fields, whatever went wrong, and people what to do."""
    scaler.admit(spec("coder"))
    async with http.request(method, path) as answer:
        assert (answer.status, answer.content_type) == (status, "application/problem+json")
        body = await answer.json()
    assert (body["status"], body["title"], body["instance"]) == (status, title, path)
    assert detail in body["detail"]


async def test_a_fault_of_ours_is_logged_and_not_shown(
    scaler: Scaler, http: aiohttp.ClientSession, caplog: pytest.LogCaptureFixture
) -> None:
    """The page says where to look; what it looks like inside is nobody's business."""
    coder = scaler.admit(spec("coder"))
    without_reason = replace(scaler.tick(coder, queue=scaler.known(3)), trail=())
    scaler.board.publish(coder.key, without_reason)
    async with http.get("/api/v1/pools") as answer:
        assert answer.status == 500
        assert (await answer.json())["detail"] == "an unexpected error; the scaler's log has it"
    (record,) = caplog.records
    assert (record.message, vars(record)["method"], vars(record)["path"]) == ("a page failed", "GET", "/api/v1/pools")
