"""The row of free slots: who is next, and who is gone."""

from __future__ import annotations

import random
from collections import Counter

import pytest

from scaler.sim.dispatch import Dispatch, free_slots


@pytest.mark.parametrize(
    ("dispatch", "order"),
    [(Dispatch.PULL, [5, 3, 9, 1]), (Dispatch.LATEST, [1, 9, 3, 5]), (Dispatch.LOWEST, [1, 3, 5, 9])],
)
def test_who_is_next(dispatch: Dispatch, order: list[int]) -> None:
    """The one that has waited longest, the one that came last, or the lowest; the row is empty when all are taken."""
    free = free_slots(dispatch, random.Random(1))
    for slot in (5, 3, 9, 1):
        free.give(slot)
    assert [free.take() for _ in order] == order
    assert not free.slots


def test_a_random_slot_is_any_of_them() -> None:
    """Each first with the same probability."""
    chance, firsts = random.Random(1), Counter[int]()
    for _ in range(5000):
        free = free_slots(Dispatch.RANDOM, chance)
        for slot in range(5):
            free.give(slot)
        firsts[free.take()] += 1
    assert all(900 < firsts[slot] < 1100 for slot in range(5))


@pytest.mark.parametrize("dispatch", Dispatch)
def test_what_is_dropped_is_never_taken(dispatch: Dispatch) -> None:
    """Wherever it stands; the others keep their order."""
    whole, part = (free_slots(dispatch, random.Random(1)) for _ in range(2))
    for slot in (5, 3, 9, 1, 7):
        whole.give(slot)
        if slot not in {9, 1}:
            part.give(slot)
    whole.drop({9, 1})
    assert [whole.take() for _ in range(3)] == [part.take() for _ in range(3)]
    assert not whole.slots
