"""The HPA's arithmetic, against the rows that Kubernetes tests its own with, and the dead band that follows from it.

Rows from pkg/controller/podautoscaler: replica_calculator_test.go (PerPodCMExternal) and horizontal_test.go
(TestConvertDesiredReplicasWithRules, TestNormalizeDesiredReplicas, TestNormalizeDesiredReplicasWithBehavior,
TestScalingWithRules, TestReplicaLimits, ...OneMetricEmpty), Kubernetes 1.33 and later. Rows upstream never runs are
left out.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import pytest

from scaler.core.types import Unknown
from scaler.sim.hpa import (
    FOLLOW,
    Behavior,
    Dated,
    Hpa,
    HpaMemory,
    Kind,
    Metric,
    Rules,
    Scale,
    ScalingPolicy,
    Select,
    bottom,
    ceiling,
    combine,
    limit,
    milli,
    propose,
    stabilise,
    sync,
)
from tests.sim.conftest import T0

AWAY = Unknown("the scaler does not answer")


def one(value: float) -> list[Metric]:
    """The metric we report: replicas against a target of 1."""
    return [Metric(value, 1.0)]


def spread(changes: Sequence[int], seconds: float) -> tuple[Dated, ...]:
    """Changes spread evenly over the last ``seconds``, each in the middle of its part, as upstream's rows have them."""
    part = seconds / len(changes)
    return tuple(Dated(T0 - (seconds - part * (i + 0.5)), size) for i, size in enumerate(changes))


def rules(pods: int, pods_period: float, percent: int, percent_period: float, window: float = 0.0) -> Rules:
    """One direction with up to two policies; 0 leaves one out."""
    both = (
        ScalingPolicy(Kind.PODS, pods, pods_period),
        ScalingPolicy(Kind.PERCENT, percent, percent_period),
    )
    return Rules(window=window, policies=tuple(policy for policy in both if policy.value))


@pytest.mark.parametrize(
    ("value", "thousandths"),
    [(7.0, 7000), (1 / 3, 333), (21.0006, 21001), (21.0004, 21000), (0.0, 0), (-1.0, 0), (math.nan, 0), (math.inf, 0)],
)
def test_quantities_are_thousandths(value: float, thousandths: int) -> None:
    """KEDA writes three decimals, and what is no quantity as zero."""
    assert milli(value) == thousandths


@pytest.mark.parametrize(
    ("value", "target", "status", "replicas"),
    [(8.6, 2.15, 3, 4), (8.6, 2.867, 5, 3), (8.6, 2.9, 3, 3), (8.6, 2.2, 4, 4)],
    ids=["rises", "falls", "within tolerance", "within tolerance from above"],
)
def test_upstream_s_per_pod_external_metrics(value: float, target: float, status: int, replicas: int) -> None:
    """Absolute: the usage over the target, rounded up, unless that is within a tenth of what there is."""
    assert propose(Metric(value, target), status) == replicas


@pytest.mark.parametrize(
    ("current", "lowest", "highest"),
    [
        *((n, n, n) for n in range(1, 10)),
        *((10, 9, 11), (11, 10, 12), (15, 14, 16), (20, 18, 22), (45, 41, 49), (50, 45, 55), (100, 90, 110)),
    ],
)
def test_reports_within_a_tenth_change_nothing(current: int, lowest: int, highest: int) -> None:
    """The dead band of a report against a target of 1; with tolerance 0 there is none."""
    dead = [n for n in range(2 * current + 5) if propose(Metric(float(n), 1.0), current) == current]
    assert (dead[0], dead[-1]) == (lowest, highest)
    assert dead == list(range(lowest, highest + 1))
    assert all(propose(Metric(float(n), 1.0), current, FOLLOW) == n for n in range(2 * current + 5))


def test_a_target_that_is_no_whole_thousandth_asks_for_one_pod_too_many() -> None:
    """Seven against a third is 22, so the door reports whole replicas against exactly 1."""
    assert propose(Metric(7.0, 1 / 3), 5) == 22
    assert propose(Metric(21.0006, 1.0), 5) == 22
    assert propose(Metric(21.0, 1.0), 5) == 21


