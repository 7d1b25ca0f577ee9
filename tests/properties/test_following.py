"""Laws of a pool over time: a cluster follows the target, and the target answers what the cluster does.

The bursts are drawn; the policy stays as it is.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise, takewhile

from hypothesis import given
from hypothesis import strategies as st

from scaler.core.pods import Activity, Phase, Pod
from scaler.core.policy import Guarantee, Pace, Policy, Workload
from scaler.core.reasons import Reason
from scaler.core.types import Known, PodUid, Seconds, Signal, Unknown, Verb
from tests.properties.cluster import Cluster
from tests.properties.drawn import START, Life, Pool, queue
from tests.properties.effort import tries
from tests.properties.scripts import SCRIPTS, Act, clusters, play, until_drains
from tests.properties.stories import Story, Turn
from tests.properties.ticked import Ticked

HOUR: Seconds = 3600.0
HELD = {Reason.FLAP_BUDGET, Reason.NEWCOMER}  # why a fall may wait in a pool that is seen and left alone


MUTE = st.sets(st.sampled_from([f"agent-{i}" for i in range(1, 9)]), max_size=4)


@tries(40, long=True)
@given(clusters(), SCRIPTS, MUTE)
def test_nobody_is_killed(cluster: Cluster, script: Sequence[Act], mute: set[PodUid]) -> None:
    """The controller, free to take any pod above the target, finds none that is not drained, though some never are."""
    cluster.mute = mute
    play(cluster, script)
    assert cluster.killed == []


@tries(25, long=True)
@given(clusters(Guarantee.BEST_EFFORT), SCRIPTS)
def test_a_best_effort_pool_gives_up_idle_pods_only(cluster: Cluster, script: Sequence[Act]) -> None:
    """Where the controller learns the target at once and takes idle pods first, a busy one is never taken."""
    cluster.poll, cluster.policy = 1, replace(cluster.policy, workload=Workload.REPLICA_SET)
    play(cluster, script)
    assert cluster.killed == []


@tries(15, long=True)
@given(clusters(), SCRIPTS, st.sampled_from([0, 3, 11, 45]))
def test_constant_load_settles_and_never_moves_again(cluster: Cluster, script: Sequence[Act], load: int) -> None:
    """After any bursts, under a load that stays, the target comes to rest, all work is served and nobody drains."""
    forget(cluster)
    play(cluster, script)
    cluster.load, cluster.turnover, cluster.spread = load, 2, False
    cluster.run(300, 20.0)
    last = cluster.ticks[-100:]
    assert len({t.target for t in last}) == 1
    assert not any(t.outcome.orders for t in last)
    assert cluster.running == min(load, cluster.policy.max_replicas * cluster.policy.slots_per_pod)


@tries(15, long=True)
@given(clusters(), st.sampled_from([3, 12, 45]), st.integers(1, 5))
def test_a_lower_maximum_is_reached_however_much_waits(cluster: Cluster, load: int, lowered: int) -> None:
    """Tasks follow one another without a pause, so no pod is ever idle; and in the end there are as many as may be."""
    cluster.load, cluster.turnover = load, 2
    cluster.run(120)
    most = max(lowered, cluster.policy.min_replicas)
    cluster.policy = replace(cluster.policy, max_replicas=most)
    cluster.run(400, 20.0)
    assert cluster.running == min(load, most * cluster.policy.slots_per_pod)
    assert len(cluster.agents) <= most
    assert cluster.killed == []


@tries(15, long=True)
@given(clusters(), SCRIPTS, st.sampled_from([0, 3, 11]))
def test_a_settled_pool_is_as_large_as_its_work(cluster: Cluster, script: Sequence[Act], load: int) -> None:
    """One task a pod, counted: it comes to rest at exactly as many pods as there are tasks, within its bounds.

    In ticks that come as often as they do: a forecast that is seen only after its time can never be found wrong.
    """
    forget(cluster)
    cluster.signals = cluster.signals - {Signal.TOKENS}
    cluster.policy = policy = replace(cluster.policy, slots_per_pod=1)
    play(cluster, script)
    cluster.load, cluster.turnover, cluster.spread = load, 2, False
    cluster.run(500)
    assert cluster.replicas == len(cluster.agents) == max(policy.min_replicas, min(policy.max_replicas, load))


def forget(cluster: Cluster) -> None:
    """Have the forecast forget in half an hour what it has seen, not in hours."""
    cluster.policy = replace(cluster.policy, pace=replace(cluster.policy.pace, forecast_memory=100))


@tries(20, long=True)
@given(clusters(), SCRIPTS)
def test_no_fall_below_what_was_needed(cluster: Cluster, script: Sequence[Act]) -> None:
    """Whoever leaves, what is left serves the larger of the demand's means over 60 s and over 6 s."""
    play(cluster, script)
    pace = cluster.policy.pace
    for i, t in enumerate(cluster.ticks):
        leaving = len(t.ordered(Verb.MARK)) + t.gave(Reason.WITHDRAWN)
        if leaving:
            past = cluster.ticks[: i + 1]
            needed = max(mean(past, pace.slow_window), mean(past, pace.fast_window))
            assert t.outcome.evidence.supply.wanted - leaving >= min(t.cap, math.ceil(needed - 1e-9))


