"""Who may delete which pod: everybody who deletes pods in a cluster, by every verb, in every phase."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product

import pytest

from tests.cluster.guarding import KUBE, NODE, PROTECTED, Ward, asked, installed, objects, ward
from tests.cluster.harness.cluster import Cluster
from tests.cluster.harness.rest import Document
from tests.cluster.harness.wait import until

PHASES = ("active", "draining", "drained")
KUBELET, MASTERS = f"system:node:{NODE}", ""
REFUSED = (
    f"{KUBE}replicaset-controller",
    f"{KUBE}statefulset-controller",
    f"{KUBE}job-controller",
    f"{KUBE}daemon-set-controller",
    f"{KUBE}generic-garbage-collector",
    f"{KUBE}node-controller",  # whom the taint manager works as
    "system:kube-scheduler",  # who makes room for others
    "system:serviceaccount:apps:installer",
    MASTERS,
    "admin-of-all",
    "editor",
    "breaker",
)
EXEMPT = (f"{KUBE}namespace-controller", f"{KUBE}pod-garbage-collector", KUBELET)
COLLECTORS = (MASTERS, "admin-of-all", "editor", "system:serviceaccount:apps:installer")
DRY: Document = {"dryRun": ["All"]}
SENTINEL: Document = {
    "apiVersion": "policy/v1",
    "kind": "PodDisruptionBudget",
    "metadata": {"name": "agent-scaler-coder", "labels": {"agent-scaler.io/pool": "coder"}},
    "spec": {
        "minAvailable": 2147483647,
        "unhealthyPodEvictionPolicy": "IfHealthyBudget",
        "selector": {
            "matchLabels": {"agent-scaler.io/managed": "true", "agent-scaler.io/pool": "coder"},
            "matchExpressions": [{"key": "agent-scaler.io/phase", "operator": "NotIn", "values": ["drained"]}],
        },
    },
}


@pytest.fixture(scope="module")
def hall(cluster: Cluster) -> Iterator[Ward]:
    """A pod in each phase, under every guard."""
    with installed(cluster, objects()), ward(cluster, "matrix") as made:
        cluster.api.apply([SENTINEL], namespace=made.name)
        for phase in PHASES:
            made.pod(phase, phase=phase, labels={**PROTECTED, "one": phase})
        yield made


def groups(user: str) -> tuple[str, ...]:
    """Those that a certificate would say."""
    return ("system:nodes", "system:authenticated") if user == KUBELET else ()


@pytest.mark.parametrize(("user", "phase"), list(product(REFUSED, PHASES)))
@pytest.mark.parametrize("body", [{}, {"gracePeriodSeconds": 0}], ids=["delete", "at-once"])
def test_only_a_drained_pod_can_be_deleted(hall: Ward, user: str, phase: str, body: Document) -> None:
    """By nobody, with whatever grace; a pod that is drained by everybody whom RBAC lets."""
    options = body | DRY if phase == "drained" else body  # a query would be ignored beside a body
    answer = asked(hall.voice(user), "DELETE", hall.path(phase), options)
    expected = (200, "") if phase == "drained" else (403, "agent-scaler-delete")
    assert (answer.status, answer.policy) == expected, answer.message
    assert phase in hall.names()


@pytest.mark.parametrize(("user", "phase"), list(product(EXEMPT, PHASES)))
def test_who_cleans_up_after_a_node_or_a_namespace_is_let(hall: Ward, user: str, phase: str) -> None:
    """Without them the cluster would keep pods for ever that run nowhere."""
    answer = asked(hall.voice(user, groups(user)), "DELETE", hall.path(phase), DRY)
    assert answer.status == 200, answer.message


@pytest.mark.parametrize(("user", "phase"), list(product(COLLECTORS, PHASES)))
def test_a_collection_is_deleted_under_the_same_guard(hall: Ward, user: str, phase: str) -> None:
    """A collection has no name; its pods have."""
    dry = "&dryRun=All" if phase == "drained" else ""
    answer = asked(hall.voice(user), "DELETE", hall.path(query=f"?labelSelector=one={phase}{dry}"))
    expected = (200, "") if phase == "drained" else (403, "agent-scaler-delete")
    assert (answer.status, answer.policy) == expected, answer.message
    assert phase in hall.names()


def test_a_drained_pod_stays_where_one_of_its_collection_is_refused(hall: Ward) -> None:
    """So nobody of ours deletes collections."""
    assert asked(hall.voice(), "DELETE", hall.path()).status == 403
    assert hall.names() == set(PHASES)


@pytest.mark.parametrize(("user", "phase"), list(product((MASTERS, "admin-of-all", "editor"), PHASES)))
@pytest.mark.parametrize("dry", [False, True], ids=["evict", "dry-run"])
def test_only_a_drained_pod_can_be_evicted(hall: Ward, user: str, phase: str, dry: bool) -> None:
    """Evictions pass no policy; the sentinel budget refuses them, by its name."""
    body: Document = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": phase}}
    if dry or phase == "drained":
        body["deleteOptions"] = {"dryRun": ["All"]}

    def settled() -> bool | None:
        """The budget has been counted."""
        found = hall.cluster.api.get(hall.path("agent-scaler-coder", kind="apis/policy/v1/poddisruptionbudgets")) or {}
        status, meta = found.get("status"), found["metadata"]
        assert isinstance(meta, dict)
        return (isinstance(status, dict) and status.get("observedGeneration") == meta["generation"]) or None

    until(settled)
    answer = asked(hall.voice(user), "POST", hall.path(phase, sub="eviction"), body)
    assert answer.status == (200 if phase == "drained" else 429), answer.message
    assert phase in hall.names()


@pytest.mark.parametrize("phase", PHASES)
def test_a_dry_run_says_what_a_deletion_would_be_told(hall: Ward, phase: str) -> None:
    """Which is how the guards are tested while they are in force."""
    answer = asked(hall.voice(), "DELETE", hall.path(phase), DRY)
    assert (answer.status, answer.policy) == ((200, "") if phase == "drained" else (403, "agent-scaler-delete"))


def test_a_refusal_says_what_to_do(hall: Ward) -> None:
    """Which pod, in which phase, what is to be waited for, and the way out with the very uid."""
    message = asked(hall.voice(), "DELETE", hall.path("draining")).message
    assert "agent pod draining is draining, not drained" in message
    assert f"agent-scaler.io/force-delete={hall.uid('draining')}" in message


PRECONDITIONS = {
    "a wrong uid": ({"uid": "11111111-1111-1111-1111-111111111111"}, 409, 409),
    "an old version": ({"resourceVersion": "1"}, 409, 409),
    "the right uid": ({"uid": "{uid}"}, 403, 200),
}


@pytest.mark.parametrize("row", PRECONDITIONS)
def test_preconditions_are_held_before_the_guard(hall: Ward, row: str) -> None:
    """So a self-test may have none: it would be told of a conflict, whatever the guard."""
    wanted, undrained, drained = PRECONDITIONS[row]
    for pod, status in (("active", undrained), ("drained", drained)):
        precondition: Document = {k: v.replace("{uid}", hall.uid(pod)) for k, v in wanted.items()}
        body: Document = {"preconditions": precondition, "dryRun": ["All"]}
        assert asked(hall.voice(), "DELETE", hall.path(pod), body).status == status


@pytest.mark.parametrize(("given", "status"), [("{uid}", 200), ("11111111-1111-1111-1111-111111111111", 409)])
def test_an_eviction_can_name_the_pod_that_it_means(hall: Ward, given: str, status: int) -> None:
    """And none of the same name that came after it."""
    options: Document = {"dryRun": ["All"], "preconditions": {"uid": given.replace("{uid}", hall.uid("drained"))}}
    body: Document = {
        "apiVersion": "policy/v1",
        "kind": "Eviction",
        "metadata": {"name": "drained"},
        "deleteOptions": options,
    }
    assert asked(hall.voice(), "POST", hall.path("drained", sub="eviction"), body).status == status


def test_nothing_that_cannot_work_is_guarded(hall: Ward) -> None:
    """A pod without a node has never begun, and one that has ended will not."""
    hall.cluster.api.apply(
        [pending("homeless")],
        namespace=hall.name,
    )
    assert asked(hall.voice("editor"), "DELETE", hall.path("homeless")).status == 200
    hall.pod("ended")
    status: Document = {"status": {"phase": "Failed"}}
    asked(hall.voice(), "PATCH", hall.path("ended", sub="status"), status, content="application/merge-patch+json")
    assert asked(hall.voice("editor"), "DELETE", hall.path("ended", query="?gracePeriodSeconds=0")).status == 200


def pending(name: str) -> Document:
    """A guarded pod that no node takes."""
    spec: Document = {"nodeSelector": {"nowhere": "true"}, "containers": [{"name": "agent", "image": "agent"}]}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "labels": dict(PROTECTED)}, "spec": spec}
