"""The labels are the guard, so they are guarded: who may write which, by which way, and in which order."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from scaler.controller.dig import strings
from tests.cluster.guarding import (
    BIRTH,
    CONTROLLER,
    EPOCH,
    FORCE,
    KEY,
    KUBE,
    PROTECTED,
    Answer,
    Ward,
    asked,
    installed,
    metadata,
    objects,
    pod,
    ward,
)
from tests.cluster.harness.cluster import Cluster
from tests.cluster.harness.rest import APPLY, JSON_PATCH, MERGE, Document, Json

LABELS = "agent-scaler-labels"
OTHERS = (
    "",
    "editor",
    "breaker",
    "admin-of-all",
    "system:serviceaccount:apps:installer",
    f"{KUBE}replicaset-controller",
)
TAMPERING: dict[str, Document] = {
    "released": {"labels": {f"{KEY}phase": "drained"}},
    "marked": {"labels": {f"{KEY}phase": "draining"}, "annotations": {EPOCH: "1"}},
    "a new epoch": {"annotations": {EPOCH: "7"}},
    "asked for by a node": {"annotations": {f"{KEY}drain-asked-by": "node/node-a"}},
    "since long ago": {"annotations": {f"{KEY}drain-since": "2026-11-21T12:00:00Z"}},
    "not managed": {"labels": {f"{KEY}managed": "false"}},
    "managed taken off": {"labels": {f"{KEY}managed": None}},
    "only audited": {"labels": {f"{KEY}guard": "audit"}},
    "guard taken off": {"labels": {f"{KEY}guard": None}},
    "of another pool": {"labels": {f"{KEY}pool": "other"}},
    "all labels taken off": {"labels": None},
}
FREE: dict[str, Document] = {
    "another label": {"labels": {"team": "blue"}},
    "the selector's label": {"labels": {"app": "other"}},
    "a deletion cost": {"annotations": {"controller.kubernetes.io/pod-deletion-cost": "-5"}},
}


@pytest.fixture(scope="module")
def guarded(cluster: Cluster) -> Iterator[Cluster]:
    """Every guard is in force."""
    with installed(cluster, objects()):
        yield cluster


@pytest.fixture(scope="module")
def hall(guarded: Cluster) -> Iterator[Ward]:
    """A namespace with a pod that nobody may release."""
    with ward(guarded, "labels") as made:
        made.pod("agent")
        yield made


@pytest.fixture
def place(guarded: Cluster, request: pytest.FixtureRequest) -> Iterator[Ward]:
    """A namespace of the story's own."""
    with ward(guarded, request.node.name) as made:
        yield made


def refused(answer: Answer, policy: str = LABELS) -> None:
    """The policy said no, and said so by 403."""
    assert (answer.status, answer.policy) == (403, policy), answer.message


@pytest.mark.parametrize("user", OTHERS)
@pytest.mark.parametrize("how", TAMPERING)
def test_nobody_but_the_controller_may_write_our_labels(hall: Ward, user: str, how: str) -> None:
    """A merge patch, whoever sends it."""
    before = hall.get("agent")
    answer = hall.tell(user, "agent", TAMPERING[how])
    assert answer.status == 403, answer.message
    if user != f"{KUBE}replicaset-controller":  # who may not even patch pods
        refused(answer)
    assert metadata(hall.get("agent"))["labels"] == metadata(before)["labels"]


@pytest.mark.parametrize("how", TAMPERING)
@pytest.mark.parametrize("sub", ["", "status"])
def test_nor_by_a_way_around(hall: Ward, how: str, sub: str) -> None:
    """Metadata can be written through /status too."""
    refused(hall.tell("", "agent", TAMPERING[how], sub=sub))


def test_nor_by_applying_with_force(hall: Ward) -> None:
    """Server-side apply takes a field from its owner, and is an UPDATE all the same."""
    body: Document = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "agent", "labels": {f"{KEY}phase": "drained"}},
    }
    path = hall.path("agent", query="?fieldManager=somebody&force=true")
    refused(asked(hall.voice(), "PATCH", path, body, content=APPLY))


def test_nor_by_putting_the_whole_pod(hall: Ward) -> None:
    """Without its labels."""
    whole = hall.get("agent")
    bare = {k: v for k, v in metadata(whole).items() if k != "labels"}
    refused(asked(hall.voice(), "PUT", hall.path("agent"), whole | {"metadata": bare}))


