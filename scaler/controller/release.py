"""Letting go: what of ours stands in a cluster, and the calls that take it away, in an order that works without us.

First go the rights by which a controller could write it all again, dead or alive; then what binds the guards, and the
guards; then budgets, words on namespaces, marks on owners and on pods. A pod that is drained goes itself: its gate is
closed for ever, it holds no work, and whatever made it makes another. Nothing is taken that is not ours.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Final

from scaler.config.pool import PoolKey
from scaler.controller.api import MERGE, Api, ApiError, Json, Request
from scaler.controller.dig import at, objects, parsed, strings, text
from scaler.controller.listing import listed
from scaler.controller.names import (
    ACCOUNT,
    DOMAIN,
    FORCE,
    GUARD,
    HOLDS,
    MANAGED,
    MANAGER,
    PHASE,
    PHASES,
    PINS,
    POOL,
    POOLS,
    TRUE,
    WORD,
    budget_name,
)
from scaler.core.pods import Phase
from scaler.core.types import Seconds
from scaler.live.clock import Clock

PATIENCE: Final[Seconds] = 10.0
LAG: Final[Seconds] = 30.0  # an API server may judge by a policy for a moment after it is gone
AGAIN: Final[Seconds] = 0.5
ADMISSION: Final = "/apis/admissionregistration.k8s.io/v1"
RIGHTS: Final = "/apis/rbac.authorization.k8s.io/v1"
PODS: Final = "/api/v1/pods"
NAMESPACES: Final = "/api/v1/namespaces"
BUDGETS: Final = "/apis/policy/v1/poddisruptionbudgets"
BINDINGS: Final = (
    f"{ADMISSION}/mutatingadmissionpolicybindings",
    f"{ADMISSION}/validatingadmissionpolicybindings",
)
POLICIES: Final = (f"{ADMISSION}/mutatingadmissionpolicies", f"{ADMISSION}/validatingadmissionpolicies")
OWNERS: Final = (
    "/apis/apps/v1/deployments",
    "/apis/apps/v1/statefulsets",
    "/apis/apps/v1/replicasets",
    "/apis/keda.sh/v1alpha1/scaledobjects",
    "/apis/keda.sh/v1alpha1/scaledjobs",
    "/apis/extensions.agents.x-k8s.io/v1beta1/sandboxwarmpools",
    "/apis/extensions.agents.x-k8s.io/v1beta1/sandboxclaims",
    "/apis/agents.x-k8s.io/v1beta1/sandboxes",
)
MAKERS: Final = {  # whose templates say what a pod said for itself
    "ReplicaSet": "/apis/apps/v1/namespaces/{}/replicasets/{}",
    "StatefulSet": "/apis/apps/v1/namespaces/{}/statefulsets/{}",
    "Job": "/apis/batch/v1/namespaces/{}/jobs/{}",
}
GONE: Final = {HTTPStatus.NOT_FOUND, HTTPStatus.CONFLICT}  # what was to be let go is no more, or is another one
REFUSED: Final = {HTTPStatus.FORBIDDEN, HTTPStatus.UNPROCESSABLE_ENTITY}


@dataclass(frozen=True, slots=True)
class Act:
    """One thing to do: in words, and as a call."""

    what: str
    request: Request


@dataclass(frozen=True, slots=True)
class Failed:
    """An act that did not come about, and why."""

    act: Act
    why: str


async def acts(api: Api, pool: PoolKey | None) -> AsyncIterator[Act]:
    """What is to be done to free one pool, or everything where that is None, in this order.

    Raises:
        ApiError: what there is cannot be listed.
    """
    if pool is None:
        async for act in _machinery(api):
            yield act
    budgets = BUDGETS if pool is None else _within(BUDGETS, pool.namespace)
    for body in await listed(api, budgets, labels=POOL):
        if (name := text(body, "metadata", "name")).startswith(f"{MANAGER}-") and pool in {None, _pool(body, name)}:
            yield _deleted("PodDisruptionBudget", f"{_within(BUDGETS, _namespace(body))}/{name}", body)
    async for act in _marks(api, pool):
        yield act
    pods = PODS if pool is None else _within(PODS, pool.namespace)
    wanted = f"{MANAGED}={TRUE}" + ("" if pool is None else f",{POOL}={pool.name}")
    said: dict[str, Mapping[str, str]] = {}
    for body in await listed(api, pods, labels=wanted):
        yield await _let_go(api, body, said, given_up=pool is not None)


async def _machinery(api: Api) -> AsyncIterator[Act]:
    """What the controller writes by, and the guards."""
    for kind, plural in (("ClusterRoleBinding", "clusterrolebindings"), ("RoleBinding", "rolebindings")):
        for body in await listed(api, f"{RIGHTS}/{plural}"):
            subjects = objects(body, "subjects")
            others = [subject for subject in subjects if not _is_ours(subject)]
            if len(others) < len(subjects):
                yield _withdrawn(kind, _path(f"{RIGHTS}/{plural}", body), body, others)
    for kind, paths in (("binding", BINDINGS), ("policy", POLICIES)):
        for path in paths:
            for body in await listed(api, path):
                if text(body, "metadata", "name").startswith(f"{MANAGER}-"):
                    yield _deleted(kind, _path(path, body), body)


async def _marks(api: Api, pool: PoolKey | None) -> AsyncIterator[Act]:
    """Our words on namespaces, and our labels on what pods come from."""
    for body in await listed(api, NAMESPACES):
        name = text(body, "metadata", "name")
        words = [key for key in strings(body, "metadata", "annotations") if key.startswith(WORD)]
        mine = [key for key in words if pool is None or key == f"{WORD}{pool.name}"]
        if pool is not None and (name != pool.namespace or not mine):
            continue
        labels = [key for key in (POOLS, HOLDS, GUARD) if key in strings(body, "metadata", "labels")]
        if mine or labels:
            taken = labels if len(mine) == len(words) else []
            yield _unmarked("Namespace", f"{NAMESPACES}/{name}", body, (taken, [*mine, FORCE]))
    for path in OWNERS:
        where = path if pool is None else _within(path, pool.namespace)
        for body in await listed(api, where):
            labels = [key for key in (HOLDS, GUARD, PHASE) if key in strings(body, "metadata", "labels")]
            if labels and (pool is None or text(body, "metadata", "name") == pool.name):
                yield _unmarked(path.rpartition("/")[2], _path(path, body), body, (labels, [FORCE]))


async def _let_go(api: Api, body: Mapping[str, Json], said: dict[str, Mapping[str, str]], *, given_up: bool) -> Act:
    """A pod: deleted by its uid where it is drained, and free of our words otherwise.

    While the guards stand, the patch must say that the pod is ``given_up``; the annotation stays, and guards nothing.
    """
    path = _path(PODS, body)
    if strings(body, "metadata", "labels").get(PHASE) == PHASES[Phase.DRAINED]:
        return _deleted("drained pod", path, body)
    labels = [key for key in strings(body, "metadata", "labels") if key.startswith(f"{DOMAIN}/")]
    annotations = strings(body, "metadata", "annotations")
    template = await _template(api, body, said)
    pins = [key for key in PINS if key in annotations and annotations[key] != template.get(key)]
    ours = [key for key in annotations if key.startswith(f"{DOMAIN}/") and key not in template]
    taken = dict.fromkeys(pins + ours) | ({FORCE: text(body, "metadata", "uid")} if given_up else {})
    return _changed("pod", path, body, (dict.fromkeys(labels), taken))


async def _template(api: Api, body: Mapping[str, Json], said: dict[str, Mapping[str, str]]) -> Mapping[str, str]:
    """The annotations that whatever made the pod gives to its pods; none where that is not known."""
    owner = next((each for each in objects(body, "metadata", "ownerReferences") if at(each, "controller") is True), {})
    path = MAKERS.get(text(owner, "kind"), "").format(_namespace(body), text(owner, "name"))
    if path and path not in said:
        answer = await api.ask(Request(method="GET", path=path, within=PATIENCE))
        found = parsed(answer.body) if answer.status == HTTPStatus.OK else {}
        said[path] = strings(found, "spec", "template", "metadata", "annotations")
    return said.get(path, {})


async def carry_out(api: Api, act: Act, clock: Clock) -> Failed | None:
    """Do it; what is gone already is as good. A refusal is asked again for a while: a policy outlives its deletion."""
    end = clock.now() + LAG
    while True:
        try:
            answer = await api.ask(act.request)
        except ApiError as error:
            return Failed(act, str(error))
        if answer.status < HTTPStatus.MULTIPLE_CHOICES or answer.status in GONE:
            return None
        if answer.status not in REFUSED or clock.now() >= end:
            return Failed(act, f"HTTP {answer.status} {answer.message}")
        await clock.sleep_until(clock.now() + AGAIN)


def _deleted(kind: str, path: str, body: Mapping[str, Json]) -> Act:
    uid = text(body, "metadata", "uid")
    return Act(
        f"delete {kind} {_title(body)}",
        Request(method="DELETE", path=path, body={"preconditions": {"uid": uid}}, within=PATIENCE),
    )


def _withdrawn(kind: str, path: str, body: Mapping[str, Json], others: list[Mapping[str, Json]]) -> Act:
    """Our ServiceAccount has the rights no more; who shares them keeps them."""
    if not others:
        return _deleted(kind, path, body)
    change: Json = {"metadata": {"uid": text(body, "metadata", "uid")}, "subjects": others}
    return Act(
        f"leave {kind} {_title(body)}", Request(method="PATCH", path=path, body=change, content=MERGE, within=PATIENCE)
    )


def _unmarked(kind: str, path: str, body: Mapping[str, Json], keys: tuple[list[str], list[str]]) -> Act:
    """Take these labels and annotations off."""
    return _changed(kind, path, body, (dict.fromkeys(keys[0]), dict.fromkeys(keys[1])))


def _changed(
    kind: str, path: str, body: Mapping[str, Json], words: tuple[Mapping[str, Json], Mapping[str, Json]]
) -> Act:
    """Write these labels and annotations, unless another object has the name by now."""
    metadata: Json = {"uid": text(body, "metadata", "uid"), "labels": words[0], "annotations": words[1]}
    request = Request(method="PATCH", path=path, body={"metadata": metadata}, content=MERGE, within=PATIENCE)
    return Act(f"free {kind} {_title(body)}", request)


def _is_ours(subject: Mapping[str, Json]) -> bool:
    """Whether a subject is our ServiceAccount, which can also be named as a user."""
    kind, namespace, name = text(subject, "kind"), text(subject, "namespace"), text(subject, "name")
    return (kind, namespace, name) == ("ServiceAccount", MANAGER, MANAGER) or (kind, name) == ("User", ACCOUNT)


def _pool(body: Mapping[str, Json], budget: str) -> PoolKey | None:
    """Whose sentinel this budget is."""
    name = strings(body, "metadata", "labels").get(POOL, "")
    return PoolKey(_namespace(body), name) if budget == budget_name(name) else None


def _namespace(body: Mapping[str, Json]) -> str:
    return text(body, "metadata", "namespace")


def _title(body: Mapping[str, Json]) -> str:
    return "/".join(part for part in (_namespace(body), text(body, "metadata", "name")) if part)


def _within(path: str, namespace: str) -> str:
    """The same kind in one namespace."""
    base, _, plural = path.rpartition("/")
    return f"{base}/namespaces/{namespace}/{plural}" if namespace else path


def _path(path: str, body: Mapping[str, Json]) -> str:
    return f"{_within(path, _namespace(body))}/{text(body, 'metadata', 'name')}"


def counted(found: list[Act]) -> Iterator[str]:
    """So many of each kind, for who is asked whether they may go."""
    kinds = [" ".join(act.what.split(" ")[:-1]) for act in found]
    yield from (f"{kind}: {kinds.count(kind)}" for kind in dict.fromkeys(kinds))
