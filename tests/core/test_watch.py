"""The most that was wanted lately."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scaler.core.watch import Watch
from tests.core.pool import HOUR, NOW


@pytest.mark.parametrize(
    ("wishes", "most"),
    [([5], 5), ([5, 3], 5), ([3, 5], 5), ([9, 5, 3], 9), ([9, 5, 3, 1], 5), ([9, 2, 2, 2, 2], 2), ([], 0)],
)
def test_the_most_that_was_wanted_is_that_of_the_timer(wishes: list[int], most: int) -> None:
    """Three ticks of ten seconds each, where it is thirty; and of three ticks where they are slower."""
    for step, timer in ((10.0, 30.0), (100.0, 30.0)):
        watch = Watch()
        for turn, size in enumerate(wishes):
            watch = watch.wished(size, NOW + step * turn, timer, 3)
        assert watch.most == most
        assert watch.turns == len(wishes)


@given(st.lists(st.tuples(st.floats(0.5, 60.0), st.integers(0, 9)), min_size=1), st.floats(1.0, 200.0))
def test_it_is_the_most_of_every_wish_within_the_timer(wishes: list[tuple[float, int]], timer: float) -> None:
    """However they come; and no wish is remembered that a later one reaches."""
    watch, now, seen = Watch(), NOW, list[tuple[float, int]]()
    for step, size in wishes:
        now += step
        seen.append((now, size))
        watch = watch.wished(size, now, timer, 1)
    assert watch.most == max(size for at, size in seen if now - at < timer)
    sizes = [wish.size for wish in watch.wishes]
    assert sizes == sorted(set(sizes), reverse=True)
    assert watch.kept(now) == now - seen[0][0]


def test_a_clock_that_was_set_back_moves_every_wish() -> None:
    """So that none is older than it was, and nothing that was never known is known since then."""
    watch = Watch().wished(5, NOW, HOUR, 1).wished(3, NOW + 60.0, HOUR, 1)
    moved = watch.moved(-HOUR)
    assert (moved.most, moved.kept(NOW + 60.0 - HOUR)) == (5, 60.0)
    assert [wish.at for wish in moved.wishes] == [NOW - HOUR, NOW + 60.0 - HOUR]
    assert Watch().moved(-HOUR) == Watch()
