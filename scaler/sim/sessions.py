"""Where each session is: a conversation whose tasks follow one another in one slot, which is kept for it in between.

Its tasks run one after the other. One that comes while an earlier one waits or runs stands behind it, outside the
queue: no pod more would help it.
"""

from __future__ import annotations

import enum
from collections import deque
from collections.abc import Iterable
from typing import Generic, TypeVar

from scaler.core.pods import Ints
from scaler.sim.dispatch import Slot
from scaler.sim.workload import NO_SESSION

Waiting = TypeVar("Waiting")


class Away(enum.Enum):
    """Where a session is that is in no slot it could stay in."""

    QUEUED = "its task waits in the queue"
    LEAVING = "its task runs in a pod that goes"


class Sessions(Generic[Waiting]):
    """The sessions of one run.

    Attributes:
        behind: tasks that stand behind an earlier one of their session.
    """

    def __init__(self, of: Ints) -> None:
        self.behind = 0
        self._of = of.data
        self._home: dict[int, Slot | Away] = {}
        self._later: dict[int, deque[Waiting]] = {}
        self._kept: dict[Slot, tuple[int, int]] = {}  # by slot: the session, and the number of its stay
        self._stay = NO_SESSION

    def of(self, task: int) -> int:
        """The session of a task."""
        session: int = self._of[task]
        return session

    def home(self, task: int) -> Slot | Away | None:
        """Where the task's session is; None where it is nowhere."""
        return self._home.get(self._of[task])

    def enter(self, task: int, home: Slot | Away) -> bool:
        """The task has begun in this slot, or waits in the queue; whether it belongs to a session at all."""
        session = self._of[task]
        if session == NO_SESSION:
            return False
        if not isinstance(home, Away):
            self._kept.pop(home, None)
        self._home[session] = home
        return True

    def defer(self, task: int, waiting: Waiting) -> None:
        """Let the task stand behind the one of its session that waits or runs."""
        self._later.setdefault(self._of[task], deque()).append(waiting)
        self.behind += 1

    def next(self, task: int) -> Waiting | None:
        """The one that stood behind this task, which has ended."""
        session = self._of[task]
        later = self._later.get(session)
        if not later:
            return None
        self.behind -= 1
        first = later.popleft()
        if not later:
            del self._later[session]
        return first

    def keep(self, task: int, slot: Slot) -> int:
        """Keep the slot for the session of the task that ended in it. Answers the number of this stay, below -1."""
        self._stay -= 1
        self._kept[slot] = (self._of[task], self._stay)
        return self._stay

    def expire(self, slot: Slot, stay: int) -> bool:
        """Give the slot up, unless the session has gone on since; whether it was given up."""
        if slot not in self._kept or self._kept[slot][1] != stay:
            return False
        self.forget([slot])
        return True

    def end(self, task: int) -> None:
        """The session has no slot any more."""
        self._home.pop(self._of[task], None)

    def forget(self, slots: Iterable[Slot]) -> None:
        """These slots are kept for nobody any more."""
        for slot in slots:
            kept = self._kept.pop(slot, None)
            if kept is not None:
                del self._home[kept[0]]
