"""Work that was announced: hints and the schedule, as pods wanted before the first task is queued."""

from __future__ import annotations

from typing import TypeAlias

from scaler.core.senses import Given
from scaler.core.types import Announcement, Instant, Seconds

Hints: TypeAlias = tuple[tuple[str, float], ...]


def hints(given: Given, known: Hints, *, demand: float, startup: Seconds) -> Hints:
    """The hints in force, in the order in which they came, by name, and the demand in pods that stood then."""
    if not given.observation.announced:
        return ()
    running = [a.name for a in given.observation.announced if a.added and _in_force(a, startup, given.now)]
    before = dict(known)
    there = tuple((name, stood) for name, stood in known if name in running)
    return (*there, *((name, demand) for name in running if name not in before))


def ahead(given: Given, hints: Hints, *, startup: Seconds) -> float:
    """Pods to have by now, so that they serve when what was announced begins.

    Each hint adds its pods to what stood when it came into force, so the tasks it announced do not count twice once
    they are queued, and to the hints that came before it and have not ended. Together they add at most the policy's
    share of the maximum.
    """
    if not given.observation.announced:
        return 0.0
    pods = {a.name: a.pods for a in given.observation.announced if a.added}
    left, level = given.policy.pace.hint_share * given.policy.max_replicas, 0.0
    for name, stood in hints:
        added = min(pods[name], left)
        left, level = left - added, max(level, stood) + added
    planned = (a.pods for a in given.observation.announced if not a.added and _in_force(a, startup, given.now))
    return max((level, *planned))


def _in_force(announced: Announcement, startup: Seconds, now: Instant) -> bool:
    """From one startup before it begins until it ends."""
    return announced.start - startup <= now < announced.end
