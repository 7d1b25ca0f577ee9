"""Nodes that are cordoned, drained, tainted and taken away, with agents at work on them and the real kubectl.

One scaler looks after the pools of all stories, one pool each, and the stories follow each other: nodes are for all.
At the end of each the node is empty and nobody was lost, by the agents' own journal and the API server's audit log.
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Final

import pytest

from scaler.controller.names import PHASE
from tests.cluster.draining import LOOK, SLOW, Guarded, Pool, Story, is_serving, labels, story
from tests.cluster.harness.assets import Assets
from tests.cluster.harness.cluster import Cluster
from tests.cluster.harness.rest import MERGE, Api, Document
from tests.cluster.harness.scaled import Scaled
from tests.cluster.harness.wait import until

pytestmark = pytest.mark.usefixtures("keda", "karpenter")
NODE: Final = "node-b"
AGENTS: Final = 12
POOLS: Final = ("evicted", "cordoned", "tainted", "marked", "ordinals", "unasked", "expiring")
EXPIRING: Final = """\
apiVersion: karpenter.kwok.sh/v1alpha1
kind: KWOKNodeClass
metadata: {name: default}
---
apiVersion: karpenter.sh/v1
kind: NodePool
metadata: {name: expiring}
spec:
  disruption: {consolidationPolicy: WhenEmptyOrUnderutilized, consolidateAfter: 0s}
  template:
    spec:
      expireAfter: 60s
      nodeClassRef: {group: karpenter.kwok.sh, kind: KWOKNodeClass, name: default}
      requirements: [{key: kubernetes.io/os, operator: In, values: [linux]}]
"""


@pytest.fixture(scope="module")
def told(guards: Guarded) -> Iterator[Story]:
    """One scaler that looks after the pools of all stories."""
    with story(guards, "nodes") as going:
        going.begin(teach=POOLS)
        yield going


def filled(told: Story, scaled: Scaled, seconds: float = 30.0) -> Pool:
    """A pool whose agents are all under the guards and at work for so long, some of them on the node."""
    made = told.pool(scaled, scaled.replicas, seconds)
    until(lambda: all(labels(pod).get("agent-scaler.io/managed") for pod in made.agents()) or None, within=SLOW)
    assert on_node(made)
    return made


def on_node(pool: Pool) -> set[str]:
    """The pool's pods on the node, by uid."""
    return {uid(pod) for pod in pool.agents() if _spec(pod).get("nodeName") == NODE}


def uid(pod: Document) -> str:
    """The uid of an object."""
    metadata = pod["metadata"]
    assert isinstance(metadata, dict)
    return str(metadata["uid"])


def _spec(pod: Document) -> Document:
    spec = pod["spec"]
    assert isinstance(spec, dict)
    return spec


def _is_open(told: Story, pod: Document) -> bool:
    """Whether the agent in it takes work."""
    status = pod["status"]
    assert isinstance(status, dict)
    said = json.loads(told.fleet.activity(str(status["podIP"])))
    return bool(said.get("phase", "active") == "active")


@contextmanager
def asking(told: Story, spec: Document) -> Iterator[None]:
    """The node says this, until the end of the block."""
    path = f"/api/v1/nodes/{NODE}"
    told.cluster.api.request("PATCH", path, {"spec": spec}, content=MERGE)
    try:
        yield
    finally:
        told.cluster.api.request("PATCH", path, {"spec": dict.fromkeys(spec)}, content=MERGE)


def emptied(pool: Pool, were: set[str]) -> None:
    """Return once none of these is on the node any more."""
    until(lambda: not on_node(pool) & were or None, within=SLOW, every=LOOK)


def events(told: Story, reason: str, node: str = NODE) -> list[str]:
    """What was told of pods, for this reason and of this node."""
    found = told.cluster.api.items(f"/api/v1/namespaces/{told.namespace}/events")
    said = [str(event["message"]) for event in found if event.get("reason") == reason]
    return [message for message in said if message.startswith(f"node {node} ")]


def serving(pool: Pool) -> int:
    """Pods that are Ready and take work."""
    return sum(is_serving(pod) and labels(pod).get(PHASE, "active") == "active" for pod in pool.agents())


def kubectl(told: Story, *words: str) -> subprocess.Popen[str]:
    """Kubectl, at work."""
    command = (str(Assets.usual().binary("kubectl")), "--kubeconfig", str(told.cluster.admin), *words)
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def test_kubectl_drain_ends_by_itself_when_the_agents_do(told: Story) -> None:
    """Refused again and again, and done without anybody's help: others stood in before the agents took no more.

    But for one whose task is so new that it was not heard of yet: it seemed to be idle, and not to be needed.
    """
    pool = filled(told, Scaled(name="evicted", replicas=AGENTS), 45)
    were, least = on_node(pool), AGENTS
    try:
        with kubectl(told, "drain", NODE, "--pod-selector=app=evicted", "--timeout=900s") as drain:
            while drain.poll() is None:
                there = serving(pool)
                if told.figures(pool).get("inflight", 0) >= AGENTS:  # as long as all are at work
                    least = min(least, there)
                drain_waits(drain)
            said = drain.stdout.read() if drain.stdout else ""
    finally:
        told.cluster.api.request("PATCH", f"/api/v1/nodes/{NODE}", {"spec": {"unschedulable": None}}, content=MERGE)
    assert drain.returncode == 0, said
    assert "Cannot evict pod as it would violate the pod's disruption budget" in said
    assert not on_node(pool) & were
    assert least >= AGENTS - 1
    assert f"node {NODE} is cordoned" in " ".join(events(told, "DrainStarted"))
    pool.settles(0)
    assert told.losses() == []


