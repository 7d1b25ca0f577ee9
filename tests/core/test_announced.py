"""Announced work: hints raise to a level once, the schedule asks in all, and both in time for a pod to start."""

from __future__ import annotations

import pytest

from scaler.core.policy import Policy
from scaler.core.reasons import Reason
from scaler.core.types import Announcement, Seconds, Signal, Unknown
from tests.core.pool import NOW, Story, busy

POLICY = Policy(max_replicas=20)


def hint(name: str, pods: float, start: Seconds = 0.0, end: Seconds = 600.0) -> Announcement:
    """A caller says that so many pods' work is coming, between two instants from now."""
    return Announcement(name=name, pods=pods, start=NOW + start, end=NOW + end, added=True)


def window(name: str, pods: float, start: Seconds, end: Seconds) -> Announcement:
    """The schedule asks for so many pods in all, between two instants from now."""
    return Announcement(name=name, pods=pods, start=NOW + start, end=NOW + end, added=False)


def test_a_hint_adds_to_the_demand_that_stood() -> None:
    """Three pods at work, and a caller that will fan out to four: seven are needed."""
    story = Story.of(POLICY, busy("a"), busy("b"), busy("c"))
    story.announced = (hint("fan-out", 4),)
    story.expect(7, Reason.ANNOUNCED)


def test_a_hint_of_forty_sub_agents_raises_the_target_before_the_first_of_them_is_queued() -> None:
    """All forty at once, from an empty pool: what is announced waits for no rate limit, and its arrival adds none."""
    story = Story.of(Policy(max_replicas=100))
    story.announced = (hint("fan-out", 40),)
    story.expect(40, Reason.ANNOUNCED)
    story.signals[Signal.QUEUE] = 25.0
    story.expect(40, Reason.STEADY)
    story.signals[Signal.QUEUE] = 40.0
    story.expect(40, Reason.STEADY)


def test_announced_tasks_do_not_count_twice() -> None:
    """Once they queue they are demand; the hint's level is reached by them and asks for nothing more."""
    story = Story.of(POLICY, busy("a"), busy("b"), busy("c"))
    story.announced = (hint("fan-out", 4),)
    story.expect(7, Reason.ANNOUNCED)
    story.signals[Signal.QUEUE] = 4.0
    story.expect(7, Reason.STEADY)


def test_hints_stack() -> None:
    """Two callers that both fan out are not the same work, whenever the second one speaks."""
    story = Story.of(POLICY, busy("a"))
    story.announced = (hint("one", 2),)
    assert story.tick().evidence.announced == 3.0
    story.announced = (hint("one", 2), hint("two", 3))
    assert story.tick().evidence.announced == 6.0


def test_hints_together_ask_for_at_most_half_the_maximum() -> None:
    """A caller that exaggerates cannot take the whole pool."""
    story = Story.of(POLICY, busy("a"))
    story.announced = (hint("one", 8), hint("greedy", 500), hint("late", 3))
    assert story.tick().evidence.announced == 1.0 + 10.0


def test_a_hint_in_a_blackout_is_measured_against_what_was_last_seen() -> None:
    """Ten tasks were queued before the lights went out; three more make thirteen, not three."""
    story = Story.of(POLICY)
    story.unseen = Unknown("no pod source")
    story.signals[Signal.QUEUE] = 10.0
    story.tick()
    story.signals[Signal.QUEUE] = Unknown("timeout")
    story.announced = (hint("fan-out", 3),)
    assert story.tick().evidence.announced == 13.0


def test_a_hint_that_ended_is_forgotten() -> None:
    """The same name later is new work, measured against the demand of its own time."""
    story = Story.of(POLICY, busy("a"))
    story.announced = (hint("nightly", 2),)
    assert story.tick().evidence.announced == 3.0
    story.announced = ()
    assert story.tick().evidence.announced == 0.0
    story.runs("a", 0)
    story.announced = (hint("nightly", 2),)
    assert story.tick().evidence.announced == 2.0


@pytest.mark.parametrize(
    ("after", "pods"),
    [
        pytest.param(479.0, 0.0, id="TwoMinutesAheadIsTooEarly"),
        pytest.param(480.0, 5.0, id="OneStartupAheadPodsAreOrdered"),
        pytest.param(899.0, 5.0, id="UntilItsLastSecondItStands"),
        pytest.param(900.0, 0.0, id="AtItsEndItIsOver"),
    ],
)
def test_the_schedule_is_ahead_by_one_startup(after: Seconds, pods: float) -> None:
    """A window from minute ten to fifteen, startups of two minutes. Each row: seconds from now, and pods asked for."""
    story = Story.of(POLICY)
    story.announced = (window("opening", 5, 600.0, 900.0),)
    assert story.tick(after).evidence.announced == pods


def test_the_schedule_asks_for_pods_in_all() -> None:
    """Five pods scheduled are five, however many are at work; of two windows the larger counts."""
    story = Story.of(POLICY, busy("a"), busy("b"), busy("c"))
    story.announced = (window("opening", 5, 0.0, 900.0), window("sale", 4, 0.0, 900.0))
    story.expect(5, Reason.ANNOUNCED)


def test_a_window_that_bears_a_hints_name_is_none_of_it() -> None:
    """The hint adds its own two pods, and not the five of a window that has not begun."""
    story = Story.of(POLICY, busy("a"))
    story.announced = (hint("opening", 2), window("opening", 5, 3_600.0, 7_200.0))
    assert story.tick().evidence.announced == 3.0


def test_a_hint_for_later_asks_for_nothing_yet() -> None:
    """It comes into force one startup ahead, measured against the demand of that moment, and takes no share before."""
    story = Story.of(POLICY, busy("a"))
    story.announced = (hint("tonight", 8, start=3_600.0, end=7_200.0), hint("now", 8))
    assert story.tick().evidence.announced == 9.0
    story.announced = story.announced[:1]
    story.runs("a", 0)
    assert story.tick(3_470.0).evidence.announced == 0.0
    assert story.tick().evidence.announced == 8.0


def test_hints_stack_in_the_order_in_which_they_came_into_force() -> None:
    """The caller that came second is listed first; the first one's level still stands as it was."""
    story = Story.of(POLICY, busy("a"))
    story.announced = (hint("one", 2),)
    story.tick()
    story.announced = (hint("two", 3), hint("one", 2))
    assert story.tick().evidence.announced == 6.0
    story.announced = (hint("one", 2),)
    assert story.tick().evidence.announced == 3.0
