"""Order of events: by instant, and by scheduling where instants are equal."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scaler.sim.events import Agenda


@given(st.lists(st.integers(0, 5)))
def test_ties_go_by_the_order_of_scheduling(instants: list[int]) -> None:
    """The order is that of a stable sort, for nothing else is the same in every run."""
    agenda = Agenda(0.0)
    seen: list[tuple[int, int]] = []
    for turn, at in enumerate(instants):
        agenda.at(float(at), seen.append, (at, turn))
    while agenda.due <= 5.0:
        agenda.step()
    assert seen == sorted((at, turn) for turn, at in enumerate(instants))


def test_an_event_may_schedule_another_for_the_same_run() -> None:
    """What follows from an event and is due happens too, and at its own instant."""
    agenda = Agenda(0.0)
    seen: list[tuple[float, int]] = []

    def again(left: int) -> None:
        seen.append((agenda.now, left))
        if left:
            agenda.at(agenda.now + 2.0, again, left - 1)

    agenda.at(1.0, again, 3)
    while agenda.due <= 5.5:
        agenda.step()
    assert seen == [(1.0, 3), (3.0, 2), (5.0, 1)]
    assert (agenda.now, agenda.due) == (5.0, 7.0)


def test_nothing_can_be_scheduled_for_the_past() -> None:
    """Time would run backwards."""
    agenda = Agenda(10.0)
    with pytest.raises(ValueError, match=r"cannot schedule for 9\.000: it is already 10\.000"):
        agenda.at(9.0, print, None)
