"""What each tick teaches, before anything is decided from it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from scaler.core import capacity, demand, idle, startup
from scaler.core.drain import Choice
from scaler.core.fleet import PodMemory
from scaler.core.memory import Memory
from scaler.core.policy import Policy
from scaler.core.senses import Given
from scaler.core.types import Learnt, Signal, Unknown


def learn(given: Given, memory: Memory) -> Memory:
    """The memory with this tick's startups, idle gaps, rates and prices in it."""
    pace, now, fleet = given.policy.pace, given.now, given.fleet
    startups, gaps = memory.startups, memory.gaps
    if not isinstance(fleet, Unknown):
        startups = startup.learn(startups, fleet.startups, pace)
        gaps = idle.learn(gaps, fleet.ended, fleet.left, now=now, pace=pace)
    gaps = idle.refresh(gaps, restart=startups.p90 + pace.drain_overhead, now=now, pace=pace)
    queue_since = demand.waiting_since(given, memory)
    memory = replace(memory, at=now, startups=startups, gaps=gaps, queue_since=queue_since)
    return _price(given, capacity.learn(given, memory))


def _price(given: Given, memory: Memory) -> Memory:
    """The slow outer loop: waiting costs more while the measured p95 misses its target, less while it is far below."""
    pace, wait = given.policy.pace, given.senses.usable.get(Signal.WAIT_P95)
    if wait is None or given.now - memory.priced_at < pace.wait_price_every:
        return memory
    price, target = memory.wait_price, given.policy.target_wait_p95
    if wait.value > target:
        price *= pace.wait_price_step
    elif wait.value < target / 2:
        price /= pace.wait_price_step
    price = min(pace.wait_price_high, max(pace.wait_price_low, price))
    return replace(memory, wait_price=price, priced_at=given.now)


def keep_pods(given: Given, memory: Memory, choice: Choice | None) -> PodMemory:
    """What is remembered of each pod after this tick; while pods cannot be seen, what was."""
    fleet = given.fleet
    if isinstance(fleet, Unknown):
        return memory.pods
    named = np.zeros(len(fleet.pods), dtype=np.int64) if choice is None else choice.named
    return PodMemory(uids=fleet.pods.uids, idle_since=fleet.idle_since, named=named, stage=fleet.pods.stage)


def learnt(policy: Policy, memory: Memory) -> Learnt:
    """What has been learnt, for whoever asks."""
    return Learnt(
        startup_p90=memory.startups.p90,
        startup_p99=memory.startups.p99,
        startups=len(memory.startups.samples),
        idle_timer=memory.gaps.timer,
        gaps=memory.gaps.seen,
        tokens_per_pod=capacity.per_pod(policy, memory),
        wait_price=memory.wait_price,
    )