def test_an_empty_workload_is_outside_every_band() -> None:
    """With a status of zero the proposal is the report itself."""
    assert propose(Metric(3.0, 1.0), 0) == 3
    assert propose(Metric(0.0, 1.0), 0) == 0


@pytest.mark.parametrize(
    ("proposals", "spec", "combined"),
    [
        ([4, AWAY], 3, 4),
        ([3, AWAY], 5, AWAY),
        ([5, AWAY], 5, 5),
        ([AWAY], 5, AWAY),
        ([3, 7, 5], 9, 7),
    ],
    ids=["one missing may rise", "one missing may not fall", "one missing may stay", "all missing", "the largest"],
)
def test_missing_metrics_never_lower(proposals: list[int | Unknown], spec: int, combined: int | Unknown) -> None:
    """ScaleUpOneMetricEmpty and NoScaleDownOneMetricEmpty."""
    assert combine(proposals, spec) == combined


def test_no_metric_at_all_holds() -> None:
    """An HPA without a metric moves nothing."""
    assert isinstance(combine([], 5), Unknown)


@pytest.mark.parametrize(
    ("low", "high", "spec", "after"),
    [(3, 5, 0, 0), (3, 5, 2, 3), (3, 5, 10, 5)],
    ids=["zero is left alone", "below the minimum", "above the maximum"],
)
def test_bounds_come_before_metrics(low: int, high: int, spec: int, after: int) -> None:
    """TestReplicaLimits: none of these reads a metric, so a failing one changes nothing."""
    asked = [Metric(AWAY, 1.0)]
    assert sync(Hpa(low=low, high=high), HpaMemory(), asked, scale=Scale(spec, spec), now=T0)[0] == after


@pytest.mark.parametrize(
    ("spec", "want", "low", "high", "after"),
    [(5, 7, 3, 8, 7), (3, 1, 2, 8, 2), (1, 0, 0, 10, 0), (20, 1000, 1, 10, 10), (3, 1000, 1, 2000, 6)],
    ids=["within", "below the minimum", "zero where allowed", "above the maximum", "at most twice"],
)
def test_without_behavior_bounds_and_doubling_hold(spec: int, want: int, low: int, high: int, after: int) -> None:
    """TestConvertDesiredReplicasWithRules."""
    assert limit(Hpa(low=low, high=high), HpaMemory(), want, spec=spec, now=T0) == after


@pytest.mark.parametrize(
    ("past", "want", "after"),
    [
        ([], 5, 5),
        ([(120, 4), (60, 5)], 3, 5),
        ([(120, 1), (60, 2)], 3, 3),
        ([(600, 10), (540, 9)], 3, 3),
        ([(600, 10), (60, 4), (120, 5), (540, 9)], 3, 5),
    ],
    ids=["nothing remembered", "higher", "lower", "too old", "some too old"],
)
def test_without_behavior_the_highest_of_five_minutes_stands(
    past: list[tuple[int, int]], want: int, after: int
) -> None:
    """TestNormalizeDesiredReplicas."""
    memory = HpaMemory(past=tuple(Dated(T0 - ago, n) for ago, n in past))
    assert limit(Hpa(low=1, high=1000), memory, want, spec=100, now=T0) == after


STABLE = {
    "nothing remembered": ([], 100, 5, 0, 0, 5),
    "falls to the highest": ([(120, 4), (60, 5)], 100, 3, 0, 180, 5),
    "rises to the lowest": ([(120, 4), (60, 5)], 1, 7, 300, 0, 4),
    "falls below what was": ([(120, 1), (60, 2)], 100, 3, 300, 0, 3),
    "rises below what was": ([(120, 4), (60, 5)], 1, 3, 0, 300, 3),
    "no window to fall": ([(600, 10), (540, 9)], 100, 3, 0, 0, 3),
    "no window to rise": ([(600, 10), (540, 9)], 1, 100, 0, 0, 100),
    "old ones do not keep it up": ([(600, 10), (60, 4), (120, 5), (540, 9)], 100, 3, 0, 180, 5),
    "old ones do not keep it down": ([(6000, 10), (60, 6), (120, 5), (180, 9)], 1, 100, 300, 0, 5),
    "does not rise when the wish falls": ([(6000, 2), (180, 3)], 2, 1, 300, 300, 2),
    "does not fall when the wish rises": ([(6000, 2), (180, 1)], 2, 3, 300, 300, 2),
}


