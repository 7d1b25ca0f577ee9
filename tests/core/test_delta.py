"""Changes: two observations differ by little, that little is small, and it gives the later one back to the last bit."""

from __future__ import annotations

import json
import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scaler.core.delta import NOTHING, after, change, changed, span
from scaler.core.pods import Floats, Ints, Pods, Stage
from scaler.core.record import Json, RecordError, to_json
from scaler.core.types import Announcement, Instant, Known, Observation, Signal, Unknown
from tests.core.pool import NOW, Levels, busy, draining, idle, observe, starting, unheard

LATER = NOW + 5.0000123
MANY = settings(max_examples=300, deadline=None, derandomize=True, database=None)
FLOATS = st.floats() | st.sampled_from([0.0, -0.0, NOW, LATER, math.nan, math.inf])
SAMPLES = st.builds(Known, FLOATS, FLOATS) | st.builds(Unknown, st.sampled_from(["timeout", "refused"]))
INTS = st.integers(-(2**63), 2**63 - 1) | st.integers(0, 2)


@st.composite
def any_pods(draw: st.DrawFn) -> Pods:
    """Pods with anything at all in their columns."""
    uids = draw(st.lists(st.sampled_from("abcdef"), unique=True, max_size=5))

    def ints() -> Ints:
        return np.array(draw(st.lists(INTS, min_size=len(uids), max_size=len(uids))), dtype=np.int64)

    def floats() -> Floats:
        return np.array(draw(st.lists(FLOATS, min_size=len(uids), max_size=len(uids))), dtype=np.float64)

    return Pods(
        uids=tuple(uids),
        created_at=floats(),
        since=floats(),
        stage=ints(),
        phase=ints(),
        inflight=ints(),
        sessions=ints(),
        seen_at=floats(),
        ordinal=ints(),
        epoch=ints(),
        acked=ints(),
    )


HINTS = st.builds(Announcement, name=st.text(), pods=FLOATS, start=FLOATS, end=FLOATS, added=st.booleans())
OBSERVATIONS = st.builds(
    Observation,
    replicas=SAMPLES,
    pods=any_pods() | st.builds(Unknown, st.text()),
    signals=st.dictionaries(st.sampled_from(Signal), SAMPLES, max_size=3),
    announced=st.lists(HINTS, max_size=2).map(tuple),
)


def text(value: object) -> str:
    """The value as JSON, which tells -0.0 from 0.0 and an order of signals from another."""
    return json.dumps(to_json(value), allow_nan=False)


def through(was: Observation, now: Observation, at: Instant) -> Observation:
    """The later observation, from the earlier one and the change as it was written down."""
    return changed(was, json.loads(json.dumps(change(was, now, at), allow_nan=False)), at)


@MANY
@given(OBSERVATIONS, OBSERVATIONS, FLOATS)
def test_any_observation_comes_back_from_any_other(was: Observation, now: Observation, at: Instant) -> None:
    """Whatever is in them: not a bit is lost, at any instant, be it none."""
    assert text(through(was, now, at)) == text(now)
    assert text(through(NOTHING, now, at)) == text(now)


@MANY
@given(any_pods(), st.permutations(range(5)), st.integers(0, 5), any_pods())
def test_pods_come_go_and_change_places(was: Pods, order: list[int], kept: int, more: Pods) -> None:
    """Rows in another order, some gone and others new, each with what it had."""
    rows = [i for i in order if i < len(was)][:kept]
    fresh = [i for i, uid in enumerate(more.uids) if uid not in was.uids]
    uids = (*(was.uids[i] for i in rows), *(more.uids[i] for i in fresh))
    columns = {
        name: np.append(getattr(was, name)[rows], getattr(more, name)[fresh])
        for name in Pods.__slots__
        if name != "uids"
    }
    then, now = replace(NOTHING, pods=was), replace(NOTHING, pods=Pods(uids=uids, **columns))
    assert text(through(then, now, NOW)) == text(now)


@MANY
@given(FLOATS, FLOATS)
def test_an_instant_comes_back_from_its_distance(instant: Instant, since: Instant) -> None:
    """To the last bit, however far it is."""
    assert repr(after(json.loads(json.dumps(span(instant, since), allow_nan=False)), since)) == repr(instant)


