"""The recordings that the simulator is held to are still what this Kubernetes decides."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice

import pytest

from tests.cluster.conftest import required
from tests.cluster.harness.alone import alone
from tests.cluster.harness.api import open_api
from tests.cluster.harness.cluster import Cluster
from tests.cluster.record import TOOLS, follow_hpas
from tests.cluster.recorder import replicasets, statefulsets
from tests.cluster.recorder.hpa_scripts import by_readiness, dead_bands, unset
from tests.support.recorded import hpa, replicaset, statefulset


@pytest.fixture(scope="module")
def recording() -> Iterator[Cluster]:
    """A cluster in which nobody else serves metrics."""
    required(*TOOLS)
    with alone() as cluster:
        yield cluster


async def test_live_hpas_decide_as_the_model(recording: Cluster) -> None:
    """Dead bands, the defaults and readiness, on HPAs of this moment."""
    wanted = [*islice(dead_bands(), 3), *unset(), *islice(by_readiness(), 2)]
    async with open_api(recording.admin) as api:
        stories = await follow_hpas(api, wanted)
    assert [said for story in stories for said in hpa.disagreements(story)] == []


async def test_live_replicasets_delete_as_the_model(recording: Cluster) -> None:
    """A dozen draws."""
    async with open_api(recording.admin) as api:
        stories = await replicasets.record(api, [*replicasets.draws(12)])
    assert [said for story in stories for said in replicaset.disagreements(story)] == []


async def test_live_statefulsets_act_as_the_model(recording: Cluster) -> None:
    """Every story of them."""
    async with open_api(recording.admin) as api:
        stories = await statefulsets.record(api, [*statefulsets.scripts()])
    assert [said for story in stories for said in statefulset.disagreements(story)] == []