def test_nor_may_anybody_mark_a_pod_of_their_own_as_ours(hall: Ward) -> None:
    """It would be undeletable, and nobody would drain it."""
    hall.cluster.api.apply([pod("ordinary", {"app": "web"})], namespace=hall.name)
    refused(hall.tell("editor", "ordinary", {"labels": {f"{KEY}managed": "true"}}))
    assert hall.tell(CONTROLLER, "ordinary", {"labels": {f"{KEY}managed": "true"}}).status == 200


@pytest.mark.parametrize("how", FREE)
def test_everything_else_of_a_pod_is_free(hall: Ward, how: str) -> None:
    """The guard is on our words alone."""
    assert hall.tell("editor", "agent", FREE[how]).status == 200


def test_what_kubelets_and_people_do_to_a_pod_goes_on(hall: Ward) -> None:
    """A status, and a container to look into it."""
    status: Document = {"status": {"message": "busy"}}
    assert asked(hall.voice(), "PATCH", hall.path("agent", sub="status"), status, content=MERGE).status == 200
    looking: Document = {"spec": {"ephemeralContainers": [{"name": "look", "image": "look"}]}}
    path, kind = hall.path("agent", sub="ephemeralcontainers"), "application/strategic-merge-patch+json"
    assert asked(hall.voice(), "PATCH", path, looking, content=kind).status == 200


def commit_of(uid: str, epoch: str) -> Json:
    """The controller's one irreversible patch."""
    return [
        {"op": "test", "path": "/metadata/uid", "value": uid},
        {"op": "test", "path": "/metadata/labels/agent-scaler.io~1phase", "value": "draining"},
        {"op": "test", "path": "/metadata/annotations/agent-scaler.io~1drain-epoch", "value": epoch},
        {"op": "replace", "path": "/metadata/labels/agent-scaler.io~1phase", "value": "drained"},
    ]


def committed(place: Ward, uid: str, epoch: str) -> int:
    """What the controller is answered to it."""
    way, path = place.voice(CONTROLLER), place.path("agent")
    return asked(way, "PATCH", path, commit_of(uid, epoch), content=JSON_PATCH).status


def test_a_drain_from_its_mark_to_its_end(place: Ward) -> None:
    """422 is for a patch that met another state, 403 for what is never allowed; nothing else ever answers 422."""
    place.pod("agent")
    uid = place.uid("agent")
    refused(place.commit("agent"))
    refused(place.tell(CONTROLLER, "agent", {"labels": {f"{KEY}phase": "draining"}}))
    assert place.mark("agent", 1).status == 200
    refused(place.tell(CONTROLLER, "agent", {"labels": {f"{KEY}phase": "drained"}, "annotations": {EPOCH: "2"}}))
    refused(place.tell(CONTROLLER, "agent", {"labels": {f"{KEY}phase": "asleep"}}))
    refused(place.tell(CONTROLLER, "agent", {"labels": {f"{KEY}phase": "active"}}))
    cancel: Document = {"labels": {f"{KEY}phase": "active"}, "annotations": {EPOCH: "2"}}
    assert place.tell(CONTROLLER, "agent", cancel).status == 200
    assert place.mark("agent", 3).status == 200
    assert committed(place, uid, "1") == 422
    assert committed(place, "another", "3") == 422
    assert committed(place, uid, "3") == 200
    assert committed(place, uid, "3") == 422


@pytest.mark.parametrize("epoch", ["0", "1", "", "-3", "2.5", "soon", None])
def test_an_epoch_only_rises(place: Ward, epoch: str | None) -> None:
    """A leader of yesterday opens no epoch that has been."""
    place.pod("agent", phase="draining")
    assert place.mark("agent", 2).status == 200
    refused(place.tell(CONTROLLER, "agent", {"annotations": {EPOCH: epoch}}))


@pytest.mark.parametrize("after", ["active", "draining", None])
def test_drained_never_reverts(place: Ward, after: str | None) -> None:
    """Not even by the controller, in whatever epoch."""
    place.pod("agent", phase="drained")
    refused(place.tell(CONTROLLER, "agent", {"labels": {f"{KEY}phase": after}, "annotations": {EPOCH: "9"}}))


def test_not_even_the_controller_lets_go_of_a_pod(place: Ward) -> None:
    """A pod is ours from its birth to its end."""
    place.pod("agent")
    refused(place.tell(CONTROLLER, "agent", {"labels": {f"{KEY}managed": None}}))


BORN: dict[str, Document] = {
    "drained": {"labels": {f"{KEY}phase": "drained"}},
    "active": {"labels": {f"{KEY}phase": "active"}},
    "in an epoch": {"annotations": {EPOCH: "7"}},
    "forced": {"annotations": {FORCE: "yes"}},
}


