"""Changes: two observations differ by little, that little is small, and it gives the later one back to the last bit."""

from __future__ import annotations

import json
import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scaler.core.delta import COLUMNS, INSTANTS, NOTHING, after, change, changed, span
from scaler.core.pods import Pods, Stage
from scaler.core.record import Json, RecordError, from_json, to_json
from scaler.core.types import Announcement, Instant, Known, Observation, Signal, Unknown
from tests.core.pool import NOW, Levels, busy, draining, idle, observe, starting, unheard
from tests.fuzz.material import changed as harmed

WORDS = ["r", "s", "p", "a", "uids", "all", "unknown", "*", "0", "1", "-1", "since", "inflight", "queue"]
LATER = NOW + 5.0000123
MANY = settings(max_examples=300, deadline=None, derandomize=True, database=None)
FLOATS = st.floats() | st.sampled_from([0.0, -0.0, NOW, LATER, math.nan, math.inf])
SAMPLES = st.builds(Known, FLOATS, FLOATS) | st.builds(Unknown, st.sampled_from(["timeout", "refused"]))
INTS = st.integers(-(2**63), 2**63 - 1) | st.integers(0, 2)


@st.composite
def any_pods(draw: st.DrawFn) -> Pods:
    """Pods with anything at all in their columns: each cell is one of a few numbers, odd ones among them."""
    uids = draw(st.lists(st.sampled_from("abcdef"), unique=True, max_size=5))
    floats = np.array([0.0, -0.0, NOW, LATER, math.nan, math.inf, *draw(st.tuples(FLOATS, FLOATS))])
    ints = np.array([0, 1, 2, -1, *draw(st.tuples(INTS, INTS))], dtype=np.int64)
    drawn = st.binary(min_size=len(COLUMNS) * len(uids), max_size=len(COLUMNS) * len(uids))
    cells = np.frombuffer(draw(drawn), dtype=np.uint8).reshape(len(COLUMNS), len(uids))
    bools = np.array([False, True])
    kinds = (floats if name in INSTANTS else bools if name in {"displaced", "for_node"} else ints for name in COLUMNS)
    columns: dict[str, Json] = {
        name: kind[row % len(kind)] for name, kind, row in zip(COLUMNS, kinds, cells, strict=True)
    }
    return Pods(uids=tuple(uids), **columns)


HINTS = st.builds(Announcement, name=st.text(), pods=FLOATS, start=FLOATS, end=FLOATS, added=st.booleans())
OBSERVATIONS = st.builds(
    Observation,
    replicas=SAMPLES,
    pods=any_pods() | st.builds(Unknown, st.text()),
    signals=st.dictionaries(st.sampled_from(Signal), SAMPLES, max_size=3),
    announced=st.lists(HINTS, max_size=2).map(tuple),
    unguarded=st.none() | st.builds(Unknown, st.text()),
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
    columns = {name: np.append(getattr(was, name)[rows], getattr(more, name)[fresh]) for name in COLUMNS}
    then, now = replace(NOTHING, pods=was), replace(NOTHING, pods=Pods(uids=uids, **columns))
    assert text(through(then, now, NOW)) == text(now)


REAL = st.floats(1.0, 1e11)
READ = st.builds(Known, FLOATS, REAL) | st.builds(Unknown, st.text())


@MANY
@given(st.builds(Observation, replicas=READ, pods=any_pods(), signals=st.dictionaries(st.sampled_from(Signal), READ)))
def test_what_is_the_same_costs_nothing(seen: Observation) -> None:
    """Whoever observed it anew; only an instant that is none has no distance from itself."""
    again = from_json(Observation, json.loads(text(seen)))
    assert change(again, from_json(Observation, to_json(again)), NOW) == {}


@MANY
@given(st.data(), st.integers(1, 200))
def test_a_change_costs_by_what_changed_and_not_by_how_many_pods_there_are(data: st.DataObject, size: int) -> None:
    """Some of up to two hundred pods leave, others take up or end work; all were heard again."""
    was = Pods.of(busy(f"agent-{i}") for i in range(size))
    rows = st.sets(st.integers(0, size - 1), max_size=6)
    gone, moved = data.draw(rows), data.draw(rows)
    kept = [busy(uid, running=0 if i in moved else 1) for i, uid in enumerate(was.uids) if i not in gone]
    then, now = replace(NOTHING, pods=was), observe(kept, at=LATER, replicas=size)
    found = change(then, replace(now, replicas=then.replicas), LATER)
    assert len(json.dumps(found)) <= 60 + 12 * len(gone) + 12 * len(moved)


@MANY
@given(OBSERVATIONS, OBSERVATIONS, st.data())
def test_whatever_stands_where_a_change_should_is_one_or_is_refused(
    was: Observation, now: Observation, data: st.DataObject
) -> None:
    """A change that was damaged gives an observation that can be written and read, or says what is wrong with it."""
    anything: st.SearchStrategy[Json] = harmed(json.loads(json.dumps(change(was, now, NOW))), WORDS)
    try:
        found = changed(was, data.draw(anything), NOW)
    except RecordError:
        return
    assert text(through(NOTHING, found, LATER)) == text(found)


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
        pytest.param({"g": 1}, "Unknown", id="GuardsThatAreANumber"),
        pytest.param({"r": ["x", 0]}, "expected a number", id="AWordForANumber"),
        pytest.param({"s": [1.0]}, "longer", id="ASignalTooMany"),
        pytest.param({"s": {"queues": [1.0, 0]}}, "not a valid Signal", id="ASignalThatIsNone"),
        pytest.param({"p": {"inflight": {"2": 1}}}, "row 2 of 2", id="ARowThatIsNot"),
        pytest.param({"p": {"inflight": {"-1": 1}}}, "row -1 of 2", id="ARowCountedFromTheEnd"),
        pytest.param({"p": {"inflight": {"x": 1}}}, "invalid literal", id="ARowThatIsNone"),
        pytest.param({"p": {"inflight": {"0": 1.5}}}, "expected int", id="HalfATask"),
        pytest.param({"p": {"inflight": {"0": 2**70}}}, "too large", id="MoreThanANumberHolds"),
        pytest.param({"p": {"colour": {}}}, "colour", id="AColumnThatIsNone"),
        pytest.param({"p": {"uids": [[0]]}}, "not enough values", id="HalfARun"),
        pytest.param({"p": {"uids": [[1, 3]]}}, "rows .1, 3. of 2", id="ARunBeyondTheEnd"),
        pytest.param({"p": {"uids": [[1, 1]]}}, "rows .1, 1. of 2", id="ARunOfNothing"),
        pytest.param({"p": {"uids": [[0, 2], "b"]}}, "share a uid", id="APodTwice"),
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
