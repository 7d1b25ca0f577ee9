"""Hints: work that callers announce before the first task of it is queued.

A hint stands from its start to its end in the memory of this process. A restart or a new leader knows nothing of it:
what it asked for is then asked for by the work itself, or by the caller again. Each pool keeps its own; ``hinting``
takes them in.
"""

from __future__ import annotations

from dataclasses import dataclass

from scaler.config.pool import PoolKey
from scaler.core.types import Announcement, Instant, Seconds


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """What a caller announces: ``slots`` tasks at once, for how long, from when on (None is now), and why.

    The id is the caller's own word for it.
    """

    id: str
    pool: PoolKey
    slots: int
    duration: Seconds
    start: Instant | None
    reason: str


@dataclass(frozen=True, slots=True)
class Hint:
    """A wish that was granted, in part or whole.

    Attributes:
        turn: counts the hints of this process. A name that the core has seen keeps its level, so a hint that comes
            again under an id that was withdrawn gets a name of its own.
        slots: at most what was wished for.
    """

    caller: str
    turn: int
    wish: Wish
    slots: int
    start: Instant
    end: Instant

    def announcement(self, slots_per_pod: int) -> Announcement:
        """As the core sees it."""
        pods, name = self.slots / slots_per_pod, f"{self.caller}/{self.wish.id}#{self.turn}"
        return Announcement(name=name, pods=pods, start=self.start, end=self.end, added=True)


class Hints:
    """Those of one pool, in the order in which they were granted."""

    def __init__(self) -> None:
        self._hints: dict[int, Hint] = {}

    def standing(self, now: Instant) -> tuple[Hint, ...]:
        """Those that have not ended, among them those that have yet to begin. The others are forgotten."""
        for turn in [turn for turn, hint in self._hints.items() if hint.end <= now]:
            del self._hints[turn]
        return tuple(self._hints.values())

    def holds(self, hint: Hint, now: Instant) -> bool:
        """Whether it is among those that stand."""
        return hint.turn in self._hints and now < hint.end

    def keep(self, hint: Hint) -> None:
        """Let it stand."""
        self._hints[hint.turn] = hint

    def drop(self, hint: Hint) -> None:
        """Let it stand no more."""
        self._hints.pop(hint.turn, None)
