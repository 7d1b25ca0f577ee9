"""The guards in their first week, and beside kinds that are not installed: nothing breaks."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.cluster.guarding import BIRTH, KEY, PROTECTED, Ward, announced, asked, installed, objects, pod, ward
from tests.cluster.harness.alone import alone
from tests.cluster.harness.assets import module
from tests.cluster.harness.cluster import Cluster
from tests.cluster.harness.rest import MERGE, Document
from tests.cluster.harness.wait import until
from tests.cluster.harness.yamls import establish
from tests.cluster.test_guard_cascades import workload
from tests.house.source import ROOT

FIRST_WEEK = ROOT / "manifests" / "overlays" / "audit-first"
HELD: Document = {"metadata": {"labels": {f"{KEY}holds": "true"}}}
SCALED = "apis/keda.sh/v1alpha1/scaledobjects"


@pytest.fixture
def watched(cluster: Cluster) -> Iterator[Cluster]:
    """The guards of the overlay in which those on deletions only count."""
    with installed(cluster, [each for each in objects(FIRST_WEEK) if "AdmissionPolicy" in str(each["kind"])]):
        yield cluster


@pytest.fixture
def place(watched: Cluster, request: pytest.FixtureRequest) -> Iterator[Ward]:
    """A namespace of the story's own."""
    with ward(watched, request.node.name) as made:
        yield made


def test_in_the_first_week_everything_goes(place: Ward) -> None:
    """A pod that works, and what holds it."""
    path = workload(place, 1)
    place.cluster.api.request("PATCH", path, HELD, content=MERGE)
    (pod,) = place.names()
    assert asked(place.voice("editor"), "DELETE", place.path(pod), {"dryRun": ["All"]}).status == 200
    assert asked(place.voice("editor"), "DELETE", path).status == 200
    place.await_only()


def test_in_the_first_week_labels_are_guarded_all_the_same(place: Ward) -> None:
    """Or the second week would begin with pods that somebody released."""
    place.pod("agent")
    released: Document = {"labels": {f"{KEY}phase": "drained"}}
    assert place.tell("editor", "agent", released).policy == "agent-scaler-labels"


def test_in_the_first_week_nobody_is_born_released_and_an_announced_budget_holds(place: Ward) -> None:
    """As the page says of that week, in which a pool is announced with guard:audit and without the budget."""
    born = asked(place.voice("editor"), "POST", place.path(), pod("born", PROTECTED | {f"{KEY}phase": "drained"}))
    assert (born.status, born.policy) == (403, BIRTH)
    budget = announced(place.name)[1]
    place.cluster.api.apply([budget])
    agent = place.pod("agent")
    body: Document = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": agent}}
    eviction = place.path(agent, sub="eviction", query="?dryRun=All")
    until(lambda: asked(place.voice("editor"), "POST", eviction, body).status == 429 or None)
    removed = asked(place.voice("editor"), "DELETE", place.cluster.api.path(budget))
    assert (removed.status, removed.policy) == (403, "agent-scaler-budgets")


@pytest.fixture
def bare() -> Iterator[Cluster]:
    """A cluster of the story's own, in which nobody has installed anything yet."""
    with alone() as made:
        yield made


def test_kinds_that_are_installed_later_are_guarded_from_then_on(bare: Cluster) -> None:
    """The guards name KEDA's kinds, whether the cluster has them or not."""
    with installed(bare, objects()), ward(bare, "later") as place:
        establish(bare.api, module("keda") / "config" / "crd" / "bases")
        scaled: Document = {"scaleTargetRef": {"name": "coder"}, "triggers": [{"type": "cron", "metadata": {}}]}
        body: Document = {"apiVersion": "keda.sh/v1alpha1", "kind": "ScaledObject", "metadata": {"name": "coder"}}
        bare.api.apply([body | {"spec": scaled}], namespace=place.name)
        path = place.path("coder", kind=SCALED)
        bare.api.request("PATCH", path, HELD, content=MERGE)
        assert asked(place.voice(), "DELETE", path).policy == "agent-scaler-owners"
        bare.api.request("PATCH", path, {"metadata": {"labels": {f"{KEY}holds": None}}}, content=MERGE)
        assert asked(place.voice(), "DELETE", path).status == 200
