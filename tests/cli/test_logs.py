"""The log of decisions: one line each, and only what changed unless all is asked for."""

from __future__ import annotations

import json
import logging
import subprocess
import sys

import pytest
from structlog.testing import capture_logs

from scaler.cli.logs import DECISIONS, LoggedBoard, without_secrets
from scaler.config.pool import JobStrategy
from scaler.core.explain import sentence
from scaler.core.memory import Memory
from scaler.core.policy import Policy
from scaler.core.tick import tick
from scaler.core.types import Known, Observation, Outcome, Sample, Signal, Unknown
from tests.config.material import KEY
from tests.support.office import Chair

NOON = 1_795_262_400.0  # 2026-11-21 12:00:00 UTC
POLICY = Policy()


def decided(queue: Sample, *, after: Outcome | None = None) -> Outcome:
    """A pool's next outcome, five seconds after the one before it."""
    now = NOON if after is None else after.at + 5
    memory = Memory.fresh(now, POLICY.pace) if after is None else after.memory
    seen = Observation(replicas=Known(1, now), pods=Unknown("no source"), signals={Signal.QUEUE: queue})
    return tick(POLICY, memory, seen, now)


def test_a_decision_is_one_line_that_programs_can_read() -> None:
    """What moved and why, and the figures it stands on, as fields; and the sentence that every surface prints."""
    outcome = decided(Known(3, NOON))
    with capture_logs() as log:
        LoggedBoard().publish(KEY, outcome)
    assert log == [
        {
            "event": "the target moved",
            "log_level": "info",
            "pool": "agents/coder",
            "before": 1,
            "after": 3,
            "report": 3,
            "decision": "scale",
            "reason": "demand",
            "note": outcome.trail[-1].note,
            "bound": "work",
            "demand": 3.0,
            "needed": 3,
            "supply": 1,
            "draining": 0,
            "sentence": sentence(outcome),
        }
    ]


def test_what_stays_the_same_is_said_only_to_those_who_want_all(caplog: pytest.LogCaptureFixture) -> None:
    """A quiet pool is quiet in the log: a tick that repeats the last one's answer and reason is a detail."""
    first = decided(Known(3, NOON))
    second = decided(Known(3, NOON + 5), after=first)
    third = decided(Known(3, NOON + 10), after=second)
    lost = decided(Unknown("Prometheus did not answer"), after=third)
    still = decided(Unknown("Prometheus did not answer"), after=lost)
    story = (first, second, third, lost, still)
    assert told(*story) == [("info", "demand"), ("info", "steady"), ("info", "no_signal")]
    with caplog.at_level(logging.DEBUG, DECISIONS):
        assert [level for level, _ in told(*story)] == ["info", "info", "debug", "info", "debug"]


def test_a_move_is_one_also_after_nothing_was_known() -> None:
    """So most processes begin: the first look knows no replicas, and the second has more asked for than there are."""
    seen = Observation(replicas=Unknown("nobody said"), pods=Unknown("no source"), signals={})
    blind = tick(POLICY, Memory.fresh(NOON, POLICY.pace), seen, NOON)
    for queue, event in ((3, "the target moved"), (1, "the target stands for another reason")):
        board = LoggedBoard()
        with capture_logs() as log:
            board.publish(KEY, blind)
            board.publish(KEY, decided(Known(queue, NOON + 5), after=blind))
        assert (log[-1]["before"], log[-1]["after"], log[-1]["event"]) == (1, queue, event)


def told(*outcomes: Outcome) -> list[tuple[str, str]]:
    """Level and reason of each line that these outcomes of one pool make."""
    board = LoggedBoard()
    with capture_logs() as log:
        for outcome in outcomes:
            board.publish(KEY, outcome)
    return [(line["log_level"], line["reason"]) for line in log]


def test_of_jobs_the_line_says_what_keda_is_told() -> None:
    """One Job stands and no task waits: KEDA is told of none to create."""
    outcome = decided(Known(0, NOON))
    with capture_logs() as log:
        LoggedBoard(strategy=lambda _: JobStrategy.ACCURATE).publish(KEY, outcome)
    assert (outcome.report, [line["report"] for line in log]) == (1, [0])


