"""Objects of agent-sandbox as the API server has them, with no more in them than a test says."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from scaler.core.types import Instant

BORN: Instant = 1_800_000_000.0
Object = dict[str, Any]


def stamp(at: Instant) -> str:
    """An instant as Kubernetes writes creation: to the second."""
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def nano(at: Instant) -> str:
    """An instant as agent-sandbox annotates it."""
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%S.%f") + "789Z"


def named(name: str, at: Instant, **metadata: object) -> Object:
    """Metadata of an object of the namespace ``agents``."""
    told = {"namespace": "agents", "name": name, "uid": f"uid-{name}", "creationTimestamp": stamp(at)}
    return told | {key: value for key, value in metadata.items() if value is not None}


def claim(name: str = "mine", at: Instant = BORN, *, spec: Object | None = None, **metadata: object) -> Object:
    """A claim on the pool ``python``."""
    return {
        "kind": "SandboxClaim",
        "metadata": named(name, at, **metadata),
        "spec": {"warmPoolRef": {"name": "python"}} | (spec or {}),
    }


def sandbox(
    name: str = "python-1",
    at: Instant = BORN,
    *,
    owner: tuple[str, str] = ("SandboxWarmPool", "uid-python"),
    launch: str = "warm",
    ready: Instant | None = None,
    stuck: bool = False,
) -> Object:
    """A sandbox; ``owner`` is the kind and the uid of what owns it."""
    conditions = [condition("Ready", ready is not None, at=BORN if ready is None else ready)]
    if stuck:
        conditions.append(condition("PodScheduled", False, reason="Unschedulable"))
    owners = [{"kind": owner[0], "uid": owner[1], "controller": True}]
    labels = {"agents.x-k8s.io/launch-type": launch}
    metadata = named(name, at, labels=labels, ownerReferences=owners)
    return {"kind": "Sandbox", "metadata": metadata, "status": {"conditions": conditions}}


def condition(kind: str, holds: bool, *, at: Instant = BORN, reason: str = "Because") -> Mapping[str, object]:
    """A condition of a status."""
    return {"type": kind, "status": str(holds), "reason": reason, "lastTransitionTime": stamp(at)}


def warm_pool(size: int = 2, *, observed: int = 1, **metadata: object) -> Object:
    """The pool ``python``, in its first generation."""
    return {
        "kind": "SandboxWarmPool",
        "metadata": named("python", BORN, generation=1, **metadata),
        "spec": {"replicas": size, "sandboxTemplateRef": {"name": "python"}},
        "status": {"replicas": size, "readyReplicas": size, "observedGeneration": observed},
    }


def wrote(manager: str, at: Instant, *, field: str = "f:replicas") -> Object:
    """A note that somebody set a field of the spec."""
    return {"manager": manager, "time": stamp(at), "fieldsV1": {"f:spec": {field: {}}}}