def mean(ticks: Sequence[Ticked], window: Seconds) -> float:
    """The demand's mean over the window before the last of these ticks; a demand holds until the next is seen."""
    end = ticks[-1].given.now
    start = max(end - window, ticks[0].given.now)
    held = [(max(a.given.now, start), b.given.now, demanded(a)) for a, b in pairwise(ticks)]
    area = sum((until - since) * demand for since, until, demand in held if until > since)
    return area / (end - start) if end > start else demanded(ticks[-1])


def demanded(t: Ticked) -> float:
    """Pods that the tasks of the pool fill: those that run in pods that take more, and those that wait."""
    signals = {name: sample.value for name, sample in t.given.observation.signals.items() if isinstance(sample, Known)}
    heard = [pod.activity for pod in t.pods if pod.phase is Phase.ACTIVE and isinstance(pod.activity, Activity)]
    running = max(sum(act.inflight for act in heard), signals.get(Signal.INFLIGHT, 0.0))
    tasks = max(signals.get(Signal.QUEUE, 0.0) + running, signals.get(Signal.PENDING, 0.0))
    return tasks / t.given.policy.slots_per_pod


@tries(25, long=True)
@given(clusters(), SCRIPTS, st.frozensets(st.integers(0, 40), max_size=4))
def test_who_leaves_was_idle_all_along(cluster: Cluster, script: Sequence[Act], dark: frozenset[int]) -> None:
    """A pod is marked after it was seen idle, or with room, in as many ticks running as it must be named.

    And one that is idle has been for its timer, or there were more all through the timer than were wanted, whichever of
    them worked.
    """
    for load, steps, seconds in script:
        cluster.load = load
        for _ in range(steps):
            cluster.blind = len(cluster.ticks) % 41 in dark
            cluster.step(seconds)
    for i, t in enumerate(cluster.ticks):
        for uid in t.ordered(Verb.MARK):
            named = cluster.ticks[max(0, i + 1 - cluster.policy.pace.namings) : i + 1]
            assert all(tick.idle(pod) or tick.sparse(pod) for tick in named for pod in (seen(tick, uid),))
            if not t.idle(seen(t, uid)):
                continue
            idle = idle_ticks(cluster.ticks[: i + 1], uid)
            if t.given.now - idle[-1].given.now < t.outcome.evidence.learnt.idle_timer:
                stay = t.outcome.evidence.supply.wanted - len(t.ordered(Verb.MARK))
                assert all(past.informed and wanted(past) <= stay for past in lately(cluster.ticks[: i + 1]))


