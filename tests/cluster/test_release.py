"""Letting go: whatever state the controller is in, one command leaves nothing of ours, and everything deletes."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from scaler.controller.names import FORCE, HOLDS, POOLS, WORD
from tests.cluster.guarding import (
    CONTROLLER,
    KEY,
    PROTECTED,
    Ward,
    asked,
    metadata,
    objects,
    pod,
    settle,
    ward,
)
from tests.cluster.harness.cluster import Cluster
from tests.cluster.harness.rest import MERGE, Api, Document, RefusedError
from tests.cluster.harness.shipped import HOME, rendered
from tests.cluster.harness.shipped import PROTECTED as SHIPPED
from tests.cluster.harness.wait import until
from tests.cluster.test_guard_cascades import running, workload
from tests.cluster.test_guard_essentials import declare
from tests.cluster.test_guard_matrix import SENTINEL

ADMISSION = "/apis/admissionregistration.k8s.io/v1"
RIGHTS = "/apis/rbac.authorization.k8s.io/v1"


@pytest.fixture
def place(cluster: Cluster, request: pytest.FixtureRequest) -> Iterator[Ward]:
    """A namespace, and the guards in the cluster; the test takes them away, and what it leaves is taken here."""
    documents = objects()
    cluster.api.apply(sorted(documents, key=lambda document: str(document["kind"]).endswith("Binding")))
    settle(cluster)
    try:
        with ward(cluster, request.node.name) as made:
            yield made
    finally:
        for document in reversed(documents):
            cluster.api.delete(cluster.api.path(document))


def written(place: Ward) -> None:
    """What a controller leaves of a pool: words, marks and budget; a pod of each phase; three more of a Deployment."""
    declare(place, coder="selector:app=coder;guard:deny;grace:600;tolerate:NoExecute")
    place.cluster.api.apply([SENTINEL], namespace=place.name)
    until(lambda: pinned(place) or None)
    path = workload(place)
    holds: Document = {"metadata": {"labels": {HOLDS: "true"}}}
    for each in (path, f"/api/v1/namespaces/{place.name}"):
        asked(place.voice(CONTROLLER), "PATCH", each, holds, content=MERGE)
    first, second, _ = sorted(running(place))
    place.mark(first)
    place.commit(first)
    place.mark(second)


def pinned(place: Ward) -> bool:
    """Pods are born with the essentials."""
    probe: Document = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "probe", "labels": {"app": "coder"}},
        "spec": {"containers": [{"name": "agent", "image": "agent"}]},
    }
    made = asked(place.cluster.api, "POST", place.path(query="?dryRun=All"), probe).document or {"metadata": {}}
    return "annotations" in metadata(made)


def scaler(kubeconfig: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """The command, as a person of this kubeconfig runs it."""
    command = [str(Path(sys.executable).with_name("scaler")), *arguments, "--kubeconfig", str(kubeconfig)]
    return subprocess.run(command, check=False, capture_output=True, encoding="utf-8", timeout=300)


def ours(place: Ward) -> list[str]:
    """All that bears our name: policies, budgets, and words on the namespace, owners and pods."""
    api = place.cluster.api
    policies = ("validatingadmissionpolicies", "mutatingadmissionpolicies")
    kinds = [*policies, *(kind.replace("policies", "policybindings") for kind in policies)]
    found = [str(metadata(item)["name"]) for kind in kinds for item in api.items(f"{ADMISSION}/{kind}")]
    left = [name for name in found if name.startswith("agent-scaler-")]
    namespace = api.get(f"/api/v1/namespaces/{place.name}") or {}
    there = [namespace, *api.items(place.path(kind="apis/apps/v1/deployments")), *api.items(place.path())]
    words = [f"{metadata(item)['name']} {key}" for item in there for key in keys(item)]
    budgets = api.items(place.path(kind="apis/policy/v1/poddisruptionbudgets"))
    return left + words + [str(metadata(item)["name"]) for item in budgets]


def keys(item: Document) -> list[str]:
    """Our labels and annotations on an object, and the promises that the essentials made."""
    found = [metadata(item).get(part) for part in ("labels", "annotations")]
    every = [key for part in found if isinstance(part, dict) for key in part]
    return [key for key in every if "agent-scaler.io" in key or key.endswith(("do-not-disrupt", "safe-to-evict"))]


def everything_deletes(place: Ward) -> None:
    """Pods by the ReplicaSet, the Deployment, and the namespace, for anybody whom RBAC lets."""
    editor = place.voice("editor")
    path = place.path("coder", kind="apis/apps/v1/deployments")
    editor.request("PATCH", path, {"spec": {"replicas": 1}}, content=MERGE)
    until(lambda: len(place.names()) == 1 or None)
    assert asked(editor, "DELETE", path).status == 200
    place.await_only()
    assert asked(place.voice("admin-of-all"), "DELETE", f"/api/v1/namespaces/{place.name}").status == 200


def test_a_cluster_without_anything_of_ours_is_left_alone(cluster: Cluster, namespace: str) -> None:
    """Never installed: there is nothing to do, and that is said."""
    cluster.namespaces.settle()  # those of earlier stories bear marks of ours to their end
    mark = cluster.audit.mark()
    done = scaler(cluster.admin, "release", "--all", "--yes")
    assert (done.returncode, done.stdout) == (0, "nothing of ours is here\n"), done.stderr
    assert [r for r in cluster.audit.since(mark) if r.user == "admin" and r.verb not in {"get", "list"}] == []


def test_with_the_controller_dead_nothing_of_ours_is_left(place: Ward) -> None:
    """In the middle of its drains: the drained pod goes and is replaced, the others are anybody's."""
    written(place)
    before = running(place)
    done = scaler(place.cluster.admin, "release", "--all", "--yes", "--json")
    assert done.returncode == 0, done.stdout + done.stderr
    assert all(act["failed"] is None for act in json.loads(done.stdout))
    until(lambda: len(running(place)) == 3 or None)
    assert len(before & running(place)) == 2
    assert ours(place) == []
    everything_deletes(place)