@pytest.mark.parametrize(("past", "spec", "want", "up", "down", "after"), STABLE.values(), ids=STABLE.keys())
def test_upstream_s_stabilisation(
    past: list[tuple[int, int]], spec: int, want: int, up: float, down: float, after: int
) -> None:
    """TestNormalizeDesiredReplicasWithBehavior: windows of the two directions."""
    behavior = Behavior(up=Rules(window=up), down=Rules(window=down))
    assert stabilise(want, spec, [Dated(T0 - ago, n) for ago, n in past], behavior, T0) == after


UP = {
    "by the larger of the defaults": (Behavior().up, (), (), 10, 50, 1000, 20),
    "no higher than the maximum": (Behavior().up, (), (), 100, 1000, 150, 150),
    "one per cent is at least one": (rules(0, 0, 1, 60), (), (), 3, 1000, 2000, 4),
    "pods before per cent": (rules(100, 60, 100, 60), (), (), 10, 500, 1000, 110),
    "per cent before pods": (rules(2, 60, 100, 60), (), (), 10, 500, 1000, 20),
    "as far as is wished": (rules(100, 60, 0, 0), (), (), 10, 50, 1000, 50),
    "as far as is wished, thousands": (rules(10000, 60, 0, 0), (), (), 10, 50, 1000, 50),
    "30 pods": (rules(30, 60, 0, 0), (), (), 10, 50, 1000, 40),
    "200 per cent": (rules(0, 0, 200, 60), (), (), 10, 50, 1000, 30),
    "300 pods, maximum 200": (rules(300, 60, 0, 0), (1, 5, 9), (), 100, 500, 200, 200),
    "10000 per cent, maximum 200": (rules(0, 0, 10000, 60), (1, 5, 9), (), 100, 500, 200, 200),
    "5 pods, and 15 have come": (rules(5, 120, 0, 0), (1, 5, 9), (), 100, 500, 1000, 100),
    "150 pods, of which 15 have come": (rules(150, 120, 0, 0), (1, 5, 9), (), 100, 500, 1000, 235),
    "200 per cent, of which 15 have come": (rules(0, 0, 200, 120), (1, 5, 9), (), 100, 500, 1000, 255),
    "300 per cent, 4 came and 2 went": (rules(0, 0, 300, 300), (4,), (2,), 6, 24, 1000, 16),
    "events older than the period": (rules(1000, 60, 0, 0), (8, 12, 9, 11), (), 100, 200, 1000, 200),
    "two periods": (rules(1000, 120, 100, 60), (8, 12, 9, 11), (), 100, 200, 1000, 200),
    "two periods, one short": (rules(1000, 30, 100, 60), (8, 12, 9, 11), (), 100, 200, 1000, 200),
}
DOWN = {
    "pods before per cent": (rules(20, 60, 1, 60), (), (), 100, 2, 1, 80),
    "per cent is less": (rules(2, 60, 1, 60), (), (), 100, 2, 1, 98),
    "no lower than the minimum": (rules(100, 60, 0, 0), (), (), 10, 0, 1, 1),
    "no lower than a minimum of 5": (rules(0, 0, 100, 60), (), (), 10, 2, 5, 5),
    "5 pods": (rules(5, 60, 0, 0), (), (), 10, 2, 1, 5),
    "50 per cent": (rules(0, 0, 50, 60), (), (), 10, 5, 1, 5),
    "the default": (Behavior().down, (), (1, 5, 9), 10, 5, 1, 5),
    "115 pods": (rules(115, 120, 0, 0), (), (1, 5, 9), 100, 0, 1, 1),
    "130 pods, minimum 5": (rules(130, 120, 0, 0), (), (1, 5, 9), 100, 0, 5, 5),
    "100 per cent, minimum 5": (rules(0, 0, 100, 120), (), (1, 5, 9), 100, 2, 5, 5),
    "5 pods, and 15 have gone": (rules(5, 120, 0, 0), (), (1, 5, 9), 100, 2, 1, 100),
    "50 per cent, of which 12 have gone": (rules(0, 0, 50, 120), (), (2, 4, 6), 100, 0, 1, 56),
    "50 per cent, 2 came and 4 went": (rules(0, 0, 50, 180), (2,), (4,), 10, 1, 1, 6),
    "10 per cent, and 30 have gone": (rules(0, 0, 10, 120), (), (10, 10, 10), 100, 0, 1, 100),
    "1000 per cent": (rules(0, 0, 1000, 120), (), (10, 10, 10), 10, 5, 1, 5),
    "events older than the period": (rules(1000, 60, 0, 0), (), (8, 12, 9, 11), 100, 5, 1, 5),
    "two periods": (rules(1000, 120, 100, 60), (), (8, 12, 9, 11), 100, 5, 1, 5),
    "two periods, one short": (rules(1000, 30, 100, 60), (), (8, 12, 9, 11), 100, 5, 1, 5),
}


