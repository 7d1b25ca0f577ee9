"""The pods as the decision sees them: who may be believed, who is idle, and what that teaches.

A pod whose activity is unknown is busy when removal is judged, and supply with nothing in flight when additions are.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TypeVar

import numpy as np

from scaler.core.passing import maker, passing
from scaler.core.pods import ACTIVE, DRAINED, DRAINING, READY, Floats, Ints, Mask, Pods
from scaler.core.types import Instant, PodUid, Seconds

Column = TypeVar("Column", Floats, Ints, Mask)
NEW = 9  # the stage of a pod not seen before: it may have been ready for long
NOWHERE = -1  # the row of a pod not seen before
_NOTHING = np.array(0)
_NONE = np.zeros(0)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class PodMemory:
    """What is remembered of each pod, shape (n,), and ``coming``, how many were on their way to ready.

    Attributes:
        idle_since: NaN while it is not idle.
        named: consecutive ticks it was named for removal.
        heard: when its activity was last believed, NaN if never.
        settled: drained, and no longer counted by the target.
    """

    uids: tuple[PodUid, ...]
    idle_since: Floats
    named: Ints
    stage: Ints
    heard: Floats
    settled: Mask
    coming: int

    @classmethod
    def none(cls) -> PodMemory:
        """No pods."""
        ints = np.zeros(0, dtype=np.int64)
        return cls(
            uids=(),
            idle_since=_NONE,
            named=ints,
            stage=ints,
            heard=_NONE,
            settled=np.zeros(0, dtype=np.bool_),
            coming=0,
        )


_new_pod_memory = maker(PodMemory)


@passing
class Sight:
    """What a look at the pods needs beside them. Where they are not ``gated`` no node's wish can be met."""

    now: Instant
    stale_after: Seconds
    lost_after: Seconds
    overdue_after: Seconds
    slots: int
    gated: bool


@passing
class Fleet:
    """One tick's view of the pods.

    Attributes:
        idle: active, ready, believed, with nothing running and no session held.
        idle_since: when the idleness began, NaN for all others.
        named: consecutive ticks each was named so far.
        ended, left: seconds of idle gaps that ended in work, and of those cut short by a removal, shape (k,).
        unknown: pods that have been ready, are not drained, and cannot be believed; ``blinking`` of them were not
            long ago, which looks like work that ended.
        heard: when each was last believed.
        released: drained, and not known to work all the same: a pod that says both is believed to work.
        settled: released pods that the last target no longer counted.
        startups: seconds from creation to ready of pods that just became ready, shape (k,).
        displaced: active pods that their nodes ask away, where they have gates and can go; ``asked`` how many they are.
        inflight, sessions: slots taken in pods that can be believed and take work; and, while others still wait to
            leave with their nodes, in those that have begun: who stands in for one stands in for no second one.
        closing: slots taken in the others that drain; ``stood_for`` of them in pods that leave with their nodes.
    """

    pods: Pods
    idle: Mask
    idle_since: Floats
    named: Ints
    ended: Floats
    left: Floats
    startups: Floats
    inflight: int
    sessions: int
    closing: int
    stood_for: int
    unknown: int
    blinking: int
    heard: Floats
    released: Mask
    settled: Mask
    displaced: Mask
    asked: int
    ready: int
    starting: int
    overdue: int
    draining: int
    drained: int
    sight: Sight

    @property
    def not_drained(self) -> int:
        """Pods that are not yet released: the floor of a ReplicaSet."""
        return len(self.pods.uids) - self.drained

    @property
    def going(self) -> int:
        """How many of the displaced would be supply: an overdue pod is none anyway."""
        if not self.asked:
            return 0
        pods, sight = self.pods, self.sight
        return self.asked - _overdue(pods, self.displaced & (pods.stage != READY), sight.now - sight.overdue_after)

    @property
    def serving(self) -> Mask:
        """Pods that take work now, as far as one may believe: whatever is on its way or silent may never do so."""
        serving: Mask = (self.pods.phase == ACTIVE) & (self.pods.stage == READY)
        return serving & self.pods.known(self.sight.now, self.sight.stale_after)

    @property
    def at_work(self) -> int:
        """Pods that are known to run a task or to hold a session."""
        pods = self.pods
        loaded = pods.inflight + pods.sessions > 0
        return int(np.count_nonzero(loaded & pods.known(self.sight.now, self.sight.stale_after)))

    @property
    def full(self) -> bool:
        """Whether there are ready pods, each believed and without a free slot, and no other pod works beside them."""
        pods, sight = self.pods, self.sight
        load = pods.inflight + pods.sessions
        able = (pods.phase == ACTIVE) & (pods.stage == READY)
        taken = pods.known(sight.now, sight.stale_after) & (load >= sight.slots)
        return self.ready > 0 and bool(taken[able].all()) and not load[~able].any()


