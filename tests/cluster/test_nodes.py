"""Nodes that are cordoned, drained and tainted, with agents at work on them and the real kubectl.

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

from scaler.controller.dig import at
from scaler.controller.names import ASKED_BY, PHASE
from tests.cluster.draining import LOOK, SLOW, Guarded, Pool, Story, is_serving, labels, story
from tests.cluster.guarding import announced
from tests.cluster.harness.agents import SLOTS
from tests.cluster.harness.assets import Assets
from tests.cluster.harness.rest import MERGE, Document
from tests.cluster.harness.scaled import Scaled
from tests.cluster.harness.wait import until

pytestmark = pytest.mark.usefixtures("keda")
NODE: Final = "node-b"
OTHER: Final = "node-c"
HOSTNAME: Final = "kubernetes.io/hostname"
AGENTS: Final = 12
POOLS: Final = (
    "evicted",
    "several",
    "cordoned",
    "orphaned",
    "tainted",
    "marked",
    "ordinals",
    "unasked",
    "single",
    "rolled",
    "falling",
)


@pytest.fixture(scope="module")
def told(guards: Guarded) -> Iterator[Story]:
    """One scaler that looks after the pools of all stories."""
    with story(guards, "nodes") as going:
        going.begin(teach=POOLS)
        yield going


def filled(told: Story, scaled: Scaled, seconds: float = 30.0, *, idle: int = 0) -> Pool:
    """A pool whose agents are all under the guards and, but for the idle, at work for so long; some are on the node."""
    made = told.pool(scaled, scaled.replicas - idle, seconds)
    until(lambda: made.is_guarded() or None, within=SLOW)
    assert made.on(NODE)
    return made


def _is_open(told: Story, pod: Document) -> bool:
    """Whether the agent in it takes work."""
    said = json.loads(told.fleet.activity(str(at(pod, "status", "podIP"))))
    return bool(said.get("phase", "active") == "active")


@contextmanager
def asking(told: Story, spec: Document, node: str = NODE) -> Iterator[None]:
    """The node says this, until the end of the block."""
    path = f"/api/v1/nodes/{node}"
    told.cluster.api.request("PATCH", path, {"spec": spec}, content=MERGE)
    try:
        yield
    finally:
        told.cluster.api.request("PATCH", path, {"spec": dict.fromkeys(spec)}, content=MERGE)


def emptied(pool: Pool, were: set[str], node: str = NODE) -> None:
    """Return once none of these is on the node any more."""
    until(lambda: not pool.on(node) & were or None, within=SLOW, every=LOOK)


def drains_told(told: Story, node: str = NODE) -> str:
    """What was told of pods that began to leave this node."""
    return " ".join(said for said in told.events("DrainStarted") if said.startswith(f"node {node} "))


def serving(pool: Pool) -> int:
    """Pods that are Ready and take work."""
    return sum(is_serving(pod) and labels(pod).get(PHASE, "active") == "active" for pod in pool.agents())


def kubectl(told: Story, *words: str) -> subprocess.Popen[str]:
    """Kubectl, at work."""
    command = (str(Assets.usual().binary("kubectl")), "--kubeconfig", str(told.cluster.admin), *words)
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def test_kubectl_drain_ends_by_itself_when_the_agents_do(told: Story) -> None:
    """Refused again and again, and done without anybody's help: others stood in before the agents took no more.

    The pool was announced before anybody knew of it, and is looked after like any other.
    """
    told.cluster.api.apply(announced(told.namespace, "evicted"), manager="git")
    pool = filled(told, Scaled(name="evicted", replicas=AGENTS), 45)
    were, least = pool.on(NODE), AGENTS
    with draining(told, NODE, "evicted") as drain:
        while drain.poll() is None:
            there = serving(pool)
            if told.figures(pool).get("inflight", 0) >= AGENTS:  # as long as all are at work
                least = min(least, there)
            drain_waits(drain)
        said = drain.stdout.read() if drain.stdout else ""
    assert drain.returncode == 0, said
    assert "Cannot evict pod as it would violate the pod's disruption budget" in said
    assert not pool.on(NODE) & were
    assert least == AGENTS
    assert f"node {NODE} is cordoned" in drains_told(told)
    pool.settles(0)
    assert told.losses() == []


@contextmanager
def draining(told: Story, node: str, *pools: str, within: int = 900) -> Iterator[subprocess.Popen[str]]:
    """Somebody drains the node of these pools' pods; at the end of the block it is uncordoned."""
    words = ("drain", node, f"--pod-selector=app in ({','.join(pools)})", f"--timeout={within}s")
    try:
        with kubectl(told, *words) as drain:
            yield drain
    finally:
        told.cluster.api.request("PATCH", f"/api/v1/nodes/{node}", {"spec": {"unschedulable": None}}, content=MERGE)


def drain_waits(drain: subprocess.Popen[str]) -> None:
    """A second, or less where it ends before."""
    with suppress(subprocess.TimeoutExpired):
        drain.wait(LOOK)


def test_a_drain_that_gives_up_is_finished_by_the_agents(told: Story) -> None:
    """Two tasks in each pod of three slots last for longer than kubectl waits, which leaves the node cordoned.

    The agents work on, take no more, and leave when they are done; whoever drains the node then finds nothing to do.
    """
    slots = Scaled(name="several", replicas=9, annotations=((SLOTS, "3"),), metadata=(("slotsPerPod", "3"),))
    pool = told.pool(slots, 2 * slots.replicas, 60)
    until(lambda: pool.is_guarded() or None, within=SLOW)
    were = pool.on(NODE)
    with draining(told, NODE, pool.name, within=10) as first:
        assert first.wait(SLOW) == 1
        said = first.stdout.read() if first.stdout else ""
        assert "global timeout reached: 10s" in said
        assert at(told.cluster.api.get(f"/api/v1/nodes/{NODE}"), "spec", "unschedulable") is True
        assert pool.on(NODE) >= were
        assert told.figures(pool).get("inflight") == 2 * slots.replicas
        emptied(pool, were)
        with kubectl(told, "drain", NODE, f"--pod-selector=app={pool.name}", "--timeout=10s") as second:
            assert second.wait(SLOW) == 0
    assert told.losses() == []


