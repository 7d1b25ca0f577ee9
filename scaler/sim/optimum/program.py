"""The linear program: pods and beginnings, slot by slot, at the least price.

    min   step * sum(x + booting) + w * waiting
    with  x[t] = x[t-1] + u[t-startup] - v[t]                    pods that serve; u ordered, v let go
          n[t] = n[t-1] + sum(z[., t]) - sum(z[., t - lasts])    tasks that run
          n[t] <= slots * x[t],   sum(z[g, .]) <= count[g],   z[g, arrives] <= early[g]
          x[t] + waiting[t] >= needed[t]                         whole pods, but for each task that has not begun
          a[t] = a[t-1] + sum(z[., t])                           tasks that have begun
    and, where a pod is ordered only for a task that waits, at looks
          u[t] <= there[t] - a[t-1] in slots that begin with a look, u[t] = 0 in all others
    for what waits at an instant is what has come by then less what has begun, and that is no less than what had begun
    on the average over the slot before.

z[g, t] is how many of class g begin in slot t. There is a column only for the slots soon after the arrival at first;
those that would lower the price are added until they could hardly, and that rest is taken off: what comes out is no
more than the optimum over all columns.
"""

from __future__ import annotations

import functools
import operator
from dataclasses import dataclass, replace
from typing import TypeAlias

import numpy as np
import scipy.optimize
import scipy.sparse

from scaler.core.pods import Floats
from scaler.sim.optimum.case import Case
from scaler.sim.optimum.grid import Grid, Ints

Sparse: TypeAlias = scipy.sparse.csr_array

TOLERANCE = 1e-6  # of a reduced cost, in pod-seconds
GAP = 1e-4  # of the price: columns that could lower it by no more are not looked for, but allowed for
MOST_ROUNDS = 20
CAREFUL_ROUNDS = 6  # in which no column is added beyond the last that would lower the price as prices are now
CHUNK = 256  # classes priced at a time
AHEAD = 4  # slots beyond a startup that every class has a column for


