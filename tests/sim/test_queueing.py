"""The world against theory: Poisson arrivals, exponential lengths, c slots. Erlang's C says how long tasks wait."""

from __future__ import annotations

import math

import numpy as np
import pytest

from scaler.sim.dispatch import Serving
from scaler.sim.pool import Setting
from scaler.sim.workload import Lognormal, Tasks
from scaler.sim.world import World
from tests.sim.conftest import T0
from tests.sim.laws import broken

LENGTH = 10.0
BATCHES = 40
T_999 = 3.56  # Student's t for 39 degrees of freedom, 99.9 % two-sided
AT_ONCE = Lognormal(math.log(0.001), 0.0, "pods that are there from the beginning")


def erlang_c(servers: int, offered: float) -> float:
    """Probability that a task must wait (A. K. Erlang, 1917), by the recursion of the loss formula."""
    blocked = 1.0
    for n in range(1, servers + 1):
        blocked = offered * blocked / (n + offered * blocked)
    return blocked / (1.0 - offered / servers * (1.0 - blocked))


def simulate(servers: int, slots: int, use: float, count: int) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    """Waits of the second half of ``count`` tasks, by the order of arrival."""
    rng = np.random.default_rng(servers)
    at = T0 + 60.0 + np.cumsum(rng.exponential(LENGTH / (servers * use), count))
    lengths = rng.exponential(LENGTH, count)
    work = Tasks.of(at, lengths)
    world = World(Setting(guarded=False, serving=Serving(slots=slots), startup=AT_ONCE), work, start=T0, seed=1)
    world.scale(servers // slots)
    world.run_until(float(at[-1]) + 10_000.0)
    assert broken(world) == []
    assert world.work.done
    return world.work.waits()[count // 2 :]


@pytest.mark.parametrize(
    ("servers", "slots", "use"), [(1, 1, 0.5), (4, 1, 0.8), (8, 4, 0.7), (12, 1, 0.8)], ids=lambda value: f"{value}"
)
def test_waits_are_those_of_erlang(servers: int, slots: int, use: float) -> None:
    """Mean wait and share of tasks that wait are within the 99.9 % limits of batch means."""
    waits = simulate(servers, slots, use, 80_000)
    waiting = erlang_c(servers, servers * use)
    mean = waiting * LENGTH / (servers * (1.0 - use))
    for values, expected in ((waits, mean), (waits > 0, waiting)):
        batches = values.reshape(BATCHES, -1).mean(axis=1)
        limit = T_999 * batches.std(ddof=1) / math.sqrt(BATCHES)
        assert abs(batches.mean() - expected) <= limit
        assert limit < 0.5 * expected  # or the test would say nothing
