"""What each tick teaches, before anything is decided from it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from scaler.core import capacity, idle, startup
from scaler.core.fleet import PodMemory
from scaler.core.memory import Lessons, Memory
from scaler.core.passing import maker, passing
from scaler.core.pods import Ints, Mask
from scaler.core.policy import Policy
from scaler.core.senses import Given
from scaler.core.types import Instant, Learnt, Signal, Unknown

_new_lessons = maker(Lessons)
_new_pod_memory = maker(PodMemory)
_new_learnt = maker(Learnt)


def learn(given: Given, lessons: Lessons) -> Lessons:
    """The lessons with this tick's startups, idle gaps, token rates and prices in them."""
    pace, now, fleet = given.policy.pace, given.now, given.fleet
    startups, gaps = lessons.startups, lessons.gaps
    if not isinstance(fleet, Unknown):
        startups = startup.learn(startups, fleet.startups, pace)
        gaps = idle.learn(gaps, fleet.ended, fleet.left, now=now, pace=pace)
    gaps = idle.refresh(gaps, restart=startups.usual + pace.drain_overhead, now=now, pace=pace)
    tokens, measured = capacity.learn(given, lessons.tokens, lessons.capacity)
    price, priced_at = _price(given, lessons)
    return _new_lessons(
        startups=startups, gaps=gaps, tokens=tokens, capacity=measured, wait_price=price, priced_at=priced_at
    )


def _price(given: Given, lessons: Lessons) -> tuple[float, Instant]:
    """The slow outer loop: waiting costs more while the measured p95 misses its target, less while it is far below.

    It costs no less than the constant: a second lost is lost under a lax target too. And a target that is shorter than
    a startup raises nothing: whoever waits at all misses it, and so many spare pods that nobody waits are no price.
    """
    pace, wait, price = given.policy.pace, given.senses.usable.get(Signal.WAIT_P95), lessons.wait_price
    if wait is None or given.now - lessons.priced_at < pace.wait_price_every:
        return price, lessons.priced_at
    target, startup = given.policy.target_wait_p95, lessons.startups.p90
    if wait.value > target >= startup:
        price *= pace.wait_price_step
    elif wait.value < target / 2 or target < startup:
        price /= pace.wait_price_step
    return min(pace.wait_price_high, max(pace.wait_price, price)), given.now


@passing
class Traces:
    """What a tick did to single pods, shape (n,): ticks named in a row, and whether the target has let them go."""

    named: Ints
    settled: Mask


def keep_pods(given: Given, memory: Memory, traces: Traces | None) -> PodMemory:
    """What is remembered of each pod after this tick. Idleness that nobody watched is no idleness."""
    fleet, pods = given.fleet, memory.pods
    if isinstance(fleet, Unknown):
        return replace(pods, idle_since=np.full(len(pods.uids), np.nan), named=np.zeros_like(pods.named))
    return _new_pod_memory(
        uids=fleet.pods.uids,
        idle_since=fleet.idle_since,
        named=np.zeros(len(fleet.pods), dtype=np.int64) if traces is None else traces.named,
        stage=fleet.pods.stage,
        heard=fleet.heard,
        settled=np.zeros(len(fleet.pods), dtype=np.bool_) if traces is None else traces.settled,
        coming=fleet.starting + fleet.overdue,
    )


def learnt(policy: Policy, lessons: Lessons) -> Learnt:
    """What has been learnt, for whoever asks."""
    return _new_learnt(
        startup_p90=lessons.startups.p90,
        startup_p99=lessons.startups.p99,
        startups=len(lessons.startups.samples),
        idle_timer=lessons.gaps.timer,
        gaps=round(lessons.gaps.weight),
        tokens_per_pod=capacity.per_pod(policy, lessons),
        wait_price=lessons.wait_price,
    )
