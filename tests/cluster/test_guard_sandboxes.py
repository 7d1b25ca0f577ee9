"""Sandboxes under the guards: stock may go, and what a claim has taken stays, whichever of its objects is deleted."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from scaler.controller.dig import strings
from tests.cluster.guarding import CONTROLLER, EPOCH, KEY, Answer, Ward, asked, installed, metadata, objects, ward
from tests.cluster.harness.cluster import Cluster
from tests.cluster.harness.rest import MERGE, Document, condition
from tests.cluster.harness.wait import until

CLAIMS = "apis/extensions.agents.x-k8s.io/v1beta1/sandboxclaims"
SANDBOXES = "apis/agents.x-k8s.io/v1beta1/sandboxes"
WARM = "agents.x-k8s.io/warm-pool-sandbox"
DRY: Document = {"dryRun": ["All"]}
POOL = """\
apiVersion: extensions.agents.x-k8s.io/v1beta1
kind: SandboxTemplate
metadata: {name: agents}
spec:
  podTemplate:
    metadata: {labels: {sandbox.users.io/agent-scaler: guard}}
    spec: {containers: [{name: agent, image: agent}]}
---
apiVersion: extensions.agents.x-k8s.io/v1beta1
kind: SandboxWarmPool
metadata: {name: agents}
spec: {replicas: 1, sandboxTemplateRef: {name: agents}}
"""
CLAIM = """\
apiVersion: extensions.agents.x-k8s.io/v1beta1
kind: SandboxClaim
metadata: {name: mine}
spec:
  warmPoolRef: {name: agents}
  additionalPodMetadata: {labels: {sandbox.users.io/agent-scaler: guard}}
"""


@dataclass(frozen=True, slots=True)
class Claimed:
    """A claim, the sandbox and the pod that it has, and one that is left in the pool."""

    place: Ward
    sandbox: str
    idle: str

    @property
    def parts(self) -> tuple[str, str, str]:
        """Where the claim, its sandbox and its pod are."""
        place = self.place
        return place.path("mine", kind=CLAIMS), place.path(self.sandbox, kind=SANDBOXES), place.path(self.sandbox)

    def delete(self, path: str, user: str = "") -> Answer:
        """Somebody tries to."""
        return asked(self.place.voice(user), "DELETE", path, DRY)

    def write(self, path: str, body: Document, user: str = "") -> Answer:
        """Somebody writes."""
        return asked(self.place.voice(user), "PATCH", path, body, content=MERGE)


@pytest.fixture(scope="module")
def claimed(sandboxes: Cluster) -> Iterator[Claimed]:
    """On the real agent-sandbox, under every guard."""
    with installed(sandboxes, objects()), ward(sandboxes, "sandboxes") as place:
        sandboxes.api.apply(POOL, namespace=place.name)
        until(lambda: len(place.names()) == 1 or None, within=60.0)
        sandboxes.api.apply(CLAIM, namespace=place.name)
        path = place.path("mine", kind=CLAIMS)
        until(lambda: condition(sandboxes.api.get(path), "Ready") == "True" or None, within=60.0)

        def apart() -> dict[bool, str] | None:
            """One pod is in the pool, and one is not."""
            pods = sandboxes.api.items(place.path())
            found = {WARM in strings(pod, "metadata", "labels"): str(metadata(pod)["name"]) for pod in pods}
            return found if set(found) == {True, False} else None

        by_pool = until(apart, within=60.0)
        yield Claimed(place, by_pool[False], by_pool[True])


def test_what_a_claim_has_taken_stays(claimed: Claimed) -> None:
    """The claim, the Sandbox, whose deletion would leave the pod an orphan, and the pod itself."""
    claim, sandbox, pod = claimed.parts
    for user in ("", "editor", "system:serviceaccount:kube-system:generic-garbage-collector"):
        assert claimed.delete(pod, user).policy == "agent-scaler-delete"
    for path in (claim, sandbox):
        assert (claimed.delete(path).status, claimed.delete(path).policy) == (403, "agent-scaler-sandboxes")


def test_stock_may_go(claimed: Claimed) -> None:
    """Nobody works in a sandbox that nobody has claimed."""
    for kind in (SANDBOXES, "api/v1/pods"):
        assert claimed.delete(claimed.place.path(claimed.idle, kind=kind)).status == 200


def test_nobody_takes_the_guard_off(claimed: Claimed) -> None:
    """Neither from the claim, from which the pod has it, nor from the pod; and only the controller releases."""
    claim, sandbox, pod = claimed.parts
    off: Document = {"sandbox.users.io/agent-scaler": None}
    answer = claimed.write(claim, {"spec": {"additionalPodMetadata": {"labels": off}}})
    assert answer.policy == "agent-scaler-sandbox-labels", answer.message
    assert claimed.write(pod, {"metadata": {"labels": off}}).policy == "agent-scaler-labels"
    drained: Document = {"metadata": {"labels": {f"{KEY}phase": "drained"}}}
    for path in (claim, sandbox):
        assert claimed.write(path, drained).policy == "agent-scaler-sandbox-labels"


def test_what_is_drained_may_go(claimed: Claimed) -> None:
    """Once the controller has said so of each; agent-sandbox itself goes on with its work meanwhile."""
    claim, sandbox, pod = claimed.parts
    marked: Document = {"metadata": {"labels": {f"{KEY}phase": "draining"}, "annotations": {EPOCH: "1"}}}
    drained: Document = {"metadata": {"labels": {f"{KEY}phase": "drained"}}}
    assert claimed.write(pod, marked, CONTROLLER).status == 200
    for path in (pod, sandbox, claim):
        assert claimed.write(path, drained, CONTROLLER).status == 200
        assert claimed.delete(path).status == 200
    assert condition(claimed.place.cluster.api.get(claim), "Ready") == "True"


def test_a_warm_pool_that_holds_is_not_deleted(claimed: Claimed) -> None:
    """By the same label as any owner."""
    place = claimed.place
    path = place.path("agents", kind="apis/extensions.agents.x-k8s.io/v1beta1/sandboxwarmpools")
    for held, expected in (("true", "agent-scaler-owners"), (None, "")):
        claimed.write(path, {"metadata": {"labels": {f"{KEY}holds": held}}})
        assert claimed.delete(path).policy == expected