@pytest.mark.parametrize("how", BORN)
def test_no_pod_is_born_with_our_words(hall: Ward, how: str) -> None:
    """A template could release every pod it makes."""
    wanted = pod("born", PROTECTED)
    born, said = BORN[how], metadata(wanted)
    said["labels"] = {**PROTECTED, **strings(born, "labels")}
    said["annotations"] = dict(strings(born, "annotations"))
    answer = asked(hall.voice("editor"), "POST", hall.path(), wanted)
    refused(answer, BIRTH)


def test_a_binding_writes_none_of_our_words(place: Ward) -> None:
    """Who binds a pod to a node may label it."""
    place.cluster.api.apply([pod("agent", PROTECTED, nodeSelector={"nowhere": "true"})], namespace=place.name)
    binding: Document = {
        "apiVersion": "v1",
        "kind": "Binding",
        "metadata": {"name": "agent", "labels": {f"{KEY}guard": "audit"}},
        "target": {"kind": "Node", "name": "node-a"},
    }
    refused(asked(place.voice(), "POST", place.path("agent", sub="binding"), binding), BIRTH)


BREAKING = {
    "a person who may": ("breaker", 200, 200),
    "a cluster's administrator": ("admin-of-all", 200, 200),
    "an editor": ("editor", 403, 403),
    "an installer that may do everything": ("system:serviceaccount:apps:installer", 403, 403),
    "the controller": (CONTROLLER, 403, 403),
}


@pytest.mark.parametrize("who", BREAKING)
def test_a_person_with_the_verb_may_give_up_a_pod(place: Ward, who: str) -> None:
    """In two acts, both in the audit log: an annotation that names this very pod, and the deletion."""
    user, annotated, deleted = BREAKING[who]
    place.pod("agent")
    assert asked(place.voice(user), "DELETE", place.path("agent")).policy == "agent-scaler-delete"
    answer = place.tell(user, "agent", {"annotations": {FORCE: place.uid("agent")}})
    assert answer.status == annotated, answer.message
    assert asked(place.voice(user), "DELETE", place.path("agent")).status == deleted


@pytest.mark.parametrize("value", ["yes", "11111111-1111-1111-1111-111111111111", ""])
def test_only_the_very_uid_gives_a_pod_up(place: Ward, value: str) -> None:
    """What was meant for another pod, or stands in a template, releases nothing."""
    place.pod("agent")
    assert place.tell("breaker", "agent", {"annotations": {FORCE: value}}).status == 200
    refused(asked(place.voice("breaker"), "DELETE", place.path("agent")), "agent-scaler-delete")


@pytest.mark.parametrize("user", [f"{KUBE}replicaset-controller", f"{KUBE}generic-garbage-collector", CONTROLLER])
def test_what_a_person_gave_up_no_machine_takes(place: Ward, user: str) -> None:
    """A controller that tries again and again would take it the moment the annotation is there."""
    place.pod("agent")
    assert place.tell("breaker", "agent", {"annotations": {FORCE: place.uid("agent")}}).status == 200
    refused(asked(place.voice(user), "DELETE", place.path("agent")), "agent-scaler-delete")


FREEING = {
    "a person with the verb": ("breaker", 200),
    "an editor": ("editor", 403),
    "an installer that may do everything": ("system:serviceaccount:apps:installer", 403),
    "the controller": (CONTROLLER, 403),
}


@pytest.mark.parametrize("who", FREEING)
def test_a_person_with_the_verb_may_make_a_pod_nobodys(place: Ward, who: str) -> None:
    """All our labels go at once, in a patch that names the very pod as given up; from then on anybody deletes it."""
    user, status = FREEING[who]
    place.pod("agent", phase="draining")
    ours = dict.fromkeys(f"{KEY}{key}" for key in ("managed", "pool", "guard", "phase"))
    given_up: Document = {FORCE: place.uid("agent"), EPOCH: None}
    assert place.tell(user, "agent", {"labels": {**ours}, "annotations": given_up}).status == status
    deleted = asked(place.voice("editor"), "DELETE", place.path("agent"))
    assert deleted.status == status


def test_labels_that_are_forgotten_are_not_taken_off(place: Ward) -> None:
    """Who replaces a pod without them has not said that its work may go."""
    place.pod("agent")
    refused(place.tell("breaker", "agent", {"labels": dict.fromkeys(PROTECTED)}))
