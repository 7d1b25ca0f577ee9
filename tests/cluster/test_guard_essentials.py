"""What a pod of a pool is given at its birth, by whatever it is made; and what it says for itself, which is kept."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from scaler.controller.dig import at, strings
from scaler.controller.dig import objects as each
from tests.cluster.guarding import (
    CONTROLLER,
    KEY,
    PROTECTED,
    Ward,
    announced,
    asked,
    installed,
    metadata,
    objects,
    pod,
    spec,
    ward,
)
from tests.cluster.harness.cluster import Cluster
from tests.cluster.harness.rest import APPLY, MERGE, Document, Json
from tests.cluster.harness.wait import until

FIRST: Document = {"operator": "Exists", "effect": "NoExecute"}
DISRUPT, EVICT = "karpenter.sh/do-not-disrupt", "cluster-autoscaler.kubernetes.io/safe-to-evict"
FULL = "selector:app=coder,tier=gpu;guard:deny;grace:600;tolerate:NoExecute;spread:zone,node"
OURS: Document = {"app": "coder", "tier": "gpu"}
BORN: Document = {f"{KEY}managed": "true", f"{KEY}pool": "coder", f"{KEY}guard": "deny"}


def declare(place: Ward, **pools: str | None) -> None:
    """The controller says on the namespace which pods are of which pool, and what they get; None takes a pool away."""
    said: Document = {f"pool.agent-scaler.io/{name}": said for name, said in pools.items()}
    body: Document = {"metadata": {"labels": {f"{KEY}pools": "true"}, "annotations": said}}
    place.voice(CONTROLLER).request("PATCH", f"/api/v1/namespaces/{place.name}", body, content=MERGE)


@pytest.fixture(scope="module")
def guarded(cluster: Cluster) -> Iterator[Cluster]:
    """Every guard is in force."""
    with installed(cluster, objects()):
        yield cluster


@pytest.fixture(scope="module")
def hall(guarded: Cluster) -> Iterator[Ward]:
    """A namespace with a pool that asks for everything, one that asks for nothing, and one that is only audited."""
    with ward(guarded, "essentials") as made:
        declare(made, coder=FULL, plain="selector:app=plain", watched="guard:audit;grace:60;selector:app=watched")
        until(
            lambda: metadata(born(made, pod("probe", {"app": "watched"}))).get("labels") != {"app": "watched"} or None
        )
        yield made


def born(place: Ward, wanted: Document) -> Document:
    """The pod as it would be."""
    answer = asked(place.cluster.api, "POST", place.path(query="?dryRun=All"), wanted)
    assert answer.document is not None, answer.message
    return answer.document


def annotated(document: Document) -> Document:
    """The annotations of an object."""
    return dict(strings(document, "metadata", "annotations"))


def test_a_pod_of_the_pool_is_born_with_everything(hall: Ward) -> None:
    """Labels, the two promises to node autoscalers, grace, toleration and spread."""
    agent = born(hall, pod("agent", OURS))
    assert metadata(agent)["labels"] == OURS | {f"{KEY}managed": "true", f"{KEY}pool": "coder", f"{KEY}guard": "deny"}
    assert annotated(agent) == {DISRUPT: "true", EVICT: "false"}
    assert spec(agent)["terminationGracePeriodSeconds"] == 600
    assert spec(agent)["topologySpreadConstraints"] == [
        _spread("topology.kubernetes.io/zone"),
        _spread("kubernetes.io/hostname"),
    ]


def _spread(key: str) -> Document:
    selector: Document = {"matchLabels": {f"{KEY}pool": "coder"}}
    return {"maxSkew": 1, "topologyKey": key, "whenUnsatisfiable": "ScheduleAnyway", "labelSelector": selector}


@pytest.mark.parametrize("own", [[], [{"key": "gpu", "operator": "Exists"}]], ids=["none", "its own"])
def test_our_toleration_comes_before_all_others(hall: Ward, own: list[Json]) -> None:
    """The taint manager goes by the first that matches, and defaults that end after 300 s are already there."""
    found = spec(born(hall, pod("agent", OURS, **({"tolerations": own} if own else {}))))["tolerations"]
    assert isinstance(found, list)
    assert found[0] == FIRST
    assert found.count(FIRST) == 1
    assert all(one in found for one in own)
    assert len(found) == 3 + len(own)


KEPT: dict[str, tuple[Document, Document]] = {
    "its promise to Karpenter": ({"annotations": {DISRUPT: "30m"}}, {}),
    "its promise to the Cluster Autoscaler": ({"annotations": {EVICT: "true"}}, {}),
    "another annotation": ({"annotations": {"team": "blue"}}, {}),
    "its own grace": ({}, {"terminationGracePeriodSeconds": 77}),
    "its own spread": ({}, {"topologySpreadConstraints": [_spread("rack")]}),
    "a toleration for everything": ({}, {"tolerations": [FIRST]}),
}


@pytest.mark.parametrize("what", KEPT)
def test_what_a_template_says_for_itself_is_kept(hall: Ward, what: str) -> None:
    """Ours is for those who say nothing."""
    said, demanded = KEPT[what]
    wanted = pod("agent", OURS, **demanded)
    metadata(wanted).update(said)
    agent = born(hall, wanted)
    assert annotated(agent) == {DISRUPT: "true", EVICT: "false"} | dict(annotated(wanted))
    for key, value in demanded.items():
        found = spec(agent)[key]
        assert found[: len(value)] == value if isinstance(value, list) and isinstance(found, list) else found == value
    if what == "a toleration for everything":
        assert spec(agent)["tolerations"] == [FIRST]


@pytest.mark.parametrize("own", [{}, {"app": "coder"}, {"app": "coder", "tier": "cpu"}, {"tier": "gpu"}, {"app": "x"}])
def test_other_pods_are_born_as_ever(hall: Ward, own: Document) -> None:
    """Every pair of the selector must stand on the pod."""
    other = born(hall, pod("other", own))
    assert metadata(other).get("labels", {}) == own
    assert annotated(other) == {}
    assert spec(other)["terminationGracePeriodSeconds"] == 30


def test_a_pool_that_asks_for_nothing_more_has_the_guard_alone(hall: Ward) -> None:
    """Its grace, tolerations and spread are what they would have been."""
    agent = born(hall, pod("agent", {"app": "plain"}))
    assert annotated(agent) == {DISRUPT: "true", EVICT: "false"}
    assert spec(agent)["terminationGracePeriodSeconds"] == 30
    assert "topologySpreadConstraints" not in spec(agent)
    assert FIRST not in each(agent, "spec", "tolerations")


def test_an_audited_pool_pins_no_node(hall: Ward) -> None:
    """Its pods bear the labels that count them, and promise no node autoscaler anything."""
    agent = born(hall, pod("agent", {"app": "watched"}))
    assert metadata(agent)["labels"] == {
        "app": "watched",
        f"{KEY}managed": "true",
        f"{KEY}pool": "watched",
        f"{KEY}guard": "audit",
    }
    assert annotated(agent) == {}


@pytest.mark.parametrize("said", ["false", "true"])
def test_no_template_may_say_that_its_pods_are_not_ours(hall: Ward, said: str) -> None:
    """Which pods are ours is the pool's to say."""
    claimed = OURS | {f"{KEY}managed": said, f"{KEY}pool": "other", f"{KEY}guard": "audit"}
    assert metadata(born(hall, pod("agent", claimed)))["labels"] == OURS | PROTECTED | {"app": "coder"}


