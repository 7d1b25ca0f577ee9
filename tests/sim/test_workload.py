"""The work that comes: its figures are those of the sources it names."""

from __future__ import annotations

import math

import numpy as np
import pytest

from scaler.core.pods import Floats
from scaler.sim.workload import BIN, GAP, STARTUP, SUBAGENT, TASK, TOKENS, Lognormal, Tasks, Workload, generate
from tests.sim.conftest import T0

HOURS = 8 * 3600.0


def columns(tasks: Tasks) -> list[list[float]]:
    """All that a workload is."""
    return [column.tolist() for column in (tasks.arrived_at, tasks.seconds, tasks.tokens, tasks.session)]


def counts(tasks: Tasks, seconds: float) -> Floats:
    """Arrivals per bin."""
    bins = int(seconds / BIN)
    return np.histogram(tasks.arrived_at - T0, bins=bins, range=(0.0, seconds))[0].astype(np.float64)


def pooled(workload: Workload) -> float:
    """Variance over mean of the arrivals in 60 s, over many seeds."""
    runs = [counts(generate(workload, start=T0, seconds=HOURS, seed=seed), HOURS) for seed in range(40)]
    return float(np.mean([run.var() for run in runs]) / np.mean([run.mean() for run in runs]))


def test_the_same_seed_brings_the_same_work() -> None:
    """To the last bit, and another seed brings other work."""
    one, same, other = (generate(Workload(), start=T0, seconds=7200.0, seed=seed) for seed in (3, 3, 4))
    assert columns(one) == columns(same)
    assert columns(one) != columns(other)


@pytest.mark.parametrize("seed", range(5))
def test_work_comes_in_order_and_within_the_span(seed: int) -> None:
    """Arrivals are sorted, lengths are positive and end at the time limit."""
    work = generate(Workload(), start=T0, seconds=7200.0, seed=seed)
    assert sorted(work.arrived_at.tolist()) == work.arrived_at.tolist()
    assert T0 <= work.arrived_at[0] <= work.arrived_at[-1] < T0 + 7200
    assert 0 < min(work.seconds) <= max(work.seconds) <= Workload().longest
    assert min(work.tokens) > 0


def test_agents_arrive_in_bursts() -> None:
    """Variance over mean at 60 s is between 16 and 26, as where agents fan out; without mixing it is Poisson's 1."""
    assert 16 <= pooled(Workload()) <= 26
    assert pooled(Workload(bursts=1.0, follows=0.0)) == pytest.approx(1.0, abs=0.05)


@pytest.mark.parametrize(
    ("drawn", "median", "p90"),
    [(TASK, 235.66, 1874.31), (SUBAGENT, 120.0, 273.8), (GAP, 175.0, 2182.0), (STARTUP, 18.0, 26.4)],
    ids=["tasks", "sub-agents", "pauses", "startups"],
)
def test_fits_are_near_what_was_measured(drawn: Lognormal, median: float, p90: float) -> None:
    """The median and 0.9 quantile of each fit are within a fifth of the empirical ones."""
    values = drawn.draw(np.random.default_rng(1), 100_000)
    assert np.quantile(values, 0.5) == pytest.approx(median, rel=0.2)
    assert np.quantile(values, 0.9) == pytest.approx(p90, rel=0.2)


def test_tokens_stream_at_a_model_s_speed() -> None:
    """Half of the tasks stream less than 17 tokens a second, pauses for tools included."""
    assert TOKENS.quantile(0.0) == pytest.approx(16.9, rel=0.25)
    assert TOKENS.quantile(1.645) == pytest.approx(33.4, rel=0.5)
    assert math.log(TOKENS.quantile(1.0) / TOKENS.quantile(0.0)) == pytest.approx(TOKENS.sigma)


def test_a_session_goes_on_after_its_task_and_a_pause() -> None:
    """Whole tasks that always have a next one come again and again; sub-agents never do."""
    alone = Workload(subagents=1.0, follows=1.0, bursts=1.0)
    chatty = Workload(subagents=0.0, follows=1.0, bursts=1.0)
    silent = Workload(subagents=0.0, follows=0.0, bursts=1.0)
    mean = {
        name: np.mean([len(generate(w, start=T0, seconds=HOURS, seed=seed)) for seed in range(10)])
        for name, w in (("alone", alone), ("chatty", chatty), ("silent", silent))
    }
    assert mean["alone"] == pytest.approx(8 * 220, rel=0.05)
    assert mean["silent"] == pytest.approx(8 * 220, rel=0.05)
    assert mean["chatty"] > 2 * mean["silent"]
