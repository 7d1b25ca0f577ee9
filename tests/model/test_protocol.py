"""The protocol loses no task, and every weaker one does: each point of the design is there for a way that is shown."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import pytest

from tests.model.protocol import TAKEN, Design, beginning, explore, moves

BUILT = Design()
# Other ways to the same promise, and more of the same: none of them loses a task either.
SAFE: Mapping[str, Design] = {
    "as it is built": BUILT,
    "two pods": replace(BUILT, pods=2, marks=2, rebirths=False),
    "a restarted agent asks for its phase": replace(BUILT, restart="live"),
    "no drain is called back, so epochs are not needed": replace(BUILT, epochs=False, cancels=False),
    "labelled before the work, where nothing is evicted": replace(
        BUILT, busy_label=True, label_first=True, evictions=False
    ),
    "drained reverts, where nothing is evicted": replace(BUILT, one_way=False, evictions=False),
}
# What is left out of the design, and the shortest way in which it then takes a pod that works.
WEAKER: Mapping[str, tuple[Design, str]] = {
    "deletions are not guarded": (replace(BUILT, deletes_guarded=False), "start, lower, taken by deletion"),
    "nor where only we lower replicas, for the ReplicaSet picks another pod": (
        replace(BUILT, deletes_guarded=False, other_writers=False, pods=2, rebirths=False),
        "start, mark, close, hear close, commit, taken by deletion",
    ),
    "evictions are not guarded": (
        replace(BUILT, evictions_guarded=False),
        "start, allow eviction, taken by eviction",
    ),
    "anybody may write a phase": (
        replace(BUILT, labels_guarded=False),
        "start, tamper, allow eviction, taken by eviction",
    ),
    "the gate stays open": (
        replace(BUILT, gate=False),
        "mark, close, hear close, start, commit, taken by deletion",
    ),
    "drains have no epoch": (
        replace(BUILT, epochs=False),
        "mark, close, cancel, mark, hear close, commit, hear open, start, taken by deletion",
    ),
    "words have no uid": (
        replace(BUILT, uids=False),
        "mark, close, hear close, commit, taken by deletion, start, mark, commit, taken by deletion",
    ),
    "drained reverts": (
        replace(BUILT, one_way=False),
        "mark, close, hear close, commit, allow eviction, undrain, hear open, start, taken by eviction",
    ),
    "who is silent is idle": (replace(BUILT, silence_is_busy=False), "start, mark, commit, taken by deletion"),
    "a restarted agent forgets its gate": (
        replace(BUILT, restart="forgotten"),
        "mark, close, hear close, restart, start, commit, taken by deletion",
    ),
    "a restarted agent believes an old phase": (
        replace(BUILT, restart="old"),
        "mark, close, hear close, restart, start, commit, taken by deletion",
    ),
    "a label busy follows the work": (
        replace(BUILT, busy_label=True),
        "start, allow eviction, taken by eviction",
    ),
    "a label busy goes before the work": (
        replace(BUILT, busy_label=True, label_first=True),
        "allow eviction, label, start, taken by eviction",
    ),
}


@pytest.mark.parametrize("design", SAFE)
def test_no_task_is_ever_lost(design: str) -> None:
    """Wherever this world can go, and it goes everywhere: pods are drained, and deleted and evicted by others."""
    found = explore(SAFE[design])
    assert found.lost == ()
    assert {"start", "commit", "restart", "lower", f"{TAKEN} by deletion"} <= found.happened


def test_a_drained_pod_is_idle_behind_a_closed_gate() -> None:
    """Whatever arrives late, however often its agent restarts: nothing starts in it again."""
    assert explore(SAFE["two pods"]).broken is None
    assert explore(BUILT).broken is None


@pytest.mark.parametrize("without", WEAKER)
def test_every_weaker_design_loses_a_task(without: str) -> None:
    """By no shorter way than this one; a longer list of steps would hide the point."""
    design, way = WEAKER[without]
    lost = explore(design).lost
    assert lost[-1].startswith(TAKEN)
    assert len(lost) == len(way.split(", "))


@pytest.mark.parametrize("without", WEAKER)
def test_the_way_that_is_told_is_one(without: str) -> None:
    """Each step of it can be taken, and the last one takes a pod that works."""
    design, way = WEAKER[without]
    *steps, last = way.split(", ")
    worlds = {beginning(design)}
    for step in steps:
        worlds = {after for world in worlds for name, _, after in moves(design, world) if name == step}
    taken = [world.pods[i].busy for world in worlds for name, i, _ in moves(design, world) if name == last]
    assert any(taken)
