"""The log of decisions: one line each, and only what changed unless all is asked for."""

from __future__ import annotations

from structlog.testing import capture_logs

from scaler.cli.logs import LoggedBoard
from scaler.core.explain import sentence
from scaler.core.memory import Memory
from scaler.core.policy import Policy
from scaler.core.tick import tick
from scaler.core.types import Known, Observation, Outcome, Sample, Signal, Unknown
from tests.config.material import KEY

NOON = 1_795_262_400.0  # 2026-11-21 12:00:00 UTC
POLICY = Policy()


def decided(queue: Sample, *, after: Outcome | None = None) -> Outcome:
    """A pool's next outcome, five seconds after the one before it."""
    now = NOON if after is None else after.at + 5
    memory = Memory.fresh(now, POLICY.pace) if after is None else after.memory
    seen = Observation(replicas=Known(1, now), pods=Unknown("no source"), signals={Signal.QUEUE: queue})
    return tick(POLICY, memory, seen, now)


def test_a_decision_is_one_line_that_programs_can_read() -> None:
    """The sentence that every surface prints, and its figures and labels as fields."""
    outcome = decided(Known(3, NOON))
    with capture_logs() as log:
        LoggedBoard().publish(KEY, outcome)
    assert log == [
        {
            "event": sentence(outcome),
            "log_level": "info",
            "pool": "agents/coder",
            "target": outcome.report,
            "report": outcome.report,
            "decision": "scale",
            "reason": outcome.trail[-1].reason.value,
            "bound": outcome.evidence.demand.bound,
        }
    ]


def test_what_stays_the_same_is_said_only_to_those_who_want_all() -> None:
    """A quiet pool is quiet in the log: a tick that repeats the last one's answer and reason is a detail."""
    board = LoggedBoard()
    first = decided(Known(3, NOON))
    second = decided(Known(3, NOON + 5), after=first)
    third = decided(Known(3, NOON + 10), after=second)
    lost = decided(Unknown("Prometheus did not answer"), after=third)
    with capture_logs() as log:
        for outcome in (second, third, lost):
            board.publish(KEY, outcome)
    assert [line["log_level"] for line in log] == ["info", "debug", "info"]


def test_what_is_not_known_is_null() -> None:
    """A hold without replicas has no figure to log, and logs none."""
    seen = Observation(replicas=Unknown("nobody said"), pods=Unknown("no source"), signals={})
    with capture_logs() as log:
        LoggedBoard().publish(KEY, tick(POLICY, Memory.fresh(NOON, POLICY.pace), seen, NOON))
    assert (log[0]["target"], log[0]["report"], log[0]["decision"]) == (None, None, "hold")
