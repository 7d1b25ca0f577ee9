"""What takes many pods at once: owners that go, namespaces, taints, rollouts; and the turn from audit to deny."""

from __future__ import annotations

import subprocess
from collections import Counter
from collections.abc import Iterator

import pytest

from tests.cluster.guarding import (
    CONTROLLER,
    FORCE,
    KEY,
    KUBE,
    PROTECTED,
    Ward,
    asked,
    installed,
    metadata,
    objects,
    pod,
    ward,
)
from tests.cluster.guarding import spec as inner
from tests.cluster.harness import kwok
from tests.cluster.harness.assets import Assets
from tests.cluster.harness.cluster import Cluster
from tests.cluster.harness.rest import JSON_PATCH, MERGE, Document, Json
from tests.cluster.harness.wait import until
from tests.cluster.test_guard_essentials import declare
from tests.cluster.test_guard_matrix import SENTINEL

DEPLOYMENTS = "apis/apps/v1/deployments"
GARBAGE = f"{KUBE}generic-garbage-collector"
TAINTS = f"{KUBE}node-controller"
STRATEGIC = "application/strategic-merge-patch+json"
FOREVER: Document = {"operator": "Exists", "effect": "NoExecute"}


@pytest.fixture(scope="module")
def guarded(cluster: Cluster) -> Iterator[Cluster]:
    """Every guard is in force."""
    with installed(cluster, objects()):
        yield cluster


@pytest.fixture
def place(guarded: Cluster, request: pytest.FixtureRequest) -> Iterator[Ward]:
    """A namespace of the story's own."""
    with ward(guarded, request.node.name) as made:
        yield made


def workload(place: Ward, replicas: int = 3, *, kind: str = "Deployment", **spec: Json) -> str:
    """A workload whose pods are guarded and run. The value is its path."""
    made: Document = {
        "apiVersion": "apps/v1",
        "kind": kind,
        "metadata": {"name": "coder"},
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": {"app": "coder"}},
            "template": {
                "metadata": {"labels": dict(PROTECTED)},
                "spec": {"containers": [{"name": "agent", "image": "agent"}], **spec},
            },
        },
    }
    if kind == "StatefulSet":
        inner(made)["serviceName"] = "coder"
    place.cluster.api.apply([made], namespace=place.name)
    until(lambda: len(running(place)) == replicas or None)
    return place.cluster.api.path(made, place.name)


def running(place: Ward) -> set[str]:
    """The pods that run."""
    pods = [p for p in place.cluster.api.items(place.path()) if kwok.is_ready(p)]
    return {str(metadata(p)["name"]) for p in pods}


def drain(place: Ward, *names: str) -> None:
    """The controller drains these pods."""
    for name in names:
        told = [place.mark(name), place.commit(name)]
        assert [answer.status for answer in told] == [200, 200], told


def denied(place: Ward, mark: int) -> Counter[str]:
    """How often each was refused the deletion of a pod."""
    asked_for = [r for r in place.cluster.audit.since(mark) if r.namespace == place.name and r.resource == "pods"]
    return Counter(r.user for r in asked_for if r.verb == "delete" and r.status == 403)


@pytest.mark.parametrize("propagation", ["Background", "Foreground"])
def test_pods_outlive_the_deployment_until_they_are_drained(place: Ward, propagation: str) -> None:
    """The garbage collector asks again and again, and takes each pod once it is drained."""
    path, mark = workload(place), place.cluster.audit.mark()
    pods = sorted(place.names())
    place.cluster.api.request("DELETE", path, {"propagationPolicy": propagation})
    until(lambda: denied(place, mark)[GARBAGE] >= 5 or None, within=120.0)
    assert place.names() == set(pods)
    drain(place, *pods[:1])
    place.await_only(*pods[1:])
    drain(place, *pods[1:])
    place.await_only()
    until(lambda: place.cluster.api.get(path) is None or None, within=120.0)


