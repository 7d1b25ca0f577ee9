"""What an agent has open: tasks, claims, sessions, tokens. Not safe for threads by itself; the gate has the lock."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field


@dataclass(slots=True)
class Held:
    """A session. ``until`` is by the steady clock, and stands still while ``turns`` of its tasks run."""

    ttl: float
    until: float
    turns: int = 0


@dataclass(frozen=True, slots=True)
class Running:
    """A task, by the steady clock; ``ends`` is when it is expected to, if that is known."""

    began: float
    ends: float | None


@dataclass(slots=True)
class Ledger:
    """All that is open. Numbers name tasks, claims and sessions, and are never used again.

    Attributes:
        claims: a consumer that is about to fetch; what it fetches becomes a task.
        idle_since: seconds since the epoch at which the last of it ended; None while something is open.
    """

    idle_since: float | None
    tasks: dict[int, Running] = field(default_factory=dict)
    claims: set[int] = field(default_factory=set)
    sessions: dict[int, Held] = field(default_factory=dict)
    tokens_in: int = 0
    tokens_out: int = 0
    _numbers: itertools.count[int] = field(default_factory=lambda: itertools.count(1))

    @property
    def number(self) -> int:
        """A number that nothing has had."""
        return next(self._numbers)

    @property
    def idle(self) -> bool:
        """Nothing is open, so nothing can begin that does not pass the gate first."""
        return not (self.tasks or self.claims or self.sessions)

    @property
    def waiting(self) -> int:
        """Sessions between their tasks."""
        return sum(not held.turns for held in self.sessions.values())

    def expire(self, steady: float, now: float) -> None:
        """End the sessions whose time is over; for good, whatever the clock says later."""
        over = [number for number, held in self.sessions.items() if not held.turns and held.until <= steady]
        for number in over:
            del self.sessions[number]
        if over:
            self.settle(now)

    def settle(self, now: float) -> None:
        """Note the instant from which on nothing is open."""
        if not self.idle:
            self.idle_since = None
        elif self.idle_since is None:
            self.idle_since = now

    def soonest(self) -> float | None:
        """When the next session is over, by the steady clock, if nothing renews it."""
        return min((held.until for held in self.sessions.values() if not held.turns), default=None)

    def oldest(self, steady: float) -> float | None:
        """For how many seconds the oldest task has run."""
        return max((steady - task.began for task in self.tasks.values()), default=None)

    def eta(self, steady: float) -> float | None:
        """In how many seconds the last task is expected to end; None where one of them has not said."""
        ends = [task.ends for task in self.tasks.values()]
        known = [end for end in ends if end is not None]
        return max(0.0, max(known) - steady) if known and len(known) == len(ends) else None