@pytest.fixture
def half_dead(place: Ward, cluster: Cluster) -> Iterator[Api]:
    """The way of a controller that lives on under its own rights, whatever becomes of it.

    It is spoken for, so that what it is refused at the end does not count as a right that ours is missing.
    """
    kinds = ("Namespace", "ServiceAccount", "Role", "RoleBinding", "ClusterRole", "ClusterRoleBinding")
    made = [d for d in yaml.safe_load_all(rendered(SHIPPED)) if d["kind"] in kinds]
    cluster.namespaces.await_gone(HOME)  # an earlier story may have had it
    cluster.api.apply(made)
    yield cluster.api.acting(CONTROLLER, ["system:authenticated"])
    for document in made:
        if str(document["kind"]).startswith("ClusterRole"):
            cluster.api.delete(cluster.api.path(document))
    cluster.namespaces.drop(HOME)


def test_a_controller_that_lives_on_writes_nothing_back(place: Ward, half_dead: Api) -> None:
    """It applies its words and its budget all the time, until it has no right to."""
    written(place)
    writer, stop = Restless(half_dead, place), threading.Event()
    thread = threading.Thread(target=writer.run, args=(stop,))
    thread.start()
    try:
        done = scaler(place.cluster.admin, "release", "--all", "--yes")
    finally:
        stop.set()
        thread.join()
    assert done.returncode == 0, done.stdout + done.stderr
    assert writer.written > 0
    with pytest.raises(RefusedError, match="403"):
        writer.write()
    assert ours(place) == []
    everything_deletes(place)


class Restless:
    """Applies what a controller keeps, again and again."""

    def __init__(self, way: Api, place: Ward) -> None:
        self.way, self.place, self.written = way, place, 0

    def run(self, stop: threading.Event) -> None:
        """Until it is stopped."""
        while not stop.wait(0.05):
            try:
                self.write()
                self.written += 1
            except RefusedError:
                continue

    def write(self) -> None:
        """Once."""
        namespace: Document = {
            "apiVersion": "v1",
            "kind": "Namespace",
            "metadata": {
                "name": self.place.name,
                "labels": {POOLS: "true", HOLDS: "true"},
                "annotations": {f"{WORD}coder": "selector:app=coder"},
            },
        }
        self.way.request(
            "PATCH", f"/api/v1/namespaces/{self.place.name}", {"metadata": namespace["metadata"]}, content=MERGE
        )
        budgets = self.place.path("agent-scaler-coder", kind="apis/policy/v1/poddisruptionbudgets")
        body = SENTINEL
        self.way.request(
            "PATCH", f"{budgets}?fieldManager=agent-scaler&force=true", body, content="application/apply-patch+yaml"
        )


