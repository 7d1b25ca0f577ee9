"""What may befall a warm pool on the real agent-sandbox: it ends as it should, and nobody has lost a sandbox."""

from __future__ import annotations

import json

import pytest

from scaler.controller.dig import strings
from scaler.live.clock import SystemClock
from tests.cluster.harness.cluster import Cluster
from tests.cluster.harness.rest import Document, Json
from tests.cluster.harness.shipped import HOME
from tests.cluster.harness.wait import until
from tests.cluster.warmth import BASE, Warmth, becomes, claim, filled, pool, ready, size, warming

MERGE = "application/merge-patch+json"


def sandboxes_of(cluster: Cluster, namespace: str) -> dict[str, str]:
    """Every sandbox by its name, with the kind of what owns it."""
    found = {}
    for item in cluster.api.items(f"/apis/agents.x-k8s.io/v1beta1/namespaces/{namespace}/sandboxes"):
        metadata = item["metadata"]
        assert isinstance(metadata, dict)
        owners = metadata.get("ownerReferences")
        assert isinstance(owners, list)
        found[str(metadata["name"])] = str(owners[0]["kind"]) if isinstance(owners[0], dict) else ""
    return found


def claimed(cluster: Cluster, namespace: str) -> set[str]:
    """The sandboxes that claims have."""
    return {name for name, owner in sandboxes_of(cluster, namespace).items() if owner == "SandboxClaim"}


def patched(cluster: Cluster, namespace: str, kind: str, name: str, body: Document) -> None:
    """Change a part of an object, as somebody who edits it."""
    cluster.api.request("PATCH", f"{BASE}/{namespace}/{kind}/{name}?fieldManager=kubectl-edit", body, content=MERGE)


def one_claimed(scaler: Warmth, namespace: str, name: str = "mine") -> set[str]:
    """Claim one, and return what is claimed then."""
    before = scaler.served("ready")
    claim(scaler.cluster, namespace, name)
    until(lambda: scaler.served("ready") == before + 1 or None)
    return claimed(scaler.cluster, namespace)


@pytest.mark.parametrize("strategy", ["OnReplenish", "Recreate"])
def test_an_edit_of_the_template_leaves_claimed_sandboxes_alone(
    sandboxes: Cluster, namespace: str, strategy: str
) -> None:
    """With Recreate every idle sandbox is made anew at once; the size stays what it was, and the pool fills again."""
    pool(sandboxes, namespace, updateStrategy={"type": strategy})
    with warming(sandboxes, {f"{namespace}/python": {"min": 3, "max": 3}}) as scaler:
        becomes(sandboxes, namespace, 3)
        mine = one_claimed(scaler, namespace)
        becomes(sandboxes, namespace, 3)
        idle = sandboxes_of(sandboxes, namespace).keys() - mine
        body: Document = {"spec": {"podTemplate": {"spec": {"containers": [{"name": "agent", "image": "agent:2"}]}}}}
        patched(sandboxes, namespace, "sandboxtemplates", "python", body)
        if strategy == "Recreate":
            until(lambda: idle.isdisjoint(sandboxes_of(sandboxes, namespace)) or None)
        becomes(sandboxes, namespace, 3)
        assert mine <= claimed(sandboxes, namespace)
        mine |= one_claimed(scaler, namespace, "second")
        assert scaler.served("cold") == 0


def test_a_pool_that_is_deleted_is_waited_for_and_sized_again_when_it_is_back(
    sandboxes: Cluster, namespace: str
) -> None:
    """Its claimed sandboxes live on, and the scaler makes no pool of its own."""
    pool(sandboxes, namespace)
    with warming(sandboxes, {f"{namespace}/python": {"min": 2, "max": 2}}) as scaler:
        becomes(sandboxes, namespace, 2)
        mine = one_claimed(scaler, namespace)
        sandboxes.api.delete(f"{BASE}/{namespace}/sandboxwarmpools/python")
        until(lambda: scaler.blocked("absent"))
        until(lambda: sandboxes_of(sandboxes, namespace).keys() == mine or None)
        pool(sandboxes, namespace)
        becomes(sandboxes, namespace, 2)
        assert mine <= claimed(sandboxes, namespace)


def test_a_scaler_that_is_killed_goes_on_where_it_was(sandboxes: Cluster, namespace: str) -> None:
    """The size outlives it, nothing is lowered by its successor, and claims before it are not counted twice."""
    pool(sandboxes, namespace)
    with warming(sandboxes, {f"{namespace}/python": {"min": 4, "max": 4}}) as scaler:
        becomes(sandboxes, namespace, 4)
        one_claimed(scaler, namespace)
        scaler.part.kill()
        claim(sandboxes, namespace, "meanwhile")
        until(lambda: len(claimed(sandboxes, namespace)) == 2 or None)
        clock = SystemClock()
        second = int(clock.now())  # objects tell no more of when they were made
        until(lambda: int(clock.now()) > second or None)
        scaler.part.start()
        scaler.part.await_ready()
        until(lambda: scaler.metric("size") == 4 or None)
        one_claimed(scaler, namespace, "after")
        assert scaler.served("ready") == 1
        becomes(sandboxes, namespace, 4)