def test_a_cordon_that_is_taken_back_lets_the_agents_work_on(told: Story) -> None:
    """They have begun to finish up for their node; it wants them again, and their gates open."""
    pool = filled(told, Scaled(name="cordoned", replicas=AGENTS), 90)
    were = pool.on(NODE)
    with asking(told, {"unschedulable": True}):
        until(lambda: pool.phases().get("draining") == len(were) or None, within=SLOW, every=LOOK)
    until(lambda: pool.phases() == {"active": len(pool.agents())} or None, within=SLOW, every=LOOK)
    assert pool.on(NODE) >= were
    until(lambda: all(_is_open(told, pod) for pod in pool.agents()) or None, within=SLOW, every=LOOK)
    assert told.losses() == []
    pool.settles(0)


def takers(told: Story, pool: str) -> set[str]:
    """Who deleted pods of the pool."""
    return {r.user for r in told.requests() if r.verb == "delete" and r.status < 300 and r.name.startswith(pool)}


def test_tainted_nodes_are_emptied_although_the_taint_manager_gives_up(told: Story) -> None:
    """Two at once, one of them out of service. Nobody may evict their pods, nor tries again; they go when done."""
    pool = filled(told, Scaled(name="tainted", replicas=AGENTS), 30)
    were = {node: pool.on(node) for node in (NODE, OTHER)}
    mark = told.cluster.audit.mark()
    broken = asking(told, {"taints": [{"key": "node.kubernetes.io/out-of-service", "effect": "NoExecute"}]}, OTHER)
    with asking(told, {"taints": [{"key": "example.com/maintenance", "effect": "NoExecute"}]}), broken:
        for node, pods in were.items():
            emptied(pool, pods, node)
    asked = [r for r in told.cluster.audit.since(mark) if r.user.endswith("node-controller") and r.verb == "delete"]
    assert {request.status for request in asked if request.namespace == told.namespace} <= {403}
    assert f"node {NODE} is tainted example.com/maintenance:NoExecute" in drains_told(told)
    assert f"node {OTHER} is out of service" in drains_told(told, OTHER)
    assert told.losses() == []
    pool.settles(0)


def test_a_full_pool_on_a_node_that_an_autoscaler_takes_goes_one_by_one(told: Story) -> None:
    """Its maximum leaves no room for others, and there is always more work: the node is emptied all the same."""
    pool = filled(told, Scaled(name="marked", replicas=6, most=6), 20)
    told.work(pool, rate=0.8, shorten=60)
    were = pool.on(NODE)
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
    were = pool.on(NODE)
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


def test_who_leads_next_gives_a_node_its_agents_back(told: Story) -> None:
    """The leader is killed while they finish up for their node, which is uncordoned before anybody leads again."""
    pool, first = filled(told, Scaled(name="orphaned", replicas=AGENTS), 120), told.scalers[0]
    were = pool.on(NODE)
    with asking(told, {"unschedulable": True}):
        until(lambda: pool.phases().get("draining") == len(were) or None, within=SLOW, every=LOOK)
        first.part.kill()
    marked = {
        (at(pod, "metadata", "annotations", ASKED_BY)) for pod in pool.agents() if labels(pod).get(PHASE) == "draining"
    }
    assert marked == {f"node/{NODE}"}
    first.part.start()
    first.part.await_ready()
    until(lambda: pool.phases() == {"active": len(pool.agents())} or None, within=SLOW, every=LOOK)
    assert pool.on(NODE) >= were
    until(lambda: all(_is_open(told, pod) for pod in pool.agents()) or None, within=SLOW, every=LOOK)
    assert told.losses() == []
    pool.settles(0)


def test_two_nodes_are_drained_whatever_else_is_going_on(told: Story) -> None:
    """A pool of one that may have no other, a rollout, a pool that falls; and the leader is killed in the middle."""
    single = filled(told, Scaled(name="single", replicas=1, most=1, nodes=((HOSTNAME, NODE),)), 40)
    rolled = filled(told, Scaled(name="rolled", replicas=6), 40)
    falling = filled(told, Scaled(name="falling", replicas=AGENTS), 40, idle=AGENTS // 2)
    first, pools = told.scalers[0], (single, rolled, falling)
    were = {uid for pool in pools for node in (NODE, OTHER) for uid in pool.on(node)}
    names = tuple(pool.name for pool in pools)
    with draining(told, NODE, *names) as one, draining(told, OTHER, *names) as two:
        template: Document = {"spec": {"template": {"metadata": {"annotations": {"rollout": "2"}}}}}
        told.cluster.api.request("PATCH", rolled.path, template, content="application/strategic-merge-patch+json")
        until(lambda: told.events("Drained") or None, within=SLOW, every=LOOK)
        first.part.kill()
        first.part.start()
        first.part.await_ready()
        for drain in (one, two):
            assert drain.wait(SLOW) == 0, drain.stdout.read() if drain.stdout else ""
        assert not were & {uid for pool in pools for node in (NODE, OTHER) for uid in pool.on(node)}
    assert told.losses() == []
    for pool in pools:
        pool.settles(0)