@pytest.mark.parametrize(("up", "came", "went", "spec", "want", "high", "after"), UP.values(), ids=UP.keys())
def test_upstream_s_rates_upwards(
    up: Rules, came: tuple[int, ...], went: tuple[int, ...], spec: int, want: int, high: int, after: int
) -> None:
    """TestScalingWithRules, rises: what a period began with is what there is, less what came, plus what went."""
    hpa = Hpa(low=1, high=high, behavior=Behavior(up=up))
    memory = HpaMemory(ups=spread(came, 120.0) if came else (), downs=spread(went, 120.0) if went else ())
    assert limit(hpa, memory, want, spec=spec, now=T0) == after


@pytest.mark.parametrize(("down", "came", "went", "spec", "want", "low", "after"), DOWN.values(), ids=DOWN.keys())
def test_upstream_s_rates_downwards(
    down: Rules, came: tuple[int, ...], went: tuple[int, ...], spec: int, want: int, low: int, after: int
) -> None:
    """TestScalingWithRules, falls."""
    hpa = Hpa(low=low, high=1000, behavior=Behavior(down=down))
    memory = HpaMemory(ups=spread(came, 120.0) if came else (), downs=spread(went, 120.0) if went else ())
    assert limit(hpa, memory, want, spec=spec, now=T0) == after


BOTH = (ScalingPolicy(Kind.PODS, 2, 60.0), ScalingPolicy(Kind.PERCENT, 50, 60.0))


def test_a_selection_of_the_smaller_change() -> None:
    """TestCalculateScaleUpLimitWithScalingRules and TestCalculateScaleDownLimitWithBehaviors."""
    assert ceiling(1, HpaMemory(), Rules(policies=BOTH, select=Select.MIN), T0) == 2
    assert bottom(5, HpaMemory(), Rules(policies=BOTH, select=Select.MIN), T0) == 3


def test_a_disabled_direction_stands_still() -> None:
    """Whatever the policies would allow."""
    still = Rules(policies=BOTH, select=Select.DISABLED)
    hpa = Hpa(low=1, high=100, behavior=Behavior(up=still, down=still))
    assert [limit(hpa, HpaMemory(), want, spec=10, now=T0) for want in (50, 10, 1)] == [10, 10, 10]


def ramp(hpa: Hpa, value: float, syncs: int) -> list[int]:
    """What the HPA writes from one replica on, sync by sync."""
    written, memory, spec = [], HpaMemory(), 1
    for i in range(syncs):
        spec, memory = sync(hpa, memory, one(value), scale=Scale(spec, spec), now=T0 + 15.0 * i)
        written.append(spec)
    return written