class NoLimitError(RuntimeError):
    """The solver found no optimum, and says why."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Begins:
    """The columns z: class and slot of each, and the slots that it then lasts, shape (k,)."""

    of: Ints
    at: Ints
    lasts: Ints

    def __add__(self, more: Begins) -> Begins:
        """These, then those."""
        pairs = ((self.of, more.of), (self.at, more.at), (self.lasts, more.lasts))
        of, at, lasts = (np.concatenate(pair) for pair in pairs)
        return Begins(of=of, at=at, lasts=lasts)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Answer:
    """An optimum: its price in pod-seconds, and how many of each column begin, shape (k,)."""

    price: float
    begins: Begins
    amounts: Floats


def solve(case: Case, grid: Grid, *, blind: bool, whole: bool = False) -> Answer:
    """The least price; ``blind`` where pods are ordered at looks only, and for no more tasks than wait there.

    With ``whole``, pods and tasks are whole ones: exact where the slots are, and for small cases only.

    Raises:
        NoLimitError: the solver gave up.
    """
    begins = _soon(grid, grid.steps if whole else AHEAD)
    for number in range(MOST_ROUNDS):
        program = Program(case, grid, begins, blind=blind)
        result = program.run(whole=whole)
        answer = program.answer(result)
        if whole:
            return answer
        more, gain = _missing(case, grid, begins, program.duals(result), careful=number < CAREFUL_ROUNDS)
        if gain <= GAP * answer.price or not len(more.of):
            return replace(answer, price=answer.price - gain)
        begins += more
    raise NoLimitError(f"columns were still missing after {MOST_ROUNDS} rounds: take longer slots")


def _soon(grid: Grid, ahead: int) -> Begins:
    """A column for each class and slot until soon after a startup, and for what began before the window."""
    span = np.arange(grid.startup + ahead + 1)
    at = grid.arrives[:, None] + span[None, :]
    of = np.broadcast_to(np.arange(len(grid.arrives))[:, None], at.shape)
    of, at = of[at < grid.steps].astype(np.int64), at[at < grid.steps]
    before = np.flatnonzero(grid.left >= 0)
    return Begins(of=of, at=at, lasts=grid.lasts[of]) + Begins(
        of=before, at=np.zeros(len(before), dtype=np.int64), lasts=grid.left[before]
    )


@dataclass(frozen=True, slots=True, eq=False)
class Duals:
    """What one more in each row would change about the price.

    Attributes:
        running, begun: of the balances of tasks that run and that have begun, shape (steps,).
        classes: of the tasks there are, shape (g,).
    """

    running: Floats
    begun: Floats
    classes: Floats


def _missing(case: Case, grid: Grid, begins: Begins, duals: Duals, *, careful: bool) -> tuple[Begins, float]:
    """Columns that are not there yet and would lower the price, a few of each class; and by how much all could at most.

    By the weak side of duality no columns lower the price by more than the best of each class would, taken in full.
    Where waiting is cheap the prices of a round reach hardly further than its columns, and the next would add as few
    again: so who is not ``careful`` goes twice as far with each class that would lower the price.
    """
    has = np.zeros(len(grid.arrives), dtype=np.int64)
    np.maximum.at(has, begins.of, begins.at)
    found, gain = [Begins(of=begins.of[:0], at=begins.at[:0], lasts=begins.lasts[:0])], 0.0
    for first in range(0, len(grid.arrives), CHUNK):
        rows = np.arange(first, min(first + CHUNK, len(grid.arrives)))
        cost = np.where(np.arange(grid.steps) > has[rows][:, None], _reduced(case, grid, duals, rows), 0.0)
        gain -= float(grid.count[rows] @ np.minimum(cost.min(axis=1), 0.0))
        last, twice = _last_worth(cost), 2 * has[rows] - grid.arrives[rows] + AHEAD
        reach = np.minimum(last, twice) if careful else np.where(last > 0, twice, 0)
        slots = np.arange(grid.steps)
        row, slot = np.nonzero((slots > has[rows][:, None]) & (slots <= reach[:, None]))
        found.append(Begins(of=rows[row], at=slot, lasts=grid.lasts[rows[row]]))
    return functools.reduce(operator.add, found), gain


def _last_worth(cost: Floats) -> Ints:
    """The last slot of each row that would lower the price, 0 where none would, shape (rows,)."""
    worth = cost < -TOLERANCE
    last: Ints = np.where(worth.any(axis=1), cost.shape[1] - 1 - np.argmax(worth[:, ::-1], axis=1), 0)
    return last


def _reduced(case: Case, grid: Grid, duals: Duals, rows: Ints) -> Floats:
    """What a beginning of these classes in each slot would add to the price, shape (rows, steps)."""
    slots = np.arange(grid.steps)
    ends = np.minimum(slots[None, :] + grid.lasts[rows][:, None], grid.steps)
    wait = case.wait_price * grid.step * (slots - grid.steps)
    running = np.append(duals.running, 0.0)
    cost: Floats = (wait + duals.running + duals.begun)[None, :] - running[ends] - duals.classes[rows][:, None]
    return cost


class Program:
    """One program over the given columns.

    The variables, in this order, the first five of a length of steps: x pods that serve, b booting, u ordered, n tasks
    that run, a tasks that have begun, and z.
    """

    def __init__(self, case: Case, grid: Grid, begins: Begins, *, blind: bool) -> None:
        self._case, self._grid, self._begins, self._blind = case, grid, begins, blind
        self._steps, self._columns = grid.steps, len(begins.of)

    def run(self, *, whole: bool) -> scipy.optimize.OptimizeResult:
        """Solve it."""
        unequal, most = self._unequal()
        balance = self._balance()
        result = scipy.optimize.linprog(
            self._prices(),
            A_ub=unequal,
            b_ub=most,
            A_eq=balance,
            b_eq=np.zeros(balance.shape[0]),
            bounds=self._bounds(),
            method="highs-ds" if not whole else "highs",
            integrality=1 if whole else None,
        )
        if not result.success:
            raise NoLimitError(f"the solver gave up: {result.message}")
        return result

    def answer(self, result: scipy.optimize.OptimizeResult) -> Answer:
        """The optimum; what never begins has waited until the end."""
        grid = self._grid
        unserved = self._case.wait_price * grid.step * (grid.count.sum() * grid.steps - grid.waited)
        return Answer(price=float(result.fun + unserved), begins=self._begins, amounts=result.x[5 * self._steps :])

    def duals(self, result: scipy.optimize.OptimizeResult) -> Duals:
        """As the pricing of columns needs them."""
        _, running, begun = np.split(result.eqlin.marginals, 3)
        return Duals(running, begun, result.ineqlin.marginals[: len(self._grid.count)])

    def _prices(self) -> Floats:
        grid, nothing = self._grid, np.zeros(self._steps)
        wait = self._case.wait_price * (self._begins.at - self._steps)
        pods = np.ones(2 * self._steps)
        prices: Floats = grid.step * np.concatenate((pods, nothing, nothing, nothing, wait))
        return prices

    def _bounds(self) -> Floats:
        """From 0; a class' first slot has room only for those who arrive early in it."""
        most = np.full(5 * self._steps + self._columns, np.inf)
        first = self._begins.at == self._grid.arrives[self._begins.of]
        most[5 * self._steps :][first] = self._grid.early[self._begins.of[first]]
        return np.stack((np.zeros(len(most)), most), axis=1)

    def _balance(self) -> Sparse:
        """What boots, what runs and what has begun, each from what it was before."""
        grid, begins = self._grid, self._begins
        rise, shift, none = self._shift(0) - self._shift(1), self._shift(grid.startup), self._shift(self._steps)
        begin, end = self._flow(begins.at), self._flow(begins.at + begins.lasts)
        rows = [
            [none, rise, shift - self._shift(0), none, none, 0 * begin],
            [none, none, none, rise, none, end - begin],
            [none, none, none, none, rise, -begin],
        ]
        return scipy.sparse.vstack([scipy.sparse.hstack(row) for row in rows], format="csr")

    def _unequal(self) -> tuple[Sparse, Floats]:
        """Pods that serve come of orders; tasks run in slots; no more begin than came; and what else is asked for."""
        steps, grid, case = self._steps, self._grid, self._case
        now, before, none = self._shift(0), self._shift(1), self._shift(steps)
        nobody = scipy.sparse.csr_array((steps, self._columns))
        rows = [
            [scipy.sparse.csr_array((len(grid.count), 5 * steps)), self._members()],
            [-case.slots * now, none, none, now, none, nobody],
            [now - before, none, -self._shift(grid.startup), none, none, nobody],
            [-now, none, none, none, now, nobody],
        ]
        most = [grid.count, np.zeros(steps), np.zeros(steps), grid.came - grid.needed]
        if grid.first:
            most[2][: grid.startup + 1] = grid.count.sum()  # until then pods come that were ordered before
        if self._blind:
            look = scipy.sparse.diags_array(grid.looks.astype(np.float64), format="csr")
            rows.append([none, none, now, none, look @ before, nobody])
            most.append(grid.looks * grid.there)
        if case.high is not None:
            rows.append([now, now, none, none, none, nobody])
            most.append(np.full(steps, float(case.high)))
        return scipy.sparse.vstack([scipy.sparse.hstack(row) for row in rows], format="csr"), np.concatenate(most)

    def _shift(self, slots: int) -> Sparse:
        """Takes each slot's value from so many slots before, shape (steps, steps)."""
        if slots >= self._steps:
            return scipy.sparse.csr_array((self._steps, self._steps))
        return scipy.sparse.eye_array(self._steps, k=-slots, format="csr")

    def _flow(self, slots: Ints) -> Sparse:
        """Adds each column up in one slot; one that lies beyond the end is lost, shape (steps, k)."""
        inside = slots < self._steps
        where = slots[inside], np.arange(self._columns)[inside]
        return scipy.sparse.csr_array((np.ones(len(where[0])), where), shape=(self._steps, self._columns))

    def _members(self) -> Sparse:
        """Adds the columns of each class up, shape (g, k)."""
        where = self._begins.of, np.arange(self._columns)
        return scipy.sparse.csr_array((np.ones(self._columns), where), shape=(len(self._grid.count), self._columns))