def lately(ticks: Sequence[Ticked]) -> list[Ticked]:
    """Those of these ticks that are no older than the shortest timer there was. There are older ones, too."""
    timer = min(t.outcome.evidence.learnt.idle_timer for t in ticks)
    found = [t for t in ticks if ticks[-1].given.now - t.given.now < timer]
    assert len(found) < len(ticks)
    return found


def wanted(t: Ticked) -> int:
    """How many pods work, forecast, announcements and the minimum asked for."""
    evidence = t.outcome.evidence
    foreseen = 0.0 if isinstance(evidence.forecast.pods, Unknown) else evidence.forecast.pods
    asked = max(evidence.demand.need_up, math.ceil(max(foreseen, evidence.announced) - 1e-9))
    return min(t.cap, max(asked, t.given.policy.min_replicas))


def seen(t: Ticked, uid: PodUid) -> Pod:
    """The pod as a tick saw it."""
    return next(pod for pod in t.pods if pod.uid == uid)


def idle_ticks(ticks: Sequence[Ticked], uid: PodUid) -> list[Ticked]:
    """The ticks at the end of these in which this pod was seen idle without a break, latest first."""
    return list(takewhile(lambda t: any(pod.uid == uid and t.idle(pod) for pod in t.pods), reversed(ticks)))


@tries(25, long=True)
@given(clusters(), SCRIPTS)
def test_every_decrement_is_a_drained_pod(cluster: Cluster, script: Sequence[Act]) -> None:
    """The target falls by the pods that became drained, each once, and by orders that never became pods.

    A ReplicaSet takes any of the drained pods. So one that was drained and taken between two ticks counts like those
    that are seen: another, which the target no longer counted, stands in its place. And where one still stands in the
    room that a rise was to have, and as many stand as are asked for, the target may give that up after all.
    """
    play(cluster, script)
    counted: set[PodUid] = set()
    room = 0
    for t in cluster.ticks:
        due, fall = released_pods(cluster, t) - counted, t.was - t.target
        reasons, gone = {step.reason for step in t.outcome.trail}, len(due) + t.gave(Reason.WITHDRAWN)
        room = min(room, len(counted & {pod.uid for pod in t.pods}))
        assert fall <= gone + (room if len(t.pods) >= t.asked else 0)
        if t.stays == t.was and not reasons & {Reason.DEMAND, Reason.FORECAST, Reason.MINIMUM, *HELD}:
            assert fall >= gone
        left = due & t.ordered(Verb.DELETE) if reasons & HELD else due
        room = max(0, room + len(left) + t.gave(Reason.WITHDRAWN) - fall)
        counted |= left


def released_pods(cluster: Cluster, t: Ticked) -> set[PodUid]:
    """Pods drained before this tick; of a StatefulSet those that stand above all that are not drained."""
    if t.given.policy.workload is Workload.REPLICA_SET:
        return {uid for uid, at in cluster.drained.items() if at < t.given.now}
    kept = max((pod.ordinal for pod in t.pods if pod.phase is not Phase.DRAINED), default=-1)
    return {pod.uid for pod in t.pods if pod.phase is Phase.DRAINED and pod.ordinal > kept}


RESTLESS = Pace(  # lets a pod go a few seconds after its last task, and takes two minutes for a quick turn
    fast_window=2.0,
    slow_window=4.0,
    namings=1,
    startup_prior=60.0,
    startup_samples=1000,
    timer_prior=0.05,
    gaps_enough=10_000,
)
BEATS = st.tuples(st.sampled_from([0, 1, 4, 9]), st.integers(3, 20), st.just(5.0))


