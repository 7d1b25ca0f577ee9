"""Loads over time as Hypothesis draws them, and clusters to play them in."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TypeAlias

from hypothesis import strategies as st

from scaler.core.pods import Phase
from scaler.core.policy import Guarantee, Pace, Policy, Workload
from scaler.core.types import Seconds, Signal
from tests.properties.cluster import Cluster
from tests.properties.drawn import HASTY

Act: TypeAlias = tuple[int, int, Seconds]  # a load, for so many steps, of so many seconds each
ACTS = st.tuples(st.sampled_from([0, 1, 3, 8, 20, 45]), st.integers(1, 40), st.sampled_from([5.0, 5.0, 20.0, 1.0]))
SCRIPTS = st.lists(ACTS, min_size=3, max_size=8)
MEASURES = tuple(
    frozenset(names)
    for names in (
        {Signal.QUEUE},
        {Signal.PENDING},
        {Signal.QUEUE, Signal.INFLIGHT},
        {Signal.QUEUE, Signal.TOKENS},
    )
)


@st.composite
def clusters(draw: st.DrawFn, guarantee: Guarantee = Guarantee.PROTECTED) -> Cluster:
    """A cluster with a few pods, none of them new, and an operator who leaves it alone."""
    policy = Policy(
        min_replicas=draw(st.sampled_from([0, 0, 2])),
        max_replicas=draw(st.sampled_from([40, 40, 6])),
        slots_per_pod=draw(st.sampled_from([1, 1, 4])),
        tokens_per_pod=draw(st.sampled_from([None, 60.0])),
        guarantee=guarantee,
        workload=draw(st.sampled_from(Workload)),
        ordinals_start=draw(st.sampled_from([0, 5])),
        pace=draw(st.sampled_from([Pace(), HASTY, replace(HASTY, slow_window=60.0, namings=4)])),
    )
    return Cluster(
        policy=policy,
        signals=draw(st.sampled_from(MEASURES)),
        startup=draw(st.sampled_from([4.0, 30.0, 90.0])),
        seed=draw(st.integers(0, 3)),
        replicas=draw(st.integers(0, 6)),
        poll=draw(st.sampled_from([1, 1, 3])),
        late=draw(st.booleans()),
        slow=draw(st.booleans()),
        turnover=draw(st.sampled_from([0, 1])),
    )


def until_drains(cluster: Cluster) -> None:
    """Give six pods work and take it away again, until one of them drains."""
    cluster.load, cluster.turnover = 6 * cluster.policy.slots_per_pod, 0
    cluster.run(30)
    cluster.load = 0
    while not any(agent.pod.phase is Phase.DRAINING for agent in cluster.agents.values()):
        cluster.step()


def play(cluster: Cluster, script: Sequence[Act]) -> None:
    """Put the loads on, one after the other."""
    for load, steps, seconds in script:
        cluster.load = load
        cluster.run(steps, seconds)
