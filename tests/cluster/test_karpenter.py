"""Karpenter in the cluster: nodes that come for pods, and go with them."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.cluster.harness import kwok
from tests.cluster.harness.cluster import Cluster
from tests.cluster.harness.rest import Document
from tests.cluster.harness.scaled import Scaled
from tests.cluster.harness.wait import until
from tests.cluster.harness.workloads import nodes

POOL = """\
apiVersion: karpenter.kwok.sh/v1alpha1
kind: KWOKNodeClass
metadata: {name: default}
---
apiVersion: karpenter.sh/v1
kind: NodePool
metadata: {name: agents}
spec:
  disruption: {consolidationPolicy: WhenEmptyOrUnderutilized, consolidateAfter: 0s}
  template:
    spec:
      nodeClassRef: {group: karpenter.kwok.sh, kind: KWOKNodeClass, name: default}
      requirements: [{key: kubernetes.io/os, operator: In, values: [linux]}]
"""
POOLS = "/apis/karpenter.sh/v1/nodepools/agents"
CLASSES = "/apis/karpenter.kwok.sh/v1alpha1/kwoknodeclasses/default"
OURS = {f"node-{zone}" for zone in kwok.ZONES}


@pytest.fixture
def pool(karpenter: Cluster) -> Iterator[Cluster]:
    """A pool of nodes, which is gone with all its nodes at the end."""
    karpenter.api.apply(POOL)
    yield karpenter
    karpenter.api.delete(POOLS)
    until(lambda: karpenter.api.get(POOLS) is None or None)
    karpenter.api.delete(CLASSES)


def workload(replicas: int) -> Document:
    """Pods that only run where Karpenter makes nodes."""
    return Scaled(name="agents", replicas=replicas, nodes=(("karpenter.sh/nodepool", "agents"),)).workload()


def test_a_node_comes_for_the_pods_and_goes_with_them(pool: Cluster, namespace: str) -> None:
    """It is one of the kind that kwok keeps Ready."""
    pool.api.apply([workload(3)], namespace=namespace)
    (node,) = until(lambda: found if (found := nodes(pool.api, namespace) - {""}) else None)
    assert node not in OURS
    pool.api.apply([workload(0)], namespace=namespace)
    until(lambda: pool.api.get(f"/api/v1/nodes/{node}") is None or None, within=120.0)
