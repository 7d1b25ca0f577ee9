"""Letting go, on an API server that holds a little of everything: what is taken, in which order, and what is not."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from aiohttp import web

from scaler.config.pool import PoolKey
from scaler.controller.api import Api, Request, open_api
from scaler.controller.dig import at
from scaler.controller.names import (
    ACCOUNT,
    DO_NOT_DISRUPT,
    EPOCH,
    FORCE,
    GATE_PORT,
    GUARD,
    HOLDS,
    MANAGED,
    PHASE,
    POOL,
    POOLS,
    SAFE_TO_EVICT,
    WORD,
)
from scaler.controller.release import ADMISSION, AGAIN, BUDGETS, LAG, RIGHTS, Act, Failed, acts, carry_out, counted
from scaler.core.types import Instant
from scaler.live.clock import VirtualClock
from tests.controller.objects import Object, pod_object
from tests.support.api_server import TOKEN, kubeconfig_for
from tests.support.http import serving
from tests.support.pools import NOON

CODER = PoolKey("agents", "coder")
OURS = {"kind": "ServiceAccount", "namespace": "agent-scaler", "name": "agent-scaler"}
NAMESAKE = {"kind": "ServiceAccount", "namespace": "agents", "name": "agent-scaler"}
SOMEBODY = {"kind": "User", "name": "somebody"}
SETS = "/apis/apps/v1/namespaces/agents/replicasets"


def named(name: str, namespace: str = "", **more: object) -> Object:
    """An object; ``more`` is its labels and annotations."""
    place = {"namespace": namespace} if namespace else {}
    return {"metadata": {"name": name, **place, "uid": f"uid-{name}", **more}}


def bound(name: str, *subjects: Object) -> Object:
    """A ClusterRoleBinding of these."""
    return {**named(name), "subjects": list(subjects)}


def member(name: str, pool: str = "coder", phase: str = "active", **annotations: str) -> Object:
    """A pod of ours, from the ReplicaSet ``set``."""
    labels = {"app": pool, MANAGED: "true", POOL: pool, PHASE: phase}
    found = pod_object(name, labels=labels, annotations=annotations, owner="uid-set")
    found["metadata"]["ownerReferences"] = [
        {"kind": "Job", "name": "another", "uid": "uid-another"},
        {**found["metadata"]["ownerReferences"][0], "name": "set"},
    ]
    return found


PINNED = {DO_NOT_DISRUPT: "true", SAFE_TO_EVICT: "false", EPOCH: "2", GATE_PORT: "8080", "note": "somebody's"}
TEMPLATE = {"spec": {"template": {"metadata": {"annotations": {SAFE_TO_EVICT: "false", GATE_PORT: "8080"}}}}}
WORDS = {f"{WORD}coder": "{}", f"{WORD}other": "{}", "note": "somebody's"}
CLUSTER: dict[str, list[Object]] = {
    f"{RIGHTS}/clusterrolebindings": [
        bound("ours", OURS),
        bound("as-user", {"kind": "User", "name": ACCOUNT}),
        bound("shared", SOMEBODY, OURS, NAMESAKE),
        bound("theirs", SOMEBODY, NAMESAKE),
    ],
    f"{ADMISSION}/validatingadmissionpolicybindings": [named("agent-scaler-delete"), named("agent-scalers")],
    f"{ADMISSION}/validatingadmissionpolicies": [named("agent-scaler-delete"), named("somebodys")],
    BUDGETS: [
        named("agent-scaler-coder", "agents", labels={POOL: "coder"}),
        named("agent-scaler-other", "agents", labels={POOL: "other"}),
        named("agent-scaler-odd", "agents", labels={POOL: "coder"}),
        named("somebodys", "agents", labels={POOL: "coder"}),
    ],
    "/api/v1/namespaces": [
        named("agents", annotations=WORDS, labels={POOLS: "true", HOLDS: "true", "team": "a"}),
        named("alone", annotations={f"{WORD}coder": "{}"}, labels={POOLS: "true"}),
        named("bare", annotations={f"{WORD}other": "{}"}),
        named("kube-system", annotations={"note": "somebody's"}, labels={"team": "b"}),
    ],
    "/apis/apps/v1/deployments": [
        named("coder", "agents", labels={HOLDS: "true", "app": "coder"}),
        named("other", "agents", labels={HOLDS: "true", GUARD: "audit"}),
        named("theirs", "agents", labels={"app": "theirs"}),
    ],
    "/api/v1/pods": [
        member("coder-1", **PINNED),
        member("coder-2", phase="drained"),
        member("other-1", pool="other"),
        pod_object("theirs-1"),
    ],
}


def selected(body: Object, selector: str) -> bool:
    """Whether an object has these labels."""
    labels = body["metadata"].get("labels", {})
    words = [word.partition("=") for word in selector.split(",") if word]
    return all(key in labels and (not value or labels[key] == value) for key, _, value in words)


def listed(path: str, selector: str) -> list[Object] | None:
    """The objects of a kind, of one namespace where the path names it; None where that kind is not served."""
    base, _, rest = path.partition("/namespaces/")
    namespace, _, plural = rest.partition("/")
    found = CLUSTER.get(f"{base}/{plural}" if plural else path)
    if found is None:
        return None
    return [
        body
        for body in found
        if selected(body, selector) and (not plural or body["metadata"]["namespace"] == namespace)
    ]


@dataclass
class Server:
    """That cluster; ``answers`` are what it says to writes, the last of them for ever."""

    answers: list[int] = field(default_factory=lambda: [200])
    written: int = 0

    async def answer(self, request: web.Request) -> web.Response:
        """A list, the one ReplicaSet, or a write that changes nothing here."""
        if request.method != "GET":
            self.written += 1
            status = self.answers[min(self.written, len(self.answers)) - 1]
            return web.json_response({"message": "so it is"}, status=status)
        if request.path == f"{SETS}/set":
            return web.json_response(TEMPLATE)
        items = listed(request.path, request.query.get("labelSelector", ""))
        return web.json_response({"items": items or []}, status=404 if items is None else 200)


@asynccontextmanager
async def reaching(folder: Path, server: Server) -> AsyncIterator[Api]:
    """The way to it."""
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", server.answer)
    async with serving(app) as url:
        folder.joinpath("kubeconfig").write_text(kubeconfig_for(url, TOKEN))
        async with open_api(folder / "kubeconfig") as api:
            yield api


async def found(folder: Path, pool: PoolKey | None) -> list[Act]:
    """What is to be done there."""
    async with reaching(folder, Server()) as api:
        return [act async for act in acts(api, pool)]


def taken(act: Act) -> tuple[set[str], set[str]]:
    """The labels and the annotations that an act takes off."""
    labels, annotations = (at(act.request.body, "metadata", kind) for kind in ("labels", "annotations"))
    assert isinstance(labels, Mapping)
    assert isinstance(annotations, Mapping)
    return set(labels), set(annotations)


async def test_everything_of_ours_goes_in_an_order_that_works_without_us(tmp_path: Path) -> None:
    """The rights first, by which a controller would write it all again; then guards; and nothing of anybody else's."""
    everything = await found(tmp_path, None)
    assert [act.what for act in everything] == [
        "delete ClusterRoleBinding ours",
        "delete ClusterRoleBinding as-user",
        "leave ClusterRoleBinding shared",
        "delete binding agent-scaler-delete",
        "delete policy agent-scaler-delete",
        "delete PodDisruptionBudget agents/agent-scaler-coder",
        "delete PodDisruptionBudget agents/agent-scaler-other",
        "delete PodDisruptionBudget agents/agent-scaler-odd",
        "free Namespace agents",
        "free Namespace alone",
        "free Namespace bare",
        "free deployments agents/coder",
        "free deployments agents/other",
        "free pod agents/coder-1",
        "delete drained pod agents/coder-2",
        "free pod agents/other-1",
    ]
    assert everything[2].request.body == {"metadata": {"uid": "uid-shared"}, "subjects": [SOMEBODY, NAMESAKE]}
    assert taken(everything[8]) == ({HOLDS, POOLS}, {FORCE, f"{WORD}coder", f"{WORD}other"})
    assert taken(everything[12]) == ({HOLDS, GUARD}, {FORCE})
    assert list(counted(everything))[:2] == ["delete ClusterRoleBinding: 2", "leave ClusterRoleBinding: 1"]


