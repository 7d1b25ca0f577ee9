"""Warm pools on the real agent-sandbox: sized by what is claimed, by one writer, under the rights that ship."""

from __future__ import annotations

from tests.cluster.harness.cluster import Cluster
from tests.cluster.harness.rest import Document
from tests.cluster.harness.wait import until
from tests.cluster.warmth import becomes, claim, pool, size, warming


def test_a_pool_is_filled_to_its_minimum_and_a_claim_is_a_hit(sandboxes: Cluster, namespace: str) -> None:
    """The claim gets a sandbox that was ready before, the pool makes another, and the books say so."""
    pool(sandboxes, namespace)
    with warming(sandboxes, {f"{namespace}/python": {"min": 3, "max": 3}}) as scaler:
        becomes(sandboxes, namespace, 3)
        claim(sandboxes, namespace, "mine")
        until(lambda: scaler.served("ready") == 1 or None)
        becomes(sandboxes, namespace, 3)
        until(lambda: scaler.metric("wait_seconds_count") == 1 or None)
        assert set(scaler.writes()) == {"patch sandboxwarmpools/scale", "create events"}


def test_a_size_that_somebody_sets_later_is_left_as_it_is(sandboxes: Cluster, namespace: str) -> None:
    """The writer is named, and nothing is fought until a person annotates the pool with its name."""
    pool(sandboxes, namespace, replicas=1)
    path = f"/apis/extensions.agents.x-k8s.io/v1beta1/namespaces/{namespace}/sandboxwarmpools/python"
    with warming(sandboxes, {f"{namespace}/python": {"min": 2, "max": 2}}) as scaler:
        becomes(sandboxes, namespace, 2)
        merge = "application/merge-patch+json"
        sandboxes.api.request("PATCH", f"{path}?fieldManager=gitops", {"spec": {"replicas": 4}}, content=merge)
        until(lambda: scaler.blocked("foreign"))
        assert size(sandboxes, namespace) == 4
        assert "gitops has set the size" in scaler.part.said()
        noted: Document = {"metadata": {"annotations": {"agent-scaler.io/take-over": "gitops"}}}
        sandboxes.api.request("PATCH", path, noted, content=merge)
        becomes(sandboxes, namespace, 2)
