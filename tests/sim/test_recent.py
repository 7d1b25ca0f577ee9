"""The waits of late that are kept are those that a look at every task would find."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scaler.core.pods import Floats
from scaler.core.types import Instant
from scaler.sim.dispatch import Serving
from scaler.sim.events import Agenda
from scaler.sim.recent import Recent, p95
from scaler.sim.work import Work
from scaler.sim.workload import Tasks

WINDOW = 15.0
PODS = 3
Arrivals = st.lists(st.tuples(st.floats(0, 8), st.floats(5, 80), st.integers(-1, 1)), min_size=9, max_size=60)
Moves = st.lists(
    st.tuples(st.sampled_from((1.0, 5.0, 40.0)), st.sampled_from((0.0, 3.0)), st.integers(0, 9)),
    min_size=20,
    max_size=50,
)


class Plain:
    """Each task looked at anew, from the first whose run has not begun or began lately."""

    def __init__(self, work: Work, enough: int) -> None:
        self.work, self.enough, self.oldest = work, enough, 0

    def waits(self, since: Instant, until: Instant) -> Floats:
        """In order of length."""
        began, arrived = np.array(self.work.began), self.work.arrived
        while self.oldest < arrived and began[self.oldest] <= since:
            self.oldest += 1
        span = slice(self.oldest, arrived, 1 + (arrived - self.oldest) // (2 * self.enough))
        lately = (began[span] > since) & (began[span] <= until)
        return np.sort((began - self.work.tasks.arrived_at)[span][lately])


@given(Arrivals, Moves, st.sampled_from((4, 1000)))
def test_the_waits_that_are_kept_are_those_of_a_look_at_all(
    tasks: list[tuple[float, float, int]], moves: list[tuple[float, float, int]], enough: int
) -> None:
    """However long nobody asks, however late what is told is, and whoever loses the pod that a task ran in."""
    gaps, seconds, sessions = zip(*tasks, strict=True)
    agenda = Agenda(0.0)
    stream = Tasks.of(np.cumsum(gaps), np.array(seconds), tokens=1.0, session=np.array(sessions))
    work = Work(agenda, stream, Serving(), seed=1, freed=lambda _: None)
    kept, plain, until = Recent(work, enough), Plain(work, enough), -math.inf
    gone = set(range(PODS))
    for passed, late, pod in [*((0.0, 0.0, pod) for pod in range(PODS)), *moves]:
        end = agenda.now + passed
        work.run(end)
        agenda.now = end
        if pod in gone:
            work.settle_in(pod)
            work.open(pod)
        elif pod < PODS:
            work.leave(pod)
            work.lose(pod)
        gone ^= {pod} & set(range(PODS))
        until = max(until, agenda.now - late)
        since = until - WINDOW
        assert list(kept.waits(since, until)) == plain.waits(since, until).tolist()


@given(st.lists(st.floats(0.0, 1e6), min_size=1, max_size=60))
def test_the_quantile_is_numpys(values: list[float]) -> None:
    """By interpolation between the two that it falls between."""
    assert p95(sorted(values)) == pytest.approx(np.quantile(values, 0.95), rel=1e-12)
