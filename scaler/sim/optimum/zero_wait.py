"""Nobody waits: the least that can be paid when each task begins as it arrives. Exact, in O(n log n).

Tasks begin and end at fixed instants then, so D(t), the pods needed, is given, and the pods are its level sets: the
k-th pod is needed while D(t) >= k. Through a gap in that it idles if the gap is shorter than a startup is long, and is
started anew otherwise. (Lu and Chen, arXiv:1112.0442; the level sets are the gaps of last-empty-server-first dispatch.)
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from scaler.core.types import Seconds
from scaler.sim.optimum.case import Case


@dataclass(frozen=True, slots=True)
class Bracket:
    """The optimum lies between these two prices. They are one for pods of one slot."""

    least: float
    most: float


def zero_wait(case: Case) -> Bracket:
    """With several slots a task cannot move to another pod, and that makes the optimum hard to find: hence a bracket.

    Below stands what D(t) = ceil(running / slots) pods cost, as if tasks could move; above, what first-fit pays.
    """
    begins, ends = case.arrived_at, np.minimum(case.arrived_at + case.seconds, case.end)
    within = begins < case.end
    moves = _moves(begins[within].tolist(), ends[within].tolist())
    least = _levels(moves, case.slots, case.startup)
    return Bracket(least, least if case.slots == 1 else _first_fit(moves, case.slots, case.startup))


def _moves(begins: list[Seconds], ends: list[Seconds]) -> list[tuple[Seconds, int, int]]:
    """Each end and begin in order, as (instant, 0 or 1, task): what ends makes room for what begins then."""
    both = [(end, 0, task) for task, end in enumerate(ends) if end > begins[task]]
    both += [(begin, 1, task) for task, begin in enumerate(begins) if ends[task] > begin]
    return sorted(both)


def _levels(moves: list[tuple[Seconds, int, int]], slots: int, startup: Seconds) -> float:
    """The price of the level sets of ceil(running / slots)."""
    price, idle = 0.0, list[Seconds]()
    for at, rises in _steps(moves, slots):
        if not rises:
            idle.append(at)
            price += at
            continue
        price -= at
        price += min(at - idle.pop(), startup) if idle else startup
    return price


def _steps(moves: list[tuple[Seconds, int, int]], slots: int) -> Iterator[tuple[Seconds, int]]:
    """When ceil(running / slots) rises or falls by one."""
    running = 0
    for at, begins, _ in moves:
        if begins and running % slots == 0:
            yield at, 1
        running += 1 if begins else -1
        if not begins and running % slots == 0:
            yield at, 0


def _first_fit(moves: list[tuple[Seconds, int, int]], slots: int, startup: Seconds) -> float:
    """The price where each task goes to the first pod with room, and each pod idles or restarts as is cheaper."""
    loads, since, where, price = list[int](), list[Seconds](), dict[int, int](), 0.0
    for at, begins, task in moves:
        if not begins:
            pod = where.pop(task)
            loads[pod] -= 1
            if not loads[pod]:
                price += at - since[pod]
                since[pod] = at
            continue
        pod = where[task] = next((row for row, load in enumerate(loads) if load < slots), len(loads))
        if pod == len(loads):
            loads.append(0)
            since.append(at)
            price += startup
        elif not loads[pod]:
            price += min(at - since[pod], startup)
            since[pod] = at
        loads[pod] += 1
    return price