_new_fleet = maker(Fleet)


def look(pods: Pods, memory: PodMemory, sight: Sight) -> Fleet:
    """See the pods at this instant, and what changed since the last look."""
    at, sessions, (was, gone) = np.array(sight.now), np.count_nonzero(pods.sessions), align(memory, pods.uids)
    load = pods.inflight + pods.sessions if sessions else pods.inflight
    active, ready, nobody = pods.phase == ACTIVE, pods.stage == READY, np.zeros(len(load), dtype=np.bool_)
    known, quiet, actives = pods.known(sight.now, sight.stale_after), load == _NOTHING, int(np.count_nonzero(active))
    draining, drained = _labels(pods) if actives < len(load) else (0, 0)  # most often there are none
    able, serving = (active & ready, active & known) if actives < len(load) else (ready, known)
    calm, ables = able & known & quiet, int(np.count_nonzero(able))
    released = (pods.phase == DRAINED) & (quiet | ~known) if drained else nobody
    displaced, asked = _displaced(pods, active) if sight.gated and np.count_nonzero(pods.displaced) else (nobody, 0)
    counted, closing, stood_for = _closing(pods, serving, known, waits=asked > 0) if draining else (serving, 0, 0)
    overdue = 0 if ables == actives else _overdue(pods, active & ~ready, sight.now - sight.overdue_after)
    heard, unknown, blinking = _heard(pods, known, drained, was.heard, sight.now - sight.lost_after)
    return _new_fleet(
        pods=pods,
        idle=calm,
        idle_since=_since(was.idle_since, calm, at),
        named=was.named,
        ended=_idled(was.idle_since, serving & ~quiet, at),
        left=_left(was, gone, pods, at) if draining or len(gone) else _NONE,
        startups=_startups(pods, was.stage, able & known) if was.coming else _NONE,
        inflight=int(pods.inflight.dot(counted)),
        sessions=int(pods.sessions.dot(counted)) if sessions else 0,
        closing=closing,
        stood_for=stood_for,
        unknown=unknown,
        heard=heard,
        released=released,
        settled=was.settled & released if drained else nobody,
        displaced=displaced,
        asked=asked,
        blinking=blinking,
        ready=ables,
        starting=actives - ables - overdue,
        overdue=overdue,
        draining=draining,
        drained=drained and int(np.count_nonzero(released)),
        sight=sight,
    )


def align(memory: PodMemory, uids: tuple[PodUid, ...]) -> tuple[PodMemory, Floats]:
    """The memory in the order of these pods, new ones among them; and idle since when those were that are gone."""
    if memory.uids is uids or memory.uids == uids:
        return memory, _NONE
    where = {uid: i for i, uid in enumerate(memory.uids)}
    rows = np.array([where.get(uid, NOWHERE) for uid in uids], dtype=np.int64)
    new, stayed = rows == NOWHERE, np.zeros(len(memory.uids) + 1, dtype=np.bool_)
    stayed[rows] = True
    aligned = _new_pod_memory(
        uids=uids,
        idle_since=_taken(memory.idle_since, rows, new, math.nan),
        named=_taken(memory.named, rows, new, 0),
        stage=_taken(memory.stage, rows, new, NEW),
        heard=_taken(memory.heard, rows, new, math.nan),
        settled=_taken(memory.settled, rows, new, 0),
        coming=memory.coming,
    )
    return aligned, memory.idle_since[~stayed[:-1]]


