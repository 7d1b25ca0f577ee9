"""The tasks of a pool's own past, from what was seen of it: how many waited, and how many ran in each pod.

A task is seen to begin where a pod runs more than at the last look, and to end where it runs fewer or is gone; it came
when it was first seen to wait, or to run. So arrivals and durations are as exact as looks are close, and who comes and
ends between two of them, or in whose place another begins, is not told apart. Where nobody looked for longer than a
minute, what ran is taken to end, and what is seen then to come: nobody knows whether it is the same.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final

from scaler.core.types import Instant, Seconds

APART: Final[Seconds] = 60.0  # two looks at most, for what lies between to be known


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """A pool at one instant.

    Attributes:
        waiting: tasks that no pod has taken.
        running: tasks by pod; None for a pod that is there and was not heard.
    """

    at: Instant
    waiting: int
    running: Mapping[str, int | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Past:
    """What there was to do.

    Attributes:
        tasks: (seconds from the first look until it came, seconds that it ran), by the former.
        lasted: seconds from the first look to the last.
        cut: of them, those that still ran at the last look, or whose pod was never heard again: they are as long as
            they were seen to be.
        never: those that came and were not seen to run, and are left out.
        gaps: times that nobody looked for longer than a minute; ``unseen`` seconds in all, ``halted`` the tasks that
            ran when these began.
        back: the last instant of what was left out, and the first of what is told, where the clock ran back.
    """

    tasks: tuple[tuple[Seconds, Seconds], ...]
    lasted: Seconds
    cut: int
    never: int
    gaps: int = 0
    unseen: Seconds = 0.0
    halted: int = 0
    back: tuple[Instant, Instant] | None = None


@dataclass(slots=True)
class _Tally:
    """Tasks that have come, and that run in each pod: when each came and began."""

    waiting: deque[Instant] = field(default_factory=deque)
    running: dict[str, deque[tuple[Instant, Instant]]] = field(default_factory=dict)
    done: list[tuple[Instant, Seconds]] = field(default_factory=list)
    never: int = 0

    def take(self, look: Look) -> None:
        """What has changed since the look before: first what ended, then what came and began."""
        for pod in [pod for pod in self.running if look.running.get(pod, 0) is not None]:
            self._end(pod, look.running.get(pod) or 0, look.at)
        begun = [
            pod for pod, count in look.running.items() for _ in range((count or 0) - len(self.running.get(pod, ())))
        ]
        came = look.waiting + len(begun) - len(self.waiting)
        self.waiting.extend([look.at] * came)
        for pod in begun:
            self.running.setdefault(pod, deque()).append((self.waiting.popleft(), look.at))
        for _ in range(len(self.waiting) - look.waiting):  # they gave up
            self.waiting.popleft()
            self.never += 1

    def stop(self, at: Instant) -> int:
        """Nobody knows what comes of what ran and waited; how many were seen to run."""
        begun = [(came, at - began) for ran in self.running.values() for came, began in ran]
        seen = [task for task in begun if task[1] > 0]
        self.done += seen
        self.never += len(self.waiting) + len(begun) - len(seen)
        self.running, self.waiting = {}, deque()
        return len(seen)

    def _end(self, pod: str, left: int, at: Instant) -> None:
        ran = self.running[pod]
        while len(ran) > left:
            came, began = ran.popleft()
            self.done.append((came, at - began))
        if not ran:
            del self.running[pod]


@dataclass(slots=True)
class _Stretch:
    """Looks whose clock does not run back."""

    first: Instant
    last: Instant
    tally: _Tally = field(default_factory=_Tally)
    gaps: int = 0
    unseen: Seconds = 0.0
    halted: int = 0

    def take(self, look: Look) -> None:
        """The next look, perhaps after a gap."""
        if (apart := look.at - self.last) > APART:
            self.gaps += 1
            self.unseen += apart
            self.halted += self.tally.stop(self.last)
        self.last = look.at
        self.tally.take(look)

    def past(self, back: tuple[Instant, Instant] | None) -> Past:
        """What was done in it."""
        cut = self.tally.stop(self.last)
        tasks = sorted((came - self.first, seconds) for came, seconds in self.tally.done if seconds > 0)
        return Past(
            tasks=tuple(tasks),
            lasted=self.last - self.first,
            cut=cut,
            never=self.tally.never,
            gaps=self.gaps,
            unseen=self.unseen,
            halted=self.halted,
            back=back,
        )


def past(looks: Iterable[Look]) -> Past:
    """What was done, first come first served; ``looks`` in the order in which they were written down.

    Where the clock runs back, another past begins, and only the last one is told: two of them are no single day.
    """
    stretch, back = _Stretch(0.0, 0.0), None
    for number, look in enumerate(looks):
        if number == 0 or look.at < stretch.last:
            back = (stretch.last, look.at) if number else None
            stretch = _Stretch(look.at, look.at)
        stretch.take(look)
    return stretch.past(back)
