"""Knative's pod autoscaler on its own cases.

Rows from knative/serving, pkg/autoscaler/scaling/autoscaler_test.go (2026-08): rates 10 and 10, a panic threshold of 2,
a stable window of 60 s, one pod, unless a row says otherwise. Rows about excess burst capacity are left out: it decides
who is in the path of a request, not how many pods there are.
"""

from __future__ import annotations

from dataclasses import replace

import pytest

from scaler.sim.peers.kpa import NEVER, Autoscaler, Decider, Kpa
from scaler.sim.peers.sight import Pool, Sight
from tests.sim.conftest import T0

SPEC = Decider(target=10.0, up_rate=10.0, down_rate=10.0)
ONE = replace(SPEC, target=1.0)


def autoscaler(spec: Decider = SPEC) -> Autoscaler:
    """On one ready pod."""
    return Autoscaler(spec, ready=1, now=T0)


ONCE = {
    "NoDataAtZero": (SPEC, 1, (0, 0), 0),
    "StableModeUnlimitedTBC": (replace(SPEC, target=181.0), 1, (21, 26), 1),
    "0TBC": (SPEC, 1, (50, 49), 5),
    "StableModeNoChange": (SPEC, 1, (50, 50), 5),
    "StableModeNoChangeAlreadyScaled": (SPEC, 5, (50, 50), 5),
    "IncreaseWithSmallScaleUpRate": (replace(ONE, up_rate=1.1), 2, (3, 3.1), 3),
    "DecreaseWithSmallScaleDownRate": (replace(SPEC, down_rate=1.1), 100, (1, 1), 90),
    "DecreaseNonReachable": (replace(SPEC, down_rate=1.1, reachable=False), 100, (1, 1), 1),
    "PanicModeDoublePodCount": (SPEC, 1, (50, 100), 10),
    "UseOnePodAsMinimumIfEndpointsNotFound": (SPEC, 0, (1000, 888), 10),
}


@pytest.mark.parametrize(("spec", "ready", "averages", "pods"), ONCE.values(), ids=ONCE.keys())
def test_upstream_s_single_decisions(spec: Decider, ready: int, averages: tuple[float, float], pods: int) -> None:
    """TestAutoscalerScale and TestAutoscalerUseOnePodAsMinimumIfEndpointsNotFound."""
    assert autoscaler(spec).scale(T0, ready, *averages) == pods


@pytest.mark.parametrize(("stable", "pods"), [(30, 30), (50, 50)], ids=["panic larger", "stable larger"])
def test_in_panic_the_larger_average_counts(stable: float, pods: int) -> None:
    """PanicStableLessThanPanic has 20 and 30, PanicStableLargerThanPanic 50 and 30."""
    scaler = autoscaler(ONE)
    scaler.panicked_at, scaler.most = T0 - 5.0, 5
    assert scaler.scale(T0, 5, 20 if stable == 30 else stable, 30) == pods


STORIES = {
    "StableModeIncrease": (SPEC, [(0, 1, 50, 10, 5), (0, 1, 100, 10, 10)]),
    "StableModeDecrease": (SPEC, [(0, 8, 100, 100, 10), (0, 8, 50, 50, 5)]),
    "NoTrafficScaleToZero": (SPEC, [(0, 1, 1, 0, 1), (0, 1, 0, 0, 0)]),
    "ActivationScale": (replace(SPEC, activation=2), [(0, 1, 0, 0, 0), (0, 1, 1, 0, 2)]),
    "PanicModeExponential": (
        ONE,
        [
            (0, 1, 6, 6, 6),
            (0, 6, 36, 36, 36),
            (1, 36, 216, 216, 216),
            (1, 216, 1296, 1296, 1296),
            (2, 1296, 1296, 1296, 1296),
        ],
    ),
    "PanicThenUnPanicScaleDown": (
        SPEC,
        [(0, 1, 100, 100, 10), (0, 10, 100, 1000, 100), (30, 10, 1, 1, 100), (61, 10, 1, 1, 1)],
    ),
    "RateLimitScaleUp": (SPEC, [(0, 1, 1000, 1001, 10), (0, 10, 1000, 1001, 100)]),
    "RateLimitScaleDown": (SPEC, [(0, 100, 1, 1, 10), (0, 10, 1, 1, 1)]),
    "UnpanicAfterSlowIncrease": (ONE, [(0, 10, 11, 25, 25), (30, 40, 30, 41, 41), (62, 55, 50, 56, 50)]),
    "ExtendPanicWindow": (ONE, [(0, 10, 11, 25, 25), (30, 40, 30, 80, 80)]),
}


