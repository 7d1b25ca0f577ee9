"""Zones: agents start and leave so that these stay even; one is lost, with its Node objects, and comes back."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

import pytest
import urllib3

from scaler.controller.dig import at
from scaler.controller.facts import ZONE
from tests.cluster.draining import LOOK, SLOW, Guarded, Pool, Story, labels, story
from tests.cluster.harness import kwok
from tests.cluster.harness.cluster import Cluster
from tests.cluster.harness.rest import Document
from tests.cluster.harness.scaled import Scaled
from tests.cluster.harness.shipped import HOME
from tests.cluster.harness.wait import until

pytestmark = pytest.mark.usefixtures("keda")
POOL = "spread"
SECOND = [kwok.node(f"node-{zone}2", zone) for zone in kwok.ZONES]  # so that there are two in each zone
FIRST = [kwok.node(f"node-{zone}", zone) for zone in kwok.ZONES]
LEAST, MOST = 6, 12
SKEW = 1  # what the policy gives pods as maxSkew


@pytest.fixture
def told(cluster: Cluster, guards: Guarded) -> Iterator[Story]:
    """One scaler, two nodes in each zone, and at the end those again that were there before."""
    there(cluster, SECOND)
    try:
        with story(guards, "spread") as going:
            going.begin(teach=(POOL,))
            yield going
    finally:
        there(cluster, [node for node in FIRST if cluster.api.get(cluster.api.path(node)) is None])
        gone(cluster, SECOND)


def there(cluster: Cluster, nodes: Sequence[Document]) -> None:
    """These nodes are there, and take pods."""
    cluster.api.apply(nodes)
    paths = [cluster.api.path(node) for node in nodes]

    def take(node: Document) -> bool:  # a new node is tainted until it has been seen to be ready
        return kwok.is_ready(node) and not at(node, "spec", "taints")

    until(lambda: all(take(cluster.api.get(path) or {}) for path in paths) or None)


def gone(cluster: Cluster, nodes: Sequence[Document]) -> None:
    """These Node objects are deleted."""
    for node in nodes:
        cluster.api.delete(cluster.api.path(node))


def in_zone(name: str) -> list[Document]:
    """The nodes of a zone."""
    return [node for node in FIRST + SECOND if at(node, "metadata", "labels", ZONE) == f"zone-{name}"]


def without_us(told: Story) -> str:
    """A zone in which our own scaler does not stand: its pod would go as well, and KEDA would not find it."""
    ours = {labels(pod).get(ZONE) for pod in told.cluster.api.items(f"/api/v1/namespaces/{HOME}/pods")}
    return next(name for name in reversed(kwok.ZONES) if f"zone-{name}" not in ours)


def kept(told: Story, pool: Pool, replicas: int, names: str) -> None:
    """So many are wanted, and come to be there, evenly in these zones and in no other.

    We have seen so too: of pods that nobody asks for by the time that we see them the oldest leave first.
    """
    told.keep(pool, replicas)
    pool.settles(replicas)
    decided = f"{told.scalers[0].url}/api/v1/pools/{told.namespace}/{pool.name}/explain"
    until(lambda: at(urllib3.request("GET", decided).json(), "decision", "replicas") == replicas or None, within=SLOW)
    counted = Counter(labels(pod).get(ZONE, "") for pod in pool.agents())
    assert set(counted) == {f"zone-{name}" for name in names}, counted
    assert max(counted.values()) - min(counted.values()) <= SKEW, counted


def test_zones_stay_even_through_starts_drains_and_the_loss_of_one(told: Story) -> None:
    """Twelve, six, one zone lost with its Node objects, six, that zone back, twelve, six: never more than one apart.

    With a Node object Kubernetes takes its pods, at work or not, after a minute: they end what they have before, and
    others start in their place.
    """
    cluster, pool = told.cluster, told.pool(Scaled(name=POOL, metadata=(("class", "particular"),)))
    namespace = f"/api/v1/namespaces/{told.namespace}"
    until(lambda: "spread:zone,node" in str(cluster.api.get(namespace)) or None, within=SLOW)
    kept(told, pool, MOST, "abc")
    nodes = Counter(str(at(pod, "spec", "nodeName")) for pod in pool.agents())
    assert set(nodes.values()) <= {1, 2, 3}, nodes
    assert len(nodes) == 2 * len(kwok.ZONES), nodes
    kept(told, pool, LEAST, "abc")
    zone = without_us(told)
    lost = in_zone(zone)
    names = [str(at(node, "metadata", "name")) for node in lost]
    gone(cluster, lost)
    until(lambda: not any(pool.on(name) for name in names) or None, within=SLOW, every=LOOK)
    kept(told, pool, LEAST, "abc".replace(zone, ""))
    assert any(said.startswith(f"node {name} is gone") for name in names for said in told.events("DrainStarted"))
    assert told.losses() == []
    there(cluster, lost)
    kept(told, pool, MOST, "abc")
    kept(told, pool, LEAST, "abc")
