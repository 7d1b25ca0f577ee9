"""The figures of a run."""

from __future__ import annotations

import pytest

from scaler.sim.pool import Setting
from scaler.sim.score import quick_reversals, score
from tests.sim.conftest import T0, TEN_SECONDS, MakeWorld, tasks


@pytest.mark.parametrize(
    ("scaled", "count"),
    [
        ([(0, 5)], 0),
        ([(0, 5), (20, 4)], 1),
        ([(0, 5), (21, 4)], 0),
        ([(0, 5), (10, 4), (12, 3)], 1),
        ([(0, 5), (10, 6), (25, 5)], 1),
        ([(0, 5), (10, 4), (15, 5), (30, 4)], 2),
        ([(0, 5), (500, 3), (1000, 4)], 0),
    ],
    ids=["a rise", "soon", "late", "one turn", "from the last rise", "two turns", "slow"],
)
def test_a_quick_reversal_is_a_fall_soon_after_a_rise(scaled: list[tuple[float, int]], count: int) -> None:
    """Within twenty seconds here, the bound included; falls that follow a fall turn nothing back."""
    assert quick_reversals(scaled, within=20.0) == count


def test_the_figures_of_a_run_that_was_cut_short(make_world: MakeWorld) -> None:
    """One task served at once, one cut and still waiting at the end: the run that was cut is part of its wait."""
    world = make_world(Setting(guarded=False, startup=TEN_SECONDS), tasks((60.0, 20.0), (100.0, 500.0)))
    world.scale(1)
    world.run_until(T0 + 200)
    world.scale(0)
    world.run_until(T0 + 1000)
    said = score(world)
    assert (said.tasks, said.removals, said.killed) == (2, 1, 1)
    assert said.wait_p50_s == pytest.approx(900 / 2, abs=0.01)
    assert said.wait_p95_s == pytest.approx(900 * 0.95, abs=0.01)
    assert said.pod_hours == pytest.approx(230 / 3600, abs=1e-4)
    assert said.quick_reversals_per_hour == 0.0


def test_a_world_in_which_nothing_came_has_figures_too(make_world: MakeWorld) -> None:
    """All zero, at any moment."""
    said = score(make_world(Setting(guarded=True), tasks()))
    assert (said.tasks, said.wait_p50_s, said.wait_p95_s, said.pod_hours, said.quick_reversals_per_hour) == (0,) * 5
