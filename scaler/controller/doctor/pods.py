"""The pods of pools, what they are made from, and where they run."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from scaler.config.pool import Guard
from scaler.controller.dig import at, objects, strings, text, whole
from scaler.controller.doctor.findings import Body, Cluster, Hit, is_drained, pool_of, selects, title
from scaler.controller.names import GUARD, MANAGED, MANAGER, POOL, TRUE

SHORT: Final = 30  # seconds: less than Kubernetes gives to any pod by itself
NEVER: Final = "Never"


def unmanaged(cluster: Cluster) -> Iterator[Hit]:
    """Pods of a pool that no guard stands before."""
    for workload in cluster.targets():
        bare = [pod for pod in _own(cluster, workload) if _labels(pod).get(MANAGED) != TRUE]
        if bare:
            yield Hit(
                title(workload), f"{len(bare)} of its pods have no label {MANAGED}=true, as {title(bare[0], 'pod')}"
            )


def forsaken(cluster: Cluster) -> Iterator[Hit]:
    """Guarded pods of a pool that nothing asks for, and that no controller has taken up: nobody ever drains them."""
    known = {pool for each in (*cluster.scaled, *cluster.jobs) for pool in _pools(each)}
    known |= {_place(each, name) for each in cluster.budgets if (name := _kept(each))}
    for pool, pods in _by_pool(cluster).items():
        left = [pod for pod in pods if not is_drained(pod) and _labels(pod).get(GUARD) != Guard.AUDIT]
        if left and pool not in known:
            yield Hit(f"pool {pool}", f"{len(left)} guarded pods, as {title(left[0], 'pod')}, and no ScaledObject")


def _pools(scaled: Body) -> Iterator[str]:
    """The pools that it may ask for: that of its own name, and what its triggers name."""
    named = (text(each, "metadata", "pool") for each in objects(scaled, "spec", "triggers"))
    yield from (_place(scaled, name.rpartition("/")[2]) for name in (text(scaled, "metadata", "name"), *named))


def _kept(budget: Body) -> str:
    """The pool whose sentinel it is, where a controller of ours has applied it; empty otherwise."""
    ours = any(text(entry, "manager") == MANAGER for entry in objects(budget, "metadata", "managedFields"))
    return _labels(budget).get(POOL, "") if ours else ""


def _place(body: Body, name: str) -> str:
    return f"{text(body, 'metadata', 'namespace')}/{name}"


def taintable(cluster: Cluster) -> Iterator[Hit]:
    """Pods that the first NoExecute taint asks to leave; one that tolerates it for a while first leaves after that."""
    for pool, pods in _by_pool(cluster).items():
        bare = [pod for pod in pods if not is_drained(pod) and not _stays(pod)]
        if bare:
            seen = f"{len(bare)} pods do not tolerate NoExecute for ever before all else, as {title(bare[0], 'pod')}"
            yield Hit(f"pool {pool}", seen)


def silent(cluster: Cluster) -> Iterator[Hit]:
    """Agents whose gate does not answer: they are never drained, and a drain would never end."""
    yield from (Hit(f"pod {name}", why) for name, why in cluster.silent.items())


def restarted(cluster: Cluster) -> Iterator[Hit]:
    """Containers that the kubelet kills when a probe fails: a busy agent answers late."""
    for pool, pods in _by_pool(cluster).items():
        probed = sorted(
            {
                text(c, "name")
                for pod in pods
                for c in objects(pod, "spec", "containers")
                if at(c, "livenessProbe") is not None
            }
        )
        if probed:
            yield Hit(f"pool {pool}", f"liveness probe of container {', '.join(probed)}")


def hurried(cluster: Cluster) -> Iterator[Hit]:
    """Pods that have less time to end than any pod has by itself."""
    for pool, pods in _by_pool(cluster).items():
        shortest = min(whole(pod, "spec", "terminationGracePeriodSeconds", otherwise=SHORT) for pod in pods)
        if shortest < SHORT:
            yield Hit(f"pool {pool}", f"terminationGracePeriodSeconds: {shortest}")


def expropriated(cluster: Cluster) -> Iterator[Hit]:
    """A StatefulSet that deletes a pod's volume with it."""
    for workload in cluster.targets():
        if text(workload, "spec", "persistentVolumeClaimRetentionPolicy", "whenScaled") == "Delete":
            yield Hit(title(workload), "persistentVolumeClaimRetentionPolicy.whenScaled: Delete")


def replicas_owned(cluster: Cluster) -> Iterator[Hit]:
    """A workload whose replicas somebody applies again and again, beside the HPA."""
    for workload in cluster.targets():
        for entry in objects(workload, "metadata", "managedFields"):
            fields = at(entry, "fieldsV1", "f:spec", "f:replicas")
            if fields is not None and text(entry, "operation") == "Apply" and not text(entry, "subresource"):
                yield Hit(title(workload), f"{text(entry, 'manager')} applies spec.replicas")


def expiring(cluster: Cluster) -> Iterator[Hit]:
    """Nodes that are taken away at a set time, whoever works on them."""
    for pool in cluster.node_pools:
        ends = text(pool, "spec", "template", "spec", "expireAfter") or NEVER
        grace = text(pool, "spec", "template", "spec", "terminationGracePeriod")
        if ends != NEVER or grace:
            seen = f"expireAfter: {ends}" + (f", terminationGracePeriod: {grace}" if grace else "")
            yield Hit(title(pool, "NodePool"), seen)


def _by_pool(cluster: Cluster) -> dict[str, list[Body]]:
    found: dict[str, list[Body]] = {}
    for pod in cluster.managed:
        found.setdefault(pool_of(pod) or "(none)", []).append(pod)
    return found


def _own(cluster: Cluster, workload: Body) -> list[Body]:
    namespace, selector = text(workload, "metadata", "namespace"), at(workload, "spec", "selector")
    return [
        pod
        for pod in cluster.pods
        if text(pod, "metadata", "namespace") == namespace and selects(selector, _labels(pod))
    ]


def _labels(body: Body) -> dict[str, str]:
    return dict(strings(body, "metadata", "labels"))


def _stays(pod: Body) -> bool:
    """Whether the first toleration that matches any NoExecute taint is for all of them, and for ever.

    The taint manager goes by the first that matches a taint: one for a single key, with an end, that comes before ours
    would end it for that key.
    """
    for each in objects(pod, "spec", "tolerations"):
        if text(each, "effect") not in {"", "NoExecute"}:
            continue
        ends = at(each, "tolerationSeconds") is not None
        if text(each, "operator") == "Exists" and not text(each, "key"):
            return not ends
        if ends:
            return False
    return False
