"""The most that was wanted lately: what is kept until nobody has wanted so much for a while, whoever served it."""

from __future__ import annotations

from dataclasses import dataclass, replace

from scaler.core.types import Instant, Seconds


@dataclass(frozen=True, slots=True)
class Wish:
    """How many pods or sandboxes were wanted at some instant, in which tick since they are watched."""

    at: Instant
    turn: int
    size: int


@dataclass(frozen=True, slots=True)
class Watch:
    """Since when it is known what is wanted, in how many ticks running, and the wishes that no later one reaches."""

    since: Instant | None = None
    turns: int = 0
    wishes: tuple[Wish, ...] = ()

    @property
    def most(self) -> int:
        """The most that was wanted in the stretch that is remembered."""
        return self.wishes[0].size if self.wishes else 0

    def kept(self, now: Instant) -> Seconds:
        """For how long it has been known without a break."""
        return 0.0 if self.since is None else now - self.since

    def wished(self, size: int, now: Instant, timer: Seconds, least: int) -> Watch:
        """With this wish, and without those that are older than the timer and not of the ``least`` last ticks."""
        turn = self.turns + 1
        kept = (w for w in self.wishes if w.size > size and (now - w.at < timer or turn - w.turn < least))
        return Watch(now if self.since is None else self.since, turn, (*kept, Wish(now, turn, size)))

    def moved(self, by: Seconds) -> Watch:
        """With every instant moved by the same length."""
        since = None if self.since is None else self.since + by
        return Watch(since, self.turns, tuple(replace(wish, at=wish.at + by) for wish in self.wishes))
