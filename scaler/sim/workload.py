"""Tasks: when they arrive, how long they take, and the tokens they stream.

The figures are fits to what real agents did; each names its source. Everything follows from one seed. Arrivals do not
depend on how the pool is scaled, so every autoscaler meets the same ones.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from scaler.core.pods import Floats
from scaler.core.types import Instant, Seconds

BIN: Seconds = 60.0  # the span over which burstiness is measured, and within which arrivals are even


@dataclass(frozen=True, slots=True)
class Lognormal:
    """A duration or rate whose logarithm is normal, and where the figures come from."""

    mu: float
    sigma: float
    source: str

    def draw(self, rng: np.random.Generator, count: int) -> Floats:
        """That many of them, shape (count,)."""
        return rng.lognormal(self.mu, self.sigma, count)

    def quantile(self, z: float) -> float:
        """The value ``z`` standard deviations above the median."""
        return math.exp(self.mu + z * self.sigma)


_KV = "github.com/callanjfox/kv-cache-tester, Apache-2.0"
TASK = Lognormal(5.49, 1.54, f"1,561 tasks of several LLM calls; {_KV}")
SUBAGENT = Lognormal(4.84, 0.66, f"59 sub-agents; {_KV}")
GAP = Lognormal(5.10, 2.09, f"2,303 pauses between a task and the next of its session; {_KV}")
TOKENS = Lognormal(2.59, 0.79, f"output tokens per second of a task, fitted by us to 946 finished ones; {_KV}")
STARTUP = Lognormal(math.log(18.0), 0.3, "a Python agent's pod, image present: the middle of what is reported")


@dataclass(frozen=True, slots=True, kw_only=True)
class Workload:
    """What comes.

    Attributes:
        per_hour: tasks that arrive by themselves; those that follow in a session come on top.
        bursts: variance over mean of their counts in 60 s. Agents that fan out reach 16 to 26; 1 is Poisson.
        subagents: share of tasks that are sub-agents'; the rest are whole tasks.
        follows: probability that a whole task has a next one in its session, after a pause.
        longest: seconds at which a task gives up, as agents' own time limits have it.
    """

    per_hour: float = 220.0
    bursts: float = 26.0
    subagents: float = 0.6
    follows: float = 0.5
    longest: Seconds = 3600.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Tasks:
    """Columns of equal length, in the order of arrival: instants, seconds each takes, tokens per second it streams."""

    arrived_at: list[Instant]
    seconds: list[Seconds]
    tokens: list[float]

    def __len__(self) -> int:
        return len(self.arrived_at)


def generate(workload: Workload, *, start: Instant, seconds: Seconds, seed: int) -> Tasks:
    """The tasks that arrive within ``seconds`` from ``start``."""
    rng = np.random.default_rng(seed)
    at = _arrivals(rng, workload, seconds)
    alone = rng.random(len(at)) < workload.subagents
    length = np.where(alone, SUBAGENT.draw(rng, len(at)), TASK.draw(rng, len(at)))
    length = np.minimum(length, workload.longest)
    more_at, more_length = _sessions(rng, workload, (at[~alone], length[~alone]), seconds)
    at, length = np.concatenate((at, more_at)), np.concatenate((length, more_length))
    order = np.argsort(at, kind="stable")
    return Tasks(
        arrived_at=(start + at[order]).tolist(),
        seconds=length[order].tolist(),
        tokens=TOKENS.draw(rng, len(at)).tolist(),
    )


def _arrivals(rng: np.random.Generator, workload: Workload, seconds: Seconds) -> Floats:
    """Poisson arrivals whose rate is drawn anew each minute: gamma mixing, which gives the counts their variance.

    For a mean m, a rate of Gamma(k, m / k) makes variance / mean = 1 + m / k.
    """
    bins = math.ceil(seconds / BIN)
    mean = np.full(bins, workload.per_hour * BIN / 3600.0)
    if workload.bursts > 1.0:
        shape = mean / (workload.bursts - 1.0)
        mean = rng.gamma(shape, mean / shape)
    counts = rng.poisson(mean)
    at = np.sort(np.repeat(np.arange(bins) * BIN, counts) + rng.random(int(counts.sum())) * BIN)
    within: Floats = at[at < seconds]
    return within


def _sessions(
    rng: np.random.Generator, workload: Workload, firsts: tuple[Floats, Floats], seconds: Seconds
) -> tuple[Floats, Floats]:
    """The tasks that follow in each session: instants and lengths.

    The next comes when the one before would have ended had it not waited, and a pause later.
    """
    at, length = firsts
    all_at, all_length = [at[:0]], [length[:0]]
    while len(at):
        goes_on = rng.random(len(at)) < workload.follows
        at = (at + length)[goes_on] + GAP.draw(rng, int(goes_on.sum()))
        at = at[at < seconds]
        length = np.minimum(TASK.draw(rng, len(at)), workload.longest)
        all_at.append(at)
        all_length.append(length)
    return np.concatenate(all_at), np.concatenate(all_length)
