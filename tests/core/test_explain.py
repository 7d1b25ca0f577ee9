"""Explanations: golden lines for a few outcomes, and the law that nothing is worked out a second time."""

from __future__ import annotations

from dataclasses import replace

import pytest

from scaler.core import explain
from scaler.core.policy import Mode, Policy
from scaler.core.reasons import Reason
from scaler.core.tick import tick
from scaler.core.types import Forecast, Hold, Known, Outcome, ScaleTo, Signal, Step, Unknown
from tests.core.pool import NOW, Story, busy, draining, idle, observe, seasoned

POLICY = Policy(max_replicas=10)
UNSEEN = Unknown("pods: forbidden")


def burst() -> Outcome:
    """Six tasks are queued at an empty pool."""
    return tick(POLICY, seasoned(0), observe([], {Signal.QUEUE: 6}), NOW)


def calm() -> Outcome:
    """One pod works, one stands idle."""
    return tick(POLICY, seasoned(2), observe([busy("a"), idle("b")], {Signal.QUEUE: Known(0, NOW - 4.0)}), NOW)


def blackout() -> Outcome:
    """Nothing is known but the replicas."""
    silence = {Signal.QUEUE: Unknown("connection refused")}
    return tick(POLICY, seasoned(3), observe(UNSEEN, silence, replicas=3), NOW)


def nobody() -> Outcome:
    """Nothing is known at all, by a process that has just begun."""
    return tick(POLICY, seasoned(), observe(UNSEEN), NOW)


def advice() -> Outcome:
    """The burst again, in a pool that only takes advice."""
    policy = replace(POLICY, mode=Mode.RECOMMEND)
    return tick(policy, seasoned(0), observe([], {Signal.QUEUE: 6}), NOW)


BURST = """\
0 → 4: the target rises by no more than its rate limit (from 0 within 15 s)
  demand: 0 → 6, the work needs more pods than there are (work asks for 6.00 pods, supply is 0)
  rate_limit: 6 → 4, the target rises by no more than its rate limit (from 0 within 15 s)
demand: 6.00 pods up, 6.00 down; needs 6, keeps 6
  queue: 6.00 pods
  inflight: 0.00 pods
  sessions: 0.00 pods
  work: 6.00 pods
  pending: unknown, not configured
  tokens: unknown, not configured
supply: 0; 0 ready, 0 starting, 0 ordered, 0 overdue; 0 draining, 0 drained, 0 idle, 0 unknown
forecast: no forecast has beaten persistence by its gate within 120 s at q = 0.91 by rise (too few trials, or nothing \
to foresee)
learnt: startup p90 120 s (0 seen), idle timer 375 s (0 gaps), waiting costs 10.0, tokens per pod: measured 0 times \
under full load, 3 are needed
age of queue: 0 s
announced: 0 pods; quick reversals within the hour: 0
reported to KEDA: 4"""


def test_golden_lines_of_a_burst() -> None:
    """The whole decision as ``scaler explain`` prints it."""
    assert "\n".join(explain.lines(burst())) == BURST


@pytest.mark.parametrize(
    ("outcome", "sentence"),
    [
        pytest.param(
            calm(),
            "stay at 2: spare pods have not been idle for long enough (1 spare, 1 idle, timer 375 s)",
            id="AStandingTargetSaysThatItStays",
        ),
        pytest.param(
            blackout(),
            "hold 3: no signal says anything about demand (no signal says anything about demand)",
            id="AHoldSaysSo",
        ),
        pytest.param(
            nobody(),
            "hold unknown, nobody said: nobody has said how many replicas there are (nobody said)",
            id="WhatIsUnknownIsToldAsUnknown",
        ),
        pytest.param(
            advice(),
            "0 → 4: the pool only gets a recommendation and keeps its replicas (the live replicas stay at 0)",
            id="AdviceIsToldAsAdvice",
        ),
    ],
)
def test_golden_sentences(outcome: Outcome, sentence: str) -> None:
    """Each row: an outcome, and the one line that its log entry and its Event carry."""
    assert explain.sentence(outcome) == sentence
    assert explain.lines(outcome)[0] == sentence


