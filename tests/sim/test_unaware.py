"""Ours when pods that start are not counted: what a scaler does that only sees ready ones."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from scaler.core.policy import Policy
from scaler.core.record import to_json
from scaler.core.tick import tick
from scaler.core.types import Outcome, ScaleTo, Signal, Unknown
from scaler.sim.unaware import unaware
from tests.core.pool import NOW, TICK, busy, draining, idle, observe, seasoned, starting

POLICY = Policy(max_replicas=50)
READY = [busy("a"), busy("b"), idle("c"), draining(busy("d"))]
STARTING = [starting("x", NOW - 5.0), starting("y", NOW - 5.0)]


def asked(outcome: Outcome) -> int:
    """The target."""
    assert isinstance(outcome.decision, ScaleTo)
    return outcome.decision.replicas


def test_where_nothing_starts_it_is_ours() -> None:
    """To the last figure of the evidence and the memory."""
    seen = observe(READY, {Signal.QUEUE: 3.0})
    memory = seasoned(target=4)
    assert to_json(unaware(POLICY, memory, seen, NOW)) == to_json(tick(POLICY, memory, seen, NOW))


def test_where_the_pods_are_not_seen_it_is_ours() -> None:
    """There is nothing to leave out."""
    seen = observe(Unknown("no list"), {Signal.QUEUE: 3.0}, replicas=4)
    memory = seasoned(target=4)
    assert to_json(unaware(POLICY, memory, seen, NOW)) == to_json(tick(POLICY, memory, seen, NOW))


@pytest.mark.parametrize("queued", [2.0, 3.0, 4.0])
def test_what_starts_is_asked_for_again(queued: float) -> None:
    """Ours waits for the two that were ordered; this one orders two more."""
    seen = observe([busy("a"), busy("b"), *STARTING], {Signal.QUEUE: queued})
    memory = seasoned(target=4)
    assert asked(unaware(POLICY, memory, seen, NOW)) == asked(tick(POLICY, memory, seen, NOW)) + len(STARTING)


def test_nothing_more_is_asked_for_once_enough_are_ready() -> None:
    """Pods that start beside them are not missed, and not counted twice either."""
    seen = observe([busy("a"), idle("b"), *STARTING], {Signal.QUEUE: 0.0})
    assert asked(unaware(POLICY, seasoned(target=4), seen, NOW)) == 4


def test_it_learns_how_long_a_start_takes_all_the_same() -> None:
    """A pod that was left out while it started has a startup once it is ready."""
    before = unaware(POLICY, seasoned(target=3), observe([busy("a"), *STARTING], {Signal.QUEUE: 2.0}), NOW)
    came = [replace(busy(p.uid), created_at=p.created_at, since=NOW + 2.0) for p in STARTING]
    pods = [busy("a"), *came]
    after = unaware(POLICY, before.memory, observe(pods, {Signal.QUEUE: 0.0}, at=NOW + TICK), NOW + TICK)
    assert after.memory.lessons.startups.samples == (7.0, 7.0)


def test_its_memory_knows_all_that_was_asked_for() -> None:
    """So that the next look takes out what starts by then, and no more."""
    outcome = unaware(POLICY, seasoned(target=4), observe([busy("a"), busy("b"), *STARTING], {Signal.QUEUE: 2.0}), NOW)
    assert outcome.memory.target == asked(outcome) == outcome.report == 6
    assert outcome.memory.live == 4
    assert set(outcome.memory.pods.uids) == {"a", "b", "x", "y"}
    assert np.isnan(outcome.memory.pods.idle_since).all()
