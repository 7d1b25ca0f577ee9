"""What a pool at its maximum cannot do: how long tasks wait there at least, however it is scaled."""

from __future__ import annotations

import heapq
import operator
from collections.abc import Sequence

import numpy as np

from scaler.core.pods import Floats
from scaler.core.types import Seconds
from scaler.sim.optimum.case import Case

PARTS = 32  # into which the price of waiting is parted, to find the best division


def turns(case: Case) -> Floats:
    """Seconds that each task waits for its turn where all pods stand all the time, first come, first served, (n,)."""
    free = [0.0] * _places(case)
    waits = np.zeros(len(case.arrived_at))
    for row, (at, seconds) in enumerate(zip(case.arrived_at.tolist(), case.seconds.tolist(), strict=True)):
        begins = max(at, free[0])
        waits[row] = begins - at
        heapq.heapreplace(free, begins + seconds)
    return waits


def crowded(case: Case) -> float:
    """No schedule of at most ``high`` pods has a lower price than this, in pod-seconds. Worth it where waits are long.

    At most m = high * slots tasks run at once, so of N in the system N - m wait. And no schedule has fewer in the
    system at any instant than one machine, m times as fast, that serves whichever has least left: it can do all that m
    do by sharing its time, and of one machine that order is the best (Schrage, Operations Research 16(3), 1968).

    Waits are counted up to the end. A task that is not done by then has waited for all the time that it could have, so
    a part of the price of waiting stands for what it did not run; the rest is the price of those waits.
    """
    (total,) = waiting(case, [case.end])
    slack = np.maximum(case.end - case.arrived_at - case.seconds, 0.0)
    prices = case.wait_price * np.arange(PARTS + 1) / PARTS
    runs = [float(np.minimum(case.seconds / case.slots, price * slack).sum()) for price in prices]
    return float(np.max(runs + (case.wait_price - prices) * total))


def waiting(case: Case, instants: Sequence[Seconds]) -> list[Seconds]:
    """Seconds that tasks have waited by these instants, in order, all together and at least: see ``crowded``."""
    places, total, now, left, found = _places(case), 0.0, 0.0, list[Seconds](), list[Seconds]()
    comes = zip(case.arrived_at.tolist(), (case.seconds / places).tolist(), strict=True)
    for until, lasts in sorted([*comes, *((instant, None) for instant in instants)], key=operator.itemgetter(0)):
        while left and now < until:
            span = min(left[0], until - now)
            total += max(0, len(left) - places) * span
            now += span
            if span == left[0]:
                heapq.heappop(left)
            else:
                left[0] -= span  # the least stays the least
        now = until
        if lasts is None:
            found.append(total)
        else:
            heapq.heappush(left, lasts)
    return found


def _places(case: Case) -> int:
    """Tasks that run at once at most.

    Raises:
        ValueError: there is no maximum.
    """
    if case.high is None:
        raise ValueError("only a pool with a maximum can be full")
    return case.high * case.slots
