"""Work that was announced: hints and the schedule, as pods wanted before the first task is queued."""

from __future__ import annotations

from typing import TypeAlias

from scaler.core.senses import Given
from scaler.core.types import Announcement, Instant, Seconds

Levels: TypeAlias = tuple[tuple[str, float], ...]


def levels(given: Given, known: Levels, *, demand: float, startup: Seconds) -> Levels:
    """By name, the demand in pods that each hint in force raises to: what stood when it came into force, and its pods.

    So the tasks a hint announced do not count twice once they are queued. Hints stack in the order in which they came
    into force, and together add at most the policy's share of the maximum.
    """
    running = [a for a in given.observation.announced if a.added and _in_force(a, startup, given.now)]
    if not running:
        return ()
    before = dict(known)
    left = given.policy.pace.hint_share * given.policy.max_replicas
    kept: list[tuple[str, float]] = []
    for hint in sorted(running, key=lambda a: a.name not in before):
        pods = min(hint.pods, left)
        left -= pods
        below = max([demand, *(level for _, level in kept)])
        kept.append((hint.name, before.get(hint.name, below + pods)))
    return tuple(kept)


def ahead(given: Given, hints: Levels, *, startup: Seconds) -> float:
    """Pods to have by now, so that they serve when what was announced begins."""
    planned = (a.pods for a in given.observation.announced if not a.added and _in_force(a, startup, given.now))
    return max((*planned, *(level for _, level in hints)), default=0.0)


def _in_force(announced: Announcement, startup: Seconds, now: Instant) -> bool:
    """From one startup before it begins until it ends."""
    return announced.start - startup <= now < announced.end