def _taken(column: Column, rows: Ints, new: Mask, value: float) -> Column:
    """What the column has in these rows, and this value for those that are new."""
    if not len(column):
        column = np.zeros(1, column.dtype)
    taken: Column = column[rows]
    taken[new] = value
    return taken


def _labels(pods: Pods) -> tuple[int, int]:
    """How many drain, and how many are drained."""
    return int(np.count_nonzero(pods.phase == DRAINING)), int(np.count_nonzero(pods.phase == DRAINED))


def _displaced(pods: Pods, active: Mask) -> tuple[Mask, int]:
    """Who is active and asked away by his node, and how many they are."""
    displaced: Mask = pods.displaced & active
    return displaced, int(np.count_nonzero(displaced))


def _overdue(pods: Pods, coming: Mask, before: Instant) -> int:
    """Pods not ready that were created, or were ready last, before this instant."""
    since = np.where(pods.stage < READY, pods.created_at, pods.since)
    return int(np.count_nonzero(coming & (since < before)))


def _heard(pods: Pods, known: Mask, drained: int, was: Floats, since: Instant) -> tuple[Floats, int, int]:
    """When each was last believed, how many cannot be, and how many of these were after ``since``."""
    if np.count_nonzero(known) == len(known):
        return pods.seen_at, 0, 0
    unheard = _unheard(pods, known, drained)
    unknown = int(np.count_nonzero(unheard))
    if not unknown:
        return pods.seen_at, 0, 0
    heard: Floats = np.where(known, pods.seen_at, was)
    return heard, unknown, int(np.count_nonzero(unheard & (heard > since)))


def _closing(pods: Pods, serving: Mask, known: Mask, *, waits: bool) -> tuple[Mask, int, int]:
    """Whose tasks count, shape (n,), and the slots taken in the others that drain: in all, and where nodes asked.

    ``waits`` says that others still wait to leave with their nodes.
    """
    draining, load = known & (pods.phase == DRAINING), pods.inflight + pods.sessions
    moving = draining & pods.for_node
    if waits:
        return serving | moving, int(load.dot(draining & ~moving)), 0
    return serving, int(load.dot(draining)), int(load.dot(moving))


def _left(was: PodMemory, gone: Floats, pods: Pods, at: Floats) -> Floats:
    """Seconds idle, of those that drain now, or are gone."""
    stayed = _idled(was.idle_since, pods.phase == DRAINING, at)
    return np.concatenate((_idled(gone, np.isfinite(gone), at), stayed)) if len(gone) else stayed


def _unheard(pods: Pods, known: Mask, drained: int) -> Mask:
    """Pods that have been ready, are not drained, and cannot be believed."""
    silent: Mask = (pods.stage >= READY) & ~known
    return silent & (pods.phase != DRAINED) if drained else silent


def _since(since: Floats, calm: Mask, at: Floats) -> Floats:
    """Since when these are idle, NaN for the others."""
    began: Floats = np.fmin(since, at)
    began[~calm] = math.nan
    return began


def _idled(since: Floats, of: Mask, at: Floats) -> Floats:
    """Seconds idle, of those of them that were idle at the last look."""
    lengths: Floats = at - since[of & np.isfinite(since)]
    return lengths


def _startups(pods: Pods, was: Ints, able: Mask) -> Floats:
    """Seconds from creation to ready, of the pods that were on their way at the last look and can be believed now."""
    arrived = able & (was < READY)
    lengths: Floats = pods.since[arrived] - pods.created_at[arrived]
    return lengths
