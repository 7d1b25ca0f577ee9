"""Claimed sandboxes that ask to be guarded, on the real agent-sandbox, under the guards, with a real gate in each."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pytest

from scaler.agent import Gate, Place, serve
from scaler.controller.dig import strings, text
from scaler.controller.orders import Signer, key_set
from scaler.live.clock import SystemClock
from tests.cluster.guarding import Answer, asked, installed, objects
from tests.cluster.harness.cluster import Cluster
from tests.cluster.harness.rest import Document, Json
from tests.cluster.harness.wait import until
from tests.cluster.warmth import BASE, Pools, Warmth, becomes, claim, pool, warming

SANDBOX_CONTROLLER = "system:serviceaccount:agent-sandbox-system:agent-sandbox-controller"
ASKS: Json = {"sandbox.users.io/agent-scaler": "guard"}
GUARDED: Document = {"metadata": {"labels": ASKS}, "spec": {"containers": [{"name": "agent", "image": "agent"}]}}
PHASE = "agent-scaler.io/phase"
WORD = "pool.agent-scaler.io/sandboxes"  # on the namespace: what its pods are given at birth


@dataclass(frozen=True, slots=True)
class Guarded:
    """A cluster under the guards, and the keys of both sides."""

    cluster: Cluster
    folder: Path

    @contextmanager
    def warming(self, pools: Pools) -> Iterator[Warmth]:
        """The scaler that may sign orders."""
        with warming(self.cluster, pools, f"--drain-key={self.folder / 'drain.pem'}") as scaler:
            yield scaler


@dataclass(frozen=True, slots=True)
class Mine:
    """A claim, its sandbox and its pod."""

    cluster: Cluster
    namespace: str
    name: str
    sandbox: str

    @property
    def paths(self) -> dict[str, str]:
        """Where each of the three is."""
        return {
            "claim": f"{BASE}/{self.namespace}/sandboxclaims/{self.name}",
            "sandbox": f"/apis/agents.x-k8s.io/v1beta1/namespaces/{self.namespace}/sandboxes/{self.sandbox}",
            "pod": f"/api/v1/namespaces/{self.namespace}/pods/{self.sandbox}",
        }

    def phase(self, what: str) -> str:
        """The phase that one of them is labelled with."""
        return strings(self.cluster.api.get(self.paths[what]) or {}, "metadata", "labels").get(PHASE, "")

    def deleted(self, what: str, user: str = "") -> Answer:
        """What is answered to who deletes one of them; it is only asked whether it would be done."""
        api = self.cluster.api.acting(user) if user else self.cluster.api
        return asked(api, "DELETE", self.paths[what], {"dryRun": ["All"]})

    def evicted(self) -> Answer:
        """What is answered to who evicts the pod."""
        body: Document = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": self.sandbox}}
        return asked(self.cluster.api, "POST", f"{self.paths['pod']}/eviction", body)

    def is_kept(self) -> None:
        """Nobody takes any of the three away."""
        assert self.deleted("claim").policy == "agent-scaler-sandboxes"
        assert self.deleted("sandbox", SANDBOX_CONTROLLER).policy == "agent-scaler-sandboxes"
        assert self.deleted("pod", SANDBOX_CONTROLLER).policy == "agent-scaler-delete"
        assert self.evicted().status == 429


@pytest.fixture
def guarded(sandboxes: Cluster, tmp_path: Path) -> Iterator[Guarded]:
    """The guards in force, and a key to sign with."""
    signer = Signer.new()
    tmp_path.joinpath("drain.pem").write_text(signer.pem())
    tmp_path.joinpath("keys.json").write_text(key_set([signer.jwk()]))
    with installed(sandboxes, objects()):
        yield Guarded(sandboxes, tmp_path)


def claimed(cluster: Cluster, namespace: str, name: str = "mine", **spec: Json) -> Mine:
    """A claim that has its sandbox."""
    claim(cluster, namespace, name, additionalPodMetadata={"labels": ASKS}, **spec)
    path = f"{BASE}/{namespace}/sandboxclaims/{name}"
    sandbox = until(lambda: text(cluster.api.get(path) or {}, "status", "sandbox", "name") or None)
    return Mine(cluster, namespace, name, sandbox)


@contextmanager
def agent(mine: Mine, guarded: Guarded) -> Iterator[Gate]:
    """A real gate at the pod's own address."""
    pod = until(lambda: _running(mine))
    place = Place(text(pod, "metadata", "uid"), guarded.folder / "state", guarded.folder / "keys.json")
    gate = Gate(place)
    try:
        with serve(gate, host=text(pod, "status", "podIP")):
            yield gate
    finally:
        gate.close()


