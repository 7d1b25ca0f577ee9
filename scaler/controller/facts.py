"""What is kept of objects: a few facts of each. The objects themselves are ten times as large, and are let go."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from scaler.controller.api import Json
from scaler.controller.dig import at, instant, objects, strings, text, whole
from scaler.controller.names import (
    ASKED_BY,
    DEFAULT_GATE_PORT,
    EPOCH,
    GATE_PORT,
    GUARD,
    HOLDS,
    MANAGED,
    NODE_ASKED,
    PHASE,
    PHASES,
    PINS,
    POOL,
    SINCE,
    TRUE,
)
from scaler.core.pods import NO_ORDINAL, Phase
from scaler.core.types import Instant, PodUid

_PHASES: Final = {word: phase for phase, word in PHASES.items()}
_ORDINAL: Final = re.compile(r"-(\d+)$")
_ENDED: Final = ("Succeeded", "Failed")
PORTS: Final = 65_535
REVISION: Final = "deployment.kubernetes.io/revision"
REPLICAS: Final = ("fieldsV1", "f:spec", "f:replicas")
ZONE: Final = "topology.kubernetes.io/zone"
POD_REVISION: Final = "controller-revision-hash"


@dataclass(frozen=True, slots=True, kw_only=True)
class PodFacts:
    """A pod.

    Attributes:
        labels: all of them, for whoever selects by them.
        pins: annotations that keep its node, of those in ``names.PINS``.
        annotated: whether it has any annotation.
        epoch: None where nobody has marked it yet.
        asked_by: who asked for its drain, as ``names`` spells it, where its mark says so; ``asked_at`` when it began.
        owner: uid of the object that controls it, empty where none does; ``owner_kind`` is its kind.
        ready: since when it is ready, None where it is not.
        leaving: it is being deleted, or has ended.
    """

    uid: PodUid
    namespace: str
    name: str
    labels: Mapping[str, str]
    annotated: bool
    pins: tuple[str, ...]
    epoch: int | None
    asked_by: str | None
    asked_at: Instant | None
    owner: str
    owner_kind: str
    node: str
    address: str
    port: int
    created_at: Instant
    ready: Instant | None
    leaving: bool

    @property
    def phase(self) -> Phase:
        """Where it stands in the drain protocol. A word that nobody of ours wrote is no release."""
        return _PHASES.get(self.labels.get(PHASE, ""), Phase.ACTIVE)

    @property
    def for_node(self) -> bool:
        """Whether it drains, or is drained, because its node asked it away."""
        return self.phase is not Phase.ACTIVE and (self.asked_by or "").startswith(NODE_ASKED)

    @property
    def managed(self) -> bool:
        """Whether the guards stand before it."""
        return self.labels.get(MANAGED) == TRUE

    @property
    def pool(self) -> str:
        """The pool that its label names, empty where it names none."""
        return self.labels.get(POOL, "")

    @property
    def guard(self) -> str:
        """What its delete guard does: deny unless it says something else."""
        return self.labels.get(GUARD, "deny")

    @property
    def ordinal(self) -> int:
        """Its ordinal, where a StatefulSet made it."""
        found = _ORDINAL.search(self.name) if self.owner_kind == "StatefulSet" else None
        return NO_ORDINAL if found is None else int(found[1])

    @property
    def zone(self) -> str:
        """The zone of its node, which the API server copies to it from 1.36 on; empty where it does not."""
        return self.labels.get(ZONE, "")

    @property
    def revision(self) -> str:
        """The revision of its StatefulSet that it was made from, empty where none made it."""
        return self.labels.get(POD_REVISION, "")

    @property
    def path(self) -> str:
        """Where the API server has it."""
        return f"/api/v1/namespaces/{self.namespace}/pods/{self.name}"

    @property
    def gate(self) -> str:
        """The base URL of its gate, empty while it has no address."""
        host = f"[{self.address}]" if ":" in self.address else self.address
        return f"http://{host}:{self.port}" if host else ""


def pod(found: Json) -> PodFacts:
    """The facts of a pod."""
    owner = _controller(found)
    annotations = strings(found, "metadata", "annotations")
    return PodFacts(
        uid=text(found, "metadata", "uid"),
        namespace=text(found, "metadata", "namespace"),
        name=text(found, "metadata", "name"),
        labels=strings(found, "metadata", "labels"),
        annotated=bool(annotations),
        pins=tuple(key for key in PINS if key in annotations),
        epoch=_number(annotations.get(EPOCH, "")),
        asked_by=annotations.get(ASKED_BY),
        asked_at=instant(annotations, SINCE),
        owner=text(owner, "uid"),
        owner_kind=text(owner, "kind"),
        node=text(found, "spec", "nodeName"),
        address=text(found, "status", "podIP"),
        port=_port(annotations.get(GATE_PORT, "")),
        created_at=instant(found, "metadata", "creationTimestamp") or 0.0,
        ready=_ready(found),
        leaving=_leaving(found),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkloadFacts:
    """A Deployment, a StatefulSet or a ReplicaSet.

    Attributes:
        selector: labels that its pods have; empty where it selects by expressions, which nobody here reads.
        replicas: how many pods it asks for.
        start: the first ordinal of a StatefulSet.
        revision: of a ReplicaSet; its Deployment's newest has the highest.
        revision_hash: of a StatefulSet that replaces its pods by itself: what the newest pods are labelled with.
        partition: of such a StatefulSet, the lowest ordinal that it replaces.
        owner: uid of the object that controls it, empty where none does; ``owner_kind`` is its kind.
        holds: whether it is marked as having pods that are not drained.
        writer: the field manager that wrote its replicas last, empty where the API server does not say.
    """

    uid: str
    namespace: str
    name: str
    selector: Mapping[str, str]
    replicas: int
    start: int
    revision: int
    revision_hash: str
    partition: int
    owner: str
    owner_kind: str
    holds: bool
    leaving: bool
    writer: str

    def selects(self, labels: Mapping[str, str]) -> bool:
        """Whether a pod with these labels is one of its."""
        return bool(self.selector) and self.selector.items() <= labels.items()


def workload(found: Json) -> WorkloadFacts:
    """The facts of a workload."""
    owner = _controller(found)
    by_expression = bool(objects(found, "spec", "selector", "matchExpressions"))
    return WorkloadFacts(
        uid=text(found, "metadata", "uid"),
        namespace=text(found, "metadata", "namespace"),
        name=text(found, "metadata", "name"),
        selector={} if by_expression else strings(found, "spec", "selector", "matchLabels"),
        replicas=whole(found, "spec", "replicas", otherwise=1),
        start=whole(found, "spec", "ordinals", "start", otherwise=0),
        revision=_number(strings(found, "metadata", "annotations").get(REVISION, "")) or 0,
        revision_hash=text(found, "status", "updateRevision") if _rolls(found) else "",
        partition=whole(found, "spec", "updateStrategy", "rollingUpdate", "partition", otherwise=0),
        owner=text(owner, "uid"),
        owner_kind=text(owner, "kind"),
        holds=HOLDS in strings(found, "metadata", "labels"),
        leaving=at(found, "metadata", "deletionTimestamp") is not None,
        writer=_writer(found),
    )


def _writer(found: Json) -> str:
    """Who wrote its replicas last."""
    entries = [e for e in objects(found, "metadata", "managedFields") if at(e, *REPLICAS) is not None]
    return text(max(entries, key=lambda entry: text(entry, "time"), default={}), "manager")


def version(found: Json) -> float:
    """How late a version this is: a higher one is later. One that is no number is later than all."""
    number = _number(text(found, "metadata", "resourceVersion"))
    return math.inf if number is None else number


def _controller(found: Json) -> Json:
    owners = objects(found, "metadata", "ownerReferences")
    return next((owner for owner in owners if owner.get("controller") is True), None)


def _rolls(found: Json) -> bool:
    return text(found, "spec", "updateStrategy", "type") == "RollingUpdate"


def _number(word: str) -> int | None:
    return int(word) if word.isdecimal() and word.isascii() else None


def _port(word: str) -> int:
    number = _number(word) or 0
    return number if 0 < number <= PORTS else DEFAULT_GATE_PORT


def _ready(found: Json) -> Instant | None:
    for condition in objects(found, "status", "conditions"):
        if condition.get("type") == "Ready" and condition.get("status") == "True":
            return instant(condition, "lastTransitionTime") or 0.0
    return None


def _leaving(found: Json) -> bool:
    return at(found, "metadata", "deletionTimestamp") is not None or text(found, "status", "phase") in _ENDED
