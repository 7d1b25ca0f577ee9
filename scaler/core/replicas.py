"""The workload's live replicas: how far they may be believed, and which number is told of them.

They are read behind a delay, a scrape or a cache, and their stamp is the instant up to which they certainly speak. What
changed after it they may not know of. A number from before a change would take the change back, so while there is
reason to think that something has changed since, and the number would be below what stands, none is told at all: on an
error the HPA holds.
"""

from __future__ import annotations

from scaler.core import drain
from scaler.core.memory import Crowd, Memory
from scaler.core.policy import Guarantee, Mode
from scaler.core.senses import Given
from scaler.core.supply import Footing
from scaler.core.types import Instant, Known, Unknown


def base(given: Given, memory: Memory) -> int | Unknown:
    """What the target was: our own last one, or the live replicas where we have none or are not followed."""
    auto, live = given.policy.mode is Mode.AUTO, given.observation.replicas
    if auto and memory.target is not None:
        return memory.target
    if not isinstance(live, Known):
        return live  # the pods in view need not be all there are
    if (age := abs(given.now - live.at)) > given.policy.pace.lost_after:
        return Unknown(f"the live replicas were last known {age:.0f} s ago")
    return _adopted(given, memory, live) if auto else _left(given, memory, live)


def _adopted(given: Given, memory: Memory, live: Known) -> int | Unknown:
    """The first target: one that keeps every pod, for somebody may have lowered the replicas while nobody watched."""
    if isinstance(given.fleet, Unknown):
        return _after(given, live, memory.born, "this process began")
    protected = given.policy.guarantee is Guarantee.PROTECTED
    return max(int(live.value), drain.floor(given.fleet, given.policy)) if protected else int(live.value)


def _left(given: Given, memory: Memory, live: Known) -> int | Unknown:
    """The live replicas where we are not followed: once they show our last target, or it was for long not followed."""
    if memory.told_at is None:
        return _after(given, live, memory.born, "this process began")
    if live.value == memory.target:
        return memory.target
    followed = memory.told_at + given.policy.pace.followed_after
    return _after(given, live, followed, f"our last target, {memory.target}, can have been followed")


def _after(given: Given, live: Known, since: Instant, event: str) -> int | Unknown:
    """The live replicas, if they speak of a time after this event."""
    if _speaks(given, live, since):
        return int(live.value)
    age = abs(given.now - live.at)
    return Unknown(f"the live replicas were {live.value:.0f} as of {age:.0f} s ago, before {event}")


def _speaks(given: Given, live: Known, since: Instant) -> bool:
    """Whether they were read after this. A stamp from the future, left by a clock that was set back, proves nothing."""
    return since <= live.at <= given.now


def kept(given: Given, memory: Memory) -> int | None:
    """Our last target, while somebody may still act on it."""
    told = memory.told_at
    return memory.target if told is not None and given.now - told <= given.policy.pace.lost_after else None


def crowd(given: Given, was: Crowd, footing: Footing) -> Crowd:
    """The most pods that stood of late, and since when that is so, until the live replicas speak of a time after it."""
    if isinstance(given.fleet, Unknown):
        return _settled(given, was)
    if footing.stand > was.stand:
        was = Crowd(since=given.now, stand=footing.stand)
    was = _settled(given, was)
    if was.since is not None or footing.stand > footing.asked or footing.stand == was.stand:
        return was
    return Crowd(since=None, stand=footing.stand)


def _settled(given: Given, was: Crowd) -> Crowd:
    """By now the live replicas ask for the pods that came, or these are another's: those of a rollout, for instance."""
    live = given.observation.replicas
    if was.since is None or not isinstance(live, Known) or not _speaks(given, live, was.since):
        return was
    return Crowd(since=None, stand=was.stand)


def answer(given: Given, crowd: Crowd, footing: Footing, number: int) -> int | Unknown:
    """The number to be told: none that is below pods which somebody may have asked for after the replicas were read."""
    stand = crowd.stand if isinstance(given.fleet, Unknown) else footing.stand
    if crowd.since is None or stand <= footing.asked or number >= stand:
        return number
    ago = given.now - crowd.since
    return Unknown(
        f"{stand} pods stand, more than was asked for; the last came {ago:.0f} s ago, after the replicas were read"
    )
