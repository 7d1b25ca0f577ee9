"""Live replicas that are read half a minute late: restarts, flips of the mode and raises by hand within the delay."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest

from scaler.core.policy import Mode, Policy, Workload
from tests.properties.cluster import Cluster
from tests.properties.laws import keeps_every_law

STEPS = 400  # of five seconds
LATE = 6  # steps


def live(cluster: Cluster, chance: random.Random) -> None:
    """Work comes and goes; now and then a process begins anew, the mode is switched, somebody raises the replicas."""
    if chance.random() < 0.06:
        cluster.load = chance.choice([0, 0, 3, 8, 15])
    if chance.random() < 0.03:
        cluster.restart(remembered=chance.random() < 0.3)
    if chance.random() < 0.05:
        cluster.policy = replace(cluster.policy, mode=chance.choice([Mode.AUTO, *Mode]))
    cluster.blind = chance.random() < 0.1
    if chance.random() < 0.02 and not cluster.blind:  # nobody can know of pods that never showed
        cluster.replicas += chance.randint(1, 6)
        cluster.control()


@pytest.mark.parametrize("workload", Workload)
@pytest.mark.parametrize("seed", range(4))
def test_nobody_is_killed_for_a_number_from_before(workload: Workload, seed: int) -> None:
    """However they come together, the target never takes back what was asked for after the replicas were read."""
    chance = random.Random(seed)
    cluster = Cluster(policy=Policy(workload=workload), behind=LATE, startup=10.0, seed=seed, replicas=2)
    for _ in range(STEPS):
        live(cluster, chance)
        keeps_every_law(cluster.step())
        assert cluster.killed == []