def _running(mine: Mine) -> Document | None:
    """The pod, once it has an address."""
    pod = mine.cluster.api.get(mine.paths["pod"])
    return pod if pod is not None and text(pod, "status", "podIP") else None


def test_a_sandbox_that_reasons_is_kept_and_let_go_when_it_is_done(guarded: Guarded, namespace: str) -> None:
    """From the claim on nobody takes it away; after its work and its session its owner may, and all of it goes."""
    cluster = guarded.cluster
    pool(cluster, namespace, pod=GUARDED)
    with guarded.warming({f"{namespace}/python": {"min": 1, "max": 1}}):
        becomes(cluster, namespace, 1)
        budget = f"/apis/policy/v1/namespaces/{namespace}/poddisruptionbudgets/agent-scaler-sandboxes"
        until(lambda: cluster.api.get(budget))
        mine = claimed(cluster, namespace)
        assert mine.deleted("claim").policy == "agent-scaler-sandboxes"  # before anybody has seen that it is claimed
        assert mine.deleted("sandbox", SANDBOX_CONTROLLER).policy == "agent-scaler-sandboxes"
        with agent(mine, guarded) as gate:
            with gate.session(3600.0) as session:
                with gate.task():
                    until(_noted(mine))
                    mine.is_kept()
                assert mine.phase("pod") != "drained"
                session.renew()
                mine.is_kept()
            until(lambda: mine.phase("claim") == "drained" or None)
            assert [mine.phase(what) for what in ("pod", "sandbox")] == ["drained", "drained"]
        cluster.api.request("DELETE", mine.paths["claim"], {"propagationPolicy": "Background"})
        until(lambda: all(cluster.api.get(path) is None for path in mine.paths.values()) or None)
        cluster.api.delete(f"{BASE}/{namespace}/sandboxwarmpools/python")  # with its stock the guards go
        until(lambda: cluster.api.get(budget) is None or None)
        words = f"/api/v1/namespaces/{namespace}"
        until(lambda: WORD not in strings(cluster.api.get(words) or {}, "metadata", "annotations") or None)


def test_a_claimed_sandbox_that_nobody_calls_is_let_go_after_a_while(guarded: Guarded, namespace: str) -> None:
    """As long as the file says: whoever claimed it may have died, and its node is to be drained."""
    cluster = guarded.cluster
    pool(cluster, namespace, pod=GUARDED)
    with guarded.warming({f"{namespace}/python": {"min": 1, "max": 1, "release_unused": "6s"}}) as scaler:
        becomes(cluster, namespace, 1)
        mine = claimed(cluster, namespace)
        with agent(mine, guarded):
            until(lambda: scaler.metric("guarded", state="idle") == 1 or None)
            mine.is_kept()
            until(lambda: mine.phase("claim") == "drained" or None)
            assert mine.evicted().status == 200


def test_a_sandbox_that_nobody_hears_is_kept(guarded: Guarded, namespace: str) -> None:
    """It may reason; a person who may give it up can."""
    cluster = guarded.cluster
    pool(cluster, namespace, pod=GUARDED)
    with guarded.warming({f"{namespace}/python": {"min": 1, "max": 1}}) as scaler:
        becomes(cluster, namespace, 1)
        mine = claimed(cluster, namespace)
        until(lambda: scaler.metric("guarded", state="unheard") == 1 or None)
        mine.is_kept()
        assert mine.phase("claim") == ""


def test_the_expiry_of_a_claim_is_kept_ahead_of_its_work(guarded: Guarded, namespace: str) -> None:
    """As far as the file says; agent-sandbox would end it in the middle."""
    cluster, soon = guarded.cluster, SystemClock().now() + 60
    pool(cluster, namespace, pod=GUARDED)
    with guarded.warming({f"{namespace}/python": {"min": 1, "max": 1, "extend_shutdown": "10m"}}):
        becomes(cluster, namespace, 1)
        expires = datetime.fromtimestamp(soon, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        mine = claimed(cluster, namespace, lifecycle={"shutdownTime": expires})
        with agent(mine, guarded) as gate, gate.task():

            def later() -> bool | None:
                """The claim expires later than it was made to."""
                told = text(cluster.api.get(mine.paths["claim"]) or {}, "spec", "lifecycle", "shutdownTime")
                return datetime.fromisoformat(told).timestamp() > soon + 300 or None

            until(later)


def _noted(mine: Mine) -> Callable[[], bool | None]:
    def noted() -> bool | None:
        """The pod is noted to have worked."""
        pod = mine.cluster.api.get(mine.paths["pod"]) or {}
        return strings(pod, "metadata", "annotations").get("agent-scaler.io/worked") == "true" or None

    return noted
