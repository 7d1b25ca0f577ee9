"""Gathering what the checks are given: lists, dry runs to be refused, questions to the authorizer and to gates."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from http import HTTPStatus
from typing import Final

import aiohttp

from scaler.controller.api import Api, ApiError, Json, Request
from scaler.controller.dig import at, objects, parsed, strings, text
from scaler.controller.doctor.findings import PLURALS, Body, Cluster, is_drained, pool_of
from scaler.controller.facts import PodFacts
from scaler.controller.facts import pod as facts_of
from scaler.controller.listing import PATIENCE, listed
from scaler.controller.names import ACCOUNT, GUARD, MANAGED, MANAGER, TRUE
from scaler.controller.scaled import is_ours
from scaler.controller.trial import DRY, denied, eviction, kept
from scaler.core.types import Seconds, Unknown

ADMISSION: Final = "/apis/admissionregistration.k8s.io/v1"
ENDED: Final = ("Succeeded", "Failed")
AUDIT: Final = "audit"
CALLERS: Final = 20  # gates asked at a time
ANSWERS: Final[Seconds] = 3.0
GROUPS: Final = ("system:serviceaccounts", f"system:serviceaccounts:{MANAGER}", "system:authenticated")
# Group, resource and verbs: what the manifests bind to our ServiceAccount wherever pools are; a test compares.
RIGHTS: Final = (
    ("apps", "deployments/scale", ("get",)),
    ("apps", "statefulsets/scale", ("get",)),
    ("apps", "deployments", ("list", "watch", "patch")),
    ("apps", "statefulsets", ("list", "watch", "patch")),
    ("apps", "replicasets", ("list", "watch")),
    ("", "pods", ("get", "list", "watch", "patch", "delete")),
    ("", "pods/eviction", ("create",)),
    ("", "nodes", ("list", "watch")),
    ("", "namespaces", ("patch",)),
    ("policy", "poddisruptionbudgets", ("create", "patch", "delete")),
    ("", "events", ("create",)),
    ("keda.sh", "scaledobjects", ("get", "list", "watch", "patch")),
    ("keda.sh", "scaledjobs", ("list", "watch")),
)


async def gather(api: Api, address: str) -> Cluster:
    """Everything, as it is now; pools are those whose ScaledObjects name this address.

    Raises:
        ApiError: something cannot be read.
    """
    said = parsed((await api.ask(Request(method="GET", path="/version", within=PATIENCE))).body)
    keda = await api.ask(Request(method="GET", path="/apis/keda.sh/v1alpha1", within=PATIENCE))
    every = await _of_kind(api, "/apis/keda.sh/v1alpha1/scaledobjects", "ScaledObject")
    jobs = await _of_kind(api, "/apis/keda.sh/v1alpha1/scaledjobs", "ScaledJob")
    scaled = [each for each in every if _asks(each, address)]
    workloads = [w for kind, plural in PLURALS.items() for w in await _of_kind(api, f"/apis/apps/v1/{plural}", kind)]
    pods = await _pods(api, {text(each, "metadata", "namespace") for each in scaled})
    return Cluster(
        version=(_number(text(said, "major")), _number(text(said, "minor"))),
        has_keda=keda.status == HTTPStatus.OK,
        keda=_keda(workloads),
        policies=await _policies(api, "policies", "Policy"),
        bindings=await _policies(api, "policybindings", "PolicyBinding"),
        namespaces=await _of_kind(api, "/api/v1/namespaces", "Namespace"),
        scaled=scaled,
        all_scaled=every,
        jobs=[each for each in jobs if _asks(each, address)],
        autoscalers=await _of_kind(api, "/apis/autoscaling/v2/horizontalpodautoscalers", "HorizontalPodAutoscaler"),
        budgets=await _of_kind(api, "/apis/policy/v1/poddisruptionbudgets", "PodDisruptionBudget"),
        workloads=workloads,
        pods=pods,
        node_pools=await _of_kind(api, "/apis/karpenter.sh/v1/nodepools", "NodePool"),
        untried=await _tried(api, pods),
        rights=await _rights(api, {text(pod, "metadata", "namespace") for pod in pods} or {""}),
        silent=await _silent(api, pods),
    )


async def _of_kind(api: Api, path: str, kind: str) -> list[Body]:
    """The objects there, which say their kind; a list says it once for all."""
    return [{**body, "kind": kind} for body in await listed(api, path)]


async def _policies(api: Api, plural: str, kind: str) -> list[Body]:
    found = [await _of_kind(api, f"{ADMISSION}/{w.lower()}admission{plural}", f"{w}Admission{kind}") for w in WAYS]
    return [body for each in found for body in each]


WAYS: Final = ("Validating", "Mutating")


async def _pods(api: Api, namespaces: Iterable[str]) -> list[Body]:
    """Those of the namespaces of pools, and all others that are managed; each once."""
    found = await _of_kind(api, "/api/v1/pods", "Pod") if namespaces else []
    places = set(namespaces)
    here = [pod for pod in found if text(pod, "metadata", "namespace") in places or _is_managed(pod)]
    found = here or [{**pod, "kind": "Pod"} for pod in await listed(api, "/api/v1/pods", labels=f"{MANAGED}={TRUE}")]
    return [pod for pod in found if _lives(pod)]


def _lives(pod: Body) -> bool:
    return at(pod, "metadata", "deletionTimestamp") is None and text(pod, "status", "phase") not in ENDED


def _is_managed(pod: Body) -> bool:
    return strings(pod, "metadata", "labels").get(MANAGED) == TRUE


async def _tried(api: Api, pods: Sequence[Body]) -> Mapping[str, Sequence[str]]:
    """By pool, what the dry runs say of the guards before one of its pods that is not drained."""
    found: dict[str, list[str]] = {}
    for pod in pods:
        pool, on_a_node = pool_of(pod), text(pod, "spec", "nodeName")
        audits = strings(pod, "metadata", "labels").get(GUARD) == AUDIT
        if pool and pool not in found and on_a_node and _is_managed(pod) and not is_drained(pod) and not audits:
            found[pool] = [why.why for why in await _trial(api, facts_of(pod)) if why is not None]
    return found


async def _trial(api: Api, pod: PodFacts) -> tuple[Unknown | None, Unknown | None]:
    deletion = await api.ask(Request(method="DELETE", path=pod.path, query=DRY, within=PATIENCE))
    return denied(deletion), kept(await api.ask(eviction(pod)), pod)


async def _rights(api: Api, namespaces: Iterable[str]) -> list[str]:
    """What our ServiceAccount may not do in these namespaces, in words."""
    found = []
    for namespace in sorted(namespaces):
        for group, resource, verbs in RIGHTS:
            found += [
                f"{verb} {resource}" + (f" in {namespace}" if namespace else "")
                for verb in verbs
                if not await _may(api, namespace, f"{group}/{resource}", verb)
            ]
    return found


async def _may(api: Api, namespace: str, what: str, verb: str) -> bool:
    group, resource, *sub = what.split("/")
    about: Json = {
        "namespace": namespace,
        "verb": verb,
        "group": group,
        "resource": resource,
        "subresource": "".join(sub),
    }
    body: Json = {
        "apiVersion": "authorization.k8s.io/v1",
        "kind": "SubjectAccessReview",
        "spec": {"user": ACCOUNT, "groups": list(GROUPS), "resourceAttributes": about},
    }
    path = "/apis/authorization.k8s.io/v1/subjectaccessreviews"
    answer = await api.send(Request(method="POST", path=path, body=body, within=PATIENCE))
    return at(parsed(answer), "status", "allowed") is True


async def _silent(api: Api, pods: Sequence[Body]) -> Mapping[str, str]:
    """Why gates of running pods do not answer, by pod."""
    ready = [facts_of(pod) for pod in pods if _is_managed(pod) and text(pod, "status", "podIP")]
    turn = asyncio.Semaphore(CALLERS)
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=ANSWERS)) as session:
        answers = await asyncio.gather(*(_asked(api, session, turn, pod) for pod in ready))
    said = zip(ready, answers, strict=True)
    return {f"{pod.namespace}/{pod.name}": why for pod, why in said if why is not None}


async def _asked(api: Api, session: aiohttp.ClientSession, turn: asyncio.Semaphore, pod: PodFacts) -> str | None:
    """Why the gate does not answer, by way of the API server, as from a laptop, and directly."""
    async with turn:
        path = f"/api/v1/namespaces/{pod.namespace}/pods/{pod.name}:{pod.port}/proxy/activity"
        try:
            if (await api.ask(Request(method="GET", path=path, within=ANSWERS))).status == HTTPStatus.OK:
                return None
        except ApiError:
            pass
        try:
            async with session.get(f"{pod.gate}/activity", allow_redirects=False) as answer:
                return None if answer.status == HTTPStatus.OK else f"GET /activity answers HTTP {answer.status}"
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            return f"nobody answers GET /activity at {pod.address}:{pod.port}: {type(error).__name__}"


def _asks(scaled: Body, address: str) -> bool:
    return any(is_ours(trigger, address) for trigger in objects(scaled, "spec", "triggers"))


def _keda(workloads: Sequence[Body]) -> str:
    """The version of KEDA's operator; empty where no Deployment is it."""
    for workload in workloads:
        if text(workload, "metadata", "name") == "keda-operator":
            images = [text(c, "image") for c in objects(workload, "spec", "template", "spec", "containers")]
            return next((image.rpartition(":")[2] for image in images if ":" in image), "")
    return ""


def _number(told: str) -> int:
    """A part of a version, which providers write as ``36+``."""
    digits = "".join(character for character in told if character.isdecimal())
    return int(digits) if digits else 0
