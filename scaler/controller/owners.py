"""What a pool owns in the cluster, as documents to be applied: a word on its namespace, a budget, and marks."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from scaler.config.pool import NOTHING_MORE, Essentials, Guard, WatchedPods
from scaler.controller.api import Json
from scaler.controller.facts import WorkloadFacts
from scaler.controller.names import (
    GUARD,
    HOLDS,
    MANAGED,
    PHASE,
    PHASES,
    POOL,
    POOLS,
    SENTINEL,
    TRUE,
    WORD,
    budget_name,
)
from scaler.core.pods import Phase

KINDS: Final = {"deployments": "Deployment", "statefulsets": "StatefulSet"}


@dataclass(frozen=True, slots=True)
class Owned:
    """An object to be applied: where, and what. What we applied before and is not in it any more goes."""

    path: str
    body: Mapping[str, Json]


@dataclass(frozen=True, slots=True, kw_only=True)
class Ward:
    """A pool that is looked after, as the admission policies must know it.

    Attributes:
        selector: labels that its pods have when they are created.
        holds: whether any of its pods is not drained.
        essentials: what else its pods are given when they are created.
    """

    source: WatchedPods
    selector: Mapping[str, str]
    guard: Guard
    holds: bool
    essentials: Essentials = NOTHING_MORE


def word(ward: Ward) -> str:
    """What the pool's pods are given when they are created; the admission policy reads it."""
    selector = ",".join(f"{key}={value}" for key, value in sorted(ward.selector.items()))
    parts = [f"selector:{selector}", f"guard:{ward.guard.value}", "tolerate:NoExecute"]
    if ward.essentials.grace is not None:
        parts.append(f"grace:{ward.essentials.grace}")
    if ward.essentials.spread:
        parts.append(f"spread:{','.join(ward.essentials.spread)}")
    return ";".join(parts)


def words(namespace: str, wards: Iterable[Ward]) -> Owned:
    """What stands on a namespace: a word for each pool, and whether it may be deleted."""
    there = list(wards)
    labels: dict[str, Json] = {POOLS: TRUE} if there else {}
    if any(ward.holds for ward in there):
        labels[HOLDS] = TRUE
    if there and all(ward.guard is Guard.AUDIT for ward in there):
        labels[GUARD] = Guard.AUDIT.value
    annotations: dict[str, Json] = {f"{WORD}{ward.source.pool.name}": word(ward) for ward in there if ward.selector}
    body: dict[str, Json] = {
        "apiVersion": "v1",
        "kind": "Namespace",
        "metadata": {"name": namespace, "labels": labels, "annotations": annotations},
    }
    return Owned(f"/api/v1/namespaces/{namespace}", body)


def budget(source: WatchedPods) -> Owned:
    """The sentinel: it asks for more pods than anybody has, of those not drained, so that none of them is evicted."""
    namespace, pool = source.pool
    name = budget_name(pool)
    selector: dict[str, Json] = {
        "matchLabels": {MANAGED: TRUE, POOL: pool},
        "matchExpressions": [{"key": PHASE, "operator": "NotIn", "values": [PHASES[Phase.DRAINED]]}],
    }
    body: dict[str, Json] = {
        "apiVersion": "policy/v1",
        "kind": "PodDisruptionBudget",
        "metadata": {"name": name, "namespace": namespace, "labels": {POOL: pool}},
        "spec": {
            "minAvailable": SENTINEL,
            "unhealthyPodEvictionPolicy": "IfHealthyBudget",
            "selector": selector,
        },
    }
    return Owned(f"/apis/policy/v1/namespaces/{namespace}/poddisruptionbudgets/{name}", body)


def mark(ward: Ward, workload: WorkloadFacts) -> Owned:
    """The label by which a policy knows that pods of the workload are not drained. Its uid keeps us from making one."""
    source = ward.source
    metadata: dict[str, Json] = {"name": source.name, "namespace": source.pool.namespace, "uid": workload.uid}
    labels: dict[str, Json] = {HOLDS: TRUE} if ward.holds else {}
    if ward.holds and ward.guard is Guard.AUDIT:
        labels[GUARD] = Guard.AUDIT.value
    body: dict[str, Json] = {
        "apiVersion": "apps/v1",
        "kind": KINDS[source.kind],
        "metadata": metadata | {"labels": labels},
    }
    return Owned(source.path, body)
