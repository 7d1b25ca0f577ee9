"""Values that no tick hands on are not frozen where it runs; all that it does hand on is. Both can be made quickly."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping
from dataclasses import FrozenInstanceError, dataclass, field, fields, is_dataclass, replace
from typing import Any

import pytest

from scaler.core.fleet import Sight
from scaler.core.passing import maker, passing
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


@dataclass(frozen=True, slots=True)
class Span:
    """Two by place, one of them with a default, and one by keyword; and a law."""

    low: int
    high: int = 9
    unit: str = field(default="s", kw_only=True)

    def __post_init__(self) -> None:
        if self.high < self.low:
            raise ValueError(f"high = {self.high} is below low = {self.low}")


make_span = maker(Span)


def test_what_a_maker_makes_is_what_the_class_makes() -> None:
    """Equal, of the very class, with its defaults, and good for a copy."""
    assert [make_span(1), make_span(1, 2), make_span(1, high=2, unit="m"), make_span(low=1)] == [
        Span(1),
        Span(1, 2),
        Span(1, high=2, unit="m"),
        Span(low=1),
    ]
    assert type(make_span(1)) is Span
    assert replace(make_span(1), high=3) == copy.copy(make_span(1, 3))
    assert hash(make_span(1)) == hash(Span(1))


def test_what_a_maker_makes_is_frozen_and_keeps_the_laws_of_its_class() -> None:
    """Nobody can write to it, and what the class refuses is refused."""
    with pytest.raises(FrozenInstanceError):
        make_span(1).low = 2  # type: ignore[misc] # that is the point
    with pytest.raises(AttributeError):
        object.__setattr__(make_span(1), "middle", 2)
    with pytest.raises(ValueError, match="high = 0 is below low = 1"):
        make_span(1, 0)


@pytest.mark.parametrize("wrong", [{}, {"low": 1, "uint": "m"}, {"low": 1, "middle": 2}])
def test_a_maker_takes_the_arguments_of_the_class_and_no_others(wrong: dict[str, Any]) -> None:
    """What is missing or misspelt is refused, as the class refuses it."""
    for makes in (Span, make_span):
        with pytest.raises(TypeError, match=r"argument"):
            makes(**wrong)


def test_what_a_maker_takes_by_keyword_has_no_place() -> None:
    """The type checker says so too."""
    with pytest.raises(TypeError, match=r"argument"):
        make_span(1, 2, "m")  # type: ignore[call-arg] # that is the point


def test_a_maker_of_a_passing_value_makes_one() -> None:
    """By keyword, and not frozen, as the class does it."""

    @passing
    class Pair:
        one: int
        two: int = 2

    pair = maker(Pair)(one=1)
    assert (type(pair), pair.one, pair.two) == (Pair, 1, 2)


def test_what_has_a_default_that_is_made_for_each_value_is_given_to_a_maker() -> None:
    """It would be forgotten, or shared; and where it has a place there is no maker."""

    @dataclass(slots=True, kw_only=True)
    class Bag:
        size: int = 1
        things: list[int] = field(default_factory=list)

    @dataclass(slots=True)
    class Row:
        things: list[int] = field(default_factory=list)

    assert maker(Bag)(things=[2]) == Bag(things=[2])
    with pytest.raises(TypeError, match="things"):
        maker(Bag)()
    with pytest.raises(TypeError, match="Row makes a default for each value"):
        maker(Row)
