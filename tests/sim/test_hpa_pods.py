"""Metrics of single pods, on the rows that Kubernetes tests its own calculator with.

Rows from pkg/controller/podautoscaler/replica_calculator_test.go, Kubernetes 1.33 and later; a "hot" pod, one in its
first minutes, is an unready one to a calculator that measures the processor, and a ready one to any other.
"""

from __future__ import annotations

import itertools

import pytest

from scaler.core.types import Unknown
from scaler.sim.hpa import Metric, propose
from scaler.sim.hpa_pods import Aim, Measured, Stand, by_pods, by_value

R, U, G = Stand.READY, Stand.UNREADY, Stand.GONE


def pods(uses: list[int], stands: list[Stand], requests: list[int] | None = None) -> list[Measured]:
    """As many as there are stands; those beyond the uses say nothing."""
    rows = itertools.zip_longest(uses[: len(stands)], stands, requests or [1000] * len(stands))
    return [Measured(use=use, stand=stand, request=request) for use, stand, request in rows]


RESOURCE: dict[str, tuple[int, list[int], list[Stand], int, int]] = {
    "ScaleUp": (3, [300, 500, 700], [R] * 3, 30, 5),
    "ScaleUpUnreadyLessScale": (3, [300, 500, 700], [U, R, R], 30, 4),
    "ScaleUpUnreadyNoScale": (3, [400, 500, 700], [R, U, U], 30, 3),
    "ScaleUpIgnoresFailedPods": (2, [500, 700], [R, R, G, G], 30, 4),
    "ScaleDown": (5, [100, 300, 500, 250, 250], [R] * 5, 50, 3),
    "ScaleDownIncludeUnreadyPods": (5, [100, 300, 500, 250, 250], [R, R, R, U, U], 50, 2),
    "ScaleDownExcludeUnscheduledPods": (5, [100], [R, U, U, U, U], 50, 1),
    "ScaleDownIgnoresFailedPods": (5, [100, 300, 500, 250, 250], [R] * 5 + [G, G], 50, 3),
    "SuperfluousMetrics": (4, [4000, 9500, 3000, 7000, 3200, 2000], [R] * 4, 100, 24),
    "MissingMetrics": (4, [400, 95], [R] * 4, 100, 3),
    "MissingMetricsNoChangeEq": (2, [1000], [R] * 2, 100, 2),
    "MissingMetricsNoChangeGt": (2, [1900], [R] * 2, 100, 2),
    "MissingMetricsNoChangeLt": (2, [600], [R] * 2, 100, 2),
    "MissingMetricsUnreadyChange": (3, [100, 450], [U, R, R], 50, 3),
    "MissingMetricsUnreadyScaleUp": (3, [100, 2000], [U, R, R], 50, 4),
    "MissingMetricsUnreadyScaleDown": (4, [100, 100, 100], [U, R, R, R], 50, 3),
    "DuringRollingUpdateWithMaxSurge": (2, [100, 100], [R] * 3, 50, 2),
}


@pytest.mark.parametrize(("replicas", "uses", "stands", "target", "after"), RESOURCE.values(), ids=RESOURCE.keys())
def test_upstream_s_resource_metrics(
    replicas: int, uses: list[int], stands: list[Stand], target: int, after: int
) -> None:
    """TestReplicaCalc...: per cent of what the pods request."""
    assert by_pods(pods(uses, stands), Aim(target=target), replicas) == after


def test_upstream_s_tolerance_for_resources() -> None:
    """TestReplicaCalcTolerance: 102 per cent of different requests."""
    measured = pods([1010, 1030, 1020], [R] * 3, [900, 1000, 1100])
    assert by_pods(measured, Aim(target=100), 3) == 3


