"""Tasks: when they arrive, how long they take, and the tokens they stream.

The figures are fits to what real agents did; each names its source. Everything follows from one seed. Arrivals do not
depend on how the pool is scaled, so every autoscaler meets the same ones.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, TypeAlias

import numpy as np
from numpy.typing import ArrayLike

from scaler.core.pods import Floats, Ints
from scaler.core.types import Instant, Seconds

Waiting: TypeAlias = tuple[int, Instant, Seconds]  # a task by its row, when it came, how long it takes

NO_SESSION: Final = -1
TINY: Final = 1e-9  # a shape that gamma takes, where no task comes
CHUNK: Final = 4096  # rows that are turned into Python's numbers at once
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


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Tasks:
    """Columns of equal length n, in the order of arrival.

    Attributes:
        arrived_at: instants, ascending.
        seconds: how long each runs once it has begun.
        tokens: tokens per second that each streams while it runs.
        session: the conversation each belongs to, ``NO_SESSION`` for a task by itself.
    """

    arrived_at: Floats
    seconds: Floats
    tokens: Floats
    session: Ints

    def __len__(self) -> int:
        return len(self.arrived_at)

    def stream(self) -> Iterator[Waiting]:
        """Each in turn as Python's numbers, a piece at a time; and then, for ever, one that never comes."""
        count = len(self)
        pieces = (
            zip(
                range(start, count),
                self.arrived_at[start : start + CHUNK].tolist(),
                self.seconds[start : start + CHUNK].tolist(),
                strict=False,
            )
            for start in range(0, count, CHUNK)
        )
        return itertools.chain(itertools.chain.from_iterable(pieces), itertools.repeat((count, math.inf, math.inf)))

    def standing(self) -> tuple[Floats, Ints]:
        """The moments at which tasks come or end if none waits, ascending, and how many run from each on.

        Both have shape (2n,). What ends at a moment ends before anything comes.
        """
        moments = np.concatenate((self.arrived_at + self.seconds, self.arrived_at))
        order, count = np.argsort(moments, kind="stable"), len(self)
        return moments[order], np.cumsum(np.where(order < count, -1, 1))

    @classmethod
    def of(
        cls, arrived_at: ArrayLike, seconds: ArrayLike, *, tokens: ArrayLike = 0.0, session: ArrayLike = NO_SESSION
    ) -> Tasks:
        """Columns from whatever has these numbers; a single one stands for all tasks.

        Raises:
            ValueError: the columns differ in length, arrivals do not ascend, or a task takes no time at all.
        """
        at, lengths = np.asarray(arrived_at, dtype=np.float64), np.asarray(seconds, dtype=np.float64)
        if at.shape != lengths.shape:
            raise ValueError(f"{len(lengths)} lengths for {len(at)} arrivals")
        if not (np.isfinite(at).all() and (np.diff(at) >= 0).all()):
            raise ValueError("arrivals must be finite and ascend")
        if not (np.isfinite(lengths).all() and (lengths > 0).all()):
            raise ValueError("every task must take more than 0 s and end")
        return cls(
            arrived_at=at,
            seconds=lengths,
            tokens=np.broadcast_to(np.asarray(tokens, dtype=np.float64), at.shape),
            session=np.broadcast_to(np.asarray(session, dtype=np.int64), at.shape),
        )


def generate(workload: Workload, *, start: Instant, seconds: Seconds, seed: int) -> Tasks:
    """The tasks that arrive within ``seconds`` from ``start``."""
    rng = np.random.default_rng(seed)
    at = mixed(rng, np.full(math.ceil(seconds / BIN), workload.per_hour * BIN / 3600.0), bursts=workload.bursts)
    at = at[at < seconds]
    alone = rng.random(len(at)) < workload.subagents
    length = np.where(alone, SUBAGENT.draw(rng, len(at)), TASK.draw(rng, len(at)))
    length = np.minimum(length, workload.longest)
    more_at, more_length = _sessions(rng, workload, (at[~alone], length[~alone]), seconds)
    at, length = np.concatenate((at, more_at)), np.concatenate((length, more_length))
    order = np.argsort(at, kind="stable")
    return Tasks.of(start + at[order], length[order], tokens=TOKENS.draw(rng, len(at)))


def mixed(rng: np.random.Generator, mean: Floats, *, bursts: float) -> Floats:
    """Arrivals from 0 on, ascending, of as many as ``mean`` in each ``BIN`` on average.

    They are Poisson's with a rate that is drawn anew in each bin: gamma mixing, which gives the counts their variance.
    For a mean m, a rate of Gamma(k, m / k) makes variance / mean = 1 + m / k.
    """
    if bursts > 1.0:
        shape = mean / (bursts - 1.0)
        mean = np.where(mean > 0, rng.gamma(np.maximum(shape, TINY), bursts - 1.0), 0.0)
    counts = rng.poisson(mean)
    at: Floats = np.sort(np.repeat(np.arange(len(mean)) * BIN, counts) + rng.random(int(counts.sum())) * BIN)
    return at


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
