"""The best policy for work without a memory, held against the same question asked as a linear program."""

from __future__ import annotations

import itertools
from collections import defaultdict
from dataclasses import replace

import numpy as np
import pytest
import scipy.optimize

from scaler.sim.optimum.memoryless import Memoryless, least

TINY = Memoryless(arrivals=0.01, seconds=100.0, startup=20.0, phases=1, wait_price=10.0, waiting=2, pods=2, starting=1)
SMALL = Memoryless(arrivals=2.5 / 430, seconds=430.0, startup=18.0, waiting=6, pods=9)
Held = tuple[int, ...]  # tasks in each pod that serves, fewest first
State = tuple[Held, int, int]


def actions(case: Memoryless, state: State) -> set[State]:
    """The states that one may act into: tasks that wait begin wherever there is room, idle pods go, more start."""
    held, waiting, starting = state
    more = range(starting, starting + 1 if case.until_order else case.starting + 1)
    found = {(held, waiting, b) for b in more}
    for i, tasks in enumerate(held):
        others = (*held[:i], *held[i + 1 :])
        if not tasks:
            found |= actions(case, (others, waiting, starting))
        if waiting and tasks < case.slots:
            found |= actions(case, (tuple(sorted((*others, tasks + 1))), waiting - 1, starting))
    return found


def orders(case: Memoryless, state: State) -> range:
    """How many starts may be wanted when one can next order."""
    return range(state[2], case.starting + 1) if case.until_order else range(1)


def events(case: Memoryless, state: State, wanted: int) -> list[tuple[float, State]]:
    """What may happen, and how often a second."""
    held, waiting, starting = state
    last, room = 1.0 / case.together, case.waiting - 1
    sizes = [(n, last * (1.0 - last) ** (n - 1)) for n in range(1, room + 1)] + [(room + 1, (1.0 - last) ** room)]
    comes = [(case.arrivals * last * chance, (held, min(waiting + n, case.waiting), starting)) for n, chance in sizes]
    for i, tasks in enumerate(held):
        if tasks:
            left = tuple(sorted((*held[:i], tasks - 1, *held[i + 1 :])))
            comes.append((tasks / case.seconds, (left, waiting, starting)))
    if case.until_order:
        comes.append((1.0 / case.until_order, (held, waiting, wanted)))
    if starting and len(held) < case.pods:
        comes.append((starting / case.startup, ((0, *held), waiting, starting - 1)))
    return comes


def by_program(case: Memoryless) -> float:
    """The least price as shares of time in each state and action, which must balance.

    Where orders have to wait for their time, how many starts are to be under way then is part of the action.
    """
    pods = range(case.slots + 1)
    held = [h for n in range(case.pods + 1) for h in itertools.combinations_with_replacement(pods, n)]
    states = list(itertools.product(held, range(case.waiting + 1), range(case.starting + 1)))
    pairs = [
        (state, after, b) for state in states for after in sorted(actions(case, state)) for b in orders(case, after)
    ]
    fastest = max(sum(rate for rate, _ in events(case, state, case.starting)) for state in states)
    balance = np.zeros((len(states) + 1, len(pairs)))
    costs = [len(h) + b + case.wait_price * n for _, (h, n, b), _ in pairs]
    row = {state: i for i, state in enumerate(states)}
    for column, (state, after, wanted) in enumerate(pairs):
        chances: dict[State, float] = defaultdict(float)
        for rate, to in events(case, after, wanted):
            chances[to] += rate / fastest
        chances[after] += 1.0 - sum(chances.values())
        balance[row[state], column] += 1.0
        for to, chance in chances.items():
            balance[row[to], column] -= chance
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
        pytest.param(replace(TINY, slots=2, arrivals=0.02), id="TwoTasksToAPod"),
        pytest.param(replace(TINY, until_order=7.5), id="OrdersThatWaitForTheirTime"),
        pytest.param(replace(TINY, slots=2, wait_price=0.2), id="ATaskMayWaitForAPodThatIsFull"),
    ],
)
def test_no_policy_is_cheaper(case: Memoryless) -> None:
    """Each row: a pool so small that every policy is a point of a linear program, whose optimum is the same price."""
    assert least(case) == pytest.approx(by_program(case), rel=1e-3)


def test_nothing_is_paid_beside_the_work_where_pods_start_at_once() -> None:
    """What is left then is the work itself."""
    short = replace(TINY, arrivals=0.05, seconds=20.0, startup=0.05, waiting=3, pods=5)
    assert least(short) == pytest.approx(short.busy, rel=0.05)


def test_who_starts_slower_pays_more() -> None:
    """At two and a half busy pods a third more than the work for starts of 18 s, and three quarters for 93 s."""
    quick, slow = (least(replace(SMALL, startup=startup)) / SMALL.busy for startup in (18.0, 93.0))
    assert quick == pytest.approx(1.307, rel=0.01)
    assert slow == pytest.approx(1.719, rel=0.01)


def test_tasks_that_come_together_cost_more() -> None:
    """Whom nobody announces nobody has a pod for: the same work costs the more the more of it comes at once."""
    roomy = replace(SMALL, waiting=9, pods=12, starting=2)
    alone, few, many = (least(replace(roomy, together=n)) / SMALL.busy for n in (1.0, 2.0, 3.0))
    assert alone < few < many
