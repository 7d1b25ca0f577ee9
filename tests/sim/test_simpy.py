"""The world against SimPy on the same arrivals and lengths: every wait is the same, to the last bit."""

from __future__ import annotations

import math

import numpy as np
import pytest

from scaler.sim.dispatch import Dispatch, Serving
from scaler.sim.pool import Setting
from scaler.sim.workload import Lognormal, Tasks
from scaler.sim.world import World
from tests.sim.laws import broken
from tests.support.queues import waits_in_simpy

AT_ONCE = Lognormal(math.log(0.001), 0.0, "pods that are there from the beginning")
LENGTH = 8.0


@pytest.mark.parametrize("dispatch", Dispatch)
@pytest.mark.parametrize(("pods", "slots"), [(1, 1), (6, 1), (3, 4)])
def test_waits_are_simpy_s_bit_for_bit(pods: int, slots: int, dispatch: Dispatch) -> None:
    """First come, first served: who serves changes nothing about who waits, and no rounding differs."""
    rng = np.random.default_rng(pods)
    gaps = rng.exponential(LENGTH / (pods * slots * 0.9), 4000)
    at = np.array(_summed([64.0, *gaps.tolist()]))
    lengths = rng.exponential(LENGTH, len(at))
    serving = Serving(slots=slots, dispatch=dispatch)
    world = World(Setting(guarded=False, startup=AT_ONCE, serving=serving), Tasks.of(at, lengths), start=0.0, seed=1)
    world.scale(pods)
    world.run_until(float(at[-1]) + 1e5)
    assert world.work.done
    assert broken(world) == []
    waited = world.work.waits().tolist()
    assert waited == waits_in_simpy(at.tolist(), lengths.tolist(), pods * slots)
    assert max(waited) > LENGTH  # or there was nothing to compare


def _summed(gaps: list[float]) -> list[float]:
    """Instants as SimPy comes to them: by adding what is left to the time it is."""
    now, instants = 0.0, []
    for at in np.cumsum(gaps).tolist():
        now += at - now
        instants.append(now)
    return instants
