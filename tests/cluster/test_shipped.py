"""The scaler as it ships, run by its own manifests under its own rights: two replicas, of which one leads."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress

import pytest
import urllib3
from prometheus_client.parser import text_string_to_metric_families

from tests.cluster.harness.cluster import Cluster
from tests.cluster.harness.leftovers import Leftovers
from tests.cluster.harness.scaled import Scaled
from tests.cluster.harness.shipped import HOME, NODES, Shipped, shipped
from tests.cluster.harness.wait import until
from tests.cluster.harness.workloads import pods

AGENTS = "agents"
# Both kinds of workload whose replicas are asked of the API server.
POOLS = """\
sources:
  kubernetes: {url: "{server}", token_file: "{folder}/token", ca_file: "{folder}/ca.crt"}
pools:
  {namespace}/deployed:
    signals: {queue: {url: "{page}/queue", path: value}}
    replicas: {scale: deployments/agents}
  {namespace}/ordered:
    signals: {queue: {url: "{page}/queue", path: value}}
    replicas: {scale: statefulsets/agents}
"""


@pytest.fixture(scope="module", autouse=True)
def leaves_nothing(cluster: Cluster) -> Iterator[None]:
    """The stories share their scaler, so what is left of them is looked at when the last has been told."""
    before = Leftovers.before(cluster)
    yield
    assert before.removed() == []


@pytest.fixture(scope="module")
def pools(cluster: Cluster) -> Iterator[str]:
    """The namespace of the pools."""
    namespace = cluster.namespaces.make("shipped")
    yield namespace
    cluster.namespaces.drop(namespace)


@pytest.fixture(scope="module")
def scaler(cluster: Cluster, pools: str) -> Iterator[Shipped]:
    """Two replicas, and a Deployment and a StatefulSet that they look after."""
    with shipped(cluster, POOLS.replace("{namespace}", pools)) as running:
        running.tell("queue", 0)
        workloads = [Scaled(name=AGENTS, kind=kind).workload() for kind in ("Deployment", "StatefulSet")]
        cluster.api.apply(workloads, namespace=pools)
        yield running


def test_its_own_rollout_completes(scaler: Shipped) -> None:
    """Both replicas are replaced, the leader too, and somebody leads."""
    before = scaler.leader()
    scaler.kubectl("rollout", "restart", f"deployment/{HOME}")
    scaler.kubectl("rollout", "status", f"deployment/{HOME}", "--timeout=120s")
    assert scaler.leader(other_than=before)


def test_its_node_drains(scaler: Shipped) -> None:
    """Its own budget lets one replica go at a time, and the other takes over; so no drain of a node waits for us."""
    try:
        for node in NODES:
            scaler.kubectl("drain", node, "--ignore-daemonsets", "--delete-emptydir-data", "--timeout=120s")
            scaler.kubectl("rollout", "status", f"deployment/{HOME}", "--timeout=120s")
            scaler.kubectl("uncordon", node)
    finally:
        scaler.kubectl("uncordon", *NODES)
    assert scaler.leader()


def test_that_nobody_leads_is_told_until_somebody_does(scaler: Shipped) -> None:
    """The leader is killed, and its Lease must run out first: `sum(agent_scaler_leader)` is what an alert looks at."""
    scaler.kill(scaler.leader())
    assert sum(leading(scaler).values()) == 0.0
    until(lambda: sum(leading(scaler).values()) == 1.0 or None, within=60.0)
    assert scaler.leader()


def leading(scaler: Shipped) -> dict[str, float]:
    """What each replica that answers says of whether it leads, by its pod."""
    found = {}
    for pod, address in pods(scaler.cluster.api, HOME).items():
        with suppress(urllib3.exceptions.HTTPError):
            page = urllib3.request("GET", f"http://{address}:8080/metrics", retries=False, timeout=5.0).data.decode()
            found[pod] = sample(page, "agent_scaler_leader")
    return found


def sample(page: str, name: str) -> float:
    """The only value of a metric without labels."""
    families = {family.name: family for family in text_string_to_metric_families(page)}
    (only,) = families[name].samples
    return only.value
