"""Token throughput as demand: the averaged rate over what one pod has been seen to carry."""

from __future__ import annotations

import math
from typing import TypeAlias

import numpy as np

from scaler.core.memory import Lessons
from scaler.core.numbers import quantile
from scaler.core.policy import Policy
from scaler.core.senses import Given
from scaler.core.types import Known, Sample, Seconds, Signal, Unknown

Measured: TypeAlias = tuple[Known, ...]
KEPT = 10
ENOUGH = 3
LEAST = 1e-9  # tokens per second of a pod: with fewer, a token rate would ask for more pods than there are numbers
TOO_FEW = tuple(Unknown(f"measured {n} times under full load, {ENOUGH} are needed") for n in range(ENOUGH))
EVERY: Seconds = 30.0  # samples of one saturated spell are not ten proofs


def pods(given: Given, lessons: Lessons, tokens: Known | None) -> Sample:
    """Pods that the averaged token rate asks for, before headroom."""
    if Signal.TOKENS not in given.senses.usable or tokens is None:
        return given.senses.missing(Signal.TOKENS)
    each = per_pod(given.policy, lessons)
    if not isinstance(each, Unknown):
        return Known(tokens.value / max(each, LEAST), given.now)
    # Without a first pod nothing would ever be learnt: tokens ask for one, headroom included.
    return Known(given.policy.pace.soft_down, given.now) if tokens.value > 0 else each


def per_pod(policy: Policy, lessons: Lessons) -> float | Unknown:
    """Tokens per second that one pod can carry: set, or the 0.9 quantile of what it did with every slot taken."""
    if policy.tokens_per_pod is not None:
        return policy.tokens_per_pod
    measured = lessons.capacity
    if len(measured) < ENOUGH:
        return TOO_FEW[len(measured)]
    return quantile(np.array([c.value for c in measured]), 0.9)


def learn(given: Given, tokens: Known | None, measured: Measured) -> tuple[Known | None, Measured]:
    """Average the token rate over its time constant, and take a capacity sample where every slot is taken."""
    sample = given.senses.usable.get(Signal.TOKENS)
    if sample is None:
        return tokens, measured
    tokens = _averaged(tokens, sample, given)
    ready = _saturated(given)
    due = not measured or given.now - measured[-1].at >= EVERY
    if not ready or not due or sample.value <= 0:
        return tokens, measured
    return tokens, (*measured, Known(sample.value / ready, given.now))[-KEPT:]


def _saturated(given: Given) -> int:
    """Ready pods where each is full and tasks queue; none otherwise."""
    queue, fleet = given.senses.usable.get(Signal.QUEUE), given.fleet
    if isinstance(fleet, Unknown) or queue is None or queue.value <= 0 or not fleet.full:
        return 0
    return fleet.ready


def _averaged(was: Known | None, sample: Known, given: Given) -> Known:
    """An average that forgets by time, not by tick: weight 1 - exp(-dt / constant)."""
    if was is None:
        return Known(sample.value, given.now)
    weight = -math.expm1(-max(0.0, given.now - was.at) / given.policy.pace.rate_constant)
    return Known(was.value + weight * (sample.value - was.value), given.now)