def test_a_ramp_to_a_hundred_takes_six_syncs_either_way() -> None:
    """By doubling without behavior, by four or doubling with its defaults; what we ship goes there at once."""
    assert ramp(Hpa(low=1, high=100), 100.0, 6) == [4, 8, 16, 32, 64, 100]
    assert ramp(Hpa(low=1, high=100, behavior=Behavior()), 100.0, 6) == [5, 10, 20, 40, 80, 100]
    assert ramp(Hpa(low=1, high=100, behavior=FOLLOW), 100.0, 2) == [100, 100]


def test_five_minutes_pass_before_a_fall() -> None:
    """A wish of 20 that drops to 2 is followed when the last 20 is five minutes old, and then at once."""
    hpa, memory = Hpa(low=1, high=100, behavior=Behavior()), HpaMemory()
    _, memory = sync(hpa, memory, one(20.0), scale=Scale(20, 20), now=T0)
    written = []
    for i in range(1, 22):
        after, memory = sync(hpa, memory, one(2.0), scale=Scale(20, 20), now=T0 + 15.0 * i)
        written.append(after)
    assert written == [20] * 19 + [2, 2]


def test_a_failed_metric_holds_and_is_not_remembered() -> None:
    """An error moves nothing; all that is remembered is what the workload had at first sight."""
    hpa = Hpa(low=1, high=100, behavior=FOLLOW)
    after, memory = sync(hpa, HpaMemory(), [Metric(AWAY, 1.0)], scale=Scale(7, 7), now=T0)
    assert (after, memory) == (7, HpaMemory(past=(Dated(T0, 7),)))


def test_what_no_window_and_no_period_reaches_is_forgotten() -> None:
    """The memory stays small however long the HPA lives."""
    hpa, memory, spec = Hpa(low=1, high=100, behavior=Behavior()), HpaMemory(), 1
    for i in range(1000):
        value = 5.0 if i // 40 % 2 else 60.0
        spec, memory = sync(hpa, memory, one(value), scale=Scale(spec, spec), now=T0 + 15.0 * i)
    assert len(memory.past) <= 20
    assert len(memory.ups) + len(memory.downs) <= 4


def test_status_not_spec_is_what_a_band_is_around() -> None:
    """During a rollout's surge the status is higher, and the HPA writes it: the spec ratchets upwards."""
    plain = Hpa(low=1, high=100)
    assert sync(plain, HpaMemory(), one(20.0), scale=Scale(20, 21), now=T0)[0] == 21
    assert sync(Hpa(low=1, high=100, behavior=FOLLOW), HpaMemory(), one(20.0), scale=Scale(20, 21), now=T0)[0] == 20


def test_what_there_was_at_first_sight_counts_as_a_recommendation() -> None:
    """A new HPA falls no sooner than its window allows, although it has recommended nothing yet."""
    hpa = Hpa(low=1, high=100, behavior=Behavior(down=Rules(window=5.0)))
    after, memory = sync(hpa, HpaMemory(), one(2.0), scale=Scale(8, 8), now=T0)
    assert after == 8
    assert sync(hpa, memory, one(2.0), scale=Scale(8, 8), now=T0 + 6.0)[0] == 2


def test_a_rise_takes_the_place_of_one_that_only_falling_would_still_count() -> None:
    """Each direction forgets by its own longest period, as recorded from the real controller."""
    up, down = Rules(policies=(ScalingPolicy(Kind.PODS, 6, 3.0),)), Rules(policies=(ScalingPolicy(Kind.PODS, 7, 7.0),))
    hpa, memory, spec = Hpa(low=1, high=100, behavior=Behavior(up=up, down=down)), HpaMemory(), 40
    for at in (0.0, 4.0):
        spec, memory = sync(hpa, memory, one(90.0), scale=Scale(spec, spec), now=T0 + at)
    assert spec == 52
    assert sync(hpa, memory, one(18.0), scale=Scale(spec, spec), now=T0 + 6.0)[0] == 52 - 6 - 7
