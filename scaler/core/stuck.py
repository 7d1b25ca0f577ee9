"""Pods that take long: who says nothing, whose drain does not end, and who runs a task past the pool's limit.

Nothing follows from it for the pod: what is not known is busy, and no task is ever ended. It is told, and more loudly
the longer it lasts.
"""

from __future__ import annotations

import enum
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np

from scaler.core.pods import Phase, Pods, Stage
from scaler.core.types import Instant, PodUid, Seconds

STEPS: tuple[Seconds, ...] = (60.0, 600.0, 3600.0)  # a hiccup ends before the first, and nobody looks before the second
NAMES = ("1m", "10m", "1h")


class Trouble(enum.StrEnum):
    """What takes long."""

    SILENT = "silent"  # it has been ready, and is not heard
    DRAINING = "draining"  # it takes no more work, and is not done
    LONG_TASK = "long_task"  # a task runs for longer than the pool's limit


@dataclass(frozen=True, slots=True, kw_only=True)
class Stuck:
    """One pod's trouble: since when, and how many of ``STEPS`` have passed."""

    uid: PodUid
    trouble: Trouble
    since: Instant
    step: int


Stucks: TypeAlias = Mapping[tuple[PodUid, Trouble], Stuck]


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """What a look needs beside the pods.

    Attributes:
        over: the seconds by which a pod's oldest task is past the limit.
        marked: since when a pod drains, by its mark.
    """

    now: Instant
    stale_after: Seconds
    over: Mapping[PodUid, Seconds]
    marked: Mapping[PodUid, Instant]


def look(was: Stucks, pods: Pods, at: Look) -> Stucks:
    """Who is in trouble now. Who was before is so since then; a task and a mark tell by themselves since when."""
    return {(uid, trouble): _lasting(was, uid, trouble, at) for uid, trouble in _troubles(pods, at)}


def news(was: Stucks, now: Stucks) -> tuple[Stuck, ...]:
    """Those that have come to a later step."""
    return tuple(each for key, each in now.items() if each.step > (was[key].step if key in was else 0))


def _troubles(pods: Pods, at: Look) -> Iterator[tuple[PodUid, Trouble]]:
    silent = (pods.phase != Phase.DRAINED) & (pods.stage >= Stage.READY) & ~pods.known(at.now, at.stale_after)
    for i in np.flatnonzero(silent):
        yield pods.uids[i], Trouble.SILENT
    for i in np.flatnonzero(pods.phase == Phase.DRAINING):
        yield pods.uids[i], Trouble.DRAINING
    for uid in at.over:
        yield uid, Trouble.LONG_TASK


def _lasting(was: Stucks, uid: PodUid, trouble: Trouble, at: Look) -> Stuck:
    before = was.get((uid, trouble))
    since = at.now if before is None else min(before.since, at.now)  # the clock may have been set back
    if trouble is Trouble.DRAINING:
        since = min(at.marked.get(uid, since), at.now)
    if trouble is Trouble.LONG_TASK:
        since = at.now - at.over[uid]
    return Stuck(uid=uid, trouble=trouble, since=since, step=sum(at.now - since >= step for step in STEPS))