def test_ages_and_absences_are_told() -> None:
    """An operator sees how old each signal is, and why one is missing."""
    assert "age of queue: 4 s" in explain.lines(calm())
    assert "age of queue: unknown, connection refused" in explain.lines(blackout())
    assert "  sessions: unknown, pods: forbidden" in explain.lines(blackout())
    assert explain.lines(nobody())[-1] == "reported to KEDA: unknown, nobody said"


@pytest.mark.parametrize(
    ("outcome", "labels", "event"),
    [
        pytest.param(burst(), ("scale", "rate_limit", "work"), "RateLimited", id="ADecision"),
        pytest.param(blackout(), ("hold", "no_signal", "none"), "NoSignal", id="AHold"),
        pytest.param(nobody(), ("hold", "no_replicas", "none"), "ReplicasUnknown", id="AnUnknownHold"),
    ],
)
def test_labels_and_events(outcome: Outcome, labels: tuple[str, str, str], event: str) -> None:
    """Each row: an outcome, its metric labels (decision, reason, bound), and the reason of its Event."""
    assert explain.labels(outcome) == dict(zip(("decision", "reason", "bound"), labels, strict=True))
    assert explain.event(outcome) == (event, explain.sentence(outcome))
    assert explain.reason(outcome).value == labels[1]


FORGED = """\
11 → 77: demand is expected to rise before a pod could start ()
  forecast: 11 → 77, demand is expected to rise before a pod could start
demand: 9.25 pods up, 6.00 down; needs 12, keeps 13
  work: 3.50 pods
supply: 21; 22 ready, 0 starting, 0 ordered, 23 overdue; 0 draining, 0 drained, 0 idle, 24 unknown
forecast: 15.50 pods within 33 s at q = 0.50 by yesterday (0.25 of persistence's loss)
learnt: startup p90 17 s (18 seen), idle timer 375 s (19 gaps), waiting costs 2.5, tokens per pod: 950 a second
age of queue: 88 s
announced: 5.5 pods; quick reversals within the hour: 4
reported to KEDA: 66"""


def test_nothing_is_worked_out_again() -> None:
    """Every figure comes from the outcome, even one that its inputs would not give: told is what was decided."""
    outcome = burst()
    e = outcome.evidence
    forged = replace(
        outcome,
        decision=ScaleTo(77),
        report=66,
        trail=(Step(Reason.FORECAST, 11, 77),),
        evidence=replace(
            e,
            ages={Signal.QUEUE: 88.0},
            announced=5.5,
            reversals=4,
            demand=replace(e.demand, up=9.25, need_up=12, need_down=13, by_signal={"work": Known(3.5, NOW)}),
            supply=replace(e.supply, wanted=21, ready=22, overdue=23, unknown=24),
            forecast=Forecast(pods=15.5, horizon=33.0, quantile=0.5, candidate="yesterday", skill=0.25),
            learnt=replace(e.learnt, startup_p90=17.0, startups=18, gaps=19, tokens_per_pod=950.0, wait_price=2.5),
        ),
    )
    assert "\n".join(explain.lines(forged)) == FORGED


def test_a_hold_is_told_by_its_own_reason() -> None:
    """Even where the last step of its trail was another, such as the minimum."""
    held = replace(burst(), decision=Hold(4, Reason.NO_SIGNAL, "timeout"))
    assert explain.reason(held) is Reason.NO_SIGNAL
    assert explain.sentence(held) == "hold 4: no signal says anything about demand (timeout)"


def test_drains_are_told_as_drains() -> None:
    """A drain that is called back says how many came back, without a move of the target."""
    story = Story.of(POLICY, busy("a"), draining(idle("b")))
    story.signals[Signal.QUEUE] = 1.0
    outcome = story.expect(2, Reason.UNDRAINED, "cancel b")
    sentence = "stay at 2: draining pods are called back before new ones start (1 called back)"
    assert explain.sentence(outcome) == sentence
