"""How long an idle pod is kept: the break-even between idling and restarting, learnt from the gaps pods really had.

A gap is the time a pod stood idle before its next task. The timer minimises the expected cost of one gap,
E[min(g, t) + 1{g > t} * restart], where a restart costs its own length in pod-seconds (ski rental, Lu and Chen
arXiv:1112.0442; with a learnt distribution, clamped so that a wrong one costs at most a constant factor).
Pods that left while idle did not finish their gap, so survival is estimated as Kaplan and Meier do: finished gaps
alone are the short ones, and a timer learnt from them would believe that waiting is always rewarded.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from dataclasses import dataclass
from itertools import accumulate, pairwise

import numpy as np

from scaler.core.passing import maker
from scaler.core.pods import Floats
from scaler.core.policy import Pace
from scaler.core.types import Instant, Seconds

EDGES: tuple[Seconds, ...] = (0.0, *np.geomspace(1.0, 86_400.0, 52).tolist())  # a quarter wider each, to a day
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
    fade = np.array(0.5 ** (max(0.0, now - gaps.at) / pace.gap_half_life))
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
    low, high = restart / pace.timer_clamp, restart * pace.timer_clamp
    survival, idling = _until(gaps, high)
    first, last = bisect_right(EDGES, low), bisect_left(EDGES, high)
    timers = [low, high, *EDGES[first:last]]
    idle = [_at(low, idling), _at(high, idling), *idling[first:last]]
    alive = [survival[bisect_right(EDGES, timer) - 1] for timer in timers]
    costs = [seconds + share * restart for seconds, share in zip(idle, alive, strict=True)]
    return timers[costs.index(min(costs))]


def _until(gaps: Gaps, longest: Seconds) -> tuple[list[float], list[Seconds]]:
    """Of each edge up to the first beyond ``longest``: the share of gaps that are longer, and the mean idling until it.

    The share is the product-limit estimate over the bins below it. Of so few bins a loop makes less work than numpy.
    """
    survival, idling = [1.0], [0.0]
    at_risk = list(accumulate(reversed((gaps.ended + gaps.left).tolist())))
    for ended, risk, (start, end) in zip(gaps.ended.tolist(), reversed(at_risk), pairwise(EDGES), strict=False):
        share = survival[-1] * (1.0 - ended / risk) if ended else survival[-1]
        idling.append(idling[-1] + (survival[-1] + share) / 2 * (end - start))
        survival.append(share)
        if end > longest:
            break
    return survival, idling


def _at(timer: Seconds, idling: list[Seconds]) -> Seconds:
    """The mean idling under this timer, on the line between the edges beside it."""
    place = bisect_right(EDGES, timer) - 1
    if place == len(EDGES) - 1:
        return idling[place]
    slope = (idling[place + 1] - idling[place]) / (EDGES[place + 1] - EDGES[place])
    return slope * (timer - EDGES[place]) + idling[place]


def _add(counts: Floats, lengths: Floats) -> Floats:
    """Count each length into the bin that begins at or below it. ``counts`` is the caller's own and is written to."""
    for length in lengths.tolist():  # few: what ended since the last look
        counts[bisect_right(EDGES, length) - 1] += 1.0
    return counts
