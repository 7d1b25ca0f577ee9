"""KEDA's half: between zero and one."""

from __future__ import annotations

import pytest

from scaler.core.types import Unknown
from scaler.sim.hpa import FOLLOW, Metric, Scale
from scaler.sim.keda import Fallback, Instead, ScaledObject
from tests.sim.conftest import T0

AWAY = Unknown("no answer")


def test_an_active_trigger_wakes_an_empty_pool() -> None:
    """To one replica, or to the minimum; more is the HPA's affair."""
    assert ScaledObject().poll(T0, spec=0, active=True) == 1
    assert ScaledObject(low=3).poll(T0, spec=0, active=True) == 3
    assert ScaledObject().poll(T0, spec=7, active=True) == 7


def test_a_pool_is_emptied_only_after_the_cooldown() -> None:
    """Counted from the last poll that found work; then all at once, past every policy of the HPA."""
    scaled = ScaledObject()
    scaled.poll(T0, spec=9, active=True)
    assert scaled.poll(T0 + 300, spec=9, active=False) == 9
    assert scaled.poll(T0 + 301, spec=9, active=False) == 0


def test_work_found_again_starts_the_cooldown_anew() -> None:
    """A short spell of work in between keeps the pool for another five minutes."""
    scaled = ScaledObject()
    for at, active in ((0, True), (290, False), (300, True), (590, False)):
        assert scaled.poll(T0 + at, spec=2, active=active) == 2


def test_a_pool_that_never_had_work_is_emptied_at_once() -> None:
    """Without a last activity there is no cooldown to wait for."""
    assert ScaledObject().poll(T0, spec=4, active=False) == 0


@pytest.mark.parametrize("spec", [0, 5])
def test_a_trigger_that_fails_changes_nothing(spec: int) -> None:
    """Neither up nor down, however long it lasts."""
    scaled = ScaledObject()
    scaled.poll(T0, spec=spec, active=True)
    assert scaled.poll(T0 + 10_000, spec=spec, active=AWAY) == spec


def test_a_minimum_is_restored_and_never_left() -> None:
    """With a minimum above zero, activity does not matter."""
    assert ScaledObject(low=2).poll(T0, spec=1, active=False) == 2
    assert ScaledObject(low=2).poll(T0, spec=6, active=False) == 6


def test_the_hpa_it_makes_remembers_between_syncs() -> None:
    """Minimum 1, the behavior as written, and one memory: a fall waits out the window of the default."""
    quick, plain = ScaledObject(behavior=FOLLOW), ScaledObject()
    for scaled, after in ((quick, 2), (plain, 10)):
        assert scaled.sync(T0, Metric(10.0, 1.0), scale=Scale(10, 10)) == 10
        assert scaled.sync(T0 + 15, Metric(2.0, 1.0), scale=Scale(10, 10)) == after
    assert quick.sync(T0 + 30, Metric(0.0, 1.0), scale=Scale(2, 2)) == 1


@pytest.mark.parametrize(
    ("behavior", "current", "after"),
    [
        (Instead.STATIC, 9, 4),
        (Instead.CURRENT, 9, 9),
        (Instead.CURRENT_IF_HIGHER, 9, 9),
        (Instead.CURRENT_IF_HIGHER, 2, 4),
        (Instead.CURRENT_IF_LOWER, 9, 4),
        (Instead.CURRENT_IF_LOWER, 2, 2),
    ],
)
def test_a_fallback_stands_in_from_more_failures_than_allowed_on(behavior: Instead, current: int, after: int) -> None:
    """Two failures are borne, at the third the fallback reports; pkg/fallback/fallback.go, KEDA 2.18."""
    fallback = Fallback(failures=2, replicas=4, behavior=behavior)
    scaled = ScaledObject(behavior=FOLLOW, fallback=fallback)
    written = [scaled.sync(T0 + 15 * i, Metric(AWAY, 2.0), scale=Scale(current, current)) for i in range(3)]
    assert written == [current, current, after]


def test_an_answer_ends_the_row_of_failures() -> None:
    """One that comes in between is followed, and the count begins anew."""
    scaled = ScaledObject(behavior=FOLLOW, fallback=Fallback(failures=1, replicas=8))
    values: tuple[float | Unknown, ...] = (AWAY, 3.0, AWAY, AWAY)
    written = [scaled.sync(T0 + 15 * i, Metric(v, 1.0), scale=Scale(3, 3)) for i, v in enumerate(values)]
    assert written == [3, 3, 3, 8]
