"""The guards themselves: whether they are there, whether they refuse, and who else has a say."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

from scaler.controller.dig import at, strings, text
from scaler.controller.doctor.findings import Body, Cluster, Hit, is_drained, pool_of, selects, title
from scaler.controller.names import GUARD, HOLDS, MANAGER, TRUE, budget_name

REFUSING: Final = ("delete", "labels", "birth", "owners", "owner-labels", "budgets")
INJECTING: Final = "essentials"
AUDIT: Final = "audit"
MUTATES: Final = (1, 36)  # the first that serves MutatingAdmissionPolicy without a feature gate


def old_server(cluster: Cluster) -> Iterator[Hit]:
    """Below 1.36 nothing labels a pod at its birth."""
    if cluster.version < MUTATES:
        yield Hit("API server", f"it is {_version(cluster)}")


def missing(cluster: Cluster) -> Iterator[Hit]:
    """A guard that is not installed."""
    there = {text(policy, "metadata", "name") for policy in cluster.policies}
    wanted = (*REFUSING, INJECTING) if cluster.version >= MUTATES else REFUSING
    for name in wanted:
        if f"{MANAGER}-{name}" not in there:
            yield Hit(f"policy {MANAGER}-{name}", "there is none")


def unbound(cluster: Cluster) -> Iterator[Hit]:
    """A guard that nothing puts in force, or that lets all pass with a warning."""
    for policy in cluster.policies:
        name, kind = text(policy, "metadata", "name"), text(policy, "kind")
        own = [
            b for b in cluster.bindings if text(b, "spec", "policyName") == name and text(b, "kind") == f"{kind}Binding"
        ]
        if not name.startswith(f"{MANAGER}-"):
            continue
        if not own:
            yield Hit(f"policy {name}", "no binding puts it in force")
        elif kind == "ValidatingAdmissionPolicy" and not any("Deny" in _actions(b) for b in own):
            yield Hit(f"policy {name}", f"its bindings only {' and '.join(sorted(set(_actions(own[0])))).lower()}")


def lenient(cluster: Cluster) -> Iterator[Hit]:
    """A guard that lets pass what it cannot judge."""
    for policy in cluster.policies:
        if (
            text(policy, "metadata", "name").startswith(f"{MANAGER}-")
            and text(policy, "spec", "failurePolicy") == "Ignore"
        ):
            yield Hit(f"policy {text(policy, 'metadata', 'name')}", "failurePolicy: Ignore")


def open_to_all(cluster: Cluster) -> Iterator[Hit]:
    """A pool on whose pods a deletion or an eviction was tried, and not refused by us."""
    for pool, why in cluster.untried.items():
        yield from (Hit(f"pool {pool}", each) for each in why)


def audited(cluster: Cluster) -> Iterator[Hit]:
    """A pool whose guard only counts."""
    pools = {pool_of(pod) for pod in cluster.managed if _labels(pod).get(GUARD) == AUDIT}
    yield from (Hit(f"pool {pool}", "guard: audit") for pool in sorted(pools))


def overlapping(cluster: Cluster) -> Iterator[Hit]:
    """A second budget over the same pods: evictions answer 500, and drains of nodes give up."""
    for budget in cluster.budgets:
        hit = [
            pod for pod in cluster.managed if not is_drained(pod) and _selects(budget, pod) and not _is_own(budget, pod)
        ]
        if hit:
            yield Hit(title(budget, "PodDisruptionBudget"), f"it selects {len(hit)} pods of {pool_of(hit[0])}, too")


def always_allowed(cluster: Cluster) -> Iterator[Hit]:
    """A budget under which any pod that is not ready is evicted."""
    for budget in cluster.budgets:
        always = text(budget, "spec", "unhealthyPodEvictionPolicy") == "AlwaysAllow"
        if always and any(_selects(budget, pod) for pod in cluster.managed):
            yield Hit(title(budget, "PodDisruptionBudget"), "unhealthyPodEvictionPolicy: AlwaysAllow")


def unheld(cluster: Cluster) -> Iterator[Hit]:
    """A namespace that may be deleted while its pods work."""
    busy = {text(pod, "metadata", "namespace") for pod in cluster.managed if not is_drained(pod)}
    for namespace in cluster.namespaces:
        if text(namespace, "metadata", "name") in busy and _labels(namespace).get(HOLDS) != TRUE:
            yield Hit(title(namespace, "Namespace"), f"it has agents that are not drained, and no label {HOLDS}=true")


def powerless(cluster: Cluster) -> Iterator[Hit]:
    """A right that the controller needs and has not."""
    yield from (Hit(f"ServiceAccount {MANAGER}/{MANAGER}", f"it may not {right}") for right in cluster.rights)


def _labels(body: Body) -> Mapping[str, str]:
    return strings(body, "metadata", "labels")


def _actions(binding: Body) -> list[str]:
    found = at(binding, "spec", "validationActions")
    return [str(each) for each in found] if isinstance(found, list) else []


def _version(cluster: Cluster) -> str:
    return ".".join(map(str, cluster.version))


def _selects(budget: Body, pod: Body) -> bool:
    same = text(budget, "metadata", "namespace") == text(pod, "metadata", "namespace")
    return same and selects(at(budget, "spec", "selector"), _labels(pod))


def _is_own(budget: Body, pod: Body) -> bool:
    """Whether it is the sentinel of the pod's own pool."""
    pool = pool_of(pod).rpartition("/")[2]
    return text(budget, "metadata", "name") == budget_name(pool)
