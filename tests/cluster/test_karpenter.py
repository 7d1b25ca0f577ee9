"""Karpenter in the cluster: nodes that come for pods, and go with them; agents at work on nodes that it wants to take.

It taints a node that it gives up, asks the pods away that nothing pins, and past a node's deadline deletes all of them.
Nobody at work is lost to any of that, and each node goes when its agents are done.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Final

import pytest

from scaler.controller.dig import at
from scaler.controller.names import ACCOUNT, DO_NOT_DISRUPT, MANAGED, PHASE, POOL, TRUE
from tests.cluster.draining import LOOK, SLOW, Guarded, Story, story
from tests.cluster.guarding import Ward, ward
from tests.cluster.harness import kwok
from tests.cluster.harness.audit import Request
from tests.cluster.harness.cluster import Cluster
from tests.cluster.harness.karpenter import KARPENTER, NODE_POOL, node_pool, node_pools
from tests.cluster.harness.rest import Document, Json
from tests.cluster.harness.scaled import Scaled
from tests.cluster.harness.wait import until
from tests.cluster.harness.workloads import nodes
from tests.cluster.test_guard_matrix import SENTINEL

OURS = {f"node-{zone}" for zone in kwok.ZONES}
AGENTS = 2
WORK = 90.0  # seconds: longer than any node below is left alone
POOLS = {
    "expired": node_pool("expired", expireAfter="45s"),
    "overdue": node_pool("overdue", expireAfter="45s", terminationGracePeriod="10s"),
    "shrunk": node_pool("shrunk"),
    "deleted": node_pool("deleted"),
}
ALONE = ("promised", "coder")  # of the second there is a budget
ON_DEMAND: Final[Json] = [  # a spot node is not replaced by a smaller one
    {"key": "kubernetes.io/os", "operator": "In", "values": ["linux"]},
    {"key": "karpenter.sh/capacity-type", "operator": "In", "values": ["on-demand"]},
]
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
    kinds = (*POOLS.values(), *(node_pool(name, requirements=ON_DEMAND) for name in ALONE))
    with node_pools(karpenter.api, *kinds), story(guards, "karpenter") as going:
        going.begin(teach=tuple(POOLS))
        yield going


@pytest.mark.usefixtures("alone")  # so that Karpenter has long looked at these when their own story is told
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
    until(lambda: is_blocked(told, homes["shrunk"], "shrunk") or None, within=SLOW, every=LOOK)
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


@pytest.fixture(scope="module")
def alone(told: Story) -> Iterator[tuple[Ward, int]]:
    """Pods that one guard alone keeps from Karpenter, on nodes that are too large, from before the others' story on.

    And the place in the audit log where that begins.
    """
    api, begun = told.cluster.api, told.cluster.audit.mark()
    with ward(told.cluster, "alone") as place:
        fillers = [large(Scaled(name=f"{name}-filler", replicas=1, nodes=home(name)).workload()) for name in ALONE]
        api.apply([*fillers, *(one for name in ALONE for one in under_one(name))], namespace=place.name)
        until(lambda: ("" not in (there := nodes(api, place.name)) and len(there) == len(ALONE)) or None, within=SLOW)
        for filler in fillers:
            api.delete(api.path(filler, place.name))
        yield place, begun


def home(name: str) -> tuple[tuple[str, str], ...]:
    """The nodes of this pool alone."""
    return ((NODE_POOL, name),)


def under_one(name: str) -> list[Document]:
    """A workload whose pods bear a promise and have no budget, or have a budget and bear no promise."""
    promise = () if name == "coder" else ((DO_NOT_DISRUPT, TRUE),)
    made = Scaled(name=name, replicas=AGENTS, nodes=home(name), annotations=promise).workload()
    labels = at(made, "spec", "template", "metadata", "labels")
    assert isinstance(labels, dict)
    labels |= {MANAGED: TRUE, POOL: name}
    return [made] if promise else [SENTINEL, made]


def test_each_guard_alone_keeps_karpenter_from_a_node_until_its_pods_are_drained(
    told: Story, alone: tuple[Ward, int]
) -> None:
    """It says which keeps it, and asks no pod. Drained, these are evicted, and the node goes."""
    place, begun = alone
    pods = {name: [pod for pod in place.names() if pod.startswith(name)] for name in ALONE}
    on = {name: str(at(place.get(pods[name][0]), "spec", "nodeName")) for name in ALONE}
    until(lambda: all(is_blocked(told, on[name], name) for name in ALONE) or None, within=SLOW, every=LOOK)

    def asked_away() -> set[int]:
        """What Karpenter was told where it asked for a pod to be evicted, or deleted."""
        found = [r for r in told.cluster.audit.since(begun) if r.user == KARPENTER and r.namespace == place.name]
        return {r.status for r in found if r.verb == "delete" or r.subresource == "eviction"}

    assert asked_away() == set()
    assert {pod for names in pods.values() for pod in names} <= place.names()
    for pod in (pod for names in pods.values() for pod in names):
        assert place.mark(pod).status == 200
        drained: Document = {"labels": {PHASE: "drained"}, "annotations": {DO_NOT_DISRUPT: None}}
        assert place.tell(ACCOUNT, pod, drained).status == 200
    for node in on.values():
        until(partial(is_gone, told, node), within=SLOW, every=LOOK)
    assert asked_away() - {404} == {201}  # it may ask once more for one that has just gone


def large(workload: Document) -> Document:
    """The workload, whose pod takes so much room that its node is too large for the others alone."""
    spec = at(workload, "spec", "template", "spec")
    assert isinstance(spec, dict)
    spec["containers"] = [{"name": "it", "image": "it", "resources": {"requests": {"cpu": "20"}}}]
    return workload


def is_gone(told: Story, node: str) -> bool | None:
    """The node is gone."""
    return told.cluster.api.get(f"/api/v1/nodes/{node}") is None or None


def is_blocked(told: Story, node: str, pool: str) -> bool:
    """Whether Karpenter would take the node, and says that a pod of the pool, or its budget, keeps it from that."""
    events = told.cluster.api.items("/api/v1/namespaces/default/events")
    blocking = [str(e["message"]) for e in events if e.get("reason") == "DisruptionBlocked" and node in str(e)]
    return any(f"/agent-scaler-{pool}]" in message or f"/{pool}-" in message for message in blocking)


def asked(told: Story, pool: str) -> list[Request]:
    """What Karpenter asked to be done to pods of the pool: to delete them, or to evict them."""
    mine = [request for request in told.requests() if request.user == KARPENTER and request.name.startswith(pool)]
    return [request for request in mine if request.verb == "delete" or request.subresource == "eviction"]
