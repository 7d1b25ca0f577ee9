"""The tasks of a pool's own past, from what was seen of it: how many waited, and how many ran in each pod.

A task is seen to begin where a pod runs more than at the last look, and to end where it runs fewer or is gone; it came
when it was first seen to wait, or to run. So arrivals and durations are as exact as looks are close, and who comes and
ends between two of them, or in whose place another begins, is not told apart.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from scaler.core.types import Instant, Seconds


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
    """

    tasks: tuple[tuple[Seconds, Seconds], ...]
    lasted: Seconds
    cut: int
    never: int


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

    def _end(self, pod: str, left: int, at: Instant) -> None:
        ran = self.running[pod]
        while len(ran) > left:
            came, began = ran.popleft()
            self.done.append((came, at - began))
        if not ran:
            del self.running[pod]


def past(looks: Iterable[Look]) -> Past:
    """What was done, first come first served; ``looks`` in the order of their instants."""
    tally, first, last = _Tally(), None, 0.0
    for look in looks:
        first = look.at if first is None else first
        last = look.at
        tally.take(look)
    begin = first or 0.0
    cut = [(came, last - began) for ran in tally.running.values() for came, began in ran]
    tasks = sorted((came - begin, seconds) for came, seconds in (*tally.done, *cut) if seconds > 0)
    return Past(
        tasks=tuple(tasks),
        lasted=last - begin,
        cut=sum(seconds > 0 for _, seconds in cut),
        never=tally.never + len(tally.waiting) + sum(seconds <= 0 for _, seconds in cut),
    )
