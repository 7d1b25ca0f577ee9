"""Records: what is written is read back without losing a bit, and what cannot be read says where and what it found."""

from __future__ import annotations

import json
import math
from dataclasses import replace

import pytest

from scaler.core.memory import Memory, Spare
from scaler.core.policy import Policy
from scaler.core.record import Json, RecordError, from_json, to_json
from scaler.core.tick import tick
from scaler.core.types import Announcement, Hold, Known, Observation, Outcome, ScaleTo, Signal, Unknown
from tests.core.pool import HOUR, NOW, Story, busy, draining, idle, numbered, observe, starting, unheard

POLICY = Policy(max_replicas=50)


def eventful() -> tuple[Story, Outcome]:
    """A pool with something of everything in its memory and its observation, and its last outcome."""
    story = Story.of(POLICY, *numbered([busy("a"), idle("b"), unheard("c"), draining(idle("d"), 2), starting("e")]))
    story.signals |= {Signal.TOKENS: 300.0, Signal.PENDING: Unknown("timeout")}
    story.announced = (Announcement(name="fan-out", pods=2.5, start=NOW, end=NOW + HOUR, added=True),)
    for n in range(80):
        story.signals[Signal.QUEUE] = n % 7 / 3
        outcome = story.tick()
    return story, outcome


def through_json(value: object) -> Json:
    """The value as a journal holds it: one line of text."""
    return json.loads(json.dumps(to_json(value), allow_nan=False))


def test_outcomes_come_back_as_they_were() -> None:
    """Evidence, trail, orders and memory, with every float as it was."""
    _, outcome = eventful()
    again = from_json(Outcome, through_json(outcome))
    assert to_json(again) == to_json(outcome)
    assert (again.trail, again.orders, again.decision, again.evidence) == (
        outcome.trail,
        outcome.orders,
        outcome.decision,
        outcome.evidence,
    )


def test_a_run_goes_on_from_its_record_as_if_unbroken() -> None:
    """Memory and observation are read back, and the next hundred outcomes are the same to the last bit."""
    unbroken, broken = eventful()[0], eventful()[0]
    for n in range(100):
        broken.memory = from_json(Memory, through_json(broken.memory))
        for story in (unbroken, broken):
            story.signals[Signal.QUEUE] = n % 5 / 3
        assert to_json(unbroken.tick()) == to_json(broken.tick())


def test_replaying_a_journal_gives_the_same_outcomes() -> None:
    """An observation that was written down and read back is the one that was decided on."""
    story, _ = eventful()
    observation, memory = story.observation(), story.memory
    again = from_json(Observation, through_json(observation))
    live, replayed = (tick(POLICY, memory, o, story.now) for o in (observation, again))
    assert to_json(live) == to_json(replayed)


@pytest.mark.parametrize(
    "observation",
    [
        pytest.param(observe([]), id="NoPods"),
        pytest.param(observe(Unknown("forbidden")), id="PodsUnseenAndReplicasUnsaid"),
        pytest.param(observe([unheard("a")], {Signal.QUEUE: Unknown("timeout")}), id="ASilentPodAndADeadSignal"),
    ],
)
def test_absence_is_written_down_as_absence(observation: Observation) -> None:
    """Each row: an observation that lacks something. No null stands for it but in a column of instants."""
    assert to_json(from_json(Observation, through_json(observation))) == to_json(observation)


def test_the_form_of_a_record() -> None:
    """What other tools read: a known value is a pair, an unknown one an object that says why, a signal its name."""
    found = to_json(observe([unheard("a")], {Signal.QUEUE: 3, Signal.PENDING: Unknown("timeout")}))
    assert found["replicas"] == [1, NOW]
    assert found["signals"] == {"queue": [3, NOW], "pending": {"unknown": "timeout"}}
    assert (found["pods"]["uids"], found["pods"]["seen_at"]) == (["a"], [None])


@pytest.mark.parametrize(
    "value",
    [POLICY, Spare(since=NOW, named=2, least=1), Memory.fresh(NOW)],
    ids=["APolicy", "WhatIsSpare", "AMemory"],
)
def test_what_the_version_before_did_not_know_is_left_out_where_it_is_usual(value: Policy | Spare | Memory) -> None:
    """So what that wrote is read, and what is written now can be read by it again."""
    written = through_json(value)
    assert not written.keys() & {"task_limit", "even_zones", "uneven", "left_at"}
    assert to_json(from_json(type(value), written)) == to_json(value)


def test_decisions_are_told_apart() -> None:
    """A target and a hold share a field, and are still read as what they are."""
    _, outcome = eventful()
    for decision in (
        ScaleTo(3),
        Hold(3, outcome.trail[-1].reason, "why"),
        Hold(Unknown("?"), outcome.trail[-1].reason, ""),
    ):
        again = from_json(Outcome, through_json(replace(outcome, decision=decision)))
        assert again.decision == decision


