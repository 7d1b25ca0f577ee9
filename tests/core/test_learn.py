"""Learning: waiting gets its price slowly from the measured wait, and what a tick teaches decides from the next on."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from scaler.core import idle as idle_timer
from scaler.core import startup
from scaler.core.learn import learnt
from scaler.core.policy import Pace, Policy
from scaler.core.types import Known, Learnt, Seconds, Signal, Unknown
from tests.core.pool import HOUR, NOW, Level, Story, busy, idle, seasoned

POLICY = Policy(target_wait_p95=180.0)
PACE = Pace()
HALF_HOUR: Seconds = 1_800.0


def pool(wait: Level) -> Story:
    """A pool at work whose 95th percentile of waiting is measured."""
    story = Story.of(POLICY, busy("a"))
    story.signals |= {Signal.WAIT_P95: wait}
    return story


def price(story: Story, after: Seconds = 5.0) -> float:
    """The price of waiting after one more tick."""
    story.tick(after)
    return story.memory.lessons.wait_price


@pytest.mark.parametrize(
    ("wait", "expected"),
    [
        pytest.param(181.0, 15.625, id="AMissedTargetMakesWaitingDearer"),
        pytest.param(180.0, 12.5, id="AMetTargetLeavesIt"),
        pytest.param(90.0, 12.5, id="HalfTheTargetIsStillMeetingIt"),
        pytest.param(89.9, 10.0, id="FarBelowTheTargetMakesItCheaper"),
        pytest.param(Unknown("timeout"), 12.5, id="AnUnknownWaitTeachesNothing"),
        pytest.param(Known(200.0, NOW - 400.0), 12.5, id="NorDoesOneOfLongAgo"),
    ],
)
def test_one_step_of_the_price(wait: Level, expected: float) -> None:
    """Each row: the measured wait against a target of three minutes, and the price after one step from 12.5."""
    story = pool(200.0)
    assert price(story) == 12.5
    story.signals[Signal.WAIT_P95] = wait
    assert price(story, HALF_HOUR) == expected


def test_the_price_moves_once_in_half_an_hour() -> None:
    """A loop around a loop must be much slower than the inner one, or the two chase each other."""
    story = pool(200.0)
    first = price(story)
    waited = [price(story) for _ in range(int(HALF_HOUR / 5) - 1)]
    assert set(waited) == {first} == {12.5}
    assert price(story) == 15.625


def test_the_price_stays_within_its_bounds() -> None:
    """Days of missing the target, then days of idling: from what a second is worth to what a p95 can ask for."""
    story = pool(200.0)
    assert max(price(story, HALF_HOUR) for _ in range(48)) == PACE.wait_price_high
    story.signals[Signal.WAIT_P95] = 0.0
    assert min(price(story, HALF_HOUR) for _ in range(48)) == PACE.wait_price


def test_a_target_shorter_than_a_startup_is_not_chased() -> None:
    """Whoever has to wait for a pod misses it, so the price falls back to what a second is worth, and stays there."""
    story = pool(200.0)
    assert [price(story, HALF_HOUR) for _ in range(2)] == [12.5, 15.625]
    story.policy = replace(story.policy, target_wait_p95=story.memory.lessons.startups.p90 - 1.0)
    assert [price(story, HALF_HOUR) for _ in range(3)] == [12.5, 10.0, 10.0]
    story.policy = replace(story.policy, target_wait_p95=story.memory.lessons.startups.p90)
    assert price(story, HALF_HOUR) == 12.5  # one that is as long can be met


def test_the_price_sets_the_quantile_that_is_foreseen() -> None:
    """The newsvendor's q = w / (w + 1): who must not wait gets more pods ahead."""
    story = pool(200.0)
    assert story.tick().evidence.forecast.quantile == pytest.approx(10 / 11)
    assert story.tick().evidence.forecast.quantile == pytest.approx(12.5 / 13.5)


def test_a_tick_decides_with_what_was_known_before_it() -> None:
    """Eight starts are seen to take twenty seconds; the horizon and the timer follow from the next tick on."""
    story = Story.of(POLICY)
    story.signals[Signal.QUEUE] = 8.0
    for seconds in (5.0, 16.0, 1.0):  # four are ordered, then four more, and all are seen on their way
        story.tick(seconds)
    ready = story.tick(20.0)
    assert (ready.evidence.forecast.horizon, ready.evidence.learnt.startups) == (120.0, 0)
    after = story.tick()
    assert (after.evidence.forecast.horizon, after.evidence.learnt.startup_p90) == (20.0, 20.0)
    assert after.evidence.learnt.idle_timer == 3 * (20.0 + 5.0)


def test_what_is_shown_as_learnt_is_what_decides() -> None:
    """Ten starts of which one was slow, and two gaps: each figure is that of its own lesson."""
    lessons = seasoned().lessons
    starts = startup.learn(lessons.startups, np.array((20.0,) * 9 + (60.0,)), PACE)
    gaps = idle_timer.learn(lessons.gaps, np.array([10.0, 20.0]), np.zeros(0), now=NOW, pace=PACE)
    assert learnt(POLICY, replace(lessons, startups=starts, gaps=gaps, wait_price=12.5)) == Learnt(
        startup_p90=20.0,
        startup_p99=60.0,
        startups=10,
        idle_timer=375.0,
        gaps=2,
        tokens_per_pod=Unknown("measured 0 times under full load, 3 are needed"),
        wait_price=12.5,
    )


def test_a_restart_costs_what_a_usual_start_takes() -> None:
    """One start in five is slow: that is how long one may have to wait, and not what it costs to let an idle pod go."""
    story, starts = Story.of(POLICY, idle("a")), np.array((20.0,) * 8 + (60.0,) * 2)
    lessons = story.memory.lessons
    taught = startup.learn(lessons.startups, starts, POLICY.pace)
    story.memory = replace(story.memory, lessons=replace(lessons, startups=taught))
    story.tick()
    learnt = story.tick().evidence.learnt
    assert (learnt.startup_p90, learnt.idle_timer) == (60.0, 3 * (20.0 + 5.0))


def test_idleness_that_nobody_watched_is_no_idleness() -> None:
    """The pods are out of sight for two timers: whoever is idle afterwards is idle since then, and no gap is learnt."""
    story = Story.of(POLICY, idle("a"), busy("b"))
    story.tick()
    story.unseen = Unknown("forbidden")
    for _ in range(150):
        story.tick()
    story.unseen = None
    story.runs("a", 1)
    story.runs("b", 0)
    story.expect_calm(370.0)
    assert story.memory.lessons.gaps.weight == 0.0


def test_gaps_are_learnt_from_pods() -> None:
    """A pod that pauses for a minute between tasks teaches gaps of a minute, one for each pause."""
    story = Story.of(POLICY, busy("a"))
    for _ in range(60):
        story.runs("a", 0)
        story.tick(60.0)
        story.runs("a", 1)
        story.tick(60.0)
    timer = story.tick(HOUR).evidence.learnt.idle_timer
    assert story.memory.lessons.gaps.weight == pytest.approx(60.0, rel=0.1)
    assert 60.0 <= timer <= 4 * 125.0
    assert timer != 375.0
