"""The best policy for work without a memory, held against the same question asked as a linear program."""

from __future__ import annotations

import itertools
from collections import defaultdict
from dataclasses import replace

import numpy as np
import pytest
import scipy.optimize

from scaler.sim.optimum.memoryless import Memoryless, least

TINY = Memoryless(arrivals=0.01, seconds=100.0, startup=20.0, phases=1, wait_price=10.0, tasks=3, pods=2, starting=1)
SMALL = Memoryless(arrivals=2.5 / 430, seconds=430.0, startup=18.0, tasks=12, pods=9)
State = tuple[int, int, int]


def actions(case: Memoryless, state: State) -> list[State]:
    """The states that one may act into: more that start, and of those that serve only idle ones gone."""
    tasks, serving, starting = state
    left = range(min(tasks, serving), serving + 1)
    return [(tasks, s, b) for s in left for b in range(starting, case.starting + 1)]


def events(case: Memoryless, state: State) -> list[tuple[float, State]]:
    """What may happen, and how often a second."""
    tasks, serving, starting = state
    last, room = 1.0 / case.together, case.tasks - 1
    sizes = [(n, last * (1.0 - last) ** (n - 1)) for n in range(1, room + 1)] + [(room + 1, (1.0 - last) ** room)]
    return [
        *((case.arrivals * last * chance, (min(tasks + n, case.tasks), serving, starting)) for n, chance in sizes),
        (min(tasks, serving) / case.seconds, (max(tasks - 1, 0), serving, starting)),
        (starting / case.startup, (tasks, min(serving + 1, case.pods), max(starting - 1, 0))),
    ]


def by_program(case: Memoryless) -> float:
    """The least price as shares of time in each state and action, which must balance."""
    spans = (range(case.tasks + 1), range(case.pods + 1), range(case.starting + 1))
    states = list(itertools.product(*spans))
    pairs = [(state, after) for state in states for after in actions(case, state)]
    fastest = sum(
        max(rate for s in states for rate in [events(case, s)[i][0]]) for i in range(len(events(case, states[0])))
    )
    balance = np.zeros((len(states) + 1, len(pairs)))
    costs = [s + b + case.wait_price * max(0, n - s) for _, (n, s, b) in pairs]
    for column, (state, after) in enumerate(pairs):
        chances: dict[State, float] = defaultdict(float)
        for rate, to in events(case, after):
            chances[to] += rate / fastest
        chances[after] += 1.0 - sum(chances.values())
        balance[states.index(state), column] += 1.0
        for to, chance in chances.items():
            balance[states.index(to), column] -= chance
        balance[-1, column] = 1.0
    found = scipy.optimize.linprog(costs, A_eq=balance, b_eq=[0.0] * len(states) + [1.0])
    assert found.success
    return float(found.fun)


@pytest.mark.parametrize(
    "case",
    [
        pytest.param(TINY, id="OnePodBusy"),
        pytest.param(replace(TINY, arrivals=0.002), id="AlmostNothingToDo"),
        pytest.param(replace(TINY, startup=200.0), id="StartsThatTakeLong"),
        pytest.param(replace(TINY, wait_price=0.5), id="WaitingIsCheap"),
        pytest.param(replace(TINY, together=2.5), id="TasksThatComeTogether"),
    ],
)
def test_no_policy_is_cheaper(case: Memoryless) -> None:
    """Each row: a pool so small that every policy is a point of a linear program, whose optimum is the same price."""
    assert least(case) == pytest.approx(by_program(case), rel=1e-3)


def test_nothing_is_paid_beside_the_work_where_pods_start_at_once() -> None:
    """What is left then is the work itself."""
    short = replace(TINY, arrivals=0.05, seconds=20.0, startup=0.05, tasks=6, pods=5)
    assert least(short) == pytest.approx(short.busy, rel=0.05)


def test_who_starts_slower_pays_more() -> None:
    """At two and a half busy pods a third more than the work for starts of 18 s, and three quarters for 93 s."""
    quick, slow = (least(replace(SMALL, startup=startup)) / SMALL.busy for startup in (18.0, 93.0))
    assert quick == pytest.approx(1.307, rel=0.01)
    assert slow == pytest.approx(1.719, rel=0.01)


def test_tasks_that_come_together_cost_more() -> None:
    """Whom nobody announces nobody has a pod for: the same work costs the more the more of it comes at once."""
    alone, few, many = (least(replace(SMALL, tasks=24, pods=14, together=n)) / SMALL.busy for n in (1.0, 2.0, 3.0))
    assert alone < few < many
