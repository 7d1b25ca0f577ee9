"""agent-sandbox in the cluster: a warm pool that fills, gives a sandbox away, and refills."""

from __future__ import annotations

from tests.cluster.harness.cluster import Cluster
from tests.cluster.harness.rest import condition
from tests.cluster.harness.wait import until
from tests.cluster.harness.workloads import pods

POOL = """\
apiVersion: extensions.agents.x-k8s.io/v1beta1
kind: SandboxTemplate
metadata: {name: agents}
spec: {podTemplate: {spec: {containers: [{name: agent, image: agent}]}}}
---
apiVersion: extensions.agents.x-k8s.io/v1beta1
kind: SandboxWarmPool
metadata: {name: agents}
spec: {replicas: 2, sandboxTemplateRef: {name: agents}}
"""
CLAIM = """\
apiVersion: extensions.agents.x-k8s.io/v1beta1
kind: SandboxClaim
metadata: {name: mine}
spec: {warmPoolRef: {name: agents}}
"""


def test_a_claim_is_served_from_the_warm_pool_which_refills(sandboxes: Cluster, namespace: str) -> None:
    """Two are warm; the one that is claimed was there before, and another takes its place."""
    sandboxes.api.apply(POOL, namespace=namespace)
    warm = until(lambda: found if len(found := pods(sandboxes.api, namespace)) == 2 else None)
    sandboxes.api.apply(CLAIM, namespace=namespace)
    path = f"/apis/extensions.agents.x-k8s.io/v1beta1/namespaces/{namespace}/sandboxclaims/mine"
    until(lambda: condition(sandboxes.api.get(path), "Ready") == "True" or None)
    refilled = until(lambda: found if len(found := pods(sandboxes.api, namespace)) == 3 else None)
    assert set(warm) < set(refilled)
