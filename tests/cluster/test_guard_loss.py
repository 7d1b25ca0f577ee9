"""Every guard is needed: under all of them each attack fails, and without its own each takes a pod that works."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

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
    missing,
    objects,
    pod,
    ward,
)
from tests.cluster.harness.cluster import Cluster
from tests.cluster.harness.rest import MERGE, Document
from tests.cluster.harness.wait import until
from tests.cluster.test_guard_essentials import FULL, OURS, annotated, born, declare
from tests.cluster.test_guard_matrix import SENTINEL

RS = f"{KUBE}replicaset-controller"


@dataclass(frozen=True, slots=True)
class Attack:
    """Something that takes a pod which works, unless a guard stands in its way.

    Attributes:
        guard: the guard: the name of its binding, or of the budget.
        run: does it in a ward where ``agent`` works; whatever it is told.
    """

    guard: str
    run: Callable[[Ward], object]


def deletes(place: Ward) -> object:
    """A ReplicaSet that was lowered."""
    return asked(place.voice(RS), "DELETE", place.path("agent"))


def evicts(place: Ward) -> object:
    """A node that is drained."""
    body: Document = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": "agent"}}
    return asked(place.voice("editor"), "POST", place.path("agent", sub="eviction"), body)


def deletes_the_budget(place: Ward) -> object:
    """Somebody takes away what an eviction is held against."""
    path = place.path("agent-scaler-coder", kind="apis/policy/v1/poddisruptionbudgets")
    asked(place.voice("system:serviceaccount:apps:installer"), "DELETE", path)
    return evicts(place)


def releases(place: Ward) -> object:
    """Somebody who may write a status labels the pod as drained through it."""
    place.tell("", "agent", {"labels": {f"{KEY}phase": "drained"}}, sub="status")
    return deletes(place)


def audits(place: Ward) -> object:
    """Somebody turns the guard of one pod to audit."""
    place.tell("editor", "agent", {"labels": {f"{KEY}guard": "audit"}})
    return deletes(place)


def forces(place: Ward) -> object:
    """Somebody without the verb writes the annotation of those who have it."""
    place.tell("editor", "agent", {"annotations": {FORCE: place.uid("agent")}})
    return asked(place.voice("editor"), "DELETE", place.path("agent"))


def drops_the_namespace(place: Ward) -> object:
    """Somebody deletes the namespace."""
    return asked(place.voice("admin-of-all"), "DELETE", f"/api/v1/namespaces/{place.name}")


def frees_the_namespace(place: Ward) -> object:
    """Somebody takes the label off the namespace first."""
    path = f"/api/v1/namespaces/{place.name}"
    body: Document = {"metadata": {"labels": {f"{KEY}holds": None}}}
    installer = place.voice("system:serviceaccount:apps:installer")
    asked(installer, "PATCH", path, body, content=MERGE)
    return asked(installer, "DELETE", path)


def is_born_released(place: Ward) -> object:
    """Somebody writes into a template that its pods are drained."""
    asked(place.voice("editor"), "POST", place.path(), pod("born", PROTECTED | {f"{KEY}phase": "drained"}))
    return _deleted_once_it_runs(place)


def is_born_a_stranger(place: Ward) -> object:
    """A workload starts one more pod, and its template knows nothing of us."""
    asked(place.voice(RS), "POST", place.path(), pod("born", OURS))
    return _deleted_once_it_runs(place)


def _deleted_once_it_runs(place: Ward) -> object:
    def runs() -> bool | None:
        """The pod runs, or was never made."""
        status = place.get("born").get("status")
        return not status or (isinstance(status, dict) and status.get("phase") == "Running") or None

    until(runs)
    return asked(place.voice(RS), "DELETE", place.path("born"))


ATTACKS: Mapping[str, Attack] = {
    "a deletion": Attack("agent-scaler-delete", deletes),
    "an eviction": Attack("agent-scaler-coder", evicts),
    "an eviction once the budget is gone": Attack("agent-scaler-budgets", deletes_the_budget),
    "a release through the status": Attack("agent-scaler-labels", releases),
    "a guard turned to audit": Attack("agent-scaler-labels", audits),
    "a forged break-glass": Attack("agent-scaler-labels", forces),
    "a template with a released pod": Attack("agent-scaler-birth", is_born_released),
    "a template that knows nothing of us": Attack("agent-scaler-essentials", is_born_a_stranger),
    "the end of the namespace": Attack("agent-scaler-owners", drops_the_namespace),
    "the end of a namespace that was freed": Attack("agent-scaler-owner-labels", frees_the_namespace),
}


@pytest.fixture(scope="module")
def guarded(cluster: Cluster) -> Iterator[Cluster]:
    """Every guard is in force, but where a story takes one away."""
    with installed(cluster, objects()):
        yield cluster


def taken(cluster: Cluster, guard: str, attack: str) -> list[str]:
    """The deletions of pods that came of the attack while this guard is missing, by the audit log: verb and user."""
    with missing(cluster, guard), ward(cluster, "siege") as place, besieged(place, guard):
        mark = cluster.audit.mark()
        ATTACKS[attack].run(place)
        _await_the_end(place)
        found = [r for r in cluster.audit.since(mark) if r.namespace == place.name and r.resource == "pods"]
    gone = [r for r in found if r.status < 300 and (r.verb.startswith("delete") or r.subresource == "eviction")]
    return [f"{r.verb} {r.subresource} {r.user}" for r in gone if "dryRun" not in r.path and r.user != "kwok"]


@contextmanager
def besieged(place: Ward, guard: str) -> Iterator[None]:
    """A pod works in the ward, under all that the controller would write but this; until the end of the block."""
    place.cluster.api.apply([] if guard == "agent-scaler-coder" else [SENTINEL], namespace=place.name)
    declare(place, coder=FULL)
    place.pod("agent")
    injected = guard != "agent-scaler-essentials"

    def settled() -> bool | None:
        """Pods are born with the essentials, or without."""
        return bool(annotated(born(place, pod("probe", OURS)))) == injected or None

    until(settled)
    holds(place, "true")
    try:
        yield
    finally:
        holds(place, None)


def _await_the_end(place: Ward) -> None:
    """What was deleted is gone at once on these nodes; a namespace takes its controller a moment."""
    namespace = place.cluster.api.get(f"/api/v1/namespaces/{place.name}") or {}
    if "deletionTimestamp" in metadata(namespace):
        place.await_only()


def holds(place: Ward, value: str | None) -> None:
    """The controller writes its label on the namespace, or takes it off."""
    body: Document = {"metadata": {"labels": {f"{KEY}holds": value}}}
    path = f"/api/v1/namespaces/{place.name}"
    asked(place.voice(CONTROLLER), "PATCH", path, body, content=MERGE)


@pytest.mark.parametrize("attack", ATTACKS)
def test_under_all_guards_the_attack_takes_nothing(guarded: Cluster, attack: str) -> None:
    """Every pod works on."""
    assert taken(guarded, "", attack) == []


@pytest.mark.parametrize("attack", ATTACKS)
def test_without_its_guard_the_attack_takes_a_pod(guarded: Cluster, attack: str) -> None:
    """A task is lost: no guard is there for show."""
    assert taken(guarded, ATTACKS[attack].guard, attack)
