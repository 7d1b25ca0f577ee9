"""Victim order of a ReplicaSet, against the rows that Kubernetes tests its own with.

Rows from pkg/controller/controller_utils_test.go, TestSortingActivePodsWithRanks (Kubernetes 1.31 and later).
"""

from __future__ import annotations

from dataclasses import replace

import pytest

from scaler.sim.replicaset import PodPhase, Standing, compare, victims
from tests.sim.conftest import T0

HOUR = 3600.0
MONTH = 31 * 24 * HOUR

UNSCHEDULED = Standing(
    uid="", assigned=False, phase=PodPhase.PENDING, ready=False, ready_since=None, created_at=None, neighbours=1
)
PENDING = replace(UNSCHEDULED, assigned=True)
UNKNOWN_PHASE = replace(PENDING, phase=PodPhase.UNKNOWN)
NOT_READY = replace(PENDING, phase=PodPhase.RUNNING)
READY_NO_TIME = replace(NOT_READY, ready=True)
READY_NOW = replace(READY_NO_TIME, ready_since=T0, created_at=T0)
READY_THEN = replace(READY_NO_TIME, ready_since=T0 - MONTH, created_at=T0 - MONTH)
RESTARTED = replace(READY_NOW, restarts=9001)
CREATED_THEN = replace(READY_NOW, created_at=T0 - MONTH)
LOW_COST = replace(CREATED_THEN, deletion_cost=10)
HIGH_COST = replace(CREATED_THEN, deletion_cost=100)
UNSCHEDULED_5H = replace(UNSCHEDULED, ready_since=T0 - 5 * HOUR, created_at=T0 - 5 * HOUR)
UNSCHEDULED_8H = replace(UNSCHEDULED, ready_since=T0 - 8 * HOUR, created_at=T0 - 8 * HOUR)
READY_2H, READY_5H, READY_8H = (
    replace(READY_NO_TIME, assigned=False, ready_since=T0 - hours * HOUR, created_at=T0 - MONTH) for hours in (2, 5, 8)
)

GOES_FIRST = {
    "no node before pending": ((UNSCHEDULED, 1), (PENDING, 2)),
    "no node before pending, however crowded": ((UNSCHEDULED, 2), (PENDING, 1)),
    "pending before unknown phase": ((PENDING, 1), (UNKNOWN_PHASE, 2)),
    "unknown phase before not ready": ((UNKNOWN_PHASE, 1), (NOT_READY, 2)),
    "not ready before ready": ((NOT_READY, 1), (READY_NO_TIME, 1)),
    "no ready time before a ready time": ((READY_NO_TIME, 1), (READY_NOW, 1)),
    "crowded before no ready time": ((READY_NOW, 2), (READY_NO_TIME, 1)),
    "ready now before ready long ago": ((READY_NOW, 1), (READY_THEN, 1)),
    "crowded and ready now before ready long ago": ((READY_NOW, 2), (READY_THEN, 1)),
    "restarted before never restarted": ((RESTARTED, 1), (READY_NOW, 1)),
    "crowded before restarted": ((READY_NOW, 2), (RESTARTED, 1)),
    "created now before created long ago": ((READY_NOW, 1), (CREATED_THEN, 1)),
    "crowded before created now": ((CREATED_THEN, 2), (READY_NOW, 1)),
    "low deletion cost before high": ((LOW_COST, 2), (HIGH_COST, 1)),
    "two hours before five hours": ((READY_2H, 1), (READY_5H, 1)),
    "not ready before any deletion cost": ((replace(NOT_READY, deletion_cost=100), 1), (LOW_COST, 1)),
}
ALIKE = {
    "no node": (UNSCHEDULED, UNSCHEDULED),
    "pending": (PENDING, PENDING),
    "unknown phase": (UNKNOWN_PHASE, UNKNOWN_PHASE),
    "not ready": (NOT_READY, NOT_READY),
    "ready now": (READY_NOW, READY_NOW),
    "ready long ago": (READY_THEN, READY_THEN),
    "restarted": (RESTARTED, RESTARTED),
    "created long ago": (CREATED_THEN, CREATED_THEN),
}


@pytest.mark.parametrize(("first", "second"), GOES_FIRST.values(), ids=GOES_FIRST.keys())
def test_who_goes_first(first: tuple[Standing, int], second: tuple[Standing, int]) -> None:
    """Each row of upstream's table, both ways round."""
    a, b = (replace(pod, neighbours=crowd) for pod, crowd in (first, second))
    assert compare(a, b, T0) < 0 < compare(b, a, T0)


@pytest.mark.parametrize(("a", "b"), ALIKE.values(), ids=ALIKE.keys())
def test_who_is_alike(a: Standing, b: Standing) -> None:
    """Nothing tells a pod from itself."""
    assert compare(a, b, T0) == 0


@pytest.mark.parametrize(
    ("a", "b"), [(UNSCHEDULED_5H, UNSCHEDULED_8H), (READY_5H, READY_8H)], ids=["by creation", "by readiness"]
)
def test_ages_between_two_powers_of_two_are_alike_but_for_the_uid(a: Standing, b: Standing) -> None:
    """Five and eight hours fall into one bucket, so the uid decides, which is chance: the elder may well go first."""
    assert compare(replace(a, uid="a"), replace(b, uid="b"), T0) < 0
    assert compare(replace(a, uid="b"), replace(b, uid="a"), T0) > 0


def test_inside_a_bucket_restarts_are_never_asked_for() -> None:
    """The uid ends the comparison, so a pod that keeps crashing outlives a healthy one of about its age."""
    healthy, crashing = replace(READY_5H, uid="a"), replace(READY_8H, uid="b", restarts=50)
    assert compare(healthy, crashing, T0) < 0


def test_as_many_go_as_are_too_many_and_in_order() -> None:
    """Drained pods, made cheapest, go before all that are ready, and pods that start before even those."""
    drained = replace(READY_THEN, uid="drained", deletion_cost=-(2**31))
    young, old = replace(READY_NOW, uid="young"), replace(READY_THEN, uid="old")
    starting = replace(PENDING, uid="starting")
    pods = [old, drained, young, starting]
    assert victims(pods, 0, T0) == []
    assert victims(pods, 2, T0) == ["starting", "drained"]
    assert victims(pods, 9, T0) == ["starting", "drained", "young", "old"]
