"""What KEDA and the HPA make of our numbers, and who else writes the replicas of a pool."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from scaler.controller.dig import at, objects, strings, text, whole
from scaler.controller.doctor.findings import Body, Cluster, Hit, title

TOLERATES: Final = (1, 35)  # the first whose HPA has a tolerance of its own
OLDEST: Final = (2, 17)  # whose fallback knows behavior
PAUSES: Final = (
    "autoscaling.keda.sh/paused",
    "autoscaling.keda.sh/paused-replicas",
    "autoscaling.keda.sh/paused-scale-out",
)
EXACT: Final = {"0", "0.0", "0m"}
WAYS: Final = ("scaleUp", "scaleDown")


def no_keda(cluster: Cluster) -> Iterator[Hit]:
    """Nobody asks us."""
    if not cluster.has_keda:
        yield Hit("API server", "keda.sh/v1alpha1 is not served")


def old_keda(cluster: Cluster) -> Iterator[Hit]:
    """A KEDA that does not know all that is shipped."""
    parts = cluster.keda.lstrip("v").split(".")
    if len(parts) > 1 and all(part.isdecimal() for part in parts[:2]) and (int(parts[0]), int(parts[1])) < OLDEST:
        yield Hit("Deployment keda-operator", f"it is {cluster.keda}")


def old_server(cluster: Cluster) -> Iterator[Hit]:
    """Below 1.35 the HPA leaves what is within a tenth of its number alone."""
    if cluster.version < TOLERATES:
        yield Hit("API server", f"it is {'.'.join(map(str, cluster.version))}")


def dead_band(cluster: Cluster) -> Iterator[Hit]:
    """An HPA of ours that leaves small steps undone."""
    if cluster.version < TOLERATES:
        return
    for scaled in cluster.scaled:
        for autoscaler in _autoscalers(cluster, scaled):
            for way in WAYS:
                found = text(autoscaler, "spec", "behavior", way, "tolerance")
                if found not in EXACT:
                    yield Hit(title(scaled, "ScaledObject"), f"{way}.tolerance is {found or 'not set, so a tenth'}")


def slow(cluster: Cluster) -> Iterator[Hit]:
    """An HPA of ours that waits, or goes in steps: two clocks damp one number."""
    for scaled in cluster.scaled:
        for autoscaler in _autoscalers(cluster, scaled):
            for way, usual in zip(WAYS, (0, 300), strict=True):
                rules = at(autoscaler, "spec", "behavior", way)
                seconds = whole(rules, "stabilizationWindowSeconds", otherwise=usual)
                if seconds or text(rules, "selectPolicy") == "Disabled":
                    seen = (
                        f"{way}: stabilizationWindowSeconds {seconds}" if seconds else f"{way}.selectPolicy: Disabled"
                    )
                    yield Hit(title(scaled, "ScaledObject"), seen)


def falls_back(cluster: Cluster) -> Iterator[Hit]:
    """A number that KEDA sets by itself when we answer an error: a scale-down on a failure."""
    yield from (hit for hit, replicas in _fallbacks(cluster) if replicas)


def falls_to_zero(cluster: Cluster) -> Iterator[Hit]:
    """Zero, on a plain restart of ours."""
    yield from (hit for hit, replicas in _fallbacks(cluster) if not replicas)


def _fallbacks(cluster: Cluster) -> Iterator[tuple[Hit, int]]:
    for scaled in cluster.scaled:
        behavior = text(scaled, "spec", "fallback", "behavior") or "static"
        if at(scaled, "spec", "fallback") is not None and behavior != "currentReplicasIfHigher":
            replicas = whole(scaled, "spec", "fallback", "replicas", otherwise=0)
            yield Hit(title(scaled, "ScaledObject"), f"fallback: {replicas} replicas, {behavior}"), replicas


def paused(cluster: Cluster) -> Iterator[Hit]:
    """A ScaledObject that does not follow us."""
    for scaled in cluster.scaled:
        for key, value in strings(scaled, "metadata", "annotations").items():
            if key in PAUSES and value != "false":
                yield Hit(title(scaled, "ScaledObject"), f"{key}: {value!r}")


def aimless(cluster: Cluster) -> Iterator[Hit]:
    """A ScaledObject whose workload is not there."""
    for scaled in cluster.scaled:
        kind = text(scaled, "spec", "scaleTargetRef", "kind") or "Deployment"
        if kind in {"Deployment", "StatefulSet"} and cluster.target(scaled) is None:
            name = text(scaled, "spec", "scaleTargetRef", "name")
            yield Hit(title(scaled, "ScaledObject"), f"there is no {kind} {name}")


def second_writer(cluster: Cluster) -> Iterator[Hit]:
    """Another ScaledObject, or an HPA that KEDA did not make, over the workload of a pool."""
    for scaled in cluster.scaled:
        workload = cluster.target(scaled)
        if workload is None:
            continue
        uid = text(scaled, "metadata", "uid")
        for other in cluster.all_scaled:
            if text(other, "metadata", "uid") != uid and cluster.target(other) is workload:
                yield Hit(title(workload), f"{title(other, 'ScaledObject')} scales it, too")
        makers = {text(each, "metadata", "uid") for each in cluster.all_scaled}
        for autoscaler in cluster.autoscalers:
            if cluster.target(autoscaler) is workload and not (_owners(autoscaler) & makers):
                yield Hit(title(workload), f"{title(autoscaler, 'HorizontalPodAutoscaler')} scales it, too")


def job_rollout(cluster: Cluster) -> Iterator[Hit]:
    """A ScaledJob whose running Jobs are deleted when it is changed."""
    for job in cluster.jobs:
        strategy = text(job, "spec", "rollout", "strategy") or text(job, "spec", "rolloutStrategy") or "default"
        if strategy != "gradual":
            yield Hit(title(job, "ScaledJob"), f"rollout.strategy: {strategy}")


def _autoscalers(cluster: Cluster, scaled: Body) -> list[Body]:
    """The HPA that KEDA made for it."""
    return [each for each in cluster.autoscalers if text(scaled, "metadata", "uid") in _owners(each)]


def _owners(body: Body) -> set[str]:
    return {text(owner, "uid") for owner in objects(body, "metadata", "ownerReferences")}