def test_what_a_pool_has_learnt_outlives_the_scaler(sandboxes: Cluster, namespace: str) -> None:
    """Killed and started anew it knows how long sandboxes take, and lowers nothing before it has watched."""
    pool(sandboxes, namespace)
    with warming(sandboxes, {f"{namespace}/python": {"min": 20, "max": 20}}, f"--lease={HOME}/{HOME}") as scaler:
        becomes(sandboxes, namespace, 20)
        one_claimed(scaler, namespace)
        assert until(lambda: learnt(sandboxes, f"{namespace}_python_warm"), within=90.0) >= 20
        lead = scaler.metric("lead_seconds")
        assert lead is not None
        scaler.tell({f"{namespace}/python": {"min": 0, "max": 20}})
        scaler.part.kill()
        scaler.part.start()
        scaler.part.await_ready()
        until(lambda: scaler.metric("decision_info", reason="newcomer") == 1 or None, within=90.0)
        assert scaler.metric("lead_seconds") == pytest.approx(lead, rel=0.01)
        assert size(sandboxes, namespace) == 20


def learnt(cluster: Cluster, name: str) -> int | None:
    """How many lead times the library has of a pool; None before it has any."""
    for shard in cluster.api.items(f"/api/v1/namespaces/{HOME}/configmaps"):
        if name in (kept := strings(shard, "data")):
            return int(json.loads(kept[name])["seen"]) or None
    return None


def test_agent_sandbox_that_is_restarted_in_between_changes_nothing(sandboxes: Cluster, namespace: str) -> None:
    """Its queue is in its memory, and is built anew from what there is."""
    pool(sandboxes, namespace)
    with warming(sandboxes, {f"{namespace}/python": {"min": 3, "max": 3}}) as scaler:
        becomes(sandboxes, namespace, 3)
        mine = one_claimed(scaler, namespace)
        sandboxes.parts["agent-sandbox"].restart()
        mine |= one_claimed(scaler, namespace, "second")
        becomes(sandboxes, namespace, 3)
        assert mine <= claimed(sandboxes, namespace)


def test_a_pool_whose_sandboxes_find_no_node_is_not_raised(sandboxes: Cluster, namespace: str) -> None:
    """More of them would find none either; when there is a node again the pool is sized again."""
    homeless: Document = {
        "spec": {"containers": [{"name": "agent", "image": "agent"}], "nodeSelector": {"gpu": "there-is-none"}}
    }
    pool(sandboxes, namespace, pod=homeless, replicas=1)
    with warming(sandboxes, {f"{namespace}/python": {"mode": "recommend", "min": 5, "max": 5}}) as scaler:
        until(lambda: scaler.metric("members", stage="stuck") == 1 or None)
        scaler.tell({f"{namespace}/python": {"mode": "auto", "min": 5, "max": 5}})
        until(lambda: scaler.metric("decision_info", reason="unschedulable") == 1 or None)
        assert size(sandboxes, namespace) == 1


def test_claims_that_must_start_cold_do_not_make_the_pool_grow(sandboxes: Cluster, namespace: str) -> None:
    """They are booked apart, and are no misses."""
    pool(sandboxes, namespace)
    template: Document = {"spec": {"envVarsInjectionPolicy": "Allowed"}}
    patched(sandboxes, namespace, "sandboxtemplates", "python", template)
    with warming(sandboxes, {f"{namespace}/python": {"min": 2, "max": 50, "miss_target": 0.5}}) as scaler:
        filled(sandboxes, namespace, 2)
        before = size(sandboxes, namespace)
        own: Json = [{"name": "TASK", "value": "mine", "containerName": "agent"}]
        for i in range(20):
            claim(sandboxes, namespace, f"cold-{i}", env=own)
        until(lambda: scaler.served("bypass") == 20 or None)
        assert size(sandboxes, namespace) == before
        assert scaler.served("cold") == 0
        assert scaler.metric("claim_rate") == 0


def test_a_pool_that_an_hpa_scales_is_left_to_it(sandboxes: Cluster, namespace: str) -> None:
    """And taken up when the HPA is gone."""
    pool(sandboxes, namespace, replicas=1)
    target: Document = {"apiVersion": "extensions.agents.x-k8s.io/v1beta1", "kind": "SandboxWarmPool", "name": "python"}
    hpa: Document = {
        "apiVersion": "autoscaling/v2",
        "kind": "HorizontalPodAutoscaler",
        "metadata": {"name": "python"},
        "spec": {"scaleTargetRef": target, "minReplicas": 1, "maxReplicas": 9},
    }
    sandboxes.api.apply([hpa], namespace=namespace)
    with warming(sandboxes, {f"{namespace}/python": {"min": 3, "max": 3}}) as scaler:
        until(lambda: scaler.blocked("rival"))
        assert size(sandboxes, namespace) == 1
        sandboxes.api.delete(f"/apis/autoscaling/v2/namespaces/{namespace}/horizontalpodautoscalers/python")
        becomes(sandboxes, namespace, 3)


def test_a_size_that_falls_takes_no_claimed_sandbox(sandboxes: Cluster, namespace: str) -> None:
    """The file lowers the maximum while claims arrive; every one of them keeps what it got."""
    pool(sandboxes, namespace)
    with warming(sandboxes, {f"{namespace}/python": {"min": 12, "max": 12}}) as scaler:
        becomes(sandboxes, namespace, 12)
        scaler.tell({f"{namespace}/python": {"min": 1, "max": 2}})
        for i in range(10):
            claim(sandboxes, namespace, f"claim-{i}")
        until(lambda: len(claimed(sandboxes, namespace)) == 10 or None)
        mine = claimed(sandboxes, namespace)
        becomes(sandboxes, namespace, 2)
        assert mine == claimed(sandboxes, namespace)
        assert ready(sandboxes, namespace) == 2
