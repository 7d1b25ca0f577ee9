"""The drain protocol on a real control plane, with KEDA and the HPA as the writers of replicas and agents at work."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.cluster.draining import Guarded, Stand, guarded, stand
from tests.cluster.harness.cluster import Cluster
from tests.cluster.harness.leftovers import Leftovers
from tests.cluster.harness.wait import until


@pytest.fixture(scope="module", autouse=True)
def leaves_nothing(keda: Cluster) -> Iterator[None]:
    """The stories share the guards, so what is left is looked at when the last has been told."""
    before = Leftovers.before(keda)
    yield
    assert before.removed() == []


@pytest.fixture(scope="module")
def guards(keda: Cluster, leaves_nothing: None) -> Iterator[Guarded]:
    """Our guards and our rights."""
    with guarded(keda) as made:
        yield made


def test_idle_agents_are_drained_and_busy_ones_stay(guards: Guarded) -> None:
    """A burst raises the pool; as its tasks end agents leave, and whoever still works is never touched."""
    with stand(guards, "drain", cooldown=5) as stood:
        stood.fleet.turn(stood.pool, burst=30, shorten=20)
        until(lambda: stood.replicas() >= 8 or None, within=60)
        stood.settles(0, within=240)
        assert stood.killed() == []
        done, _ = stood.deletions()
        assert done >= 8