def drain_waits(drain: subprocess.Popen[str]) -> None:
    """A second, or less where it ends before."""
    with suppress(subprocess.TimeoutExpired):
        drain.wait(LOOK)


def test_a_cordon_that_is_taken_back_lets_the_agents_work_on(told: Story) -> None:
    """They have begun to finish up for their node; it wants them again, and their gates open."""
    pool = filled(told, Scaled(name="cordoned", replicas=AGENTS), 90)
    were = on_node(pool)
    with asking(told, {"unschedulable": True}):
        until(lambda: pool.phases().get("draining") == len(were) or None, within=SLOW, every=LOOK)
    until(lambda: pool.phases() == {"active": len(pool.agents())} or None, within=SLOW, every=LOOK)
    assert on_node(pool) >= were
    until(lambda: all(_is_open(told, pod) for pod in pool.agents()) or None, within=SLOW, every=LOOK)
    assert told.losses() == []
    pool.settles(0)


def takers(told: Story, pool: str) -> set[str]:
    """Who deleted pods of the pool."""
    return {r.user for r in told.requests() if r.verb == "delete" and r.status < 300 and r.name.startswith(pool)}


def test_a_tainted_node_is_emptied_although_the_taint_manager_gives_up(told: Story) -> None:
    """The pods tolerate the taint, so nobody evicts them; they finish, and go all the same."""
    pool = filled(told, Scaled(name="tainted", replicas=AGENTS), 30)
    were = on_node(pool)
    with asking(told, {"taints": [{"key": "example.com/maintenance", "effect": "NoExecute"}]}):
        emptied(pool, were)
    assert not {user for user in takers(told, "tainted") if user.endswith("node-controller")}
    assert told.losses() == []
    pool.settles(0)


def test_a_full_pool_on_a_node_that_an_autoscaler_takes_goes_one_by_one(told: Story) -> None:
    """Its maximum leaves no room for others, and there is always more work: the node is emptied all the same."""
    pool = filled(told, Scaled(name="marked", replicas=6, most=6), 20)
    told.work(pool, rate=0.8, shorten=60)
    were = on_node(pool)
    with asking(told, {"taints": [{"key": "ToBeDeletedByClusterAutoscaler", "effect": "NoSchedule", "value": "1"}]}):
        emptied(pool, were)
        assert pool.replicas() == 6
    assert any(user.endswith("agent-scaler") for user in takers(told, "marked"))  # or nobody would start another
    told.work(pool, rate=0)
    assert told.losses() == []


def test_a_stateful_set_moves_its_ordinals_to_other_nodes(told: Story) -> None:
    """Whichever they are: each is started again elsewhere while the pool wants it."""
    pool = filled(told, Scaled(name="ordinals", replicas=6, kind="StatefulSet"), 30)
    told.work(pool, rate=0.3, shorten=40)
    were = on_node(pool)
    with asking(told, {"unschedulable": True}):
        emptied(pool, were)
    told.work(pool, rate=0)
    assert told.losses() == []


def test_what_a_node_is_by_itself_is_nobodys_wish(told: Story) -> None:
    """A candidate of the cluster autoscaler keeps its pods."""
    pool = filled(told, Scaled(name="unasked", replicas=AGENTS), 30)
    with asking(told, {"taints": [{"key": "DeletionCandidateOfClusterAutoscaler", "effect": "PreferNoSchedule"}]}):

        def ended() -> bool | None:
            """The first has done its work; until then nobody was asked anything."""
            phases = pool.phases()
            return (told.figures(pool).get("inflight", 0) < AGENTS or None) if phases == {"active": AGENTS} else True

        until(ended, within=SLOW, every=LOOK)
        assert told.figures(pool).get("inflight", 0) < AGENTS


@pytest.fixture
def expiring(karpenter: Cluster) -> Iterator[Cluster]:
    """A pool of nodes that live for a minute, which is gone with all of them at the end."""
    pool = "/apis/karpenter.sh/v1/nodepools/expiring"
    karpenter.api.apply(EXPIRING)
    yield karpenter
    karpenter.api.delete(pool)
    until(lambda: karpenter.api.get(pool) is None or None, within=SLOW)
    karpenter.api.delete("/apis/karpenter.kwok.sh/v1alpha1/kwoknodeclasses/default")


def test_a_node_that_expires_goes_when_its_agents_are_done(expiring: Cluster, told: Story) -> None:
    """Karpenter taints it and asks no pod that is pinned; drained they are not, and it evicts them and takes it."""
    pool = told.pool(Scaled(name="expiring", replicas=3, nodes=(("karpenter.sh/nodepool", "expiring"),)), 3, 90)
    (first,) = nodes(expiring.api, told.namespace, "expiring")
    until(lambda: events(told, "DrainStarted", first) or None, within=SLOW, every=LOOK)
    until(lambda: expiring.api.get(f"/api/v1/nodes/{first}") is None or None, within=SLOW, every=LOOK)
    assert told.losses() == []
    pool.settles(0)


def nodes(api: Api, namespace: str, pool: str) -> set[str]:
    """Where the pool's pods stand."""
    pods = api.items(f"/api/v1/namespaces/{namespace}/pods?labelSelector=app%3D{pool}")
    return {str(_spec(pod)["nodeName"]) for pod in pods}
