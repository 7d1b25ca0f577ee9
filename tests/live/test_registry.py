"""What is known of a pool between ticks: what was read last of sources it still has, and nothing else."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import time
from zoneinfo import ZoneInfo

import pytest

from scaler.config.pool import JobStrategy, ScheduleRule
from scaler.core.pods import Activity, Phase, Pod, Pods
from scaler.core.policy import Policy
from scaler.core.types import Known, Observation, Sample, Signal, Unknown
from scaler.live.registry import Pool, Registry
from tests.support.pools import NOON, PODS, QUEUE, REPLICAS, query, spec

IDLE = Activity(inflight=0, at=NOON)


def pod(uid: str, phase: Phase = Phase.ACTIVE, activity: Activity | Unknown = IDLE) -> Pod:
    """A pod heard at noon."""
    return Pod(uid=uid, created_at=NOON, since=NOON, phase=phase, activity=activity)


def queue_of(observation: Observation) -> object:
    """What is known of the queue."""
    return observation.signals[Signal.QUEUE]


def test_nothing_is_known_before_it_was_read() -> None:
    """Absence says what is absent: nothing was read yet, and there is no source of pods at all."""
    seen = Pool(spec(), NOON).observe(NOON)
    assert queue_of(seen) == seen.replicas == Unknown("not read yet")
    assert seen.pods == Unknown("the pool has no source of pods")
    assert Pool(spec(pods=PODS), NOON).observe(NOON).pods == Unknown("not read yet")


def test_a_sample_from_the_future_is_from_now() -> None:
    """A source whose clock is fast does not make its numbers last longer."""
    pool = Pool(spec(), NOON)
    pool.take_signal(Signal.QUEUE, QUEUE, Known(3, NOON + 600), NOON)
    assert queue_of(pool.observe(NOON)) == Known(3, NOON)


def test_a_slow_source_keeps_its_own_instant() -> None:
    """A number that was true a while ago stays that old."""
    pool = Pool(spec(), NOON)
    pool.take_signal(Signal.QUEUE, QUEUE, Known(3, NOON - 60), NOON)
    assert queue_of(pool.observe(NOON)) == Known(3, NOON - 60)


@pytest.mark.parametrize(("after", "stands"), [(1, True), (15, True), (16, False)])
def test_the_last_sample_stands_while_it_is_fresh(after: float, *, stands: bool) -> None:
    """Three scrapes of five seconds: a failure within them is passed over, one after them is told."""
    pool = Pool(spec(), NOON)
    pool.take_signal(Signal.QUEUE, QUEUE, Known(3, NOON), NOON)
    pool.take_replicas(REPLICAS, Known(2, NOON), NOON)
    failed = Unknown("refused")
    pool.take_signal(Signal.QUEUE, QUEUE, failed, NOON + after)
    pool.take_replicas(REPLICAS, failed, NOON + after)
    seen = pool.observe(NOON + after)
    assert queue_of(seen) == (Known(3, NOON) if stands else failed)
    assert seen.replicas == (Known(2, NOON) if stands else failed)


def test_pods_are_replaced_whole() -> None:
    """What one pod said does not outlive a round that could not see the pods."""
    pool = Pool(spec(pods=PODS), NOON)
    pool.take_pods(PODS, Pods.of([pod("a")]))
    pool.take_pods(PODS, Unknown("no pods are listed"))
    assert pool.observe(NOON).pods == Unknown("no pods are listed")


def test_without_a_source_of_replicas_the_pods_are_counted() -> None:
    """Those not drained are the replicas that we know of."""
    pool = Pool(spec(pods=PODS, replicas=None), NOON)
    assert pool.observe(NOON).replicas == Unknown("no source says how many replicas there are")
    pool.take_pods(PODS, Pods.of([pod("a"), pod("b", phase=Phase.DRAINING), pod("c", phase=Phase.DRAINED)]))
    assert pool.observe(NOON).replicas == Known(2, NOON)


@pytest.mark.parametrize("others", [(), ("a",)], ids=["AloneInThePool", "BesideOneThatWasHeard"])
def test_an_address_that_nobody_heard_is_no_count(others: tuple[str, ...]) -> None:
    """A URL that never answered has a pod that hangs, or none: nobody can say how many replicas there are."""
    pool = Pool(spec(pods=PODS, replicas=None), NOON)
    pool.take_pods(PODS, Pods.of([*map(pod, others), pod("http://b", activity=Unknown("refused"))]))
    replicas = pool.observe(NOON).replicas
    assert isinstance(replicas, Unknown)
    assert replicas.why.startswith(f"1 of {1 + len(others)} pods have never given an answer of their own, http://b ")


@pytest.mark.parametrize(
    ("running", "jobs"),
    [(Known(5.0, NOON), 3.0), (Known(0.0, NOON), 0.0), (Unknown("refused"), 0.0)],
    ids=["TwoTasksEach", "NoneRun", "NobodyKnows"],
)
def test_a_scaled_job_needs_no_count_of_replicas(running: Sample, jobs: float) -> None:
    """KEDA counts the Jobs itself and stops none: what is known to run is enough to start from."""
    signals = {Signal.QUEUE: QUEUE, Signal.INFLIGHT: query("running")}
    policy = Policy(slots_per_pod=2)
    pool = Pool(spec(signals=signals, replicas=None, policy=policy, job_strategy=JobStrategy.DEFAULT), NOON)
    pool.take_signal(Signal.INFLIGHT, query("running"), running, NOON)
    assert pool.observe(NOON).replicas == Known(jobs, NOON)


def test_a_scaled_jobs_pods_are_its_jobs() -> None:
    """Where they are asked one by one they are counted, whoever has never answered."""
    pool = Pool(spec(pods=PODS, replicas=None, job_strategy=JobStrategy.ACCURATE), NOON)
    pool.take_pods(PODS, Pods.of([pod("a"), pod("http://b", activity=Unknown("refused"))]))
    assert pool.observe(NOON).replicas == Known(2, NOON)


def test_a_pod_that_falls_silent_still_counts() -> None:
    """It was heard under its own name, so it is a pod, whatever it does now."""
    pool = Pool(spec(pods=PODS, replicas=None), NOON)
    pool.take_pods(PODS, Pods.of([pod("a"), pod("b", activity=Unknown("refused"))]))
    assert pool.observe(NOON).replicas == Known(2, NOON)


def test_replicas_that_are_read_late_are_from_before() -> None:
    """They speak of the time before the delay with which they are read, and of none after it."""
    pool = Pool(replace(spec(), replicas_behind=30.0), NOON)
    pool.take_replicas(REPLICAS, Known(2, NOON), NOON)
    assert pool.observe(NOON).replicas == Known(2, NOON - 30.0)


def test_the_reading_that_completes_the_picture_calls_for_a_tick() -> None:
    """Once, whatever the order, and whether or not it brought a value."""
    pool = Pool(spec(pods=PODS), NOON)
    assert not pool.take_pods(PODS, Unknown("no answer"))
    assert not pool.take_replicas(REPLICAS, Unknown("refused"), NOON)
    assert pool.take_signal(Signal.QUEUE, QUEUE, Unknown("refused"), NOON)
    assert not pool.take_signal(Signal.QUEUE, QUEUE, Unknown("refused"), NOON)


@pytest.mark.parametrize(("was", "then", "rises"), [(0, 1, True), (3, 3, False), (3, 2, False), (3, 3.5, True)])
def test_a_rise_of_the_queue_calls_for_a_tick(was: float, then: float, *, rises: bool) -> None:
    """However small it is; a queue that stands or falls waits for the schedule."""
    pool = Pool(spec(replicas=None), NOON)
    pool.take_signal(Signal.QUEUE, QUEUE, Known(was, NOON), NOON)
    assert pool.take_signal(Signal.QUEUE, QUEUE, Known(then, NOON + 1), NOON + 1) is rises


@pytest.mark.parametrize("signal", [Signal.QUEUE, Signal.INFLIGHT])
@pytest.mark.parametrize("then", [2.0, 4.0])
def test_a_scaled_job_answers_every_change_at_once(signal: Signal, then: float) -> None:
    """A number that is a task too high is a Job too many, so tasks that are done are taken off as soon as is known."""
    source = query("work")
    pool = Pool(spec(signals={signal: source}, replicas=None, job_strategy=JobStrategy.DEFAULT), NOON)
    pool.take_signal(signal, source, Known(3, NOON), NOON)
    assert pool.take_signal(signal, source, Known(then, NOON + 1), NOON + 1)
    assert not pool.take_signal(signal, source, Known(then, NOON + 2), NOON + 2)


def test_a_queue_seen_again_is_no_rise() -> None:
    """After an outage longer than samples last nobody can say whether it rose."""
    pool = Pool(spec(replicas=None), NOON)
    pool.take_signal(Signal.QUEUE, QUEUE, Unknown("refused"), NOON)
    assert not pool.take_signal(Signal.QUEUE, QUEUE, Known(5, NOON + 60), NOON + 60)


def test_what_a_replaced_source_still_says_is_dropped() -> None:
    """A reading that was under way when the pool changed belongs to the pool it was."""
    pool = Pool(spec(), NOON)
    pool.change(spec(signals={Signal.QUEUE: query("other")}, replicas=None))
    assert not pool.take_signal(Signal.QUEUE, QUEUE, Known(9, NOON), NOON)
    assert not pool.take_replicas(REPLICAS, Known(9, NOON), NOON)
    assert not pool.take_pods(PODS, Pods.of([]))
    assert queue_of(pool.observe(NOON)) == Unknown("not read yet")


def test_a_change_keeps_memory_and_what_its_sources_said() -> None:
    """A new policy with the same sources starts with open eyes; a new source starts unread."""
    pool = Pool(spec(pods=PODS), NOON)
    memory = pool.memory
    pool.take_signal(Signal.QUEUE, QUEUE, Known(3, NOON), NOON)
    pool.take_replicas(REPLICAS, Known(2, NOON), NOON)
    pool.change(spec(pods=PODS, policy=Policy(max_replicas=5)))
    assert pool.memory is memory
    assert queue_of(pool.observe(NOON)) == Known(3, NOON)
    pool.change(spec(signals={Signal.QUEUE: query("other"), Signal.PENDING: QUEUE}, pods=PODS))
    seen = pool.observe(NOON)
    assert seen.signals == {Signal.QUEUE: Unknown("not read yet"), Signal.PENDING: Unknown("not read yet")}
    assert seen.replicas == Known(2, NOON)


def test_the_schedule_is_announced() -> None:
    """A window that is open at noon is part of what is known at noon."""
    rule = ScheduleRule(
        name="day", days=frozenset(range(7)), start=time(9), end=time(17), zone=ZoneInfo("UTC"), replicas=4
    )
    window, *_ = Pool(replace(spec(), schedule=(rule,)), NOON).observe(NOON).announced
    assert (window.pods, window.start, window.end) == (4, NOON - 10_800, NOON + 18_000)


async def test_replacing_the_pools_keeps_those_that_stay() -> None:
    """A reloaded file is the whole truth: who is gone is gone, who stays remembers."""
    registry = Registry()
    registry.replace([spec("a"), spec("b")], NOON)
    stays = registry.get(spec("b").key)
    registry.replace([spec("b", policy=Policy(max_replicas=5)), spec("c")], NOON + 9)
    assert [pool.spec.key.name for pool in registry] == ["b", "c"]
    assert len(registry) == 2
    assert registry.get(spec("b").key) is stays
    assert stays is not None
    assert stays.spec.policy.max_replicas == 5
    assert stays.memory.born == NOON


async def test_only_real_changes_are_announced() -> None:
    """Who follows the registry is woken by an addition, a change and a removal, and not by saying the same again."""
    registry = Registry()
    for act in (
        lambda: registry.put(spec(), NOON),
        lambda: registry.put(spec(policy=Policy(max_replicas=5)), NOON),
        lambda: registry.remove(spec().key),
    ):
        act()
        assert await asyncio.wait_for(registry.changed(), 1) == (spec().key,)
    registry.remove(spec().key)
    pool = registry.put(spec(), NOON)
    await registry.changed()
    assert registry.put(spec(), NOON) is pool
    unchanged = asyncio.create_task(registry.changed())
    await asyncio.sleep(0)
    assert not unchanged.done()
    unchanged.cancel()


async def test_all_that_changed_is_told_once() -> None:
    """Who looks late finds every pool that was touched since, each once, and nothing of it the next time."""
    registry = Registry()
    registry.replace([spec("a"), spec("b"), spec("c")], NOON)
    await registry.changed()
    registry.remove(spec("a").key)
    registry.put(spec("b", policy=Policy(max_replicas=5)), NOON)
    registry.put(spec("b", policy=Policy(max_replicas=6)), NOON)
    assert await registry.changed() == (spec("a").key, spec("b").key)
    registry.put(spec("d"), NOON)
    assert await registry.changed() == (spec("d").key,)


def test_a_list_of_pods_need_not_be_whole() -> None:
    """Three live replicas and one pod listed: two more may be at work, and nothing is known of them."""
    pool = Pool(spec(pods=PODS), NOON)
    pool.take_pods(PODS, Pods.of([pod("a")]))
    pool.take_replicas(REPLICAS, Known(3, NOON), NOON)
    seen = pool.observe(NOON).pods
    assert isinstance(seen, Pods)
    assert [p.activity for p in seen] == [IDLE, *[Unknown("the pod has not been heard")] * 2]
    pool.take_replicas(REPLICAS, Known(1, NOON), NOON)
    assert pool.observe(NOON).pods.uids == ("a",)  # type: ignore[union-attr]  # seen above