def test_orphans_are_adopted_again(place: Ward) -> None:
    """Nothing of a pod's life with its owners is refused."""
    path, mark = workload(place), place.cluster.audit.mark()
    uids = {place.uid(name) for name in place.names()}
    place.cluster.api.request("DELETE", path, {"propagationPolicy": "Orphan"})
    until(lambda: place.cluster.api.get(path) is None or None)
    workload(place)

    def adopted() -> bool | None:
        """The Deployment counts every pod as its own."""
        status = (place.cluster.api.get(path) or {}).get("status")
        return (isinstance(status, dict) and status.get("readyReplicas") == 3) or None

    until(adopted)
    assert {place.uid(name) for name in place.names()} == uids
    refused = [r for r in place.cluster.audit.since(mark) if r.namespace == place.name and r.status in {403, 422}]
    assert refused == []


def test_a_rollout_waits_for_the_old_pods(place: Ward) -> None:
    """The new ones start beside them, and each old one goes when it is drained."""
    path = workload(place)
    old = sorted(place.names())
    body: Document = {"spec": {"template": {"metadata": {"annotations": {"version": "2"}}}}}
    place.cluster.api.request("PATCH", path, body, content=MERGE)
    until(lambda: len(running(place)) > 3 or None)
    assert set(old) < place.names()
    drain(place, *old)
    until(lambda: not (set(old) & place.names()) or None)
    assert len(place.names()) == 3


def test_a_deployment_that_is_lowered_waits_for_drained_pods(place: Ward) -> None:
    """And starts no other in the place of those that it could not delete."""
    path, mark = workload(place, 4), place.cluster.audit.mark()
    pods = sorted(place.names())
    place.cluster.api.request("PATCH", path, {"spec": {"replicas": 2}}, content=MERGE)
    until(lambda: denied(place, mark)[f"{KUBE}replicaset-controller"] >= 4 or None)
    assert place.names() == set(pods)
    drain(place, *pods)
    until(lambda: len(place.names()) == 2 or None)


def test_a_stateful_set_that_is_lowered_stops_at_its_highest_pod(place: Ward) -> None:
    """Drained ones below it stay, for it takes them in order."""
    path, mark = workload(place, 3, kind="StatefulSet"), place.cluster.audit.mark()
    drain(place, "coder-1")
    place.cluster.api.request("PATCH", path, {"spec": {"replicas": 1}}, content=MERGE)
    until(lambda: denied(place, mark)[f"{KUBE}statefulset-controller"] >= 3 or None)
    assert place.names() == {"coder-0", "coder-1", "coder-2"}
    drain(place, "coder-2")
    place.await_only("coder-0")


HELD = {"Deployment": DEPLOYMENTS, "StatefulSet": "apis/apps/v1/statefulsets"}


@pytest.mark.parametrize("kind", HELD)
def test_what_holds_pods_that_work_is_not_deleted(place: Ward, kind: str) -> None:
    """Nobody deletes it but a person with the verb, in two acts; once the label is gone, anybody does."""
    path = workload(place, 1, kind=kind)
    held: Document = {"metadata": {"labels": {f"{KEY}holds": "true"}}}
    place.cluster.api.request("PATCH", path, held, content=MERGE)
    for user in ("", "editor", "breaker", GARBAGE):
        answer = asked(place.voice(user), "DELETE", path)
        assert (answer.status, answer.policy) == (403, "agent-scaler-owners"), answer.message
    uid = str(metadata(place.cluster.api.get(path) or {})["uid"])
    force: Document = {"metadata": {"annotations": {FORCE: uid}}}
    answer = asked(place.voice("editor"), "PATCH", path, force, content=MERGE)
    assert (answer.status, answer.policy) == (403, "agent-scaler-owner-labels"), answer.message
    assert asked(place.voice("breaker"), "PATCH", path, force, content=MERGE).status == 200
    assert asked(place.voice(""), "DELETE", path, {"dryRun": ["All"]}).status == 200
    assert asked(place.voice("breaker"), "DELETE", path, {"dryRun": ["All"]}).status == 200
    free: Document = {"metadata": {"labels": {f"{KEY}holds": None}, "annotations": {FORCE: None}}}
    assert asked(place.voice("editor"), "PATCH", path, free, content=MERGE).status == 200
    assert asked(place.voice("editor"), "DELETE", path).status == 200


