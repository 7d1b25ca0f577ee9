"""What doctor looks at, each check on the least that it needs; tests/cluster plants the same on a real cluster."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import pytest
import yaml

from scaler.controller.api import Json
from scaler.controller.doctor.catalogue import CHECKS
from scaler.controller.doctor.findings import Body, Cluster, examine, selects
from scaler.controller.doctor.gather import RIGHTS
from tests.house.source import ROOT

GUARDS = ("delete", "labels", "birth", "owners", "owner-labels", "budgets")
HERE: dict[str, Json] = {"namespace": "agents", "name": "coder"}
EXACT: Json = {"tolerance": "0", "stabilizationWindowSeconds": 0}
FOREVER: Json = {"operator": "Exists", "effect": "NoExecute"}


def policy(name: str, kind: str = "Validating", **spec: Json) -> Body:
    """An admission policy of ours."""
    about: Json = {"name": f"agent-scaler-{name}"}
    return {"kind": f"{kind}AdmissionPolicy", "metadata": about, "spec": {"failurePolicy": "Fail"} | spec}


def binding(name: str, kind: str = "Validating", actions: Json = ("Deny",)) -> Body:
    """What puts it in force."""
    named = f"agent-scaler-{name}"
    spec: Json = {"policyName": named, "validationActions": list(actions) if isinstance(actions, tuple) else actions}
    return {"kind": f"{kind}AdmissionPolicyBinding", "metadata": {"name": named}, "spec": spec}


def pod(name: str = "coder-1", labels: Mapping[str, Json] | None = None, **spec: Json) -> Body:
    """A guarded pod."""
    guarded: dict[str, Json] = {"agent-scaler.io/managed": "true", "agent-scaler.io/pool": "coder", "app": "coder"}
    about: Json = {"namespace": "agents", "name": name, "labels": guarded | dict(labels or {})}
    usual: dict[str, Json] = {
        "tolerations": [FOREVER],
        "terminationGracePeriodSeconds": 600,
        "containers": [{"name": "agent"}],
    }
    return {"kind": "Pod", "metadata": about, "spec": usual | spec}


def scaled(uid: str = "1", name: str = "coder", **spec: Json) -> dict[str, Json]:
    """A ScaledObject."""
    target: dict[str, Json] = {"scaleTargetRef": {"name": "coder"}}
    about: Json = {"namespace": "agents", "name": name, "uid": uid}
    return {"kind": "ScaledObject", "metadata": about, "spec": target | spec}


def autoscaler(maker: str = "1", **behavior: Json) -> Body:
    """The HPA that KEDA makes for it."""
    ways: dict[str, Json] = {"scaleUp": EXACT, "scaleDown": EXACT}
    spec: Json = {"scaleTargetRef": {"kind": "Deployment", "name": "coder"}, "behavior": ways | behavior}
    about: Json = HERE | {"ownerReferences": [{"uid": maker}]}
    return {"kind": "HorizontalPodAutoscaler", "metadata": about, "spec": spec}


def workload(kind: str = "Deployment", about: Mapping[str, Json] | None = None, **spec: Json) -> Body:
    """What the pool scales."""
    selector: dict[str, Json] = {"selector": {"matchLabels": {"app": "coder"}}}
    return {"kind": kind, "metadata": HERE | dict(about or {}), "spec": selector | spec}


def budget(name: str = "agent-scaler-coder", **spec: Json) -> Body:
    """A budget over the pool's pods."""
    selector: dict[str, Json] = {"selector": {"matchLabels": {"agent-scaler.io/pool": "coder"}}}
    return {"kind": "PodDisruptionBudget", "metadata": {"namespace": "agents", "name": name}, "spec": selector | spec}