@tries(8, long=True)
@given(st.lists(BEATS, min_size=2, max_size=4), st.sampled_from(Guarantee), st.sampled_from([2, 6]))
def test_the_flap_budget_holds(rhythm: Sequence[Act], guarantee: Guarantee, budget: int) -> None:
    """However the load beats, an up is followed by a quick down no more often in any hour than the budget says."""
    pace = replace(RESTLESS, flap_budget=budget)
    cluster = Cluster(policy=Policy(max_replicas=40, guarantee=guarantee, pace=pace), startup=10.0)
    end = cluster.clock + 1.5 * HOUR
    while cluster.clock < end:
        play(cluster, rhythm)
    turns = reversals(cluster.ticks)
    assert all(sum(at <= other < at + HOUR for other in turns) <= budget for at in turns)


def reversals(ticks: Sequence[Ticked]) -> list[float]:
    """When the target fell, its last move having been a rise at most two startups before."""
    turns: list[float] = []
    rose: float | None = None
    for t in ticks:
        if t.target > t.was:
            rose = t.given.now
        elif t.target < t.was:
            if rose is not None and t.given.now - rose <= 2 * t.outcome.evidence.learnt.startup_p90:
                turns.append(t.given.now)
            rose = None
    return turns


@tries(25, long=True)
@given(clusters(), SCRIPTS)
def test_the_rate_limit_holds_over_every_window(cluster: Cluster, script: Sequence[Act]) -> None:
    """Whenever one begins, fifteen seconds bring four pods at most, or as many as there were."""
    play(cluster, script)
    pace, ticks = cluster.policy.pace, cluster.ticks
    for i, first in enumerate(ticks):
        window = [t for t in ticks[i : i + 20] if t.given.now < first.given.now + pace.rise_window]
        rises = sum(max(0, t.target - t.was) for t in window)
        assert rises <= max(pace.rise_pods, math.floor(pace.rise_ratio * first.was))


@tries(10, long=True)
@given(clusters(), SCRIPTS)
def test_a_resumed_run_equals_an_unbroken_one(cluster: Cluster, script: Sequence[Act]) -> None:
    """A process that ends after every tick and goes on from its memory's JSON gives the same outcomes, bit for bit."""
    resumed = replace(cluster)
    play(cluster, script)
    for load, steps, seconds in script:
        resumed.load = load
        for _ in range(steps):
            resumed.step(seconds)
            resumed.restart()
    assert [t.text for t in resumed.ticks] == [t.text for t in cluster.ticks]


@tries(15, long=True)
@given(clusters(), SCRIPTS, SCRIPTS)
def test_a_new_leader_without_a_memory_kills_nobody(
    cluster: Cluster, before: Sequence[Act], after: Sequence[Act]
) -> None:
    """It takes up the drains it finds from the labels, and lowers nothing before one idle timer has passed."""
    play(cluster, before)
    until_drains(cluster)
    cluster.restart(remembered=False)
    began, restarted = len(cluster.ticks), cluster.clock
    play(cluster, after)
    ticks = cluster.ticks[began:]
    young = [t for t in ticks if t.given.now - restarted < t.outcome.evidence.learnt.idle_timer]
    assert all(t.target >= t.was and not t.ordered(Verb.MARK) for t in young)
    assert cluster.killed == []


@tries(40)
@given(st.integers(1, 5), st.integers(1, 3), st.integers(0, 3))
def test_a_drained_pod_is_subtracted_once(busy: int, drained: int, ordered: int) -> None:
    """Beside pods that the replicas count and nobody sees yet, the target falls by the drained ones and then stays."""
    pods = (Life(inflight=1),) * busy
    high = Pool(lives=pods + (Life(),) * drained, signals=queue(drained + ordered), surplus=-ordered)
    low = replace(high, signals=queue(ordered))
    left = replace(low, lives=pods + (Life(phase=Phase.DRAINED),) * drained, signals=queue(0))
    seen = [(0.0, high), (200.0, high), (400.0, high), (410.0, low), (420.0, left), (425.0, left)]
    turns = tuple(Turn(Policy(), pool, START + later) for later, pool in seen)
    first, second = (Story(turns[:i], turns[i]).moment.tick() for i in (4, 5))
    assert (first.was, first.target) == (busy + drained + ordered, busy + ordered)
    assert second.target == busy + ordered
