"""Nodes that ask their pods away: who begins to leave with them, and how many at once.

Such a pod is no supply, so others are asked for to stand in for it. What the work does not need goes at once, the rest
as the others become ready. Where none can come, because the pool is at its maximum or no node takes them, one goes at a
time: its place is another's then. But none is waited for longer than others would be, or one agent that never ends
would keep all the others on their nodes. A pod that has begun is called back when its node wants it again, and for no
other reason.
"""

from __future__ import annotations

import numpy as np

from scaler.core.fleet import Fleet
from scaler.core.passing import passing
from scaler.core.pods import ACTIVE, DRAINING, READY, Ints, Mask
from scaler.core.types import Instant, Seconds, Supply

PATIENCE: Seconds = 300.0  # for who stands in, as a node may have to be bought for it first, and for who leaves


@passing
class Need:
    """What must go on being served, in pods.

    Attributes:
        now: for the work that there is; ``all`` with what is foreseen, announced or the minimum. Both up to the cap.
        room: replicas that may still be asked for.
        missing: pods that are to be asked for.
        rose_at: when the target last rose, None where it has fallen since.
        left_at: when pods last began to leave with their nodes, or since when we look.
    """

    now: int
    all: int
    room: int
    missing: int
    rose_at: Instant | None
    left_at: Instant


def leave(fleet: Fleet, supply: Supply, need: Need) -> tuple[int, ...]:
    """Rows of the pods that begin to leave with their nodes, fewest tasks first."""
    if not fleet.asked:
        return ()
    rows, ready = np.flatnonzero(fleet.displaced), fleet.pods.stage == READY
    unready, able = rows[~ready[rows]], _emptiest_first(fleet, rows[ready[rows]])
    # One that is not heard may have work that nobody knows of, and stands in for no other.
    calm, heard = int(np.count_nonzero(fleet.idle[able])), int(np.count_nonzero(fleet.serving))
    count = max(0, min(calm, heard - need.now), heard - need.all)
    if not count and not len(unready) and not _is_under_way(fleet, need) and not _comes(fleet, supply, need):
        count = 1
    return (*unready.tolist(), *able[:count].tolist())


def _emptiest_first(fleet: Fleet, rows: Ints) -> Ints:
    """In the order of their load; those that are not heard last."""
    pods, sight = fleet.pods, fleet.sight
    load = np.where(pods.known(sight.now, sight.stale_after), pods.inflight + pods.sessions, np.iinfo(np.int64).max)
    return rows[np.argsort(load[rows], kind="stable")]


def _is_under_way(fleet: Fleet, need: Need) -> bool:
    """Whether a pod that is heard drains for its node, and has not done so for too long."""
    pods, sight = fleet.pods, fleet.sight
    draining = (pods.phase == DRAINING) & pods.displaced
    return need.left_at > _patience(fleet) and bool((draining & pods.known(sight.now, sight.stale_after)).any())


def _patience(fleet: Fleet) -> Instant:
    """What began before this instant is not waited for any more."""
    return fleet.sight.now - max(PATIENCE, fleet.sight.overdue_after)


def _comes(fleet: Fleet, supply: Supply, need: Need) -> bool:
    """Whether others are on their way to stand in: started or asked for not too long ago, or about to be."""
    pods, since = fleet.pods, _patience(fleet)
    starting = (pods.phase == ACTIVE) & ~pods.displaced & (pods.stage < READY) & (pods.created_at > since)
    ordered = supply.ordered > 0 and need.rose_at is not None and need.rose_at > since
    return ordered or min(need.missing, need.room) > 0 or bool(starting.any())


def wanted_again(fleet: Fleet) -> Mask:
    """Of the pods that began to leave with their nodes, those that may stay after all, shape (n,)."""
    pods = fleet.pods
    back: Mask = (pods.phase == DRAINING) & pods.for_node & ~pods.displaced
    return back