MAKERS: dict[str, tuple[str, str, Document]] = {
    "Deployment": ("apps/v1", "Deployment", {"replicas": 2}),
    "StatefulSet": ("apps/v1", "StatefulSet", {"replicas": 2, "serviceName": "agents"}),
    "Job": ("batch/v1", "Job", {"completions": 2, "parallelism": 2}),
}


@pytest.mark.parametrize("kind", MAKERS)
def test_whatever_makes_pods_makes_guarded_ones(guarded: Cluster, kind: str) -> None:
    """And its template stays as it was: nothing is rolled out, nothing restarts."""
    version, _, given = MAKERS[kind]
    with ward(guarded, f"maker {kind}") as place:
        declare(place, coder=FULL)
        until(lambda: annotated(born(place, pod("probe", OURS))) or None)
        template: Document = {
            k: v
            for k, v in pod("", OURS, **({"restartPolicy": "Never"} if kind == "Job" else {})).items()
            if k in {"metadata", "spec"}
        }
        metadata(template).pop("name")
        selector: Document = {} if kind == "Job" else {"selector": {"matchLabels": dict(OURS)}}
        made: Document = {
            "apiVersion": version,
            "kind": kind,
            "metadata": {"name": "agents"},
            "spec": {**given, **selector, "template": template},
        }
        guarded.api.apply([made], namespace=place.name)
        until(lambda: len(place.names()) == 2 or None)
        for item in guarded.api.items(place.path()):
            assert annotated(item) | {DISRUPT: "true", EVICT: "false"} == annotated(item)
            assert strings(item, "metadata", "labels").items() >= (OURS | BORN).items()
        found = guarded.api.get(guarded.api.path(made, place.name)) or {}
        assert at(found, "spec", "template", "metadata", "annotations") is None
        if kind == "Job":
            place.voice("system:serviceaccount:kube-system:namespace-controller").delete(
                place.path(kind="apis/batch/v1/jobs")
            )


