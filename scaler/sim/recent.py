"""The waits of the tasks whose runs began lately, in order of length, kept from one question to the next."""

from __future__ import annotations

import math
from bisect import bisect_left, insort
from collections import deque
from collections.abc import Sequence
from typing import Final

import numpy as np

from scaler.core.pods import Floats
from scaler.core.types import Instant, Seconds
from scaler.sim.work import Work

ENOUGH: Final = 1000  # waits that their quantile is taken of; of more, evenly chosen ones


class Recent:
    """The tasks whose runs began lately. They begin about in the order of arrival, so few need be looked at.

    Of few tasks the waits are kept: a question takes in the runs that began since the last one, and drops those that
    are too old by now. Where a run was cut meanwhile, or there are more tasks than are ``enough``, all are looked at.
    """

    def __init__(self, work: Work, enough: int = ENOUGH) -> None:
        self._work, self._enough, self._oldest = work, enough, 0
        self._began = np.frombuffer(work.began, dtype=np.float64)
        self._ranked: list[Seconds] = []  # the waits that are kept, shortest first,
        self._runs: deque[tuple[Instant, Seconds]] = deque()  # and when their runs began, oldest first
        self._seen = 0  # how many runs had begun when they were last taken in,
        self._killed = -1  # and how many had been cut by then: -1 before any were taken in

    def waits(self, since: Instant, until: Instant) -> Sequence[Seconds]:
        """How long those waited whose runs began in that time, shortest first; at most about twice ``enough`` of them.

        Args:
            since: no earlier than in the last question.
            until: no earlier either, and not later than now.
        """
        work, arrived = self._work, self._work.arrived
        while self._oldest < arrived and work.began[self._oldest] <= since:
            self._oldest += 1
        step = 1 + (arrived - self._oldest) // (2 * self._enough)
        if step > 1 or self._killed != work.killed:
            return self._all(since, until, step)
        self._drop(since)
        self._take(since, until)
        return self._ranked

    def _all(self, since: Instant, until: Instant, step: int) -> Sequence[Seconds]:
        """Look at each task, or at each of so many; and keep what is found, if no run has begun since ``until``."""
        work, span = self._work, slice(self._oldest, self._work.arrived, step)
        began = self._began[span]
        lately = (began > since) & (began <= until)  # NaN compares false: a task without a run has no wait to tell
        runs, waits = began[lately], (began - work.tasks.arrived_at[span])[lately]
        last = work.begun[-1] if work.begun else None
        ranked: list[Seconds] = np.sort(waits).tolist()
        if step == 1 and (last is None or work.began[last] <= until):
            self._keep(runs, waits, ranked)
        return ranked

    def _keep(self, runs: Floats, waits: Floats, ranked: list[Seconds]) -> None:
        order = runs.argsort(kind="stable")
        self._runs = deque(zip(runs[order].tolist(), waits[order].tolist(), strict=True))
        self._ranked = ranked
        self._seen, self._killed = len(self._work.begun), self._work.killed

    def _drop(self, since: Instant) -> None:
        """Drop the runs that are too old."""
        runs, ranked = self._runs, self._ranked
        while runs and runs[0][0] <= since:
            del ranked[bisect_left(ranked, runs.popleft()[1])]

    def _take(self, since: Instant, until: Instant) -> None:
        """Take in the runs that have begun since the last time."""
        work, count = self._work, len(self._work.begun)
        while self._seen < count and (at := work.began[task := work.begun[self._seen]]) <= until:
            self._seen += 1
            if at > since and task >= self._oldest:
                wait = at - work.tasks.arrived_at.item(task)
                self._runs.append((at, wait))
                insort(self._ranked, wait)


def p95(ranked: Sequence[float]) -> float:
    """The 0.95 quantile of values in order, at least one, interpolated as numpy does it by default."""
    last = len(ranked) - 1
    at = 0.95 * last
    low = math.floor(at)
    below, above = ranked[low], ranked[min(low + 1, last)]
    return below + (at - low) * (above - below)