def test_one_pool_is_freed_by_a_person_with_the_verb(place: Ward) -> None:
    """While all guards stand: its pods are anybody's, and those of other pools stay guarded."""
    written(place)
    place.pod("other", labels={**PROTECTED, "app": "other", f"{KEY}pool": "other"})
    done = scaler(place.cluster.admin, "release", "--pool", f"{place.name}/coder", "--yes")
    assert done.returncode == 0, done.stdout + done.stderr
    until(lambda: len(running(place)) == 4 or None)
    for name in running(place) - {"other"}:
        assert set(keys(place.get(name))) <= {FORCE} | {f"{KEY}managed", f"{KEY}pool", f"{KEY}guard"} & set()
        assert asked(place.voice("editor"), "DELETE", place.path(name), {"dryRun": ["All"]}).status == 200
    assert asked(place.voice(), "DELETE", place.path("other")).policy == "agent-scaler-delete"


def test_an_editor_frees_nothing(place: Ward) -> None:
    """What could not be done is told, with the reason, and the exit code says so."""
    place.pod("agent")
    user = place.cluster.user("editor")
    done = scaler(user, "release", "--pool", f"{place.name}/coder", "--yes")
    assert done.returncode == 1
    assert "HTTP 403" in done.stderr
    assert asked(place.voice(), "DELETE", place.path("agent")).policy == "agent-scaler-delete"


def test_nothing_is_done_before_somebody_says_yes(place: Ward) -> None:
    """Without a terminal to ask on, it tells what it would do and how to have it done."""
    place.pod("agent")
    done = scaler(place.cluster.admin, "release", "--all")
    assert done.returncode == 2
    assert "--yes" in done.stderr
    assert asked(place.voice(), "DELETE", place.path("agent")).policy == "agent-scaler-delete"


def test_one_pod_is_given_up_by_one_command(place: Ward) -> None:
    """Marked and deleted in the person's own name, after it was told what is lost; all others stay guarded."""
    place.pod("stuck", phase="draining")
    place.pod("other")
    mark = place.cluster.audit.mark()
    done = scaler(place.cluster.admin, "release", "--pod", f"{place.name}/stuck", "--yes")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "the pod is draining, and what it holds is not known" in done.stderr
    assert done.stdout == f"give up pod {place.name}/stuck\ndelete pod {place.name}/stuck\n"
    place.await_only("other")
    did = [r for r in place.cluster.audit.since(mark) if r.name == "stuck" and r.verb in {"patch", "delete"}]
    assert {r.user for r in did if r.user != "kwok"} == {"admin"}
    assert asked(place.voice(), "DELETE", place.path("other")).policy == "agent-scaler-delete"


def test_a_pod_is_given_up_by_nobody_who_may_not(place: Ward) -> None:
    """An editor is refused, and told which rights it takes; the pod stays as it is."""
    place.pod("agent")
    done = scaler(place.cluster.user("editor"), "release", "--pod", f"{place.name}/agent", "--yes")
    assert done.returncode == 1
    assert "forcedrain" in done.stderr
    assert FORCE not in str(place.get("agent"))
    assert asked(place.voice(), "DELETE", place.path("agent")).policy == "agent-scaler-delete"


def test_a_pod_that_nothing_of_ours_guards_is_left_to_kubectl(place: Ward) -> None:
    """And one that is not there, or is drained, needs no giving up."""
    place.cluster.api.apply([pod("plain", {"app": "plain"})], namespace=place.name)
    done = scaler(place.cluster.admin, "release", "--pod", f"{place.name}/plain", "--yes")
    assert (done.returncode, "kubectl delete pod" in done.stderr) == (1, True), done.stderr
    gone = scaler(place.cluster.admin, "release", "--pod", f"{place.name}/gone", "--yes")
    assert (gone.returncode, gone.stderr) == (0, "there is no such pod\n")
    place.pod("done", phase="drained")
    told = scaler(place.cluster.admin, "release", "--pod", f"{place.name}/done", "--yes")
    assert told.stdout == f"delete pod {place.name}/done\n", told.stderr
    unasked = scaler(place.cluster.admin, "release", "--pod", "nonsense")
    assert unasked.returncode == 2
