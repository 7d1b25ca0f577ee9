"""Objects of agent-sandbox as facts: what counts of a claim, a pool, a sandbox, and of who else scales a pool.

Facts are a few hundred bytes where the objects are kibibytes, and there may be a hundred thousand of them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, TypeAlias

from scaler.config.pool import PoolKey
from scaler.controller.api import Json
from scaler.controller.dig import at, condition, holds, instant, objects, strings, text, whole
from scaler.controller.facts import PodFacts
from scaler.controller.facts import pod as pod_facts
from scaler.controller.names import DOMAIN, PHASE, PHASES
from scaler.controller.sandboxes import kinds
from scaler.controller.scaled import warm_pool
from scaler.core.pods import Phase
from scaler.core.types import Instant

Object: TypeAlias = Mapping[str, Json]
TAKE_OVER: Final = f"{DOMAIN}/take-over"
SPEC_REPLICAS: Final = ("fieldsV1", "f:spec", "f:replicas")


@dataclass(frozen=True, slots=True)
class Id:
    """An object: two of one name have different uids."""

    namespace: str
    name: str
    uid: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """Somebody's wish for a sandbox.

    Attributes:
        pool: the warm pool it names.
        bypasses: it can only be served cold, for it brings variables or volumes of its own.
        created: to the second.
        observed: when the claim controller saw it first; None before that, and where it does not say.
        sandbox: name of the sandbox it was given; empty before that.
        ready_at: when it was ready first; None before that.
        leaving: it is being deleted.
        shutdown: when it expires, as it was written; empty where it does not.
        drained: it is marked as one that may go.
    """

    id: Id
    pool: str
    bypasses: bool
    created: Instant
    observed: Instant | None
    sandbox: str
    ready_at: Instant | None
    leaving: bool
    shutdown: str
    drained: bool

    @property
    def key(self) -> PoolKey:
        """The pool it asks."""
        return PoolKey(self.id.namespace, self.pool)

    @property
    def is_cold(self) -> bool:
        """Whether it was given a sandbox made for it: that one has the claim's own name."""
        return self.sandbox == self.id.name


@dataclass(frozen=True, slots=True, kw_only=True)
class Sandbox:
    """One sandbox.

    Attributes:
        pool: uid of the warm pool that owns it; empty once it was claimed.
        claim: uid of the claim that owns it; empty where none does.
        warm: it was made by a pool.
        created: to the second.
        ready: it is ready now.
        ready_since: to the second, since when; None while it is not.
        stuck: its pod cannot be scheduled.
        leaving: it is being deleted.
        guarded: it asks to stay, once claimed, until it is drained.
        drained: it is marked as one that may go.
    """

    id: Id
    pool: str
    claim: str
    warm: bool
    created: Instant
    ready: bool
    ready_since: Instant | None
    stuck: bool
    leaving: bool
    guarded: bool
    drained: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Pod:
    """The pod of a sandbox that asks to be guarded. It has the sandbox's name.

    Attributes:
        pooled: a warm pool still has it.
        worked: its agent has been seen at work since it was claimed.
    """

    facts: PodFacts
    pooled: bool
    worked: bool


@dataclass(frozen=True, slots=True)
class Writer:
    """Who set a pool's size last, as the API server has noted it, and when."""

    manager: str
    at: Instant | None


@dataclass(frozen=True, slots=True, kw_only=True)
class WarmPool:
    """A warm pool: how many idle sandboxes it is asked to keep, and how many it has.

    Attributes:
        size: ``spec.replicas``; a claim takes one out of the pool, which then makes another.
        members: sandboxes it counts as its own, ready or not.
        ready: those of them that are ready.
        caught_up: its controller has seen the latest size.
        writer: who set the size; None where nobody did, and it is the default.
        take_over: the foreign writer whose size we may replace, by an annotation of a person.
        template: name of the template.
    """

    id: Id
    size: int
    members: int
    ready: int
    caught_up: bool
    created: Instant
    writer: Writer | None
    take_over: str
    template: str
    leaving: bool

    @property
    def key(self) -> PoolKey:
        """Its name as a pool."""
        return PoolKey(self.id.namespace, self.id.name)


@dataclass(frozen=True, slots=True, kw_only=True)
class Rival:
    """An HPA or a ScaledObject that scales a warm pool.

    Attributes:
        owner: uid of the ScaledObject that an HPA belongs to; empty where it belongs to none.
        asks: it is a ScaledObject that asks us what size the pool shall have.
    """

    id: Id
    kind: str
    target: str
    owner: str
    asks: bool

    @property
    def key(self) -> PoolKey:
        """The pool it scales."""
        return PoolKey(self.id.namespace, self.target)