@pytest.mark.parametrize(("target", "after"), [(56, 9), (55, 10)], ids=["outside", "inside"])
def test_upstream_s_computed_tolerance(target: int, after: int) -> None:
    """TestReplicaCalcComputedToleranceAlgImplementation: ten pods that use half of uneven requests."""
    requests = [300 + more for more in (100, -100, 10, -10, 2, -2, 1, -1, 0, 0)]
    assert by_pods(pods([150] * 10, [R] * 10, requests), Aim(target=target), 10) == after


CUSTOM: dict[str, tuple[int, list[int], int, int]] = {
    "ScaleUpCM": (3, [20_000, 10_000, 30_000], 15_000, 4),
    "ScaleUpCMUnreadyHotCpuNoLessScale": (3, [50_000, 10_000, 30_000], 15_000, 6),
    "ScaleUpCMUnreadyHotCpuScaleWouldScaleDown": (3, [50_000, 15_000, 30_000], 15_000, 7),
    "ScaleUpCMExternal": (1, [8600], 4400, 2),
    "ScaleDownCM": (5, [12_000] * 5, 20_000, 3),
    "ToleranceCM": (3, [20_000, 21_000, 21_000], 20_000, 3),
}


@pytest.mark.parametrize(("replicas", "uses", "target", "after"), CUSTOM.values(), ids=CUSTOM.keys())
def test_upstream_s_pod_metrics(replicas: int, uses: list[int], target: int, after: int) -> None:
    """An average per pod; whether the pods are ready does not matter."""
    assert by_pods(pods(uses, [R] * len(uses)), Aim(target=target, of_requests=False), replicas) == after


def test_a_pod_without_a_custom_metric_is_taken_to_meet_its_target_where_it_would_fall() -> None:
    """Three pods that use half, one that says nothing: 0.63 of four pods, and not 0.5 of three."""
    assert by_pods(pods([500, 500, 500], [R] * 4), Aim(target=1000, of_requests=False), 4) == 3


VALUE: dict[str, tuple[int, int, int, int, int]] = {
    "ScaleUpCMObject": (20_000, 15_000, 3, 3, 4),
    "ScaleUpCMObjectIgnoresUnreadyPods": (50_000, 10_000, 1, 3, 5),
    "ScaleUpCMExternalIgnoresUnreadyPods": (8600, 4400, 1, 3, 2),
    "ScaleDownCMObject": (12_000, 20_000, 5, 5, 3),
    "ScaleDownCMExternal": (8600, 14_334, 5, 5, 3),
    "ToleranceCMObject": (20_666, 20_000, 3, 3, 3),
    "ToleranceCMExternal": (8600, 8888, 3, 3, 3),
    "an empty workload": (8600, 4400, 0, 0, 2),
}


@pytest.mark.parametrize(("value", "target", "ready", "replicas", "after"), VALUE.values(), ids=VALUE.keys())
def test_upstream_s_values(value: int, target: int, ready: int, replicas: int, after: int) -> None:
    """Object and external metrics whose target is a value: in proportion to the pods that are ready."""
    assert by_value(value, target, ready=ready, replicas=replicas) == after


@pytest.mark.parametrize(
    ("value", "target", "replicas", "after"),
    [(20.0, 5.0, 3, 4), (6.0, 2.0, 5, 3), (20.166, 5.0, 4, 4)],
    ids=["ScaleUpCMPerPodObject", "ScaleDownPerPodCMObject", "TolerancePerPodCMObject"],
)
def test_upstream_s_per_pod_object_metrics(value: float, target: float, replicas: int, after: int) -> None:
    """An object's metric with an average value is what an external one is: absolute."""
    assert propose(Metric(value, target), replicas) == after


@pytest.mark.parametrize("stands", [[R] * 3, [U] * 3, [G] * 3], ids=["silent", "unready", "gone"])
def test_without_a_metric_of_a_ready_pod_nothing_is_known(stands: list[Stand]) -> None:
    """TestReplicaCalcEmptyMetrics and TestReplicaCalcDisjointResourcesMetrics."""
    assert isinstance(by_pods(pods([], stands), Aim(target=100), 4), Unknown)
