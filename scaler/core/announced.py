"""Work that was announced: hints and the schedule, as pods wanted before the first task is queued."""

from __future__ import annotations

from typing import TypeAlias

from scaler.core.senses import Given
from scaler.core.types import Announcement, Instant, Seconds

Levels: TypeAlias = tuple[tuple[str, float], ...]


def levels(given: Given, hints: Levels, demand: float) -> Levels:
    """By name, the demand in pods that each hint raises to: what stood when it was first seen, plus its own pods.

    So the tasks a hint announced do not count twice once they are queued. Hints stack, and together add at most the
    policy's share of the maximum.
    """
    if not given.observation.announced:
        return ()
    known = dict(hints)
    left = given.policy.pace.hint_share * given.policy.max_replicas
    kept: list[tuple[str, float]] = []
    for hint in (a for a in given.observation.announced if a.added):
        pods = min(hint.pods, left)
        left -= pods
        below = max([demand, *(level for _, level in kept)])
        kept.append((hint.name, known.get(hint.name, below + pods)))
    return tuple(kept)


def ahead(announced: tuple[Announcement, ...], hints: Levels, *, startup: Seconds, now: Instant) -> float:
    """Pods to have by now, so that they serve when what was announced begins."""
    level = dict(hints)
    wanted = (level.get(a.name, 0.0) if a.added else a.pods for a in announced if a.start - startup <= now < a.end)
    return max(wanted, default=0.0)
