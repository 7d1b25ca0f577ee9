"""The board: the latest outcome of each pool, its age, and who is told when a pool wakes."""

from __future__ import annotations

from contextlib import ExitStack
from functools import partial

from scaler.config.pool import PoolKey
from scaler.core.policy import Mode, Policy
from scaler.core.tick import tick
from scaler.core.types import Instant, Outcome, Unknown
from scaler.live.board import Board
from tests.core.pool import NOW, busy, observe, seasoned

CODER, WRITER = PoolKey("agents", "coder"), PoolKey("agents", "writer")
POLICY = Policy(mode=Mode.OFF)  # the report is then the number of pods


def outcome(pods: int | None, at: Instant = NOW) -> Outcome:
    """What a tick says of so many pods, or of a pool of which nothing is known."""
    seen = observe(Unknown("unseen") if pods is None else [busy(f"pod-{i}") for i in range(pods)], at=at)
    return tick(POLICY, seasoned(at=at), seen, at)


def test_the_latest_outcome_stands() -> None:
    """A read is what was published last, for this pool alone."""
    board, first, second = Board(), outcome(1), outcome(2)
    assert board.get(CODER) is None
    for posted in (first, second):
        board.publish(CODER, posted)
    found = board.get(CODER)
    assert found is not None
    assert (found.outcome, found.at, board.get(WRITER)) == (second, NOW, None)
    assert [(key, entry.outcome) for key, entry in board] == [(CODER, second)]


def test_an_outcome_ages_in_both_directions() -> None:
    """Age is distance: an outcome from after a clock was set back is as stale as one from before."""
    board = Board(stale_after=30.0)
    board.publish(CODER, outcome(1))
    posted = board.get(CODER)
    assert posted is not None
    for now, age, fresh in ((NOW, 0, True), (NOW + 30, 30, True), (NOW + 31, 31, False), (NOW - 31, 31, False)):
        assert (posted.age(now), board.is_fresh(posted, now)) == (age, fresh)


def test_activity_is_the_last_that_was_known() -> None:
    """Not knowing does not change what was known; before anything was, the board says why it does not know."""
    board = Board()
    known = []
    for pods in (None, 2, None, 0, None):
        board.publish(CODER, outcome(pods))
        posted = board.get(CODER)
        assert posted is not None
        known.append(posted.active)
    assert isinstance(known[0], Unknown)
    assert known[1:] == [True, True, False, False]


def test_listeners_hear_edges_of_their_own_pool() -> None:
    """Waking and resting ring once each; what stays the same, or becomes unknown, does not."""
    board, rings = Board(), []
    with board.listening(CODER, lambda: rings.append("coder")), board.listening(WRITER, lambda: rings.append("writer")):
        heard = []
        for pods in (1, 2, None, 2, 0, 0, None, 3):
            board.publish(CODER, outcome(pods))
            heard.append(len(rings))
    assert heard == [1, 1, 1, 1, 2, 2, 2, 3]
    assert set(rings) == {"coder"}


def test_a_listener_may_leave_while_it_is_told() -> None:
    """One that goes when it is rung takes nobody with it, and is not rung again."""
    board, rings, leaving = Board(), list[str](), ExitStack()

    def leave() -> None:
        rings.append("leaves")
        leaving.close()

    leaving.enter_context(board.listening(CODER, leave))
    with board.listening(CODER, partial(rings.append, "stays")):
        board.publish(CODER, outcome(1))
        board.publish(CODER, outcome(0))
    board.publish(CODER, outcome(1))
    assert rings == ["leaves", "stays", "stays"]


def test_a_forgotten_pool_is_as_if_never_seen() -> None:
    """It is off the board, and when it comes back active that is an edge."""
    board, rings = Board(), []
    with board.listening(CODER, lambda: rings.append(1)):
        board.publish(CODER, outcome(1))
        board.forget(CODER)
        board.forget(WRITER)
        assert (board.get(CODER), len(board)) == (None, 0)
        board.publish(CODER, outcome(1))
    assert len(rings) == 2
