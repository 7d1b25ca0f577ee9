"""Ours when it is told what comes within a startup: what perfect hints, or a perfect forecast, would be worth.

It is told as anybody may tell a pool, by a hint: at each tick of the pods by which demand will rise before one that is
ordered now could serve. When a task ends it is not told, nor what comes later. So what this still pays above the best
possible is paid for all else: the looks, the drains, the idle timer, and with several slots where tasks happen to run.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from scaler.core.memory import Memory
from scaler.core.policy import Policy
from scaler.core.tick import tick
from scaler.core.types import Announcement, Instant, Observation, Outcome
from scaler.sim.run import Decide
from scaler.sim.workload import Tasks


def foretold(tasks: Tasks, slots: int) -> Decide:
    """What decides where these tasks are known beforehand, as far as a startup reaches."""
    moments, standing = tasks.standing()

    def decide(policy: Policy, memory: Memory, observation: Observation, now: Instant) -> Outcome:
        end = now + memory.lessons.startups.p90
        first, last = np.searchsorted(moments, (now, end), side="right")
        stands = standing[first - 1] if first else 0
        rise = int(standing[first:last].max(initial=stands) - stands)
        hint = Announcement(name=f"from {now}", pods=rise / slots, start=now, end=end, added=True)
        return tick(policy, memory, replace(observation, announced=(hint,)), now)

    return decide
