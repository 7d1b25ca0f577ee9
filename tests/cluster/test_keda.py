"""KEDA in the cluster is the one that is shipped: its programs, its ServiceAccount, its roles."""

from __future__ import annotations

import asyncio

import pytest
import yaml

from scaler.config.pool import PoolKey
from tests.cluster.harness.cluster import Cluster
from tests.cluster.harness.dictated import dictated
from tests.cluster.harness.rest import RefusedError
from tests.cluster.harness.scaled import Scaled
from tests.cluster.harness.wait import until
from tests.cluster.harness.workloads import replicas

OPERATOR = "system:serviceaccount:keda:keda-operator"


async def test_keda_follows_the_scaler_and_needs_no_more_than_its_shipped_roles(keda: Cluster, namespace: str) -> None:
    """It makes the HPA, and the pods come; nothing that it asked the API server for was forbidden."""
    mark = keda.audit.mark()
    async with dictated() as door:
        door.say(PoolKey(namespace, "agents"), 3)
        documents = Scaled(name="agents", address=door.address).documents()
        await asyncio.to_thread(keda.api.apply, documents, namespace=namespace)
        await asyncio.to_thread(until, lambda: replicas(keda.api, namespace, "agents") == (3, 3) or None)
    asked = [request for request in keda.audit.since(mark) if request.user == OPERATOR]
    assert ("create", "horizontalpodautoscalers") in {(request.verb, request.resource) for request in asked}
    assert [request for request in asked if request.decision == "forbid"] == []


SLIPS = {
    "a field that is not known": ("pollingInterval:", "pollInterval:"),
    "a field that is said twice": ("pollingInterval:", "pollingInterval: 2\n  pollingInterval:"),
    "a value of another type": ("pollingInterval: 1", "pollingInterval: often"),
}


@pytest.mark.parametrize("slip", SLIPS.values(), ids=SLIPS)
def test_a_slip_of_the_pen_is_refused_and_not_dropped(keda: Cluster, namespace: str, slip: tuple[str, str]) -> None:
    """Of a kind that the server knows only by its CRD, too."""
    written = yaml.safe_dump(Scaled(name="agents").scaled_object())
    keda.api.apply(written, namespace=namespace, dry=True)
    with pytest.raises(RefusedError, match=slip[1].partition(":")[0]):
        keda.api.apply(written.replace(*slip), namespace=namespace, dry=True)
