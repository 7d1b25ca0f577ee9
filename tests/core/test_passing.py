"""Values that no tick hands on are not frozen where it runs; all that it does hand on is."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import fields, is_dataclass

import pytest

from scaler.core.fleet import Sight
from scaler.core.passing import passing
from scaler.core.policy import Policy
from scaler.core.tick import tick
from scaler.core.types import Signal
from tests.core.pool import NOW, busy, draining, idle, observe, seasoned, starting


def held(value: object) -> Iterator[object]:
    """Every dataclass that can be reached from here."""
    if isinstance(value, tuple | list):
        for item in value:
            yield from held(item)
    elif isinstance(value, Mapping):
        yield from held(list(value.values()))
    elif is_dataclass(value):
        yield value
        for field in fields(value):
            yield from held(getattr(value, field.name))


def test_all_that_leaves_a_tick_is_frozen() -> None:
    """The outcome, its evidence, its memory, and whatever is in them."""
    seen = observe([busy("a"), idle("b"), starting("c"), draining(idle("d"), acked=1)], {Signal.QUEUE: 3.0})
    handed = list(held(tick(Policy(), seasoned(target=4), seen, NOW)))
    assert len({type(value) for value in handed}) > 15
    assert [value for value in handed if not value.__dataclass_params__.frozen] == []  # type: ignore[attr-defined] # it is one


def test_a_passing_value_has_its_fields_and_no_others() -> None:
    """It is made by keyword, and what is misspelt is refused."""

    @passing
    class Pair:
        one: int
        two: int = 2

    assert (Pair(one=1).one, Pair(one=1).two) == (1, 2)
    assert Pair(one=1) != Pair(one=1)  # columns have no truth value: who compares asks for what he means
    with pytest.raises(AttributeError):
        Pair(one=1).three = 3  # type: ignore[attr-defined] # that is the point
    assert not Sight.__dataclass_params__.frozen  # type: ignore[attr-defined] # it is one