def test_a_replica_that_stands_by_tells_of_no_decision() -> None:
    """It takes none: two lines for each move would be one too many, and so it is with the counters."""
    with capture_logs() as log:
        board = LoggedBoard(Chair())
        board.publish(KEY, decided(Known(3, NOON)))
    assert (log, board.history.get(KEY)) == ([], None)
    assert board.get(KEY) is not None


def test_what_is_not_known_is_null() -> None:
    """A hold without replicas has no figure to log, and logs none."""
    seen = Observation(replicas=Unknown("nobody said"), pods=Unknown("no source"), signals={})
    with capture_logs() as log:
        LoggedBoard().publish(KEY, tick(POLICY, Memory.fresh(NOON, POLICY.pace), seen, NOON))
    assert (log[0]["after"], log[0]["report"], log[0]["decision"]) == (None, None, "hold")
    assert log[0]["event"] == "the target stands for another reason"


def test_a_pool_that_is_gone_leaves_no_counters_behind() -> None:
    """What is kept of a pool goes with it, so that pools which come and go fill no memory."""
    board = LoggedBoard()
    board.publish(KEY, decided(Known(3, NOON)))
    assert board.history.get(KEY) is not None
    board.forget(KEY)
    assert board.history.get(KEY) is None


@pytest.mark.parametrize(
    ("key", "value", "told"),
    [
        ("why", "http://user:pa55@prometheus:9090/x failed", "http://***@prometheus:9090/x failed"),
        ("why", "GET with Authorization: Bearer abc.DEF-123= failed", "GET with Authorization: Bearer *** failed"),
        ("token", "abc", "***"),
        ("client_secret", "abc", "***"),
        ("why", "sum(rate(agent_tokens_total[1m])) at http://prometheus:9090", None),
        ("pools", 3, None),
    ],
)
def test_secrets_do_not_reach_the_log(key: str, value: str | int, told: str | None) -> None:
    """Whoever logs an address or a header by mistake has not told everybody who reads logs."""
    assert without_secrets(None, "info", {key: value}) == {key: value if told is None else told}


PROGRAM = """\
import logging, structlog
from scaler.cli.forms import LogFormat, LogLevel
from scaler.cli.logs import set_up

set_up(LogFormat.{form}, LogLevel.{level})
structlog.stdlib.get_logger("scaler.a").info("an event", pool="agents/coder", why="http://user:pa55@host failed")
logging.getLogger("scaler.b").warning("another", extra={{"why": "Bearer abc failed"}})
logging.getLogger("somebody").info("chatter")
try:
    1 / 0
except ZeroDivisionError:
    logging.getLogger("scaler.c").exception("a fault")
"""


def logged(form: str, level: str) -> list[str]:
    """What the program writes to stderr."""
    command = [sys.executable, "-c", PROGRAM.format(form=form, level=level)]
    return subprocess.run(command, capture_output=True, text=True, check=True).stderr.splitlines()


def test_every_line_has_one_form_whoever_wrote_it() -> None:
    """Keys of either way to log, the time in UTC, an exception as one line; and no secret in any of them."""
    first, second, third = (json.loads(line) for line in logged("AUTO", "INFO"))
    assert {key: first[key] for key in ("event", "level", "logger", "pool", "why")} == {
        "event": "an event",
        "level": "info",
        "logger": "scaler.a",
        "pool": "agents/coder",
        "why": "http://***@host failed",
    }
    assert first["timestamp"].endswith("Z")
    assert (second["event"], second["level"], second["why"]) == ("another", "warning", "Bearer *** failed")
    assert third["event"] == "a fault"
    assert "ZeroDivisionError" in third["exception"]


def test_people_get_another_form_and_may_want_less() -> None:
    """For a terminal, or where it is asked for."""
    first, *_ = logged("CONSOLE", "WARNING")
    assert "another" in first
    assert not first.startswith("{")