NAMESPACE: Body = {"kind": "Namespace", "metadata": {"name": "agents", "labels": {"agent-scaler.io/holds": "true"}}}
HEALTHY = Cluster(
    version=(1, 36),
    keda="2.21.0",
    policies=[*map(policy, GUARDS), policy("essentials", "Mutating")],
    bindings=[*map(binding, GUARDS), binding("essentials", "Mutating")],
    namespaces=[NAMESPACE],
    scaled=[scaled()],
    all_scaled=[scaled()],
    autoscalers=[autoscaler()],
    budgets=[budget()],
    workloads=[workload()],
    pods=[pod()],
    untried={"agents/coder": ()},
)
TWO: Json = [{"key": "gpu", "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 300}, FOREVER]
APPLIED: Json = [{"manager": "argocd", "operation": "Apply", "fieldsV1": {"f:spec": {"f:replicas": {}}}}]
WITHOUT_HOLDS: Body = {"kind": "Namespace", "metadata": {"name": "agents"}}
NODES: Body = {
    "kind": "NodePool",
    "metadata": {"name": "gpu"},
    "spec": {"template": {"spec": {"expireAfter": "720h", "terminationGracePeriod": "1h"}}},
}
FORSAKEN = pod("lone-1", {"agent-scaler.io/pool": "announced"})
PAUSED = scaled() | {"metadata": HERE | {"uid": "1", "annotations": {"autoscaling.keda.sh/paused": "true"}}}
JOB: Body = {"kind": "ScaledJob", "metadata": HERE, "spec": {}}
AUDITED: Mapping[str, Json] = {"agent-scaler.io/pool": "announced", "agent-scaler.io/guard": "audit"}
NAMING: Json = [{"type": "external", "metadata": {"pool": "agents/announced"}}]
TAKEN_UP: Body = {
    "kind": "PodDisruptionBudget",
    "metadata": {
        "namespace": "agents",
        "name": "agent-scaler-announced",
        "labels": {"agent-scaler.io/pool": "announced"},
        "managedFields": [{"manager": "agent-scaler", "operation": "Apply"}],
    },
    "spec": {"selector": {"matchLabels": {"agent-scaler.io/pool": "announced"}}},
}
# What is wrong, and what is found: the check, the object, and a part of what was seen.
FAULTS: Mapping[str, tuple[Cluster, str, str, str]] = {
    "a deletion passes": (
        replace(HEALTHY, untried={"agents/coder": ("a pod that is not drained could be deleted",)}),
        "guard-fails",
        "pool agents/coder",
        "could be deleted",
    ),
    "no policy": (
        replace(HEALTHY, policies=[p for p in HEALTHY.policies if "birth" not in str(p)]),
        "guard-missing",
        "policy agent-scaler-birth",
        "none",
    ),
    "nothing binds it": (
        replace(HEALTHY, bindings=[b for b in HEALTHY.bindings if "owners" not in str(b)]),
        "guard-unbound",
        "policy agent-scaler-owners",
        "no binding",
    ),
    "bound to warn": (
        replace(
            HEALTHY,
            bindings=[binding(g, actions=["Warn", "Audit"] if g == "delete" else ["Deny"]) for g in GUARDS]
            + [binding("essentials", "Mutating")],
        ),
        "guard-unbound",
        "policy agent-scaler-delete",
        "only audit and warn",
    ),
    "lenient": (
        replace(HEALTHY, policies=[*HEALTHY.policies[1:], policy("delete", failurePolicy="Ignore")]),
        "guard-lenient",
        "policy agent-scaler-delete",
        "Ignore",
    ),
    "audited": (
        replace(HEALTHY, pods=[pod(labels={"agent-scaler.io/guard": "audit"})]),
        "guard-audits",
        "pool agents/coder",
        "audit",
    ),
    "unmanaged pods": (
        replace(HEALTHY, pods=[pod(), pod("bare", {"agent-scaler.io/managed": "no"})]),
        "pods-unmanaged",
        "Deployment agents/coder",
        "1 of its pods",
    ),
    "an old server": (replace(HEALTHY, version=(1, 35)), "server-labels-nothing", "API server", "1.35"),
    "an older server": (replace(HEALTHY, version=(1, 34)), "server-has-a-dead-band", "API server", "1.34"),
    "no label on the namespace": (
        replace(HEALTHY, namespaces=[WITHOUT_HOLDS]),
        "namespace-unheld",
        "Namespace agents",
        "not drained",
    ),
    "no right": (
        replace(HEALTHY, rights=["patch pods in agents"]),
        "rights-missing",
        "ServiceAccount agent-scaler/agent-scaler",
        "may not patch pods in agents",
    ),
    "no toleration": (replace(HEALTHY, pods=[pod(tolerations=[])]), "taint-evicts", "pool agents/coder", "1 pods"),
    "a toleration too late": (
        replace(HEALTHY, pods=[pod(tolerations=TWO)]),
        "taint-evicts",
        "pool agents/coder",
        "1 pods",
    ),
    "a second budget": (
        replace(HEALTHY, budgets=[budget(), budget("web")]),
        "budgets-overlap",
        "PodDisruptionBudget agents/web",
        "1 pods",
    ),
    "pods that nobody asks for": (
        replace(HEALTHY, pods=[pod(), FORSAKEN]),
        "pods-forsaken",
        "pool agents/announced",
        "1 guarded pods, as pod agents/lone-1",
    ),
    "a budget for the unready": (
        replace(HEALTHY, budgets=[budget(unhealthyPodEvictionPolicy="AlwaysAllow")]),
        "budget-always-allows",
        "PodDisruptionBudget agents/agent-scaler-coder",
        "AlwaysAllow",
    ),
    "a silent gate": (
        replace(HEALTHY, silent={"agents/coder-1": "nobody answers"}),
        "gate-silent",
        "pod agents/coder-1",
        "nobody answers",
    ),
    "a liveness probe": (
        replace(HEALTHY, pods=[pod(containers=[{"name": "agent", "livenessProbe": {}}])]),
        "liveness-restarts",
        "pool agents/coder",
        "agent",
    ),
    "no grace": (
        replace(HEALTHY, pods=[pod(terminationGracePeriodSeconds=5)]),
        "grace-short",
        "pool agents/coder",
        "5",
    ),
    "volumes that go": (
        replace(
            HEALTHY,
            workloads=[workload("StatefulSet", persistentVolumeClaimRetentionPolicy={"whenScaled": "Delete"})],
            scaled=[scaled(scaleTargetRef={"kind": "StatefulSet", "name": "coder"})],
        ),
        "claims-deleted",
        "StatefulSet agents/coder",
        "Delete",
    ),
    "nodes that expire": (replace(HEALTHY, node_pools=[NODES]), "nodes-expire", "NodePool gpu", "expireAfter: 720h"),
    "no KEDA": (replace(HEALTHY, has_keda=False), "keda-missing", "API server", "not served"),
    "an old KEDA": (replace(HEALTHY, keda="v2.16.1"), "keda-old", "Deployment keda-operator", "2.16.1"),
    "a fallback": (
        replace(HEALTHY, scaled=[scaled(fallback={"replicas": 4})]),
        "fallback-static",
        "ScaledObject agents/coder",
        "4 replicas",
    ),
    "a fallback to zero": (
        replace(HEALTHY, scaled=[scaled(fallback={"replicas": 0})]),
        "fallback-zero",
        "ScaledObject agents/coder",
        "0 replicas",
    ),
    "a pause": (replace(HEALTHY, scaled=[PAUSED]), "scaling-paused", "ScaledObject agents/coder", "paused"),
    "no target": (
        replace(HEALTHY, scaled=[scaled(scaleTargetRef={"name": "nobody"})]),
        "target-missing",
        "ScaledObject agents/coder",
        "nobody",
    ),
    "a second ScaledObject": (
        replace(HEALTHY, all_scaled=[scaled(), scaled("2", "other")]),
        "second-writer",
        "Deployment agents/coder",
        "ScaledObject agents/other",
    ),
    "a foreign HPA": (
        replace(HEALTHY, autoscalers=[autoscaler(), autoscaler("nobody")]),
        "second-writer",
        "Deployment agents/coder",
        "HorizontalPodAutoscaler",
    ),
    "applied replicas": (
        replace(HEALTHY, workloads=[workload(about={"managedFields": APPLIED})]),
        "replicas-applied",
        "Deployment agents/coder",
        "argocd",
    ),
    "Jobs that a change deletes": (replace(HEALTHY, jobs=[JOB]), "job-rollout", "ScaledJob agents/coder", "default"),
    "a dead band": (
        replace(HEALTHY, autoscalers=[autoscaler(scaleUp={"stabilizationWindowSeconds": 0})]),
        "hpa-dead-band",
        "ScaledObject agents/coder",
        "scaleUp",
    ),
    "a window": (
        replace(HEALTHY, autoscalers=[autoscaler(scaleDown={"tolerance": "0"})]),
        "hpa-slow",
        "ScaledObject agents/coder",
        "300",
    ),
}


def test_a_healthy_cluster_is_met_with_silence() -> None:
    """Otherwise nobody would listen."""
    assert examine(HEALTHY, CHECKS) == []


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_is_found_with_its_object(fault: str) -> None:
    """And nothing else is, where that alone is wrong."""
    cluster, check, object_, seen = FAULTS[fault]
    found = examine(cluster, CHECKS)
    beside = {"server-labels-nothing"} if cluster.version < (1, 36) else set()  # a server can be old in two ways
    assert {f.check.name for f in found} - {check} <= beside
    hits = [f.hit for f in found if f.check.name == check]
    assert [hit.object for hit in hits] == [object_]
    assert seen in hits[0].seen


LEFT = replace(HEALTHY, pods=[pod(), FORSAKEN])


@pytest.mark.parametrize(
    "cluster",
    [
        pytest.param(replace(LEFT, scaled=[scaled(), scaled("2", "announced")]), id="AScaledObjectOfItsName"),
        pytest.param(replace(LEFT, scaled=[scaled(), scaled("2", "x", triggers=NAMING)]), id="OneThatNamesIt"),
        pytest.param(replace(LEFT, budgets=[budget(), TAKEN_UP]), id="AControllerThatHasTakenItUp"),
        pytest.param(replace(LEFT, pods=[pod(), pod("lone-1", AUDITED)]), id="NobodyWhereNothingIsRefused"),
    ],
)
def test_pods_of_a_pool_that_somebody_knows_are_not_forsaken(cluster: Cluster) -> None:
    """Each row: who sees to them."""
    assert "pods-forsaken" not in {each.check.name for each in examine(cluster, CHECKS)}


def test_every_check_is_seen_to_find() -> None:
    """A check that can find nothing would be silent for ever."""
    assert {check for _, check, _, _ in FAULTS.values()} == {check.name for check in CHECKS}


def test_every_check_says_what_could_happen_and_what_to_do() -> None:
    """Under a name of its own."""
    assert len({check.name for check in CHECKS}) == len(CHECKS)
    assert all(check.danger and check.fix for check in CHECKS)


@pytest.mark.parametrize(
    ("expression", "labels", "met"),
    [
        ({"operator": "In", "values": ["a"]}, {"k": "a"}, True),
        ({"operator": "In", "values": ["a"]}, {}, False),
        ({"operator": "NotIn", "values": ["a"]}, {}, True),
        ({"operator": "NotIn", "values": ["a"]}, {"k": "a"}, False),
        ({"operator": "Exists"}, {"k": ""}, True),
        ({"operator": "DoesNotExist"}, {"k": ""}, False),
        ({"operator": "DoesNotExist"}, {}, True),
    ],
)
def test_selectors_select_as_kubernetes_has_it(expression: dict[str, Json], labels: dict[str, str], met: bool) -> None:
    """A label that is absent is in no list of values."""
    assert selects({"matchExpressions": [{"key": "k", **expression}]}, labels) is met


def test_the_rights_that_are_asked_about_are_those_that_ship() -> None:
    """Another right in the manifest is another question here."""
    files = [ROOT / "manifests" / folder / "rbac.yaml" for folder in ("base", "overlays/protected")]
    documents = [document for file in files for document in yaml.safe_load_all(file.read_text())]
    rules = [rule for d in documents if d["kind"] == "ClusterRole" for rule in d["rules"]]
    shipped = {(g, r, v) for rule in rules for g in rule["apiGroups"] for r in rule["resources"] for v in rule["verbs"]}
    assert {(group, resource, verb) for group, resource, verbs in RIGHTS for verb in verbs} == shipped
