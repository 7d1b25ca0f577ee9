"""What the checks are given, and what they answer."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final, TypeAlias

from scaler.controller.api import Json
from scaler.controller.dig import objects, strings, text
from scaler.controller.names import MANAGED, PHASE, PHASES, POOL, TRUE
from scaler.core.pods import Phase

Body: TypeAlias = Mapping[str, Json]
PLURALS: Final = {"Deployment": "deployments", "StatefulSet": "statefulsets"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Cluster:
    """What was found.

    Attributes:
        version: major and minor of the API server.
        has_keda: whether ScaledObjects are served; ``keda`` is the operator's version where its Deployment says so.
        policies: admission policies, and ``bindings`` theirs, of both kinds.
        scaled: ScaledObjects of ours; ``all_scaled`` are those of others, too.
        workloads: Deployments and StatefulSets.
        pods: of pools, those that have ended or are leaving not among them.
        untried: by pool, why a deletion and an eviction of a pod that is not drained are not refused by us.
        rights: what our ServiceAccount may not do and must.
        silent: by pod, why its gate could not be asked.
    """

    version: tuple[int, int]
    has_keda: bool = True
    keda: str = ""
    policies: Sequence[Body] = ()
    bindings: Sequence[Body] = ()
    namespaces: Sequence[Body] = ()
    scaled: Sequence[Body] = ()
    all_scaled: Sequence[Body] = ()
    jobs: Sequence[Body] = ()
    autoscalers: Sequence[Body] = ()
    budgets: Sequence[Body] = ()
    workloads: Sequence[Body] = ()
    pods: Sequence[Body] = ()
    node_pools: Sequence[Body] = ()
    untried: Mapping[str, Sequence[str]] = field(default_factory=lambda: MappingProxyType({}))
    rights: Sequence[str] = ()
    silent: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))

    def target(self, scaled: Body) -> Body | None:
        """The workload that a ScaledObject or an autoscaler names."""
        namespace = text(scaled, "metadata", "namespace")
        return next((found for found in self.workloads if _names(scaled, found, namespace)), None)

    def targets(self) -> list[Body]:
        """The workloads of our pools."""
        return [found for each in self.scaled if (found := self.target(each)) is not None]

    @property
    def managed(self) -> list[Body]:
        """The pods that the guards stand before."""
        return [pod for pod in self.pods if strings(pod, "metadata", "labels").get(MANAGED) == TRUE]


@dataclass(frozen=True, slots=True)
class Hit:
    """Something is not as it must be: of which object, and what was seen."""

    object: str
    seen: str


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that is looked at.

    Attributes:
        name: what programs know it by.
        danger: what could happen.
        fix: what to do about it.
    """

    name: str
    danger: str
    fix: str
    look: Callable[[Cluster], Iterable[Hit]]


@dataclass(frozen=True, slots=True)
class Finding:
    """A hit of a check."""

    check: Check
    hit: Hit


def examine(cluster: Cluster, checks: Sequence[Check]) -> list[Finding]:
    """What the checks find, in their order."""
    return [Finding(check, hit) for check in checks for hit in check.look(cluster)]


def title(body: Body, kind: str = "") -> str:
    """How an object is called: its kind, and where it is."""
    place = (text(body, "metadata", "namespace"), text(body, "metadata", "name"))
    return f"{kind or text(body, 'kind')} {'/'.join(part for part in place if part)}".strip()


def pool_of(pod: Body) -> str:
    """The pool that a pod is of, as NAMESPACE/NAME; empty where it does not say."""
    name = strings(pod, "metadata", "labels").get(POOL, "")
    return f"{text(pod, 'metadata', 'namespace')}/{name}" if name else ""


def is_drained(pod: Body) -> bool:
    """Whether the pod is released."""
    return strings(pod, "metadata", "labels").get(PHASE) == PHASES[Phase.DRAINED]


def selects(selector: Json, labels: Mapping[str, str]) -> bool:
    """Whether a label selector matches; none matches everything."""
    wanted = strings(selector, "matchLabels")
    exact = all(labels.get(key) == value for key, value in wanted.items())
    return exact and all(_meets(each, labels) for each in objects(selector, "matchExpressions"))


def _meets(expression: Body, labels: Mapping[str, str]) -> bool:
    listed = expression.get("values")
    values = list(listed) if isinstance(listed, Sequence) and not isinstance(listed, str) else []
    found = labels.get(text(expression, "key"))
    match text(expression, "operator"):
        case "In":
            return found in values
        case "NotIn":
            return found not in values
        case "Exists":
            return found is not None
        case _:
            return found is None


def _names(scaled: Body, workload: Body, namespace: str) -> bool:
    """Whether a scaleTargetRef names this workload."""
    kind = text(scaled, "spec", "scaleTargetRef", "kind") or "Deployment"
    wanted = (kind, namespace, text(scaled, "spec", "scaleTargetRef", "name"))
    return wanted == (
        text(workload, "kind"),
        text(workload, "metadata", "namespace"),
        text(workload, "metadata", "name"),
    )
