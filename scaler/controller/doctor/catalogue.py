"""Everything that is looked at, in the order in which it is told: what takes most pods first."""

from __future__ import annotations

from typing import Final

from scaler.controller.doctor import guards, pods, scaling
from scaler.controller.doctor.findings import Check

# Another folder than the one that was installed would end a first week, or take TLS away.
INSTALL: Final = (
    "kubectl apply -k FOLDER, the one that was installed: manifests/overlays/protected, protected-mtls or audit-first; "
    "or manifests/guards alone"
)
CHECKS: Final = (
    Check(
        "guard-fails",
        "a pod that works can be deleted or evicted: a dry run of it was not refused by our guard",
        f"{INSTALL}; see that the controller runs and leads; then look for the other findings of this pool",
        guards.open_to_all,
    ),
    Check("guard-missing", "nothing refuses what this guard would refuse", INSTALL, guards.missing),
    Check(
        "guard-unbound",
        "the guard is installed and refuses nothing",
        f"{INSTALL}. audit-first only warns until another takes its place",
        guards.unbound,
    ),
    Check(
        "guard-lenient",
        "what it cannot judge passes",
        f"set failurePolicy: Fail, as it ships: {INSTALL}",
        guards.lenient,
    ),
    Check(
        "guard-audits",
        "what would be refused is only counted",
        "set the pool's guard to deny once its counts are explained",
        guards.audited,
    ),
    Check(
        "pods-unmanaged",
        "no guard stands before these pods",
        "see that the controller runs, leads and knows the pool; it labels pods that are there",
        pods.unmanaged,
    ),
    Check(
        "pods-forsaken",
        "nobody drains these pods, so nobody can delete or evict them",
        "apply the pool's ScaledObject, or give its pods up: scaler release --pool NAMESPACE/NAME",
        pods.forsaken,
    ),
    Check(
        "server-labels-nothing",
        "pods are born without a label, and unguarded until the controller has labelled them",
        "Kubernetes 1.36 serves MutatingAdmissionPolicy; below it, take manifests/guards/validating alone",
        guards.old_server,
    ),
    Check(
        "namespace-unheld",
        "whoever deletes the namespace ends every agent in it",
        "see that the controller may patch namespaces, runs and leads",
        guards.unheld,
    ),
    Check(
        "rights-missing",
        "a drain stops where the controller is refused",
        f"{INSTALL}; or bind its ClusterRoles in the namespaces of pools",
        guards.powerless,
    ),
    Check(
        "taint-evicts",
        "a NoExecute taint asks for these pods; where guards refuse, nobody asks again",
        "let pods be born with the toleration (manifests/guards), and replace those that are there by a rollout",
        pods.taintable,
    ),
    Check(
        "budget-always-allows",
        "a pod that is not ready is evicted, however busy",
        "set unhealthyPodEvictionPolicy: IfHealthyBudget, or delete the budget",
        guards.always_allowed,
    ),
    Check(
        "budgets-overlap",
        "every eviction answers 500, so that a node drain gives up instead of waiting",
        "delete this budget, or let its selector leave out agent-scaler.io/managed=true",
        guards.overlapping,
    ),
    Check(
        "gate-silent",
        "an agent that does not answer counts as busy for ever, and no drain of it ends",
        "put a gate into it (docs/gate.md); let the controller reach its port",
        pods.silent,
    ),
    Check(
        "liveness-restarts",
        "a container whose probe fails is killed in the middle of its task; no guard sees it",
        "take the liveness probe away, or let it ask for progress",
        pods.restarted,
    ),
    Check(
        "grace-short",
        "where a pod must go all the same, its task has no time to be put by",
        f"set terminationGracePeriodSeconds to {pods.SHORT} or more, or take it out for the pool's own to hold",
        pods.hurried,
    ),
    Check(
        "claims-deleted",
        "a pod that is scaled away loses its volume",
        "set whenScaled: Retain",
        pods.expropriated,
    ),
    Check(
        "nodes-expire",
        "the node is taken at its time, and a machine that its provider ends takes its pods with it",
        "set expireAfter: Never and no terminationGracePeriod for nodes of agents",
        pods.expiring,
    ),
    Check("keda-missing", "nobody asks for our numbers", "install KEDA", scaling.no_keda),
    Check(
        "keda-old",
        "it drops fields that are shipped",
        f"install KEDA {'.'.join(map(str, scaling.OLDEST))} or newer",
        scaling.old_keda,
    ),
    Check(
        "fallback-zero",
        "a restart of the scaler takes the pool to zero",
        "take the fallback away, or set fallback.behavior: currentReplicasIfHigher",
        scaling.falls_to_zero,
    ),
    Check(
        "fallback-static",
        "an error of the scaler lowers the pool to this number",
        "take the fallback away, or set fallback.behavior: currentReplicasIfHigher",
        scaling.falls_back,
    ),
    Check(
        "second-writer",
        "two write the replicas, and one lowers what the other needs",
        "delete the other one",
        scaling.second_writer,
    ),
    Check(
        "replicas-applied",
        "each run sets the replicas back, below what works",
        "leave spec.replicas out of what is applied",
        pods.replicas_owned,
    ),
    Check("scaling-paused", "the pool does not follow", "take the annotation away", scaling.paused),
    Check("target-missing", "the ScaledObject scales nothing", "name the workload in scaleTargetRef", scaling.aimless),
    Check(
        "job-rollout",
        "a change of the ScaledJob deletes Jobs that run",
        "set rollout.strategy: gradual",
        scaling.job_rollout,
    ),
    Check(
        "server-has-a-dead-band",
        "steps below a tenth are left undone, but for those that the controller takes itself",
        "Kubernetes 1.35 has the HPA's tolerance",
        scaling.old_server,
    ),
    Check(
        "hpa-dead-band",
        "targets within the tolerance are left undone",
        'set advanced.horizontalPodAutoscalerConfig.behavior: {scaleUp: {tolerance: "0"}, scaleDown: {tolerance: "0"}}',
        scaling.dead_band,
    ),
    Check(
        "hpa-slow",
        "the number is damped twice: drained pods stay, and new work waits",
        "set stabilizationWindowSeconds: 0 and open policies for both ways, as in keda/",
        scaling.slow,
    ),
)
