"""Laws that outlast a clock that is set and an operator who changes his mind."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from scaler.core.pods import Phase
from scaler.core.policy import Guarantee, Policy
from scaler.core.types import Seconds
from tests.properties.cluster import Cluster
from tests.properties.drawn import policies
from tests.properties.effort import tries
from tests.properties.laws import keeps_every_law
from tests.properties.scripts import SCRIPTS, Act, clusters, play, until_drains
from tests.properties.stories import SPANS, Story, stories

STEPS: tuple[Seconds, ...] = (-100_000.0, -30.0, -0.5, 100_000.0)


@tries(120)
@given(stories(policies(), (*SPANS, *STEPS)))
def test_a_clock_that_steps_breaks_no_law(story: Story) -> None:
    """Back or forth by half a second or a day, every tick keeps every law, and no age is negative."""
    keeps_every_law(story.moment.tick())


@tries(120)
@given(stories(policies(), reload=True))
def test_a_reload_breaks_no_law(story: Story) -> None:
    """From any policy to any other between two ticks, every tick keeps every law."""
    keeps_every_law(story.moment.tick())


@tries(12, long=True)
@given(clusters(), SCRIPTS, st.sampled_from(STEPS))
def test_work_is_served_whatever_the_clock_did(cluster: Cluster, script: Sequence[Act], step: Seconds) -> None:
    """Within minutes of a step of the clock new work gets its pods, and nobody is killed for it."""
    play(cluster, script)
    cluster.clock += step
    cluster.load, cluster.turnover = 20, 1
    cluster.run(60)
    policy = cluster.policy
    assert len(cluster.agents) >= min(policy.max_replicas, cluster.load / policy.slots_per_pod)
    assert cluster.killed == []


@tries(12, long=True)
@given(clusters(), SCRIPTS, st.lists(policies(), max_size=2), st.sampled_from(Guarantee))
def test_work_is_served_after_any_reloads(
    cluster: Cluster, script: Sequence[Act], reloads: Sequence[Policy], guarantee: Guarantee
) -> None:
    """Whatever was in force while pods drained, and under either guarantee, in the end all the work is served.

    Pods without gates cannot be told to take no more: those above a maximum that was lowered stay while they work.
    """
    first = cluster.policy
    until_drains(cluster)
    for policy in reloads:
        cluster.policy = replace(policy, workload=first.workload, ordinals_start=first.ordinals_start)
        play(cluster, script[-2:])
    cluster.policy = replace(first, guarantee=guarantee)
    cluster.load, cluster.turnover, cluster.spread = 11, 2, False
    cluster.run(200, 20.0)
    served = min(cluster.load, first.max_replicas * first.slots_per_pod)
    assert cluster.running == served or (guarantee is Guarantee.BEST_EFFORT and served < cluster.running)
    if guarantee is Guarantee.BEST_EFFORT:
        assert all(agent.pod.phase is not Phase.DRAINING for agent in cluster.agents.values())
