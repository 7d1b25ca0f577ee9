"""The freshness of signals: what may be used, what freezes falls, and what a missing signal says of itself."""

from __future__ import annotations

from dataclasses import replace

import pytest

from scaler.core.policy import Policy
from scaler.core.senses import Senses, sense
from scaler.core.types import Known, Sample, Seconds, Signal, Unknown
from tests.core.pool import NOW, busy, given, observe, seasoned

QUEUE = Signal.QUEUE


def judged(*samples: tuple[Signal, Sample], scrape: Seconds = 5.0) -> Senses:
    """The signals as judged now, in a pool that is scraped this often."""
    return sense(Policy(scrape_interval=scrape), dict(samples), NOW)


@pytest.mark.parametrize(
    ("age", "scrape", "usable", "stale"),
    [
        pytest.param(0.0, 5.0, True, None, id="AFreshSampleIsGood"),
        pytest.param(-15.0, 5.0, True, None, id="AClockALittleAheadOfOursIsNoFault"),
        pytest.param(-20.0, 5.0, True, "queue is 20 s old", id="OneFarAheadIsAsFarFromTheTruthAsOneBehind"),
        pytest.param(15.0, 5.0, True, None, id="ThreeScrapesOldIsStillGood"),
        pytest.param(15.5, 5.0, True, "queue is 16 s old", id="OlderFreezesFallsButStillAddsPods"),
        pytest.param(45.0, 15.0, True, None, id="TheScrapeIntervalSetsTheMeasure"),
        pytest.param(300.0, 5.0, True, "queue is 300 s old", id="ForFiveMinutesItIsDemand"),
        pytest.param(301.0, 5.0, False, "queue is 301 s old", id="AfterFiveMinutesItSaysNothing"),
        pytest.param(301.0, 200.0, False, "queue is 301 s old", id="NothingIsLostWithoutBeingStale"),
    ],
)
def test_a_sample_by_its_age(age: Seconds, scrape: Seconds, usable: bool, stale: str | None) -> None:
    """Each row: the age of the queue's sample, the scrape interval, whether it is used, and what freezes falls."""
    senses = judged((QUEUE, Known(7.0, NOW - age)), scrape=scrape)
    assert (QUEUE in senses.usable, senses.stale) == (usable, stale)
    assert senses.ages[QUEUE] == abs(age)


def test_an_unknown_signal_freezes_falls_and_says_why() -> None:
    """A failed read is no zero."""
    senses = judged((QUEUE, Unknown("connection refused")))
    assert senses.usable == {}
    assert senses.stale == "queue is unknown: connection refused"


def test_the_first_missing_signal_is_named() -> None:
    """One sentence is enough to know where to look; the ages show the rest."""
    senses = judged((Signal.PENDING, Known(1.0, NOW - 20.0)), (QUEUE, Unknown("timeout")))
    assert senses.stale == "pending is 20 s old"
    assert senses.ages == {Signal.PENDING: 20.0, QUEUE: Unknown("timeout")}


@pytest.mark.parametrize("signal", [Signal.WAIT_P95, Signal.SERVICE])
def test_what_tells_of_tasks_that_began_or_ended_lately_freezes_nothing(signal: Signal) -> None:
    """Of long tasks none may have for hours, and a quantile or a mean of nothing is none; the queue still freezes."""
    assert judged((signal, Unknown("NaN")), (QUEUE, Known(0.0, NOW))).stale is None
    assert judged((signal, Known(3.0, NOW - 20.0))).stale is None
    assert judged((signal, Unknown("NaN")), (QUEUE, Unknown("timeout"))).stale == "queue is unknown: timeout"


@pytest.mark.parametrize(
    ("signal", "why"),
    [
        pytest.param(Signal.TOKENS, "not configured", id="NotConfigured"),
        pytest.param(Signal.PENDING, "timeout", id="Failed"),
        pytest.param(QUEUE, "400 s old", id="Lost"),
    ],
)
def test_a_missing_signal_says_why(signal: Signal, why: str) -> None:
    """Each row: a signal that cannot be used, and what an operator is told of it."""
    senses = judged((QUEUE, Known(1.0, NOW - 400.0)), (Signal.PENDING, Unknown("timeout")))
    assert senses.missing(signal) == Unknown(why)


@pytest.mark.parametrize(("live", "raised"), [(9, 0), (10, 0), (11, 11)], ids=["OnItsWay", "Reached", "Passed"])
def test_our_own_target_is_nobody_elses_raise(live: int, raised: int) -> None:
    """Ten were asked for and five stood at the last tick. Each row: the live replicas, and what another asks for."""
    memory = replace(seasoned(10), live=5)
    assert given(Policy(), observe([busy("a")], replicas=live), memory=memory).raised == raised
