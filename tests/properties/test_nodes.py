"""Nodes that ask their pods away, in a cluster that follows: they are emptied, nobody is cut off, no pool swells."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scaler.core.pods import Phase, Pods
from scaler.core.policy import Guarantee, Policy, Workload
from scaler.core.types import Unknown
from tests.properties.cluster import Cluster
from tests.properties.drawn import policies
from tests.properties.effort import tries
from tests.properties.laws import keeps_every_law
from tests.properties.stories import Story, emptied, stories

SHARES = st.sampled_from([1, 2, 3])  # every pod is on such a node, every second one, every third one


def lived_in(workload: Workload, load: int, most: int, share: int, *, slots: int = 1, **ways: bool) -> Cluster:
    """A pool that has served its load for an hour, and whose nodes then ask every so manieth of its pods away."""
    policy = Policy(workload=workload, max_replicas=most, slots_per_pod=slots)
    cluster = Cluster(policy=policy, load=load, turnover=1, replicas=min(most, load + 1), startup=20.0)
    cluster.run(60, 60.0)
    cluster.asked = set(sorted(cluster.agents)[::share])
    cluster.stuck, cluster.late = ways.get("stuck", False), ways.get("late", False)
    return cluster


@tries(40)
@given(st.sampled_from(Workload), st.integers(0, 8), st.integers(4, 20), SHARES, st.booleans())
def test_every_node_is_emptied_and_nobody_is_cut_off(
    workload: Workload, load: int, most: int, share: int, late: bool
) -> None:
    """However full the pool is and however much work comes: with tasks that end, each of those pods is gone."""
    cluster = lived_in(workload, load, most, share, late=late)
    left = 0
    while cluster.asked & cluster.agents.keys():
        keeps_every_law(cluster.step(5.0))
        left += 1
        assert left < 720, (
            f"{len(cluster.asked & cluster.agents.keys())} of {len(cluster.asked)} are left after an hour"
        )
    cluster.run(60, 20.0)
    assert cluster.killed == []
    assert cluster.running == min(load, most)


@tries(20, long=True)
@given(st.sampled_from(Workload), st.integers(2, 8), SHARES, st.sampled_from([1, 3]), st.integers(1, 3), st.booleans())
def test_an_agent_that_never_ends_keeps_no_other_on_its_node(
    workload: Workload, most: int, share: int, slots: int, hang: int, forgets: bool
) -> None:
    """In a pool at its maximum with more to do than it can: whoever ends leaves, each waited for five minutes at most.

    Whoever leads, though it comes new once in the middle. Where all hang, nothing ends, and nobody is cut off.
    """
    cluster = lived_in(workload, slots * most + 4, most, share, slots=slots)
    cluster.hung = set(sorted(cluster.asked)[:hang])
    ends, left = cluster.asked - cluster.hung, 0
    while ends & cluster.agents.keys():
        if forgets and left == 30:
            cluster.restart(remembered=False)
        keeps_every_law(cluster.step(20.0))
        left += 1
        assert left < 500, f"{len(ends & cluster.agents.keys())} of {len(ends)} are left after three hours"
    cluster.run(60, 20.0)
    assert cluster.killed == []
    assert all(cluster.agents[uid].shut is not None and cluster.agents[uid].tasks for uid in cluster.hung)


@tries(30)
@given(st.sampled_from(Workload), st.integers(1, 8), SHARES, st.booleans(), st.randoms(use_true_random=False))
def test_a_busy_pool_keeps_as_many_open_as_it_has_tasks(
    workload: Workload, load: int, share: int, forgets: bool, chance: random.Random
) -> None:
    """With room for others to stand in first, none is shut before another is ready in its place.

    However far apart these become ready, and though whoever decides is again and again somebody who remembers nothing:
    all that matters stands on the pods. And they stay for as long as the tasks last that they stand in for.
    """
    cluster = lived_in(workload, load, 40, share)
    cluster.turnover = chance.choice((0, 1, 2))  # tasks that do not end, or that others follow at once
    for _ in range(60):
        if forgets and chance.random() < 0.2:
            cluster.restart(remembered=False)
        cluster.step(20.0)
        for agent in cluster.agents.values():
            agent.startup = chance.choice((agent.startup, 20.0, 100.0))
        assert len(cluster.open) >= load
        assert cluster.running == load
    assert all(cluster.agents[uid].shut is not None for uid in cluster.asked & cluster.agents.keys())


@tries(20)
@given(st.sampled_from(Workload), st.integers(1, 8), SHARES)
def test_no_pool_swells_where_no_node_takes_its_pods(workload: Workload, load: int, share: int) -> None:
    """All that is asked for stays pending for hours: one stands in for each that goes, and one more at the most."""
    cluster = lived_in(workload, load, 500, share, stuck=True)
    there = len(cluster.agents)
    for _ in range(200):
        cluster.step(60.0)
        assert cluster.replicas <= 2 * there + 2
    assert cluster.killed == []


@tries(20)
@given(st.sampled_from(Workload), st.integers(1, 8), SHARES, st.integers(1, 8), st.booleans())
def test_a_cordon_that_is_taken_back_leaves_nobody_shut(
    workload: Workload, load: int, share: int, after: int, forgets: bool
) -> None:
    """After so many ticks the nodes want their pods again: those that are not drained take work at once.

    Whoever leads then, though it remembers nothing of those before.
    """
    cluster = lived_in(workload, load, 20, share)
    cluster.turnover = 0
    cluster.run(after)
    cluster.asked = set()
    if forgets:
        cluster.restart(remembered=False)
    cluster.run(2)
    assert not [a for a in cluster.agents.values() if a.shut is not None and a.tasks]


@tries(100)
@given(stories(policies()) | emptied(policies()))
def test_a_pool_without_gates_takes_no_notice(story: Story) -> None:
    """Whoever drains its nodes evicts its pods himself: each outcome is what it is without such nodes.

    But a pod that was drained while the pool had gates goes with its node.
    """
    policy = replace(story.present.policy, guarantee=Guarantee.BEST_EFFORT)
    asked = replace(story, present=replace(story.present, policy=policy)).moment
    seen = asked.observation
    calm = seen if isinstance(seen.pods, Unknown) else replace(seen, pods=_without(seen.pods))
    assert asked.tick().text == replace(asked, observation=calm).tick().text


def _without(pods: Pods) -> Pods:
    return Pods.of(replace(pod, displaced=pod.displaced and pod.phase is Phase.DRAINED) for pod in pods)


@pytest.mark.parametrize("workload", Workload)
def test_the_law_of_emptied_nodes_can_be_broken(workload: Workload) -> None:
    """A pool whose agents never acknowledge is never emptied: the laws above do not hold by themselves."""
    cluster = lived_in(workload, 3, 20, 1)
    cluster.mute = set(cluster.agents)
    cluster.run(200)
    assert cluster.asked & cluster.agents.keys()
