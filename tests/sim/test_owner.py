"""The shortcut to a ReplicaSet's victims comes to the same victims."""

from __future__ import annotations

import math

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from scaler.sim.fleet import Fleet
from scaler.sim.owner import candidates, standings
from scaler.sim.replicaset import victims
from tests.sim.conftest import T0


@given(seed=st.integers(0, 100_000), size=st.integers(1, 30), count=st.integers(0, 12))
@settings(max_examples=100, deadline=None)
def test_nobody_who_goes_is_left_out(seed: int, size: int, count: int) -> None:
    """Looking at few pods one by one names the same ones, in the same order, as looking at all."""
    chance, fleet = np.random.default_rng(seed), Fleet()
    for row in range(size):
        fleet.add(
            f"{chance.integers(1 << 30):x}-{row}",
            row,
            now=T0 + chance.uniform(0, 900),
            node=int(chance.integers(-1, 3)),
        )
        if chance.random() < 0.7:
            fleet.become_ready(row, T0 + chance.uniform(900, 5000))
        fleet.cost[row] = chance.integers(-1, 2)
    rows, loads = fleet.stays(), chance.integers(1, 4, size)
    first = candidates(fleet, rows, loads, count)
    few = victims(standings(fleet, rows[first].tolist(), loads[first].tolist()), count, T0 + 9000)
    whole = victims(standings(fleet, rows.tolist(), loads.tolist()), count, T0 + 9000)
    assert few == whole
    assert len(whole) == min(count, size)


def test_a_row_is_used_again_and_its_pod_begins_anew() -> None:
    """The lowest first; nothing of the pod before is left."""
    fleet = Fleet()
    for row in range(100):
        fleet.add(f"pod-{row}", row, now=T0, node=0)
        fleet.become_ready(row, T0 + 5)
    fleet.leave(7)
    fleet.drop(7)
    fleet.drop(3)
    assert (fleet.lowest_free(), len(fleet), fleet.row("pod-7")) == (3, 98, None)
    fleet.add("new", 7, now=T0 + 9, node=1)
    assert (fleet.row("new"), fleet.uid(7), bool(fleet.leaving[7])) == (7, "new", False)
    assert math.isnan(fleet.ready_at[7])
    assert fleet.lowest_free() == 3
