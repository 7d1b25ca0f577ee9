"""Pods that take long: who is told of, at which age, and how often."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scaler.core.pods import Phase, Pod, Pods, Stage
from scaler.core.stuck import NAMES, STEPS, Look, Stucks, Trouble, look, news
from scaler.core.types import Instant, PodUid, Seconds
from tests.core.pool import NOW, busy, drained, draining, heard, idle, starting, unheard

STALE_AFTER = 15.0
NOTHING: Mapping[PodUid, Seconds] = {}


def seen(
    *pods: Pod,
    at: Instant = NOW,
    was: Stucks | None = None,
    over: Mapping[PodUid, Seconds] = NOTHING,
    marked: Mapping[PodUid, Instant] = NOTHING,
) -> Stucks:
    """Who is in trouble at an instant. Pods that answer do so then."""
    columns = Pods.of(heard(pod, at) for pod in pods)
    return look(was or {}, columns, Look(now=at, stale_after=STALE_AFTER, over=over, marked=marked))


@pytest.mark.parametrize(
    ("pod", "over", "troubles"),
    [
        pytest.param(busy("a"), {}, [], id="ABusyPodIsFine"),
        pytest.param(idle("a"), {}, [], id="AnIdleOneToo"),
        pytest.param(unheard("a"), {}, [Trouble.SILENT], id="OneThatSaysNothing"),
        pytest.param(replace(unheard("a"), stage=Stage.UNREADY), {}, [Trouble.SILENT], id="ThoughItIsReadyNoMore"),
        pytest.param(starting("a"), {}, [], id="NotOneThatStarts"),
        pytest.param(draining(busy("a")), {}, [Trouble.DRAINING], id="OneThatDrains"),
        pytest.param(draining(unheard("a")), {}, [Trouble.SILENT, Trouble.DRAINING], id="OneThatDrainsInSilence"),
        pytest.param(replace(unheard("a"), phase=Phase.DRAINED), {}, [], id="NotOneThatIsDrained"),
        pytest.param(drained(idle("a")), {}, [], id="HeardOrNot"),
        pytest.param(busy("a"), {"a": 5.0}, [Trouble.LONG_TASK], id="OneWithATaskPastItsLimit"),
    ],
)
def test_what_is_trouble(pod: Pod, over: Mapping[PodUid, Seconds], troubles: list[Trouble]) -> None:
    """Each row: a pod, by how much its oldest task is past the limit, and what is told of."""
    assert [trouble for _, trouble in seen(pod, over=over)] == troubles


def test_each_step_is_news_once() -> None:
    """Silent for an hour and more, looked at every five seconds: after a minute, ten minutes and an hour."""
    told: list[tuple[Seconds, str]] = []
    was: Stucks = {}
    for n in range(800):
        now = seen(unheard("a"), at=NOW + 5.0 * n, was=was)
        told += [(5.0 * n, NAMES[each.step - 1]) for each in news(was, now)]
        was = now
    assert told == [(60.0, "1m"), (600.0, "10m"), (3600.0, "1h")]


def test_whoever_is_heard_again_begins_anew() -> None:
    """A word in between, and the silence is another."""
    silent = seen(unheard("a"))
    spoke = seen(busy("a"), at=NOW + 50.0, was=silent)
    again = seen(unheard("a"), at=NOW + 100.0, was=spoke)
    assert spoke == {}
    assert again["a", Trouble.SILENT].since == NOW + 100.0


def test_a_task_tells_by_itself_for_how_long_it_is_past_its_limit() -> None:
    """So who takes over in between tells the same."""
    found = seen(busy("a"), over={"a": 700.0})["a", Trouble.LONG_TASK]
    assert (found.since, found.step) == (NOW - 700.0, 2)


@pytest.mark.parametrize(("ago", "step"), [(59.0, 0), (700.0, 2), (4_000.0, 3), (-50.0, 0)])
def test_a_mark_tells_by_itself_since_when_a_pod_drains(ago: Seconds, step: int) -> None:
    """So who takes over in between tells the same; one of another's clock is not believed to be of tomorrow."""
    found = seen(draining(busy("a")), unheard("b"), marked={"a": NOW - ago, "b": NOW - ago})
    assert (found["a", Trouble.DRAINING].since, found["a", Trouble.DRAINING].step) == (NOW - max(0.0, ago), step)
    assert found["b", Trouble.SILENT].since == NOW


@given(st.lists(st.floats(-5_000.0, 5_000.0), min_size=1, max_size=30))
def test_a_clock_that_is_set_makes_nothing_older_than_it_is(moves: list[Seconds]) -> None:
    """Set back and forth while a pod is silent: no step is told that the clock since has not come to."""
    was: Stucks = {}
    at, lowest = NOW, NOW
    for move in moves:
        at += move
        lowest = min(lowest, at)
        now = seen(unheard("a"), at=at, was=was)
        (found,) = now.values()
        assert found.step == sum(at - found.since >= step for step in STEPS)
        assert found.since >= lowest
        was = now
