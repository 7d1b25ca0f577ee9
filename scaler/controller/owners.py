"""What a pool owns in its namespace: its params, its sentinel budget, and the mark on its workload; as documents."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from scaler.config.pool import PoolSpec, WatchedPods
from scaler.controller.api import Json
from scaler.controller.facts import WorkloadFacts
from scaler.controller.names import (
    HOLDS,
    MANAGED,
    PARAMS,
    PHASE,
    PHASES,
    POOL,
    SENTINEL,
    TRUE,
    budget_name,
    params_name,
)
from scaler.core.pods import Phase

KINDS = {"deployments": "Deployment", "statefulsets": "StatefulSet"}


@dataclass(frozen=True, slots=True)
class Owned:
    """An object to be applied: where, and what. Applied empty it gives up what it had."""

    path: str
    body: Mapping[str, Json]


def params(spec: PoolSpec, source: WatchedPods, workload: WorkloadFacts) -> Owned:
    """What the admission policies inject into the pool's pods when they are created."""
    namespace, pool = source.pool
    name = params_name(pool)
    data: dict[str, Json] = {
        "pool": pool,
        "selector": ",".join(f"{key}={value}" for key, value in sorted(workload.selector.items())),
        "guard": spec.guard.value,
        "grace": "",
        "tolerate": "NoExecute",
        "spread": "",
    }
    body: dict[str, Json] = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": name, "namespace": namespace, "labels": {PARAMS: TRUE, POOL: pool}},
        "data": data,
    }
    return Owned(f"/api/v1/namespaces/{namespace}/configmaps/{name}", body)


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


def mark(source: WatchedPods, workload: WorkloadFacts, *, holds: bool) -> Owned:
    """The label by which a policy knows that pods of the workload are not drained. Its uid keeps us from making one."""
    metadata: dict[str, Json] = {"name": source.name, "namespace": source.pool.namespace, "uid": workload.uid}
    labels: dict[str, Json] = {HOLDS: TRUE} if holds else {}
    body: dict[str, Json] = {
        "apiVersion": "apps/v1",
        "kind": KINDS[source.kind],
        "metadata": metadata | {"labels": labels},
    }
    return Owned(source.path, body)
