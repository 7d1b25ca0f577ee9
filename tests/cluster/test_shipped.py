"""The scaler as it ships, run by its own manifests under its own rights: two replicas, of which one answers KEDA."""

from __future__ import annotations

import asyncio
import subprocess
from collections.abc import Iterator

import pytest

from tests.cluster.harness.cluster import Cluster
from tests.cluster.harness.landing import followed
from tests.cluster.harness.leftovers import Leftovers
from tests.cluster.harness.scaled import Scaled
from tests.cluster.harness.shipped import ACCOUNT, HOME, NODES, Shipped, granted, shipped
from tests.cluster.test_exactness import walk

AGENTS = "agents"
TARGETS, TERM = 40, 8  # targets in all, and of one leader
# `off` answers the replicas that it reads: the number of a page, whoever leads. The others use every right we ask for.
POOLS = """\
sources:
  prometheus: {interval: 1s}
  kubernetes: {url: "{server}", token_file: "{folder}/token", ca_file: "{folder}/ca.crt"}
pools:
  {namespace}/agents:
    mode: "off"
    max: 500
    signals: {queue: {url: "{page}/queue", path: value}}
    replicas: {url: "{page}/replicas", path: value}
  {namespace}/deployed:
    signals: {queue: {url: "{page}/queue", path: value}}
    replicas: {scale: deployments/agents}
  {namespace}/ordered:
    signals: {queue: {url: "{page}/queue", path: value}}
    replicas: {scale: statefulsets/agents}
"""


@pytest.fixture(scope="module", autouse=True)
def leaves_nothing(keda: Cluster) -> Iterator[None]:
    """The stories share their scaler, so what is left of them is looked at when the last has been told."""
    before = Leftovers.before(keda)
    yield
    assert before.removed() == []


@pytest.fixture(scope="module")
def begun(keda: Cluster) -> int:
    """A place in the audit log before anything of ours ran."""
    return keda.audit.mark()


@pytest.fixture(scope="module")
def pools(keda: Cluster) -> Iterator[str]:
    """The namespace of the pools."""
    namespace = keda.namespaces.make("shipped")
    yield namespace
    keda.namespaces.drop(namespace)


@pytest.fixture(scope="module")
def scaler(keda: Cluster, begun: int, pools: str) -> Iterator[Shipped]:
    """Two replicas, and a Deployment and a StatefulSet that they look after."""
    with shipped(keda, POOLS.replace("{namespace}", pools)) as running:
        running.tell("queue", 0)
        running.tell("replicas", 0)
        ordered = Scaled(name=AGENTS, address=running.service.address, kind="StatefulSet").workload()
        deployed = Scaled(name=AGENTS, address=running.service.address).documents()
        keda.api.apply([ordered, *deployed], namespace=pools)
        yield running


async def test_targets_land_exactly_whoever_leads(scaler: Shipped, pools: str) -> None:
    """Forty targets, with a leader for every eight of them: one after another is told to end, or is killed."""
    async with followed(scaler.cluster.admin, "deployments", pools, AGENTS) as replicas:
        await replicas.reaches(0)
        for number, target in enumerate(walk(seed=4, steps=TARGETS, most=60)):
            if number and number % TERM == 0:
                grace = "0" if number % (2 * TERM) else "15"
                leader = await asyncio.to_thread(scaler.leader)
                arguments = ("delete", "pod", leader, f"--grace-period={grace}", "--wait=false", "--force")
                await asyncio.to_thread(scaler.kubectl, *(arguments if grace == "0" else arguments[:-1]))
                await asyncio.to_thread(scaler.leader, other_than=leader)
            before, begun = replicas.seen[-1], len(replicas.seen)
            scaler.tell("replicas", target)
            await replicas.reaches(target, within=90.0)
            assert set(replicas.seen[begun:]) <= {before, target} | ({1} if 0 in {before, target} else set())


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


def test_it_has_every_right_that_it_uses_and_uses_every_right_that_it_has(scaler: Shipped, begun: int) -> None:
    """By the audit log of all that it did in the stories above, led and followed, killed and replaced."""
    asked = [request for request in scaler.cluster.audit.since(begun) if request.user == ACCOUNT]
    assert [request for request in asked if request.decision == "forbid"] == []
    used = {(r.group, f"{r.resource}/{r.subresource}" if r.subresource else r.resource, r.verb) for r in asked}
    assert granted(scaler.objects) - used == set()


def test_a_right_that_is_missing_is_seen(scaler: Shipped) -> None:
    """Otherwise the test above would prove nothing: what nobody granted is refused, and in the audit log."""
    mark = scaler.cluster.audit.mark()
    with pytest.raises(subprocess.CalledProcessError):
        scaler.kubectl("get", "secrets", f"--as={ACCOUNT}")
    assert [r.decision for r in scaler.cluster.audit.since(mark) if r.resource == "secrets"] == ["forbid"]
