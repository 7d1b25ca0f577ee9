"""Reading a stream of events along, in whatever pieces it comes."""

from __future__ import annotations

import itertools

import hypothesis.strategies as st
import pytest
from hypothesis import given

from scaler.agent.sidecar.events import Events

LINES = st.text("abc :", max_size=8)


@given(
    events=st.lists(st.lists(LINES, min_size=1, max_size=3), max_size=5),
    end=st.sampled_from(["\n", "\r\n", "\r"]),
    cuts=st.lists(st.integers(min_value=0, max_value=200), max_size=8),
)
def test_pieces_do_not_matter(events: list[list[str]], end: str, cuts: list[int]) -> None:
    """However the stream is cut, its events are what they are."""
    lines = (f"event: x{end}" + "".join(f"data: {line}{end}" for line in event) + end for event in events)
    stream = "".join(lines).encode()
    places = sorted({0, len(stream), *(cut for cut in cuts if cut < len(stream))})
    reader = Events(10_000)
    found = [data for begin, until in itertools.pairwise(places) for data in reader.feed(stream[begin:until])]
    assert found == ["\n".join(event).encode() for event in events]


@pytest.mark.parametrize("piece", [b"data: " + b"x" * 200, b"data: x\n" * 200])
def test_an_event_that_is_too_long_is_told_as_lost(piece: bytes) -> None:
    """And what comes after it is read."""
    reader = Events(100)
    assert list(reader.feed(piece)) == []
    assert reader.lost
    assert list(reader.feed(b"\n\ndata: y\n\n"))[-1:] == [b"y"]
