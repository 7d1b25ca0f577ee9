"""Stepping over the HPA's dead band: when a minimum is held, and when it is put back."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scaler.controller.deadband import AWAY, STUCK, Act, Scene, act, changed
from scaler.controller.names import LEAST
from scaler.controller.scaled import Scaled, scaled
from tests.controller.objects import Object

ADDRESS = "agent-scaler.agent-scaler:6000"


def a_body(least: int, kept: int | None = None, **more: int) -> Object:
    """A ScaledObject with this minimum, which we hold above another where that is told."""
    metadata: Object = {"name": "coder", "namespace": "agents", "uid": "so-1", "resourceVersion": "7"}
    if kept is not None:
        metadata["annotations"] = {LEAST: str(kept)}
    trigger = {"type": "external", "metadata": {"scalerAddress": ADDRESS}}
    spec: Object = {"scaleTargetRef": {"name": "coder"}, "minReplicaCount": least, "triggers": [trigger], **more}
    return {"metadata": metadata, "spec": spec}


def a_scaled_object(least: int, kept: int | None = None, **more: int) -> Scaled:
    """What is known of it."""
    found = scaled(a_body(least, kept, **more), "ScaledObject", ADDRESS)
    assert found is not None
    return found


@pytest.mark.parametrize(
    ("live", "target", "expected"),
    [
        (20, 20, Act.NOTHING),
        (20, 21, Act.HOLD),
        (20, 22, Act.HOLD),
        (20, 23, Act.NOTHING),
        (20, 19, Act.TELL),
        (20, 18, Act.TELL),
        (20, 17, Act.NOTHING),
        (9, 10, Act.NOTHING),
        (0, 1, Act.NOTHING),
        (100, 110, Act.HOLD),
        (100, 111, Act.NOTHING),
    ],
)
def test_what_the_hpa_would_not_do_is_done_for_it(live: int, target: int, expected: Act) -> None:
    """Within a tenth, the bound counting as within, it stays for ever; beyond it moves by itself."""
    assert act(a_scaled_object(2), Scene(target=target, live=live, stood=STUCK, there=live)) is expected


@pytest.mark.parametrize(("live", "target"), [(20, 30), (30, 20), (0, 1), (1, 0)])
def test_who_writes_something_else_is_told_after_two_minutes(live: int, target: int) -> None:
    """Beyond its tolerance the HPA would have moved by then; nobody is written against."""
    after, before = (Scene(target=target, live=live, stood=stood, there=live) for stood in (AWAY, AWAY - 1))
    assert act(a_scaled_object(0), after) is Act.TELL_WRITER
    assert act(a_scaled_object(0), before) is Act.NOTHING


def test_the_hpa_is_given_its_time() -> None:
    """What it does by itself needs no write."""
    assert act(a_scaled_object(2), Scene(target=21, live=20, stood=STUCK - 1, there=20)) is Act.NOTHING


@pytest.mark.parametrize(
    ("live", "there", "target", "expected"),
    [
        (20, 20, 21, Act.NOTHING),
        (21, 20, 21, Act.NOTHING),
        (21, 21, 21, Act.PUT_BACK),
        (25, 25, 25, Act.PUT_BACK),
        (20, 20, 19, Act.PUT_BACK),
    ],
)
def test_a_minimum_is_put_back_once_it_has_landed_or_is_not_wanted(
    live: int, there: int, target: int, expected: Act
) -> None:
    """Whoever held it: the annotation says what it was, and the pool's own minimum stays that.

    While a quota keeps the pod away it is held: the HPA would go back to the pods that there are.
    """
    held = a_scaled_object(21, kept=2)
    assert (held.found.least, held.least, held.held) == (2, 21, True)
    assert act(held, Scene(target=target, live=live, stood=0.0, there=there)) is expected


@given(live=st.integers(0, 500), target=st.integers(0, 500), stood=st.floats(0.0, 1000.0))
def test_a_minimum_is_only_ever_held_above_what_there_is(live: int, target: int, stood: float) -> None:
    """So a process that ends in between leaves too many pods, and never too few."""
    if act(a_scaled_object(0), Scene(target=target, live=live, stood=stood, there=live)) is Act.HOLD:
        assert target > live


def test_the_minimum_that_is_put_back_is_the_objects_own() -> None:
    """And not the fewer replicas that it names for an idle workload."""
    idle = {"idleReplicaCount": 0}
    hold = changed(a_scaled_object(5, **idle), a_body(5, **idle), 21)
    back = changed(a_scaled_object(21, 5, **idle), a_body(21, 5, **idle), None)
    metadata = {"uid": "so-1", "resourceVersion": "7"}
    assert hold == {"metadata": metadata | {"annotations": {LEAST: "5"}}, "spec": {"minReplicaCount": 21}}
    assert back == {"metadata": metadata | {"annotations": {LEAST: None}}, "spec": {"minReplicaCount": 5}}


@pytest.mark.parametrize(
    ("seen", "found"), [((2, None), (5, None)), ((2, None), (21, 2)), ((21, 2), (2, None)), ((21, 2), (5, 2))]
)
@pytest.mark.parametrize("target", [21, None])
def test_what_another_has_just_written_is_not_taken_back(
    seen: tuple[int, int | None], found: tuple[int, int | None], target: int | None
) -> None:
    """A person has raised the minimum, or the process before us has held it: it is read before it is written."""
    assert changed(a_scaled_object(*seen), a_body(*found), target) is None
