"""Leaders that freeze, wake and die, and two at once, lose no pod at work, and everything settles afterwards."""

from __future__ import annotations

import pytest

from tests.cluster.draining import LOOK, POOL, SLOW, Guarded, Scaler, Story, story
from tests.cluster.harness.scaled import Scaled
from tests.cluster.harness.wait import until
from tests.cluster.replicas import LEADER

pytestmark = pytest.mark.usefixtures("keda")


def leads(told: Story, scaler: Scaler) -> bool:
    """Whether KEDA is led to this replica."""
    found = told.cluster.api.items(f"/api/v1/namespaces/agent-scaler/pods?labelSelector={LEADER}%3Dtrue")
    return [pod["metadata"]["name"] for pod in found if isinstance(pod["metadata"], dict)] == [scaler.pod]


def test_leaders_that_freeze_wake_and_die_lose_nothing(guards: Guarded) -> None:
    """The first is frozen in the middle of its drains and wakes while the second goes on; then that one is killed."""
    with story(guards, "leaders") as told:
        pool = told.pool(Scaled(name=POOL, replicas=24, cooldown=5), 24, 45)
        first = told.begin(pod="scaler-a")
        until(lambda: leads(told, first) or None, within=SLOW, every=LOOK)
        second = told.begin(pod="scaler-b")
        until(
            lambda: pool.phases().get("draining", 0) + pool.phases().get("drained", 0) or None, within=SLOW, every=0.3
        )
        first.part.freeze()
        until(lambda: leads(told, second) or None, within=SLOW, every=LOOK)
        told.work(pool, burst=8, seconds=30)
        pool.falls(15)
        first.part.thaw()
        told.work(pool, burst=6, seconds=30)
        pool.falls(9)
        second.part.kill()
        until(lambda: leads(told, first) or None, within=SLOW, every=LOOK)
        pool.settles(0)
        assert told.losses() == []


def test_two_controllers_at_once_lose_nothing(guards: Guarded) -> None:
    """Both believe that they are alone, and act on everything: each write tests what it is for."""
    with story(guards, "twins") as told:
        pool = told.pool(Scaled(name=POOL, replicas=20, cooldown=5), 20, 20)
        for pod in ("scaler-a", "scaler-b"):
            told.begin(pod=pod, lease=False)
        told.work(pool, rate=0.3, shorten=20)
        until(lambda: told.removals()[0] >= 10 or None, within=SLOW, every=LOOK)
        told.work(pool, rate=0)
        pool.settles(0)
        assert told.losses() == []