def test_a_namespace_that_holds_pods_is_not_deleted(place: Ward) -> None:
    """Its end would take them all; and nobody but the controller or a person with the verb takes the label off."""
    place.pod("agent")
    path, owner = f"/api/v1/namespaces/{place.name}", "admin-of-all"
    held: Document = {"metadata": {"labels": {f"{KEY}holds": "true"}}}
    free: Document = {"metadata": {"labels": {f"{KEY}holds": None}}}
    installer = place.voice("system:serviceaccount:apps:installer")
    place.cluster.api.request("PATCH", path, held, content=MERGE)
    assert asked(place.voice(owner), "DELETE", path).policy == "agent-scaler-owners"
    assert asked(installer, "PATCH", path, free, content=MERGE).policy == "agent-scaler-owner-labels"
    assert asked(installer, "PATCH", path, {"metadata": {"labels": {"team": "x"}}}, content=MERGE).status == 200
    assert asked(place.voice(CONTROLLER), "PATCH", path, free, content=MERGE).status == 200
    assert asked(place.voice(owner), "DELETE", path, {"dryRun": ["All"]}).status == 200


def test_a_namespace_that_may_go_takes_its_pods(place: Ward) -> None:
    """Stated, and so shown: the namespace controller is exempt, or no namespace would ever end."""
    place.pod("agent")
    place.cluster.api.request("DELETE", f"/api/v1/namespaces/{place.name}")
    place.await_only()


@pytest.fixture
def node(cluster: Cluster) -> Iterator[str]:
    """A node of the story's own, which no other pod goes to."""
    name = "node-of-a-story"
    made = kwok.node(name, "a")
    made["spec"] = {"taints": [{"key": "story", "effect": "NoSchedule"}]}
    cluster.api.apply([made])
    until(lambda: kwok.is_ready(cluster.api.get(f"/api/v1/nodes/{name}") or {}) or None)
    yield name
    cluster.api.delete(f"/api/v1/nodes/{name}")


def on(node: str, *tolerations: Json) -> Document:
    """A pod's spec that puts it on this node."""
    story: Document = {"key": "story", "operator": "Exists", "effect": "NoSchedule"}
    return {"nodeSelector": {"kubernetes.io/hostname": node}, "tolerations": [story, *tolerations]}


def test_a_taint_takes_no_pod(place: Ward, node: str) -> None:
    """Refused where the pod has no toleration, and not even asked where it was given one."""
    place.pod("bare", spec=on(node))
    place.pod("tolerant", spec=on(node, FOREVER))
    mark = place.cluster.audit.mark()
    taint: Json = [{"op": "add", "path": "/spec/taints/-", "value": {"key": "fire", "effect": "NoExecute"}}]
    place.cluster.api.request("PATCH", f"/api/v1/nodes/{node}", taint, content=JSON_PATCH)
    until(lambda: denied(place, mark)[TAINTS] >= 5 or None, within=120.0)
    assert place.names() == {"bare", "tolerant"}
    asked_for = [r for r in place.cluster.audit.since(mark) if r.verb == "delete" and r.user == TAINTS]
    assert {r.name for r in asked_for} == {"bare"}


