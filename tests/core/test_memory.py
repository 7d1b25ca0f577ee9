"""Memory: what a clock set back does to it, which is nothing that could be seen."""

from __future__ import annotations

from dataclasses import replace

import pytest

from scaler.core import explain
from scaler.core.memory import Crowd, Memory, Spare
from scaler.core.policy import Pace, Policy
from scaler.core.types import Announcement, Outcome, Seconds, Signal
from tests.core.pool import HOUR, NOW, TICK, Story, busy, idle, told

POLICY = Policy(max_replicas=50)


def eventful() -> Story:
    """A pool with something of everything in its memory: rises, falls, gaps, hints, prices, bids, orders unseen."""
    story = Story.of(POLICY, busy("a"), idle("b"), busy("c"))
    story.signals |= {Signal.TOKENS: 300.0, Signal.WAIT_P95: 60.0}
    story.announced = (Announcement(name="fan-out", pods=2, start=NOW, end=NOW + HOUR, added=True),)
    for n in range(60):
        story.signals[Signal.QUEUE] = float(n % 7)
        story.runs("b", n % 2)
        story.tick()
    return story


def test_a_fresh_memory_begins_with_the_priors() -> None:
    """Nothing is known, so the assumed startup decides; whoever assumes another starts from that."""
    memory = Memory.fresh(NOW)
    assert (memory.at, memory.born, memory.target) == (NOW, NOW, None)
    assert (memory.lessons.startups.p90, memory.lessons.gaps.timer, memory.lessons.wait_price) == (120.0, 375.0, 10.0)
    assert Memory.fresh(NOW, Pace(startup_prior=20.0)).lessons.gaps.timer == 75.0


def test_time_that_goes_forward_leaves_memory_alone() -> None:
    """However long nobody looked."""
    memory = eventful().memory
    assert memory.at_or_before(memory.at + HOUR) is memory
    assert memory.at_or_before(memory.at) is memory


@pytest.mark.parametrize("back", [1.0, 60.0, 2 * HOUR])
def test_a_clock_set_back_changes_nothing(back: Seconds) -> None:
    """Two pools live on from one moment, one of them with its clock set back: for half an hour they are told alike.

    Every age, window and timer goes on from where it was; what was seen to take a minute still took a minute.
    """
    steady, moved = eventful(), set_back(eventful(), back)
    for n in range(400):
        for story in (steady, moved):
            story.signals[Signal.QUEUE] = float(n // 40 % 3)
            story.runs("b", n // 30 % 2)
        after = TICK if n else 0.0  # from the last tick to the first by the other clock no time can be said to pass
        assert told_alike(steady.tick(after)) == told_alike(moved.tick(after)), n


def test_what_is_seldom_asked_goes_back_too() -> None:
    """The birth of the process, and when gaps, timer, price and capacity were last seen to: as long ago as before."""
    memory = eventful().memory
    moved, last_rise = memory.at_or_before(memory.at - HOUR), memory.moves.rises[-1].at
    assert moved.born == memory.born - HOUR
    assert [memory.moves.last_rise, moved.moves.last_rise] == [last_rise, last_rise - HOUR]
    assert moved.lessons.priced_at == memory.lessons.priced_at - HOUR
    assert moved.lessons.gaps.at == memory.lessons.gaps.at - HOUR
    assert moved.lessons.gaps.timer_at == memory.lessons.gaps.timer_at - HOUR
    assert [c.at for c in moved.lessons.capacity] == [c.at - HOUR for c in memory.lessons.capacity]
    assert memory.lessons.capacity
    crowded = replace(memory, crowd=Crowd(since=NOW, stand=3), left_at=NOW).at_or_before(memory.at - HOUR)
    assert (crowded.told_at, crowded.crowd) == (memory.at - HOUR, Crowd(since=NOW - HOUR, stand=3))
    assert crowded.left_at == NOW - HOUR
    uneven = replace(memory, spare=Spare(since=NOW, uneven=NOW - 60.0)).at_or_before(memory.at - HOUR).spare
    assert (uneven.since, uneven.uneven) == (NOW - HOUR, NOW - HOUR - 60.0)
    assert [wish.at for wish in moved.watch.wishes] == [wish.at - HOUR for wish in memory.watch.wishes] != []


def set_back(story: Story, by: Seconds) -> Story:
    """The story, as if all clocks but our memory had been set back."""
    story.now -= by
    story.pods = {
        uid: replace(pod, created_at=pod.created_at - by, since=pod.since - by) for uid, pod in story.pods.items()
    }
    story.announced = tuple(replace(a, start=a.start - by, end=a.end - by) for a in story.announced)
    return story


def told_alike(outcome: Outcome) -> tuple[list[str], list[str]]:
    """All that is told and ordered, in which no instant occurs."""
    return explain.lines(outcome), told(outcome)
