"""Zones: agents start and leave so that these stay even; one is lost, with its Node object, and comes back."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from scaler.controller.dig import at
from scaler.controller.facts import ZONE
from tests.cluster.draining import LOOK, SLOW, Guarded, Pool, Story, labels, story
from tests.cluster.harness import kwok
from tests.cluster.harness.cluster import Cluster
from tests.cluster.harness.scaled import Scaled
from tests.cluster.harness.wait import until

pytestmark = pytest.mark.usefixtures("keda")
POOL = "spread"
LOST, SECOND = "node-c", "node-a2"
LEAST, MOST = 6, 12
SKEW = 1  # what the policy gives pods as maxSkew


@contextmanager
def node(cluster: Cluster, name: str, zone: str) -> Iterator[None]:
    """One more node, until the end of the block."""
    cluster.api.apply([kwok.node(name, zone)])
    until(lambda: kwok.is_ready(cluster.api.get(f"/api/v1/nodes/{name}") or {}) or None)
    try:
        yield
    finally:
        cluster.api.delete(f"/api/v1/nodes/{name}")


@pytest.fixture
def told(cluster: Cluster, guards: Guarded) -> Iterator[Story]:
    """One scaler, a second node in one of the zones, and all nodes there again at the end."""
    try:
        with node(cluster, SECOND, "a"), story(guards, "spread") as going:
            going.begin(teach=(POOL,))
            yield going
    finally:
        cluster.api.apply([kwok.node(LOST, "c")])


def zones(pool: Pool) -> Counter[str]:
    """How many pods there are by zone, as they say themselves."""
    return Counter(labels(pod).get(ZONE, "") for pod in pool.agents())


def even(counted: Counter[str], names: str) -> bool:
    """Whether these zones have all pods, and none many more than another."""
    of = [counted[f"zone-{name}"] for name in names]
    return sum(of) == counted.total() and max(of) - min(of) <= SKEW


def test_zones_stay_even_through_starts_drains_and_the_loss_of_one(told: Story) -> None:
    """Twelve, six, one zone lost with its Node object, six, that zone back, twelve, six: never more than one apart.

    Two nodes stand in one of the zones, and its pods are spread over them as well. With a Node object Kubernetes takes
    its pods, at work or not, after a minute: they end what they have before, and others start in their place.
    """
    api, pool = told.cluster.api, told.pool(Scaled(name=POOL, metadata=(("class", "particular"),)))
    until(lambda: "spread:zone,node" in str(api.get(f"/api/v1/namespaces/{told.namespace}")) or None, within=SLOW)
    kept(told, pool, MOST, "abc")
    within = Counter(str(at(pod, "spec", "nodeName")) for pod in pool.agents())
    assert abs(within["node-a"] - within[SECOND]) <= SKEW, within
    kept(told, pool, LEAST, "abc")
    told.work(pool, burst=LEAST, seconds=10)
    until(lambda: told.figures(pool).get("inflight") == LEAST or None, within=SLOW)
    gone = pool.on(LOST)
    api.delete(f"/api/v1/nodes/{LOST}")
    until(lambda: not gone & uids(pool) or None, within=SLOW, every=LOOK)
    kept(told, pool, LEAST, "ab")
    assert any(said.startswith(f"node {LOST} is gone") for said in told.events("DrainStarted"))
    assert told.losses() == []
    api.apply([kwok.node(LOST, "c")])
    until(lambda: kwok.is_ready(api.get(f"/api/v1/nodes/{LOST}") or {}) or None)
    kept(told, pool, MOST, "abc")
    kept(told, pool, LEAST, "abc")


def kept(told: Story, pool: Pool, replicas: int, names: str) -> None:
    """So many are wanted, and come to be there, evenly in these zones."""
    told.keep(pool, replicas)
    pool.settles(replicas)
    assert even(zones(pool), names), zones(pool)


def uids(pool: Pool) -> set[str]:
    """The pods that there are."""
    return {str(at(pod, "metadata", "uid")) for pod in pool.agents()}
