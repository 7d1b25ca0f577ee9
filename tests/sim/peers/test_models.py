"""The peers that model: saturation with redistribution, and the predictive HPA with its two series.

Rows from llm-d/llm-d-workload-variant-autoscaler, internal/engines/analyzers/saturation_v2/analyzer_test.go (2026-02);
from jthomperoo/predictive-horizontal-pod-autoscaler 0.13.2, internal/scalebehavior/scalebehavior_test.go,
algorithms/linear_regression and algorithms/holt_winters. Two rows of the latter are defects and stand here as they
should be: too little history predicts nothing, and a series stays in the order of time.
"""

from __future__ import annotations

import math

import pytest

from scaler.sim.hpa import Behavior, Dated, Hpa, HpaMemory, Kind, Rules, ScalingPolicy, Select, limit
from scaler.sim.peers.holtwinters import HoltWinters, Smoothing
from scaler.sim.peers.predictive import Predictive, largest, linear
from scaler.sim.peers.saturation import Load, Saturation, capacity, derived, required, resize, spare
from scaler.sim.peers.sight import Pool, Scaler, Sight
from tests.sim.conftest import T0


@pytest.mark.parametrize(
    ("total", "in_use", "queued", "seen", "carries"),
    [
        (16000, 5000, 0, None, 12800),
        (16000, 8000, 6, None, 8000),
        (16000, 4000, 10, None, 4000),
        (16000, 6000, 2, 8000, 8000),
    ],
    ids=["by memory", "by compute", "by compute at low memory", "by compute as seen before"],
)
def test_upstream_s_capacities(total: float, in_use: float, queued: int, seen: float | None, carries: float) -> None:
    """k1 is eight tenths of the memory, k2 what was in use while the pod's own queue was full."""
    assert capacity(total, in_use=in_use, queued=queued, seen=seen) == carries


@pytest.mark.parametrize(
    ("batched", "sequences", "tokens_in", "tokens_out", "carries"),
    [
        (4096, 256, 500, 100, 140_800),
        (2048, 256, 500, 100, 140_800),
        (8192, 64, 100, 200, 12_800),
        (8192, 256, 500, 0, None),
    ],
)
def test_upstream_s_derived_capacities(
    batched: float, sequences: float, tokens_in: float, tokens_out: float, carries: float | None
) -> None:
    """From the engine's arguments, and nothing where they say nothing."""
    said = derived(batched=batched, sequences=sequences, tokens_in=tokens_in, tokens_out=tokens_out)
    assert said == carries


@pytest.mark.parametrize(
    ("demand", "ready", "pending", "rises", "falls"),
    [
        (11_300, 1, 0, True, False),
        (2000, 2, 0, False, True),
        (10_000, 1, 0, False, False),
        (11_300, 1, 1, False, False),
    ],
    ids=["above 0.85", "below 0.70", "between", "one is coming"],
)
def test_upstream_s_signals(demand: float, ready: int, pending: int, rises: bool, falls: bool) -> None:
    """What comes counts for rising and not for falling."""
    load = Load(demand=demand, capacity=12_800.0, ready=ready, pending=pending)
    assert (required(load, 0.85) > 0, spare(load, 0.70) > 0) == (rises, falls)


@pytest.mark.parametrize("demand", range(0, 60, 7))
def test_constant_load_settles(demand: int) -> None:
    """Whatever it starts from, the second analysis of the same load changes nothing."""
    for start in (1, 5, 40):
        first, second = start, -1
        for _ in range(2):
            load = Load(demand=float(demand), capacity=4.0, ready=first, pending=0)
            first, second = resize(first, load, up=0.85, down=0.70), first
        assert first == second
        assert first >= 1


def sights(scaler: Scaler, *, tasks: int, pods: int, syncs: int, start: float = 0.0) -> list[int]:
    """What it asks for, sync by sync, where every pod it asks for is there at once."""
    asked = []
    for sync in range(syncs):
        now = T0 + start + sync * scaler.period
        pods = scaler.decide(Sight(now=now, replicas=pods, ready=pods, starting=0, queued=0, inflight=tasks))
        asked.append(pods)
    return asked


def test_saturation_wakes_an_empty_pool_and_empties_it_after_ten_idle_minutes() -> None:
    """Through an HPA, whose window must pass as well."""
    scaler = Saturation(interval=15.0).scaler(Pool(slots=4))
    assert sights(scaler, tasks=8, pods=0, syncs=4)[-1] == 3
    idle = sights(scaler, tasks=0, pods=3, syncs=80, start=60.0)
    assert idle[-1] == 0
    assert min(idle[: int(600 / 15)]) >= 1


def test_upstream_s_linear_regression() -> None:
    """One to four, ten seconds apart: five now, six in ten seconds, seven in twenty; nothing from a single point."""
    points = [(T0 + 10.0 * i, float(i + 1)) for i in range(4)]
    said = [linear(points, T0 + at) for at in (40.0, 50.0, 60.0)]
    assert said == pytest.approx([5.0, 6.0, 7.0])
    assert linear(points[:1], T0) is None
    assert linear([(T0, 1.0), (T0, 2.0)], T0) is None


def test_a_line_that_falls_below_nothing_is_nothing() -> None:
    """There are no negative replicas."""
    assert linear([(0.0, 4.0), (10.0, 2.0)], 60.0) == 0.0


def test_upstream_s_holt_winters() -> None:
    """One, three, one, and again: after thirteen comes three. Nothing is said after nine."""
    series = HoltWinters(Smoothing(0.9, 0.9, 0.3), 3)
    for i in range(13):
        if i <= 9:
            assert series.ahead() is None
        series.record(3.0 if i % 3 == 1 else 1.0)
    said = series.ahead()
    assert said is not None
    assert math.ceil(said - 1e-9) == 3


