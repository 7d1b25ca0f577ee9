"""Kubernetes objects as plain JSON, for tests of what is read from them and written to them."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

from scaler.controller.facts import PodFacts, WorkloadFacts, pod, workload
from scaler.core.pods import NO_ACK, NO_ORDINAL, Phase
from scaler.sources.activity_answer import Report

Object = dict[str, Any]


def pod_object(name: str = "coder-1", **more: Any) -> Object:  # noqa: ANN401 (parts of an object, by their key)
    """A pod that is ready; ``more`` is its labels, annotations, owner, and so on."""
    metadata: Object = {
        "name": name,
        "namespace": "agents",
        "uid": more.get("uid", f"uid-{name}"),
        "resourceVersion": more.get("version", "7"),
        "creationTimestamp": "2026-11-21T12:00:00Z",
        "labels": more.get("labels", {"app": "coder"}),
    }
    if "annotations" in more:
        metadata["annotations"] = more["annotations"]
    if "owner" in more:
        owner = {"kind": more.get("owner_kind", "ReplicaSet"), "uid": more["owner"], "controller": True}
        metadata["ownerReferences"] = [owner]
    if more.get("leaving"):
        metadata["deletionTimestamp"] = "2026-11-21T12:01:00Z"
    ready = {"type": "Ready", "status": more.get("ready", "True"), "lastTransitionTime": "2026-11-21T12:00:09Z"}
    status = {"phase": more.get("phase", "Running"), "podIP": more.get("ip", "10.0.0.1"), "conditions": [ready]}
    return {"metadata": metadata, "spec": {"nodeName": more.get("node", "node-a")}, "status": status}


def a_pod(name: str = "coder-1", **more: Any) -> PodFacts:  # noqa: ANN401 (parts of an object, by their key)
    """The facts of such a pod."""
    return pod(pod_object(name, **more))


def a_workload(uid: str, **more: Any) -> WorkloadFacts:  # noqa: ANN401 (parts of an object, by their key)
    """The facts of a Deployment, a ReplicaSet or a StatefulSet."""
    metadata: Object = {"name": more.get("name", uid), "namespace": "agents", "uid": uid}
    if "owner" in more:
        owner = {"kind": more.get("owner_kind", "Deployment"), "uid": more["owner"], "controller": True}
        metadata["ownerReferences"] = [owner]
    if "revision" in more:
        metadata["annotations"] = {"deployment.kubernetes.io/revision": str(more["revision"])}
    if more.get("leaving"):
        metadata["deletionTimestamp"] = "2026-11-21T12:01:00Z"
    spec: Object = {"replicas": more.get("replicas", 3), "selector": {"matchLabels": {"app": "coder"}}}
    spec |= more.get("spec", {})
    return workload({"metadata": metadata, "spec": spec, "status": more.get("status", {})})


def a_report(uid: str = "uid-coder-1", **more: Any) -> Report:  # noqa: ANN401 (parts of it, by their name)
    """What the agent of such a pod says of itself: idle, unless ``more`` says something else."""
    usual: Object = {"uid": uid, "inflight": 0, "sessions": 0, "ready": True, "started_at": None}
    usual |= {"phase": Phase.ACTIVE, "epoch": 0, "acked": NO_ACK, "ordinal": NO_ORDINAL}
    return Report(**usual | more)


class RefusedError(Exception):
    """The API server refuses the patch, and nothing is changed."""


def applied(found: Object, operations: list[dict[str, Any]]) -> Object:
    """The object after a JSON patch as the API server applies it: a test for null passes where nothing is."""
    after = deepcopy(found)
    for operation in operations:
        *path, last = [part.replace("~1", "/").replace("~0", "~") for part in operation["path"].split("/")[1:]]
        inner = after
        for part in path:
            if not isinstance(inner.get(part), dict):
                raise RefusedError(operation)
            inner = inner[part]
        match operation["op"]:
            case "test":
                if inner.get(last) != operation["value"]:
                    raise RefusedError(operation)
            case "add":
                inner[last] = operation["value"]
            case "replace" | "remove" if last not in inner:
                raise RefusedError(operation)
            case "replace":
                inner[last] = operation["value"]
            case "remove":
                del inner[last]
            case other:
                raise AssertionError(other)
    return after
