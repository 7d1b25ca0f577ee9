"""Karpenter in the cluster: nodes that come for pods, and go with them; agents at work on nodes that it wants to take.

It taints a node that it gives up, asks the pods away that nothing pins, and past a node's deadline deletes all of them.
Nobody at work is lost to any of that, and each node goes when its agents are done.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import pytest

from scaler.controller.dig import at
from tests.cluster.draining import LOOK, SLOW, Guarded, Story, story
from tests.cluster.harness import kwok
from tests.cluster.harness.audit import Request
from tests.cluster.harness.cluster import Cluster
from tests.cluster.harness.karpenter import KARPENTER, NODE_POOL, node_pool, node_pools
from tests.cluster.harness.rest import Document
from tests.cluster.harness.scaled import Scaled
from tests.cluster.harness.wait import until
from tests.cluster.harness.workloads import nodes

OURS = {f"node-{zone}" for zone in kwok.ZONES}
AGENTS = 2
WORK = 90.0  # seconds: longer than any node below is left alone
POOLS = {
    "expired": node_pool("expired", expireAfter="45s"),
    "overdue": node_pool("overdue", expireAfter="45s", terminationGracePeriod="10s"),
    "shrunk": node_pool("shrunk"),
    "deleted": node_pool("deleted"),
}
FILLER = Scaled(name="filler", replicas=1, nodes=((NODE_POOL, "shrunk"),))


def test_a_node_comes_for_the_pods_and_goes_with_them(karpenter: Cluster, namespace: str) -> None:
    """It is one of the kind that kwok keeps Ready."""
    with node_pools(karpenter.api, node_pool("agents")):
        agents = Scaled(name="agents", nodes=((NODE_POOL, "agents"),))
        karpenter.api.apply([Scaled(name="agents", replicas=3, nodes=agents.nodes).workload()], namespace=namespace)
        (node,) = until(lambda: found if (found := nodes(karpenter.api, namespace) - {""}) else None)
        assert node not in OURS
        karpenter.api.apply([agents.workload()], namespace=namespace)
        until(lambda: karpenter.api.get(f"/api/v1/nodes/{node}") is None or None, within=120.0)


@pytest.fixture(scope="module")
def told(keda: Cluster, karpenter: Cluster, guards: Guarded) -> Iterator[Story]:
    """One scaler that looks after a pool on each kind of node."""
    with node_pools(karpenter.api, *POOLS.values()), story(guards, "karpenter") as going:
        going.begin(teach=tuple(POOLS))
        yield going


def test_nodes_that_karpenter_takes_go_when_their_agents_are_done(told: Story) -> None:
    """One expires, one is past its deadline as well, one is too large, and one is deleted by a person.

    Of the first it asks no pod that is pinned, of the second it deletes all and is refused, the third it lets be, and
    the last it keeps for its pods' sake. Drained, they are evicted or deleted, and each node goes.
    """
    api, filler = told.cluster.api, large(FILLER.workload())
    api.apply([filler], namespace=told.namespace)
    pools = [told.pool(Scaled(name=name, replicas=AGENTS, nodes=((NODE_POOL, name),)), AGENTS, WORK) for name in POOLS]
    until(lambda: all(pool.is_guarded() for pool in pools) or None, within=SLOW)
    homes = {pool.name: node for pool in pools for node in pool.nodes()}
    api.delete(api.path(filler, told.namespace))
    api.request("DELETE", f"/api/v1/nodes/{homes['deleted']}")
    until(lambda: is_blocked(told, homes["shrunk"]) or None, within=SLOW, every=LOOK)
    assert asked(told, "shrunk") == []
    for node in homes.values():
        until(partial(is_gone, told, node), within=SLOW, every=LOOK)
    for pool in pools:
        pool.settles(0)
    assert 403 in {request.status for request in asked(told, "overdue") if request.verb == "delete"}
    for name in ("expired", "deleted"):
        assert {request.verb for request in asked(told, name)} <= {"create"}
        assert [why for why in told.events("DrainStarted") if why.startswith(f"node {homes[name]} is being ")]
    assert told.losses() == []


def large(workload: Document) -> Document:
    """The workload, whose pod takes so much room that its node is too large for the others alone."""
    spec = at(workload, "spec", "template", "spec")
    assert isinstance(spec, dict)
    spec["containers"] = [{"name": "it", "image": "it", "resources": {"requests": {"cpu": "20"}}}]
    return workload


def is_gone(told: Story, node: str) -> bool | None:
    """The node is gone."""
    return told.cluster.api.get(f"/api/v1/nodes/{node}") is None or None


def is_blocked(told: Story, node: str) -> bool:
    """Whether Karpenter would take the node, and says that a pod of the pool keeps it from that."""
    events = told.cluster.api.items("/api/v1/namespaces/default/events")
    blocking = [str(e["message"]) for e in events if e.get("reason") == "DisruptionBlocked" and node in str(e)]
    return any("/agent-scaler-shrunk]" in message or "/shrunk-" in message for message in blocking)


def asked(told: Story, pool: str) -> list[Request]:
    """What Karpenter asked to be done to pods of the pool: to delete them, or to evict them."""
    mine = [request for request in told.requests() if request.user == KARPENTER and request.name.startswith(pool)]
    return [request for request in mine if request.verb == "delete" or request.subresource == "eviction"]
