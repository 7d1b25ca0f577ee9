"""The drain protocol on a real control plane, with KEDA and the HPA as the writers of replicas and agents at work."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.cluster.draining import POOL, Guarded, guarded, story
from tests.cluster.harness.cluster import Cluster
from tests.cluster.harness.leftovers import Leftovers
from tests.cluster.harness.scaled import Scaled
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


def test_idle_agents_leave_and_busy_ones_stay(guards: Guarded) -> None:
    """Fifty agents and tasks for some of them: the others leave, nobody is denied, and at the end all are gone."""
    with story(guards, "drain") as told:
        pool = told.pool(Scaled(name=POOL, replicas=50, cooldown=5))
        until(lambda: pool.ready() == 50 or None, within=60)
        told.work(pool, burst=12, shorten=4)
        told.begin()
        until(lambda: pool.replicas() < 40 or None, within=120)
        pool.settles(0, within=240)
        gone, denied = told.removals()
        assert (gone, denied) == (50, 0)