def test_a_season_with_a_trend_is_followed_in_the_order_of_time() -> None:
    """The repaired series misses a seasonal ramp by less than one pod; one read backwards misses it by many."""
    forward, missed = HoltWinters(Smoothing(0.3, 0.1, 0.3), 12), []
    for i in range(120):
        value = 10.0 + 0.2 * i + 5.0 * math.sin(2 * math.pi * i / 12)
        said = forward.ahead()
        if said is not None:
            missed.append(abs(said - value))
        forward.record(value)
    assert len(missed) > 80
    assert max(missed) < 1.0


def test_the_largest_of_all_counts_and_silence_does_not() -> None:
    """A model that has nothing to say does not pull towards zero; a fraction of a pod is a pod."""
    assert largest(4, (None, None)) == 4
    assert largest(4, (None, 6.2)) == 7
    assert largest(4, (2.0, 3.0)) == 4


MINUTE = 60.0
PODS, PERCENT = Kind.PODS, Kind.PERCENT
BEHAVE = {
    "2→4": (Rules(window=0.0), Rules(), 2, 4, (1, 10), (), (), 4),
    "2→4, maximum 3": (Rules(), Rules(), 2, 4, (1, 3), (), (), 3),
    "2→0, minimum 1": (Rules(), Rules(), 2, 0, (1, 10), (), (), 1),
    "2→0, minimum 0": (Rules(), Rules(), 2, 0, (0, 10), (), (), 0),
    "up disabled": (Rules(select=Select.DISABLED), Rules(), 3, 7, (1, 10), (), (), 3),
    "down disabled": (Rules(), Rules(select=Select.DISABLED), 7, 3, (1, 10), (), (), 7),
}
RATES = {
    "4→6, 4 added": (((PODS, 4),), Select.MAX, 4, 6, (4,), (), 4),
    "4→8, 4 added and 2 removed": (((PODS, 4),), Select.MAX, 4, 8, (4,), (2,), 6),
    "4→7, 1 added, min": (((PERCENT, 100), (PODS, 3)), Select.MIN, 4, 7, (1,), (), 6),
    "30→50, start 20": (((PERCENT, 100),), Select.MAX, 30, 50, (10,), (), 40),
    "40→80, start 30, min": (((PERCENT, 200), (PODS, 20)), Select.MIN, 40, 80, (10,), (), 50),
    "40→100, start 30, max": (((PERCENT, 200), (PODS, 20)), Select.MAX, 40, 100, (10,), (), 90),
    "3→6, start 0, min": (((PERCENT, 200), (PODS, 20)), Select.MIN, 3, 6, (3,), (), 3),
    "6→4, start 10": (((PERCENT, 100),), Select.MAX, 6, 4, (), (4,), 4),
    "6→4, 4 removed, 5 pods": (((PODS, 5),), Select.MAX, 6, 4, (), (4,), 5),
    "6→3, 4 removed, 2 added": (((PODS, 5),), Select.MAX, 6, 3, (2,), (4,), 3),
    "8→4, 2 removed, half": (((PERCENT, 50),), Select.MAX, 8, 4, (), (2,), 5),
    "80→40, start 100, max": (((PERCENT, 50), (PODS, 10)), Select.MAX, 80, 40, (), (20,), 50),
    "80→40, start 100, min": (((PERCENT, 50), (PODS, 10)), Select.MIN, 80, 40, (), (20,), 80),
}


@pytest.mark.parametrize(
    ("up", "down", "spec", "want", "bounds", "ups", "downs", "after"), BEHAVE.values(), ids=BEHAVE.keys()
)
def test_upstream_s_bounds_and_directions(
    up: Rules, down: Rules, spec: int, want: int, bounds: tuple[int, int], ups: tuple[()], downs: tuple[()], after: int
) -> None:
    """The port of the HPA's behavior that the predictive one has of its own."""
    hpa = Hpa(low=bounds[0], high=bounds[1], behavior=Behavior(up=up, down=down))
    assert limit(hpa, HpaMemory(ups=ups, downs=downs), want, spec=spec, now=T0) == after


@pytest.mark.parametrize(
    ("policies", "select", "spec", "want", "came", "went", "after"), RATES.values(), ids=RATES.keys()
)
def test_upstream_s_rates_by_the_minute(
    policies: tuple[tuple[Kind, int], ...],
    select: Select,
    spec: int,
    want: int,
    came: tuple[int, ...],
    went: tuple[int, ...],
    after: int,
) -> None:
    """A period begins with what there is, less what came in it, plus what went."""
    rules = Rules(policies=tuple(ScalingPolicy(kind, value, MINUTE) for kind, value in policies), select=select)
    hpa = Hpa(low=0, high=1000, behavior=Behavior(up=rules, down=rules))
    memory = HpaMemory(ups=tuple(Dated(T0 - 30.0, n) for n in came), downs=tuple(Dated(T0 - 30.0, n) for n in went))
    assert limit(hpa, memory, want, spec=spec, now=T0) == after


def test_the_predictive_hpa_goes_ahead_of_a_ramp() -> None:
    """Tasks that grow by one a sync: its line asks for more pods than there are tasks, by about what it looks ahead."""
    knobs = Predictive(ahead=60.0, history=6, utilization=1.0)
    scaler, pods = knobs.scaler(Pool()), 10
    for sync in range(30):
        tasks = 10 + sync
        now = T0 + 15.0 * sync
        pods = scaler.decide(Sight(now=now, replicas=pods, ready=pods, starting=0, queued=0, inflight=tasks))
    assert 39 < pods <= 39 + 6
