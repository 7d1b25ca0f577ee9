"""A pool's own past as tasks: as many, as early and as long as the looks can tell."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from hypothesis import given
from hypothesis import strategies as st

from scaler.sim.past import Look, past

Task = tuple[int, int, int]  # seconds that the pod was free before it, that it waited, and that it ran
TASKS = st.lists(st.tuples(st.integers(1, 9), st.integers(0, 9), st.integers(1, 20)), max_size=8)


def looks(*seen: tuple[int, Mapping[str, int | None]]) -> list[Look]:
    """One every ten seconds: how many wait, and what runs where."""
    return [Look(at=100.0 + 10 * i, waiting=waiting, running=running) for i, (waiting, running) in enumerate(seen)]


@given(st.lists(TASKS, max_size=4))
def test_what_each_look_shows_is_told_exactly(pods: Sequence[Sequence[Task]]) -> None:
    """One slot a pod and a look a second: every task is found, with the second in which it came and its length."""
    ran: list[tuple[int, int, int, str]] = []  # when it came, began and ended, and where
    for pod, tasks in enumerate(pods):
        at = 10
        for free, waited, seconds in tasks:
            ran.append((at + free - min(waited, at), at + free, at + free + seconds, str(pod)))
            at += free + seconds
    end = max((ended for _, _, ended, _ in ran), default=0)
    seen = [
        Look(
            at=1_000.0 + t,
            waiting=sum(came <= t < began for came, began, _, _ in ran),
            running={p: sum(began <= t < ended for _, began, ended, on in ran if on == p) for p in "0123"},
        )
        for t in range(end + 1)
    ]
    found = past(seen)
    assert [came for came, _ in found.tasks] == sorted(float(came) for came, _, _, _ in ran)
    assert sorted(length for _, length in found.tasks) == sorted(float(ended - began) for _, began, ended, _ in ran)
    assert (found.lasted, found.cut, found.never) == (end, 0, 0)


def test_who_came_first_begins_first_and_his_wait_is_no_part_of_his_length() -> None:
    """Two wait when the pod begins with one; the other begins when that one has ended."""
    found = past(looks((2, {}), (1, {"a": 1}), (1, {"a": 1}), (0, {"a": 0, "b": 1}), (0, {})))
    assert found.tasks == ((0.0, 10.0), (0.0, 20.0))


def test_a_pod_that_was_not_heard_goes_on_with_what_it_had() -> None:
    """Silence is no end, and nothing new; but a pod that is gone has ended all of it."""
    assert past(looks((0, {"a": 2}), (0, {"a": None}), (0, {"a": 2}), (0, {}))).tasks == ((0.0, 30.0), (0.0, 30.0))


def test_what_runs_at_the_end_is_as_long_as_it_was_seen_to_be() -> None:
    """And what began with the last look has no length, so it is left out."""
    found = past(looks((0, {"a": 1}), (0, {"a": 1}), (0, {"a": 1, "b": 1})))
    assert (found.tasks, found.cut, found.never) == (((0.0, 20.0),), 1, 1)


def test_who_gave_up_or_still_waits_is_left_out_and_counted() -> None:
    """Three waited; one gave up, one began, one waits still."""
    found = past(looks((3, {}), (1, {"a": 1}), (1, {"a": 0})))
    assert (found.tasks, found.never) == (((0.0, 10.0),), 2)


def test_of_nothing_nothing_is_told() -> None:
    """No look, no task, no time."""
    found = past([])
    assert (found.tasks, found.lasted, found.cut, found.never) == ((), 0.0, 0, 0)


def test_what_ran_when_nobody_looked_is_taken_to_end_there() -> None:
    """Nobody knows whether what is seen after six hours is the same: it comes anew, and the time in between stands."""
    seen = [Look(at=at, waiting=0, running={"a": count}) for at, count in ((0, 1), (5, 1), (21_605, 1), (21_610, 0))]
    found = past(seen)
    assert found.tasks == ((0.0, 5.0), (21_605.0, 5.0))
    assert (found.lasted, found.gaps, found.unseen, found.halted, found.cut) == (21_610.0, 1, 21_600.0, 1, 0)


def test_who_waited_when_nobody_looked_was_never_seen_to_run() -> None:
    """And who waits afterwards has come then."""
    seen = [
        Look(at=0.0, waiting=2, running={}),
        Look(at=61.0, waiting=1, running={}),
        Look(at=66.0, waiting=0, running={"a": 1}),
        Look(at=71.0, waiting=0, running={}),
    ]
    found = past(seen)
    assert (found.tasks, found.never, found.halted) == (((61.0, 5.0),), 2, 0)


def test_a_minute_is_no_gap() -> None:
    """A restart of the scaler stops no task."""
    seen = [Look(at=at, waiting=0, running={"a": count}) for at, count in ((0.0, 1), (60.0, 1), (65.0, 0))]
    assert past(seen).tasks == ((0.0, 65.0),)


def test_where_the_clock_runs_back_another_past_begins() -> None:
    """Only the last one is told, by its own clock, and from where to where it ran back."""
    first, second = looks((0, {"a": 1}), (0, {"a": 1}), (3, {"a": 1})), looks((0, {"b": 1}), (0, {}))
    assert past([*first, *second]).tasks == past(second).tasks == ((0.0, 10.0),)
    assert past([*first, *second]).back == (120.0, 100.0)
    assert past(second).back is None
