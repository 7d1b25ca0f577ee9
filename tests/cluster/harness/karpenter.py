"""Karpenter: its own controllers with the cloud that kwok plays, which gives nodes in seconds and takes them back."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.cluster.harness.assets import Assets, module
from tests.cluster.harness.ports import answers, free
from tests.cluster.harness.process import Program
from tests.cluster.harness.rest import Api, Document, Json
from tests.cluster.harness.wait import until
from tests.cluster.harness.yamls import establish

KARPENTER = "karpenter"
CRDS = ("kwok/charts/crds", "kwok/apis/crds")
NODE_POOL = "karpenter.sh/nodepool"  # the label of a node with its pool's name
CLASS: Document = {
    "apiVersion": "karpenter.kwok.sh/v1alpha1",
    "kind": "KWOKNodeClass",
    "metadata": {"name": "default"},
}
PATIENCE = 300.0  # seconds until all nodes of a pool are gone


def install(api: Api) -> None:
    """Apply the CRDs; return when they are established."""
    api.apply([{"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": KARPENTER}}])
    for folder in CRDS:
        establish(api, module(KARPENTER) / folder)


def program(assets: Assets, kubeconfig: Path) -> Program:
    """The controllers. Their roles are only in a chart's templates, so the kubeconfig must be an administrator's."""
    health = free()
    env = {
        "KUBECONFIG": str(kubeconfig),
        "SYSTEM_NAMESPACE": KARPENTER,
        "DISABLE_LEADER_ELECTION": "true",
        "METRICS_PORT": str(free()),
        "HEALTH_PROBE_PORT": str(health),
        "MEMORY_LIMIT": str(1 << 30),
    }
    ready = f"http://127.0.0.1:{health}/readyz"
    return Program(KARPENTER, (assets.binary(KARPENTER),), env, ready=lambda: answers(ready), ports=[health])


def node_pool(name: str, **nodes: Json) -> Document:
    """A pool of nodes, which go as soon as they are empty, or less full than others would be; ``nodes`` is of each."""
    known: Json = [{"key": "kubernetes.io/os", "operator": "In", "values": ["linux"]}]
    reference: Document = {"group": "karpenter.kwok.sh", "kind": "KWOKNodeClass", "name": "default"}
    spec: Document = {"nodeClassRef": reference, "requirements": known, **nodes}
    disruption: Document = {"consolidationPolicy": "WhenEmptyOrUnderutilized", "consolidateAfter": "0s"}
    return {
        "apiVersion": "karpenter.sh/v1",
        "kind": "NodePool",
        "metadata": {"name": name},
        "spec": {"disruption": disruption, "template": {"spec": spec}},
    }


@contextmanager
def node_pools(api: Api, *pools: Document) -> Iterator[None]:
    """These pools of nodes, until the end of the block; then they are gone with all their nodes."""
    api.apply([CLASS, *pools])
    try:
        yield
    finally:
        paths = [api.path(pool) for pool in pools]
        for path in paths:
            api.delete(path)
        until(lambda: not any(api.get(path) for path in paths) or None, within=PATIENCE)
        api.delete(api.path(CLASS))