def test_any_float_survives() -> None:
    """The smallest, the largest and those with no short name."""
    for value in (5e-324, 1.7976931348623157e308, 0.1 + 0.2, math.nextafter(NOW, math.inf), -0.0):
        again = from_json(Observation, through_json(observe(Unknown(""), {Signal.QUEUE: Known(value, NOW)})))
        sample = again.signals[Signal.QUEUE]
        assert isinstance(sample, Known)
        assert repr(sample.value) == repr(value)


@pytest.mark.parametrize(("value", "word"), [(math.nan, "nan"), (math.inf, "inf"), (-math.inf, "-inf")])
def test_what_json_has_no_number_for_is_a_word(value: float, word: str) -> None:
    """No line holds what other tools cannot read. In a column of instants NaN is null."""
    observation = observe([replace(busy("a"), since=value)], {Signal.QUEUE: Known(value, value)}, replicas=1)
    found = through_json(observation)
    assert found["signals"]["queue"] == [word, word]
    assert found["pods"]["since"] == [None if math.isnan(value) else word]
    assert through_json(from_json(Observation, found)) == found


def damaged(path: str, value: Json) -> Json:
    """The record of an observation of two pods, with one place in it replaced."""
    record = through_json(observe([busy("a"), idle("b")], {Signal.QUEUE: 1}))
    *folders, last = path.split(".")
    place = record
    for folder in folders:
        place = place[folder]
    place[last] = value
    return record


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        pytest.param("replicas", "three", "found 'three'", id="AWordForANumber"),
        pytest.param("replicas", [True, 5.0], "expected a number, found True", id="ABoolIsNoNumber"),
        pytest.param("replicas", [1.0], "not enough values", id="HalfAPair"),
        pytest.param("replicas", {"unknown": 5}, "expected str, found 5", id="AReasonThatIsNoSentence"),
        pytest.param("replicas", {"lost": "why"}, "expected {'unknown': why}, found {'lost'", id="AnotherObject"),
        pytest.param("signals.queues", [1.0, 5.0], "'queues' is not a valid Signal", id="ASignalThatIsNone"),
        pytest.param("pods.inflight", [1.5, 0], "expected int64 numbers, found [1.5, 0]", id="HalfATask"),
        pytest.param("pods.inflight", [None, 0], "expected int64 numbers, found [None, 0]", id="NoTaskCount"),
        pytest.param("pods.since", [True, 1.0], "expected float64 numbers, found [True, 1.0]", id="ABoolInAColumn"),
        pytest.param("pods.since", ["soon", 1.0], "expected float64 numbers, found ['soon', 1.0]", id="AWordInAColumn"),
        pytest.param("pods.since", [[], 1.0], "expected float64 numbers, found [[], 1.0]", id="AListInAColumn"),
        pytest.param("pods.inflight", ["nan", 0], "expected int64 numbers, found ['nan', 0]", id="NoNumberOfTasks"),
        pytest.param("pods.inflight", [2**70, 0], "too large", id="MoreTasksThanANumberHolds"),
        pytest.param("pods.inflight", [1], "inflight has 1 entries for 2 pods", id="AColumnThatIsShort"),
        pytest.param("pods.uids", "ab", "expected list, found 'ab'", id="AWordForAList"),
        pytest.param("pods.colour", [], "Pods has the fields", id="AFieldTooMany"),
        pytest.param("announced", [5], "expected dict, found 5", id="ANumberForAnObject"),
    ],
)
def test_a_record_that_cannot_be_read_says_what_was_found(path: str, value: Json, message: str) -> None:
    """Each row: a place in an observation's record, what stands there instead, and part of what the error says."""
    with pytest.raises(RecordError) as refused:
        from_json(Observation, damaged(path, value))
    assert str(refused.value).startswith("not a Observation: ")
    assert message in str(refused.value)


def test_a_missing_field_is_named() -> None:
    """The record of an older version, say: the error lists what is needed and what was there."""
    record = damaged("replicas", [1.0, 5.0])
    del record["announced"]
    with pytest.raises(RecordError, match=r"Observation has the fields \['announced', .* found \['pods', "):
        from_json(Observation, record)


def test_a_pair_of_the_wrong_length_is_refused() -> None:
    """Hints are pairs of name and level; a third entry is not dropped in silence."""
    story, _ = eventful()
    record = through_json(story.memory)
    record["hints"] = [["fan-out", 2.0, 3.0]]
    with pytest.raises(RecordError, match="longer"):
        from_json(Memory, record)