async def test_one_pool_goes_and_all_others_keep_their_guards(tmp_path: Path) -> None:
    """Its budget, its word, its marks and its pods; the namespace stays marked for whoever else is there."""
    of_one = await found(tmp_path, CODER)
    assert [act.what for act in of_one] == [
        "delete PodDisruptionBudget agents/agent-scaler-coder",
        "free Namespace agents",
        "free deployments agents/coder",
        "free pod agents/coder-1",
        "delete drained pod agents/coder-2",
    ]
    assert taken(of_one[1]) == (set(), {FORCE, f"{WORD}coder"})
    alone = await found(tmp_path, PoolKey("alone", "coder"))
    assert [taken(act) for act in alone] == [({POOLS}, {FORCE, f"{WORD}coder"})]


async def test_a_pod_keeps_what_others_said_of_it(tmp_path: Path) -> None:
    """Its own notes, and the pin and port of its template; while guards stand, the patch says that it is given up."""
    *_, freed, _, _ = await found(tmp_path, None)
    assert freed.request.body == {
        "metadata": {
            "uid": "uid-coder-1",
            "labels": {MANAGED: None, POOL: None, PHASE: None},
            "annotations": {DO_NOT_DISRUPT: None, EPOCH: None},
        }
    }
    *_, given_up, deleted = await found(tmp_path, CODER)
    assert at(given_up.request.body, "metadata", "annotations", FORCE) == "uid-coder-1"
    assert deleted.request.body == {"preconditions": {"uid": "uid-coder-2"}}


class Leaping(VirtualClock):
    """A clock on which whoever sleeps is at his instant at once."""

    async def sleep_until(self, at: Instant) -> None:
        """Be there."""
        await self.advance_to(at)


ACT = Act("delete drained pod agents/coder-2", Request(method="DELETE", path="/api/v1/pods/x", within=10.0))
ASKED_AGAIN = int(LAG / AGAIN) + 1


@pytest.mark.parametrize(
    ("answers", "why", "written"),
    [
        pytest.param([200], None, 1, id="ItIsDone"),
        pytest.param([404], None, 1, id="WhatIsGoneIsAsGood"),
        pytest.param([409], None, 1, id="SoIsAnotherOfTheName"),
        pytest.param([403, 422, 200], None, 3, id="APolicyOutlivesItsDeletion"),
        pytest.param([403], "HTTP 403 so it is", ASKED_AGAIN, id="ButNotForEver"),
        pytest.param([500], "HTTP 500 so it is", 1, id="AnythingElseIsTold"),
    ],
)
async def test_an_act_is_carried_out(tmp_path: Path, answers: list[int], why: str | None, written: int) -> None:
    """Each row: what the API server says one time after the other, what becomes of it, and how often it was asked."""
    server = Server(answers)
    async with reaching(tmp_path, server) as api:
        failed = await carry_out(api, ACT, Leaping(NOON))
    assert failed == (None if why is None else Failed(ACT, why))
    assert server.written == written
