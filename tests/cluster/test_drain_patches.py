"""What orders write, asked of a real API server with the guards in it: each takes effect once, on what it is for."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest

from scaler.controller.facts import PodFacts, pod
from scaler.controller.names import (
    DELETION_COST,
    DO_NOT_DISRUPT,
    EPOCH,
    LOWEST_COST,
    MANAGED,
    NODE_ASKED,
    POOL,
    SAFE_TO_EVICT,
)
from scaler.controller.patches import Asked, adopted, patch
from scaler.core.pods import Phase
from scaler.core.types import Instant, Order, Verb
from tests.cluster.draining import Guarded
from tests.cluster.harness.cluster import Cluster
from tests.cluster.harness.rest import MERGE, Api, Document, RefusedError
from tests.cluster.harness.shipped import HOME

JSON_PATCH = "application/json-patch+json"
BEGAN: Instant = 1_795_262_400.0


@pytest.fixture
def ours(guards: Guarded) -> Iterator[Api]:
    """The API server as the controller sees it."""
    api = Api(guards.cluster.service_account(HOME, HOME))
    yield api
    api.close()


def created(cluster: Cluster, namespace: str, annotations: Document | None) -> PodFacts:
    """A pod that nobody of ours has seen yet."""
    metadata: Document = {"name": "agent", "labels": {"app": "agents"}}
    if annotations is not None:
        metadata["annotations"] = annotations
    spec: Document = {"containers": [{"name": "it", "image": "registry.example/it:1"}]}
    body: Document = {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec}
    return pod(cluster.api.request("POST", f"/api/v1/namespaces/{namespace}/pods", body))


def taken(api: Api, facts: PodFacts) -> PodFacts:
    """The pod once it is one of a pool's."""
    return pod(api.request("PATCH", facts.path, _document(adopted(facts, "agents", "deny")), content=MERGE))


def carried(api: Api, facts: PodFacts, verb: Verb, epoch: int) -> PodFacts:
    """The pod after an order."""
    body = [dict(op) for op in patch(facts, Order(verb, facts.uid, epoch), Asked(f"{NODE_ASKED}node-b", BEGAN))]
    return pod(api.request("PATCH", facts.path, _document(body), content=JSON_PATCH))


def _document(body: object) -> Document:
    assert isinstance(body, dict | list)
    return body  # type: ignore[return-value]  # JSON, as the other side of the house spells it


@pytest.mark.parametrize("annotations", [None, {"a": "b"}, {DO_NOT_DISRUPT: "true", SAFE_TO_EVICT: "false"}], ids=str)
def test_a_drain_is_two_patches_whatever_the_pod_had(
    ours: Api, cluster: Cluster, namespace: str, annotations: Document | None
) -> None:
    """Marked under the first epoch and committed: drained, first to go, and pinning its node no more."""
    active = taken(ours, created(cluster, namespace, annotations))
    assert (active.labels[MANAGED], active.labels[POOL]) == ("true", "agents")
    marked = carried(ours, active, Verb.MARK, 1)
    assert (marked.phase, marked.epoch) == (Phase.DRAINING, 1)
    assert (marked.asked_by, marked.asked_at, marked.for_node) == ("node/node-b", BEGAN, True)
    drained = carried(ours, marked, Verb.COMMIT, 1)
    assert (drained.phase, drained.epoch, drained.pins) == (Phase.DRAINED, 1, ())
    found = cluster.api.get(drained.path)
    assert found is not None
    metadata = found["metadata"]
    assert isinstance(metadata, dict)
    wrote = metadata["annotations"]
    assert isinstance(wrote, dict)
    assert (wrote[DELETION_COST], wrote[EPOCH]) == (LOWEST_COST, "1")


def test_an_order_that_was_overtaken_changes_nothing(ours: Api, cluster: Cluster, namespace: str) -> None:
    """A leader that was frozen sends what was right before: 422, whether it marks, commits or calls back."""
    active = taken(ours, created(cluster, namespace, None))
    marked = carried(ours, active, Verb.MARK, 1)
    back = carried(ours, marked, Verb.CANCEL, 2)
    assert (back.phase, back.epoch) == (Phase.ACTIVE, 2)
    assert (back.asked_by, back.asked_at) == (None, None)
    for verb, facts, epoch in ((Verb.MARK, active, 1), (Verb.COMMIT, marked, 1), (Verb.CANCEL, marked, 2)):
        with pytest.raises(RefusedError) as refused:
            carried(ours, facts, verb, epoch)
        assert refused.value.status == 422, verb
    again = carried(ours, back, Verb.MARK, 3)
    with pytest.raises(RefusedError) as refused:
        carried(ours, marked, Verb.COMMIT, 1)  # an acknowledgement of the drain that was called back
    assert refused.value.status == 422
    assert carried(ours, again, Verb.COMMIT, 3).phase is Phase.DRAINED


def test_an_order_is_for_one_pod_and_not_for_its_name(ours: Api, cluster: Cluster, namespace: str) -> None:
    """A pod of the same name and another uid is another pod."""
    active = taken(ours, created(cluster, namespace, None))
    with pytest.raises(RefusedError) as refused:
        carried(ours, replace(active, uid="00000000-0000-0000-0000-000000000000"), Verb.MARK, 1)
    assert refused.value.status == 422