def claim_of(found: Object) -> Claim:
    """The facts of a SandboxClaim."""
    spec, notes = at(found, "spec"), at(found, "metadata", "annotations")
    return Claim(
        id=_id(found),
        pool=text(spec, "warmPoolRef", "name"),
        bypasses=bool(objects(spec, "env") or objects(spec, "volumeClaimTemplates")),
        created=_created(found),
        observed=instant(notes, kinds.OBSERVED),
        sandbox=text(found, "status", "sandbox", "name") or text(notes, kinds.BOUND),
        ready_at=instant(notes, kinds.FIRST_READY),
        leaving=_leaving(found),
        shutdown=text(spec, "lifecycle", "shutdownTime"),
        drained=_drained(found),
    )


def sandbox_of(found: Object) -> Sandbox:
    """The facts of a Sandbox."""
    ready, scheduled = condition(found, kinds.READY), condition(found, kinds.SCHEDULED)
    is_ready = text(ready, "status") == "True"
    return Sandbox(
        id=_id(found),
        pool=_owner(found, "SandboxWarmPool"),
        claim=_owner(found, "SandboxClaim"),
        warm=text(found, "metadata", "labels", kinds.LAUNCH) == kinds.WARM,
        created=_created(found),
        ready=is_ready,
        ready_since=instant(ready, "lastTransitionTime") if is_ready else None,
        stuck=text(scheduled, "status") == "False" and text(scheduled, "reason") == kinds.UNSCHEDULABLE,
        leaving=_leaving(found) or holds(found, kinds.FINISHED),
        guarded=text(found, "spec", "podTemplate", "metadata", "labels", kinds.ASKS) == kinds.GUARD,
        drained=_drained(found),
    )


def pod_of(found: Object) -> Pod:
    """The facts of a sandbox's pod."""
    return Pod(
        facts=pod_facts(found),
        pooled=kinds.POOLED in strings(found, "metadata", "labels"),
        worked=kinds.WORKED in strings(found, "metadata", "annotations"),
    )


def warm_pool_of(found: Object) -> WarmPool:
    """The facts of a SandboxWarmPool."""
    generation = whole(found, "metadata", "generation", otherwise=0)
    return WarmPool(
        id=_id(found),
        size=whole(found, "spec", "replicas", otherwise=1),
        members=whole(found, "status", "replicas", otherwise=0),
        ready=whole(found, "status", "readyReplicas", otherwise=0),
        caught_up=whole(found, "status", "observedGeneration", otherwise=-1) >= generation,
        created=_created(found),
        writer=_writer(found),
        take_over=text(found, "metadata", "annotations", TAKE_OVER),
        template=text(found, "spec", "sandboxTemplateRef", "name"),
        leaving=_leaving(found),
    )


def rival_of(found: Object) -> Rival | None:
    """The facts of an HPA or a ScaledObject; None where it scales no warm pool."""
    target = at(found, "spec", "scaleTargetRef")
    if text(target, "kind") != "SandboxWarmPool" or not text(target, "apiVersion").startswith(kinds.EXTENSIONS):
        return None
    name = text(target, "name")
    asks = any(warm_pool(trigger) == name for trigger in objects(found, "spec", "triggers"))
    return Rival(
        id=_id(found),
        kind=text(found, "kind"),
        target=name,
        owner=_owner(found, "ScaledObject"),
        asks=bool(name) and asks,
    )


def _id(found: Object) -> Id:
    return Id(text(found, "metadata", "namespace"), text(found, "metadata", "name"), text(found, "metadata", "uid"))


def _created(found: Object) -> Instant:
    return instant(found, "metadata", "creationTimestamp") or 0.0


def _leaving(found: Object) -> bool:
    return bool(text(found, "metadata", "deletionTimestamp"))


def _drained(found: Object) -> bool:
    return text(found, "metadata", "labels", PHASE) == PHASES[Phase.DRAINED]


def _owner(found: Object, kind: str) -> str:
    """The uid of the controller of that kind."""
    owners = objects(found, "metadata", "ownerReferences")
    return next((text(each, "uid") for each in owners if text(each, "kind") == kind and at(each, "controller")), "")


def _writer(found: Object) -> Writer | None:
    """Who is noted for the size. Where several agree on it, the latest."""
    noted = [
        Writer(text(each, "manager"), instant(each, "time"))
        for each in objects(found, "metadata", "managedFields")
        if at(each, *SPEC_REPLICAS) is not None
    ]
    return max(noted, key=lambda writer: writer.at or 0.0, default=None)