def test_a_node_is_not_drained_by_force_and_is_once_its_pods_are_drained(place: Ward, node: str) -> None:
    """By evictions, which the budget refuses, or by deletions instead of them; and a dry run says so.

    Nor is a pod that is not ready, which other budgets give up: it may work all the same. A budget of somebody else's
    makes every eviction fail, and lets it pass once the pod is out of ours.
    """
    drained = ("drain", node, "--pod-selector=app=coder", "--force")
    place.cluster.api.apply([SENTINEL], namespace=place.name)
    for name in ("first", "second"):
        place.pod(name, spec=on(node))
    late: Document = {"status": {"conditions": [{"type": "Ready", "status": "False"}]}}
    place.cluster.api.request("PATCH", place.path("second", sub="status"), late, content=STRATEGIC)
    evicting = kubectl(place, *drained, "--timeout=2s")
    assert (evicting.returncode, evicting.stderr.count("violate the pod's disruption budget") >= 2) == (1, True), (
        evicting
    )
    deleting = kubectl(place, *drained, "--disable-eviction", "--timeout=10s")
    assert (deleting.returncode, "'agent-scaler-delete'" in deleting.stderr) == (1, True), deleting
    trying = kubectl(place, *drained, "--dry-run=server", "--timeout=2s")
    assert (trying.returncode, "violate" in trying.stderr) == (1, True), trying
    # Without the last field none but the first eviction passes, if that is the ready pod's: then no pod is healthy.
    foreign: Document = {
        "minAvailable": 0,
        "selector": {"matchLabels": {"app": "coder"}},
        "unhealthyPodEvictionPolicy": "AlwaysAllow",
    }
    place.cluster.api.apply([{**SENTINEL, "metadata": {"name": "web"}, "spec": foreign}], namespace=place.name)
    doubled = kubectl(place, *drained, "--timeout=10s")
    assert "more than one PodDisruptionBudget" in doubled.stderr, doubled
    assert running(place) == {"first"}
    assert place.names() == {"first", "second"}
    drain(place, "first", "second")
    ended = kubectl(place, *drained, "--timeout=30s")
    assert ended.returncode == 0, ended
    place.await_only()


def test_a_pool_turns_from_audit_to_deny_by_one_field(place: Ward) -> None:
    """While it is audited its pods go, with a warning, and the API server counts what would have been refused."""
    api = place.cluster.api
    for guard in ("audit", "deny"):
        declare(place, coder=f"selector:app=coder;guard:{guard}")

        def heard(guard: str = guard) -> bool | None:
            """Pods are born under it."""
            made = asked(api, "POST", place.path(query="?dryRun=All"), pod("probe", {"app": "coder"})).document or {}
            labels = metadata(made)["labels"]
            return (isinstance(labels, dict) and labels.get(f"{KEY}guard") == guard) or None

        until(heard)
        place.pod(guard, labels={"app": "coder"})
    before = counted(place)
    assert "Warning: Validation failed for ValidatingAdmissionPolicy 'agent-scaler-delete'" in deleted(place, "audit")
    assert counted(place) == before + 1
    assert "denied request: agent pod deny is active" in deleted(place, "deny")
    place.await_only("deny")


def test_the_controller_turns_the_guard_of_pods_that_are_there(place: Ward) -> None:
    """Nobody else does, in either direction."""
    place.pod("agent", labels={**PROTECTED, f"{KEY}guard": "audit"})
    assert asked(place.voice(), "DELETE", place.path("agent"), {"dryRun": ["All"]}).status == 200
    assert place.tell("editor", "agent", {"labels": {f"{KEY}guard": "deny"}}).status == 403
    assert place.tell(CONTROLLER, "agent", {"labels": {f"{KEY}guard": "deny"}}).status == 200
    assert asked(place.voice(), "DELETE", place.path("agent")).policy == "agent-scaler-delete"


def kubectl(place: Ward, *arguments: str) -> subprocess.CompletedProcess[str]:
    """What kubectl does and says, as the administrator."""
    command = [str(Assets.usual().binary("kubectl")), "--kubeconfig", str(place.cluster.admin), *arguments]
    return subprocess.run(command, check=False, capture_output=True, encoding="utf-8", timeout=60)


def deleted(place: Ward, name: str) -> str:
    """What a person reads who deletes the pod."""
    return kubectl(place, "delete", "pod", name, "-n", place.name, "--wait=false").stderr


def counted(place: Ward) -> float:
    """How often the API server let pass what the delete guard would have refused."""
    pages = kubectl(place, "get", "--raw", "/metrics").stdout.splitlines()
    name = "apiserver_validating_admission_policy_check_total{"
    ours = [line for line in pages if line.startswith(name) and 'policy="agent-scaler-delete"' in line]
    return sum(float(line.rpartition(" ")[2]) for line in ours if 'enforcement_action="audit"' in line)