@pytest.mark.parametrize("told", ["on the namespace", "in the template"])
def test_pods_of_a_pool_that_is_announced_are_guarded_from_their_birth(guarded: Cluster, told: str) -> None:
    """Nobody looks after them yet, nor knows of a ScaledObject. Below 1.36 the template says whose they are."""
    with ward(guarded, f"announced {told}") as place:
        guarded.api.apply(
            [one for one in announced(place.name) if told == "on the namespace" or "spec" in one], manager="git"
        )
        if told == "on the namespace":
            until(lambda: annotated(born(place, pod("probe", {"app": "coder"}))) or None)
        labels: Document = {"app": "coder"} if told == "on the namespace" else PROTECTED
        guarded.api.apply([pod("agent", labels)], namespace=place.name)
        until(lambda: at(place.get("agent"), "status", "phase") == "Running" or None)
        assert asked(place.voice("editor"), "DELETE", place.path("agent")).policy == "agent-scaler-delete"
        body: Document = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": "agent"}}
        evicted = asked(place.voice("editor"), "POST", place.path("agent", sub="eviction"), body)
        assert evicted.status == 429, evicted.message


def test_whoever_announces_a_pool_may_say_it_again(guarded: Cluster) -> None:
    """As what applies a folder of Git every minute does; to change the budget is the controller's alone."""
    with ward(guarded, "again") as place:
        space, budget = announced(place.name)
        guarded.api.apply([space, budget], manager="git")
        path, installer = guarded.api.path(budget), place.voice("system:serviceaccount:apps:installer")
        metadata(budget)["annotations"] = {"synced": "today"}
        for said, status in (({}, 200), ({"minAvailable": 1}, 403)):
            budget["spec"] = spec(budget) | said
            applied = asked(installer, "PATCH", f"{path}?fieldManager=git&force=true", budget, content=APPLY)
            assert applied.status == status, applied.message


def test_every_policy_is_of_the_right_types(guarded: Cluster) -> None:
    """The API server checks every expression against the kinds it is for, and warns of what can never work."""

    def checked() -> list[Document] | None:
        """The API server has looked at each."""
        listed = guarded.api.items("/apis/admissionregistration.k8s.io/v1/validatingadmissionpolicies")
        seen = [item for item in listed if at(item, "status", "typeChecking") is not None]
        return listed if len(seen) == len(listed) else None

    for policy in until(checked, within=60.0):
        assert at(policy, "status", "typeChecking") == {}, metadata(policy)["name"]
