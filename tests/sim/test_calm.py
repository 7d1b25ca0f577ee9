"""How often the replicas turn back, as the HPA writes them: later than they are asked for, and not always as late."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from scaler.core.policy import Pace
from scaler.sim.match import Match, play
from scaler.sim.scenario import OURS, Scenario, changed

PER_MINUTE = 5


@pytest.mark.parametrize("startup", ["18s", "93s"])
@pytest.mark.parametrize("seed", [1, 2])
def test_the_beat_of_a_cron_turns_the_replicas_back_no_more_than_the_budget_allows(
    tmp_path: Path, startup: str, seed: int
) -> None:
    """Tasks come on the minute, five on average, and last two minutes or so: there is something to drop in each."""
    chance = np.random.default_rng(7)
    at = np.repeat(60.0 * np.arange(240), chance.poisson(PER_MINUTE, 240))
    trace = tmp_path / "cron.csv"
    lasts = chance.lognormal(4.8, 1.2, len(at))
    trace.write_text("arrival_s,duration_s\n" + "".join(f"{a},{d:.1f}\n" for a, d in zip(at, lasts, strict=True)))
    asked = changed(Scenario(), {"trace": str(trace), "startup": startup, "dispatch": "random"})
    row = play(Match(scenario=asked, policy=OURS, seed=seed)).row
    assert 2 < row.quick_reversals_per_hour <= Pace().flap_budget
