"""A warm pool whose ScaledObject asks us, with the real KEDA and the real agent-sandbox: it lands on what we decide."""

from __future__ import annotations

from tests.cluster.harness.cluster import Cluster
from tests.cluster.harness.rest import Document
from tests.cluster.harness.scaled import EXACT
from tests.cluster.harness.wait import until
from tests.cluster.warmth import VERSION, becomes, claim, pool, size, warming


def scaled_object(address: str) -> Document:
    """As keda/scaledobject-warm-pool.yaml, with shorter times."""
    target: Document = {"apiVersion": VERSION, "kind": "SandboxWarmPool", "name": "python"}
    trigger: Document = {"type": "external-push", "metadata": {"scalerAddress": address, "warmPool": "python"}}
    spec: Document = {
        "scaleTargetRef": target,
        "minReplicaCount": 0,
        "maxReplicaCount": 100,
        "pollingInterval": 1,
        "cooldownPeriod": 1,
        "advanced": {"horizontalPodAutoscalerConfig": {"behavior": EXACT}},
        "triggers": [trigger],
    }
    return {"apiVersion": "keda.sh/v1alpha1", "kind": "ScaledObject", "metadata": {"name": "python"}, "spec": spec}


def test_keda_gives_a_pool_the_size_that_we_decide(keda: Cluster, sandboxes: Cluster, namespace: str) -> None:
    """Exactly, in every step and from zero, and nobody else writes it; claims make it grow as they do without KEDA."""
    pool(sandboxes, namespace, replicas=0)
    mine = f"{namespace}/python"
    with warming(sandboxes, {mine: {"mode": "recommend", "max": 40}}) as scaler:
        keda.api.apply([scaled_object(scaler.keda)], namespace=namespace)
        until(lambda: scaler.metric("through_keda") == 1 or None)
        for number in (3, 7, 21):
            scaler.tell({mine: {"min": number, "max": number}})
            becomes(sandboxes, namespace, number)
        scaler.tell({mine: {"min": 21, "max": 40}})
        for i in range(20):
            claim(sandboxes, namespace, f"claim-{i}")
        until(lambda: size(sandboxes, namespace) > 21 or None)
        until(lambda: scaler.served("ready") + scaler.served("starting") + scaler.served("cold") == 20 or None)
        assert scaler.metric("blocked") is None
        assert "patch sandboxwarmpools/scale" not in scaler.writes()
        keda.api.delete(f"/apis/keda.sh/v1alpha1/namespaces/{namespace}/scaledobjects/python")
        until(lambda: scaler.metric("through_keda") == 0 or None)