@pytest.mark.parametrize(("spec", "steps"), STORIES.values(), ids=STORIES.keys())
def test_upstream_s_stories(spec: Decider, steps: list[tuple[float, int, float, float, int]]) -> None:
    """Each step: seconds, ready pods, both averages, and what must come out."""
    scaler = autoscaler(spec)
    asked = [scaler.scale(T0 + at, ready, stable, panic) for at, ready, stable, panic, _ in steps]
    assert asked == [pods for *_, pods in steps]


def test_a_panic_is_prolonged_only_while_its_threshold_is_crossed() -> None:
    """TestAutoscalerUnpanicAfterSlowIncrease and TestAutoscalerExtendPanicWindow: when it began, and when it ends."""
    slow, surge = autoscaler(ONE), autoscaler(ONE)
    for scaler in (slow, surge):
        scaler.scale(T0, 10, 11, 25)
        assert scaler.panicked_at == T0
    slow.scale(T0 + 30, 40, 30, 41)
    assert slow.panicked_at == T0
    surge.scale(T0 + 30, 40, 30, 80)
    assert surge.panicked_at == T0 + 30
    slow.scale(T0 + 62, 55, 50, 56)
    assert slow.panicked_at == NEVER


def test_a_new_target_is_followed() -> None:
    """TestAutoscalerUpdateTarget."""
    scaler = autoscaler()
    assert scaler.scale(T0, 1, 100, 101) == 10
    scaler.decider = ONE
    assert scaler.scale(T0, 10, 100, 101) == 100


@pytest.mark.parametrize(("ready", "panics"), [(0, False), (1, False), (2, True)])
def test_it_starts_in_panic_where_there_are_pods_already(ready: int, panics: bool) -> None:
    """TestStartInPanicMode: without a past it would fall at once."""
    scaler = Autoscaler(SPEC, ready=ready, now=T0)
    assert (scaler.panicked_at != NEVER, scaler.most) == (panics, ready)


DELAYED = replace(SPEC, panic_threshold=100.0, delay=300.0)
DELAYS = {
    "simple": [(2, 40, 4), (300, 0, 4), (302, 0, 0)],
    "gradual": [(540, 40, 4), (600, 30, 4), (660, 0, 4), (840, 0, 3), (900, 0, 0)],
}


@pytest.mark.parametrize("steps", DELAYS.values(), ids=DELAYS.keys())
def test_upstream_s_scale_down_delay(steps: list[tuple[float, float, int]]) -> None:
    """TestAutoscalerScaleDownDelay: the highest wish of five minutes stands."""
    scaler = Autoscaler(DELAYED, ready=0, now=0.0)
    assert [scaler.scale(at, 0, load, load) for at, load, _ in steps] == [pods for *_, pods in steps]


def test_without_a_delay_a_fall_follows_within_the_tick() -> None:
    """TestAutoscalerScaleDownDelayZero."""
    scaler = Autoscaler(replace(DELAYED, delay=0.0), ready=0, now=0.0)
    assert [scaler.scale(0.0, 0, 40, 40), scaler.scale(0.5, 0, 20, 20)] == [4, 2]


def seen(at: float, *, ready: int, tasks: int) -> Sight:
    """A pool with a tenth of its tasks waiting."""
    waiting = tasks // 10
    return Sight(now=T0 + at, replicas=ready, ready=ready, starting=0, queued=waiting, inflight=tasks - waiting)


def test_a_pool_follows_its_concurrency() -> None:
    """Ten tasks on pods of two slots, of which 0.7 are aimed at: eight pods."""
    scaler = Kpa().scaler(Pool(slots=2))
    assert {scaler.decide(seen(at, ready=8, tasks=10)) for at in range(0, 80, 2)} == {8}


def test_the_last_pod_goes_a_window_and_a_grace_after_the_last_task() -> None:
    """The last record is at 78 s and leaves the window of a minute at 138 s; half a minute after that tick nothing."""
    scaler = Kpa().scaler(Pool(slots=10))
    busy = [scaler.decide(seen(at, ready=1, tasks=1)) for at in range(0, 80, 2)]
    idle = {at: scaler.decide(seen(at, ready=1, tasks=0)) for at in range(80, 200, 2)}
    assert {*busy, *(pods for at, pods in idle.items() if at < 166)} == {1}
    assert {pods for at, pods in idle.items() if at >= 166} == {0}
