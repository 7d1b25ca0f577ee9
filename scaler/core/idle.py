"""How long an idle pod is kept: the break-even between idling and restarting, learnt from the gaps pods really had.

A gap is the time a pod stood idle before its next task. The timer minimises the expected cost of one gap,
E[min(g, t) + 1{g > t} * restart], where a restart costs its own length in pod-seconds (ski rental, Lu and Chen
arXiv:1112.0442; with a learnt distribution, clamped so that a wrong one costs at most a constant factor).
Pods that left while idle did not finish their gap, so survival is estimated as Kaplan and Meier do: finished gaps
alone are the short ones, and a timer learnt from them would believe that waiting is always rewarded.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from scaler.core.passing import maker
from scaler.core.pods import Floats
from scaler.core.policy import Pace
from scaler.core.types import Instant, Seconds

EDGES: Floats = np.concatenate(([0.0], np.geomspace(1.0, 86_400.0, 52)))  # a quarter wider each, to a day
WIDTHS: Floats = np.diff(EDGES)
NOUGHT, ALL = np.zeros(1), np.ones(1)
LEAST = np.array(math.ulp(0.0))  # in the place of no gaps at risk, of which none ended: the share of these is nought
REFRESH: Seconds = 30.0  # a timer learnt over a day need not be computed every tick


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Gaps:
    """Decayed counts of idle gaps by length, and the timer last computed from them.

    Attributes:
        ended, left: shape (len(EDGES),), gaps that ended in work and gaps cut short by a removal.
        at: the instant the counts were last decayed.
        restart: the restart cost the timer was computed for.
    """

    ended: Floats
    left: Floats
    at: Instant
    timer: Seconds
    timer_at: Instant
    restart: Seconds

    @property
    def weight(self) -> float:
        """Finished gaps seen, older ones faded."""
        return float(np.add.reduce(self.ended))

    @classmethod
    def none(cls, now: Instant, pace: Pace) -> Gaps:
        """Nothing seen yet: the prior, for the startup that is assumed."""
        zeros, restart = np.zeros(len(EDGES)), pace.startup_prior + pace.drain_overhead
        timer = pace.timer_prior * restart
        return cls(ended=zeros, left=zeros, at=now, timer=timer, timer_at=now, restart=restart)


_new_gaps = maker(Gaps)


def learn(gaps: Gaps, ended: Floats, left: Floats, *, now: Instant, pace: Pace) -> Gaps:
    """Add finished and cut gaps (seconds, shape (n,)), letting older ones fade by half a day's weight a day."""
    if not len(ended) and not len(left):
        return gaps
    fade = 0.5 ** (max(0.0, now - gaps.at) / pace.gap_half_life)
    return _new_gaps(
        ended=_add(gaps.ended * fade, ended),
        left=_add(gaps.left * fade, left),
        at=now,
        timer=gaps.timer,
        timer_at=gaps.timer_at,
        restart=gaps.restart,
    )


def refresh(gaps: Gaps, *, restart: Seconds, now: Instant, pace: Pace) -> Gaps:
    """The same gaps with a timer for this restart cost, computed anew when it is due."""
    if restart == gaps.restart and now - gaps.timer_at < REFRESH:
        return gaps
    timer = best_timer(gaps, restart=restart, pace=pace)
    return _new_gaps(ended=gaps.ended, left=gaps.left, at=gaps.at, timer=timer, timer_at=now, restart=restart)


def best_timer(gaps: Gaps, *, restart: Seconds, pace: Pace) -> Seconds:
    """The timer of least expected cost in [restart / clamp, restart * clamp]; the prior while too few gaps are known.

    Gaps fade, so a pool whose pods all leave before their gap ends comes back to the prior, and looks again.
    """
    if gaps.weight < pace.gaps_enough:
        return pace.timer_prior * restart
    survival = _survival(gaps)
    idling = np.concatenate((NOUGHT, ((survival[:-1] + survival[1:]) / 2 * WIDTHS).cumsum()))
    low, high = restart / pace.timer_clamp, restart * pace.timer_clamp
    timers = np.concatenate(([low, high], EDGES[(low < EDGES) & (high > EDGES)]))
    alive = survival[EDGES.searchsorted(timers, side="right") - 1]
    cost = np.interp(timers, EDGES, idling) + alive * restart
    return float(timers[cost.argmin()])


def _survival(gaps: Gaps) -> Floats:
    """Share of gaps longer than each edge, shape (len(EDGES),): the product-limit estimate over the bins below it."""
    total = gaps.ended + gaps.left
    at_risk = total[::-1].cumsum()[::-1]
    hazard = gaps.ended / np.maximum(at_risk, LEAST)
    return np.concatenate((ALL, (1.0 - hazard[:-1]).cumprod()))


def _add(counts: Floats, lengths: Floats) -> Floats:
    """Count each length into the bin that begins at or below it. ``counts`` is the caller's own and is written to."""
    if len(lengths):
        for place in (EDGES.searchsorted(lengths, side="right") - 1).tolist():  # few: what ended since the last look
            counts[place] += 1.0
    return counts
