"""What has become of a workload: its replicas, and the addresses of its pods."""

from __future__ import annotations

from tests.cluster.harness.rest import Api, Document


def replicas(api: Api, namespace: str, name: str) -> tuple[int, int]:
    """How many replicas the Deployment asks for, and how many are ready."""
    found = api.get(f"/apis/apps/v1/namespaces/{namespace}/deployments/{name}") or {}
    return _number(found, "spec", "replicas"), _number(found, "status", "readyReplicas")


def pods(api: Api, namespace: str) -> dict[str, str]:
    """The pods that have an address, and their addresses."""
    listed = api.items(f"/api/v1/namespaces/{namespace}/pods")
    found = {_text(pod, "metadata", "name"): _text(pod, "status", "podIP") for pod in listed}
    return {name: address for name, address in found.items() if address}


def nodes(api: Api, namespace: str) -> set[str]:
    """The nodes that its pods are on."""
    return {_text(pod, "spec", "nodeName") for pod in api.items(f"/api/v1/namespaces/{namespace}/pods")}


def _number(document: Document, part: str, key: str) -> int:
    inner = document.get(part)
    value = inner.get(key) if isinstance(inner, dict) else None
    return value if isinstance(value, int) else 0


def _text(document: Document, part: str, key: str) -> str:
    inner = document.get(part)
    value = inner.get(key) if isinstance(inner, dict) else None
    return value if isinstance(value, str) else ""