def steady(at: Instant, signals: Levels) -> Observation:
    """A pool of twenty pods of which nothing changes but what time it is."""
    pods = [busy(f"agent-{i}") if i % 3 else idle(f"agent-{i}") for i in range(18)]
    return observe([*pods, unheard("silent"), starting("new")], signals, at=at)


def test_what_did_not_change_costs_next_to_nothing() -> None:
    """Twenty pods heard at another instant, and nine signals read again, each when it was: 150 bytes."""
    signals = [{s: Known(3.0, at - 0.1234567 * i) for i, s in enumerate(Signal)} for at in (NOW, LATER)]
    found = change(steady(NOW, signals[0]), steady(LATER, signals[1]), LATER)
    assert found["p"] == {"seen_at": {"*": 0}}
    assert len(json.dumps(found, separators=(",", ":"))) <= 150
    assert change(steady(NOW, signals[0]), steady(NOW, signals[0]), LATER) == {}


def test_the_form_of_a_change() -> None:
    """What other tools read: one pod gone, one new, one that drains; one signal moved, one known again, one lost."""
    announced = (Announcement(name="fan-out", pods=2.0, start=NOW, end=LATER, added=True),)
    known: Levels = {Signal.QUEUE: 3.0, Signal.TOKENS: Unknown("timeout"), Signal.PENDING: 1.0}
    moved: Levels = {Signal.QUEUE: 4.0, Signal.TOKENS: 7.0, Signal.PENDING: Unknown("timeout")}
    was = observe([busy("a"), busy("b"), busy("c")], known, replicas=3)
    now = observe(
        [busy("b"), draining(busy("c"), 2), starting("d", NOW)], moved, at=NOW + 5, replicas=3, announced=announced
    )
    assert change(was, now, NOW + 5) == {
        "r": 5.0,
        "s": [[4.0, 5.0], [7.0, 0], {"unknown": "timeout"}],
        "p": {
            "uids": [[1, 3], "d"],
            "created_at": {"2": -5.0},
            "since": {"2": -5.0},
            "stage": {"2": int(Stage.STARTING)},
            "phase": {"1": 1},
            "seen_at": {"*": 0},
            "ordinal": {"2": -1},
            "epoch": {"1": 2},
            "acked": {"2": -1},
        },
        "a": to_json(announced),
    }


@pytest.mark.parametrize(
    ("found", "message"),
    [
        pytest.param({"r": 5.0}, "moves a sample that there was not", id="ASampleOutOfNothing"),
        pytest.param({"r": [1.0]}, "not enough values", id="HalfASample"),
        pytest.param({"r": ["x", 0]}, "expected a number", id="AWordForANumber"),
        pytest.param({"s": [1.0]}, "longer", id="ASignalTooMany"),
        pytest.param({"s": {"queues": [1.0, 0]}}, "not a valid Signal", id="ASignalThatIsNone"),
        pytest.param({"p": {"inflight": {"2": 1}}}, "out of range", id="ARowThatIsNot"),
        pytest.param({"p": {"inflight": {"x": 1}}}, "invalid literal", id="ARowThatIsNone"),
        pytest.param({"p": {"inflight": {"0": 1.5}}}, "expected int", id="HalfATask"),
        pytest.param({"p": {"inflight": {"0": 2**70}}}, "too large", id="MoreThanANumberHolds"),
        pytest.param({"p": {"colour": {}}}, "colour", id="AColumnThatIsNone"),
        pytest.param({"p": {"uids": [[0]]}}, "not enough values", id="HalfARun"),
        pytest.param({"p": {"since": {"0": [1.0, 2.0]}}}, "too many values", id="TwoInstants"),
        pytest.param({"p": 5}, "not iterable", id="PodsThatAreNone"),
        pytest.param({"a": 5}, "expected list", id="AnnouncementsThatAreNone"),
    ],
)
def test_a_change_that_cannot_be_says_why(found: Json, message: str) -> None:
    """Each row: what stands where a change should, and part of what the error says."""
    was = replace(observe([busy("a"), idle("b")]), replicas=Unknown("nobody said"))
    with pytest.raises(RecordError, match=message):
        changed(was, found, NOW)


def test_pods_change_only_where_there_are_some() -> None:
    """A column of nothing is refused."""
    with pytest.raises(RecordError, match="none before them"):
        changed(NOTHING, {"p": {"inflight": {"0": 1}}}, NOW)
