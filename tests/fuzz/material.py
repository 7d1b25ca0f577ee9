"""Bad input: good examples that were damaged, and values of the right shape with the wrong things in them."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence

from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

TEXT = st.text(max_size=12) | st.sampled_from(["", "\x00", "\x1b[2J", "\ud800", "é", "a" * 300, "{namespace}", "NaN"])
NUMBERS = (
    st.integers(-3, 10)
    | st.sampled_from([2**31, 2**63, -(2**63), 10**30, 10**400])
    | st.floats()
    | st.sampled_from([1e308, -1e308, 5e-324, -0.0, math.nan, math.inf, -math.inf])
)
SCALARS: SearchStrategy[object] = st.none() | st.booleans() | NUMBERS | TEXT


def values(keys: Sequence[str] = (), *, leaves: int = 8) -> SearchStrategy[object]:
    """Any JSON value, NaN and infinities among them, whose keys are often those that mean something."""
    known = st.sampled_from(keys) if keys else st.nothing()
    return st.recursive(
        SCALARS,
        lambda inner: st.lists(inner, max_size=4) | st.dictionaries(known | known | TEXT, inner, max_size=5),
        max_leaves=leaves,
    )


def bodies(*good: str, keys: Sequence[str] = ()) -> SearchStrategy[bytes]:
    """Bytes of any kind, values as JSON, and good bodies that were damaged."""
    return st.binary(max_size=60) | values(keys).map(as_json) | damaged(*good)


def as_json(value: object) -> bytes:
    """The value as Python writes it, which is more than JSON allows."""
    return json.dumps(value).encode()


@st.composite
def damaged(draw: st.DrawFn, *good: str) -> bytes:
    """A good body with a few bytes cut out, put in or doubled."""
    body = draw(st.sampled_from(good)).encode()
    for _ in range(draw(st.integers(0, 3))):
        start = draw(st.integers(0, len(body)))
        end = draw(st.integers(start, min(len(body), start + 20)))
        put = draw(st.sampled_from([b"", body[start:end] * 2]) | st.binary(max_size=4) | SCALARS.map(as_json))
        body = body[:start] + put + body[end:]
    return body


@st.composite
def changed(draw: st.DrawFn, good: object, keys: Sequence[str]) -> object:
    """A good value with one of its parts replaced, dropped or joined by another."""
    if isinstance(good, dict) and good and draw(st.integers(0, 5)):
        return draw(_changed_section(good, keys))
    if isinstance(good, list) and good and draw(st.integers(0, 5)):
        place = draw(st.integers(0, len(good) - 1))
        return [*good[:place], draw(changed(good[place], keys)), *good[place + 1 :]]
    return draw(values(keys, leaves=3))


@st.composite
def _changed_section(draw: st.DrawFn, good: dict[str, object], keys: Sequence[str]) -> dict[str, object]:
    key = draw(st.sampled_from(list(good)))
    match draw(st.sampled_from(["within", "within", "drop", "add"])):
        case "within":
            return {**good, key: draw(changed(good[key], keys))}
        case "drop":
            return {k: v for k, v in good.items() if k != key}
        case _:
            return {**good, draw(st.sampled_from(keys) | TEXT): draw(values(keys, leaves=3))}
