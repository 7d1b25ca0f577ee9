"""Zones: where most pods are left, one is taken first; and where a pool is spread over them, nobody before his turn.

A zone is a number in the pods' columns, ``NO_ZONE`` where it is not known. Pods that drain, or that their nodes ask
away, are on their way out and count nowhere.
"""

from __future__ import annotations

import numpy as np

from scaler.core.fleet import Fleet
from scaler.core.pods import ACTIVE, NO_ZONE, Ints, Mask
from scaler.core.types import Instant, Seconds


def fullest_first(fleet: Fleet, rows: Ints) -> Ints:
    """These rows, each taken where most are left then, and in their own order where as many are."""
    if not np.count_nonzero(fleet.pods.zone[rows]):
        return rows
    return rows[np.argsort(-_levels(fleet, rows), kind="stable")]


def in_turn(fleet: Fleet, rows: Ints) -> Mask:
    """Which of these, that come the fullest zone first, may leave so that no zone falls behind, shape (len(rows),).

    None is then more than one behind the fullest, but for those that were. A pod whose zone is not known is in no
    one's way.
    """
    zone = fleet.pods.zone[rows]
    levels = _levels(fleet, rows)
    stay = np.bincount(fleet.pods.zone[_counted(fleet)])
    stay -= np.bincount(zone, minlength=len(stay))
    stay[NO_ZONE] = 0
    turn: Mask = (levels >= stay.max()) | (zone == NO_ZONE)
    return turn


def wait(fleet: Fleet, since: Instant, timer: Seconds) -> bool:
    """Whether those who would leave their zone behind go on waiting: for one idle timer, since it may be hours.

    But a pod of the fullest zone that is idle by then has its own timer first. It will be ripe when that is over, or
    work, so there is an end to this.
    """
    over, now = since + timer, fleet.sight.now
    soon = (fleet.idle_since > now - timer) & (fleet.idle_since < over)
    return now < over or bool((soon & _fullest(fleet)).any())


def _counted(fleet: Fleet) -> Mask:
    counted: Mask = (fleet.pods.phase == ACTIVE) & ~fleet.displaced
    return counted


def _levels(fleet: Fleet, rows: Ints) -> Ints:
    """How many its zone has when each of these leaves, after those before it, shape (len(rows),)."""
    zone = fleet.pods.zone[rows]
    there = np.bincount(fleet.pods.zone[_counted(fleet)])
    levels: Ints = there[zone] - _rank(zone)
    return levels


def _rank(zone: Ints) -> Ints:
    """How many of its zone come before each, shape (n,)."""
    by_zone = np.argsort(zone, kind="stable")
    rank = np.empty_like(by_zone)
    rank[by_zone] = np.arange(len(zone)) - np.searchsorted(zone[by_zone], zone[by_zone])
    return rank


def _fullest(fleet: Fleet) -> Mask:
    """Those in a zone that no other has more in, shape (n,)."""
    counted, zone = _counted(fleet), fleet.pods.zone
    there = np.bincount(zone[counted], minlength=int(zone.max()) + 1)
    there[NO_ZONE] = 0
    most: Mask = counted & (there[zone] == there.max())
    return most
