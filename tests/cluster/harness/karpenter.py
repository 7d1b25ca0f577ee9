"""Karpenter: its own controllers with the cloud that kwok plays, which gives nodes in seconds and takes them back."""

from __future__ import annotations

from pathlib import Path

from tests.cluster.harness.assets import Assets, module
from tests.cluster.harness.ports import answers, free
from tests.cluster.harness.process import Program
from tests.cluster.harness.rest import Api
from tests.cluster.harness.yamls import establish

KARPENTER = "karpenter"
CRDS = ("kwok/charts/crds", "kwok/apis/crds")


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
