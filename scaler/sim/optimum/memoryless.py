"""The least that anybody can pay who does not know what comes, where that can be computed: work without a memory.

Tasks arrive at random at a known rate, each alone or some together as agents that fan out send them. They take an
exponential time in one of a pod's slots, and a pod starts in ``phases`` exponential steps. Nothing that has happened
says anything about what will, beyond how many tasks wait, how many run in each pod, and how far each start has come.
So the best policy is a function of that state, and value iteration finds it: it sees everything at once, knows every
rate, and it chooses the pod of each task, or lets it wait. No autoscaler can be cheaper on such work, however clever it
is or its dispatcher.

OPT_blind knows the future and is only bound in when it may order; and with several slots it packs tasks as a fluid.
Where this is dearer, the ratio of the two is the share of ``price_over_opt_blind`` that is nobody's fault.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from scaler.core.pods import Floats, Ints
from scaler.core.types import Seconds

CLOSE: Final = 1e-3  # of the price: when value iteration ends


@dataclass(frozen=True, slots=True, kw_only=True)
class Memoryless:
    """Work without a memory, and the pods that serve it.

    Attributes:
        arrivals: tasks a second; ``together`` how many of them arrive at one instant, on average: one, and a geometric
            number more. Their counts in a time much longer than that between them have a variance over mean of
            2 x together - 1.
        seconds: mean length of a task; ``slots`` tasks that a pod runs at once.
        startup: mean seconds from ordering a pod until it serves; ``phases`` the steps it takes, of equal mean.
        until_order: mean seconds until one can order again, at random; 0 where one can at any instant.
        wait_price: price of a second that a task waits, in pod-seconds.
        waiting, pods, starting: the most that are looked at; ``starting`` of each phase. What would exceed them is lost
            (a task) or not allowed (a pod), so they must be so large that it hardly happens.
    """

    arrivals: float
    together: float = 1.0
    seconds: Seconds
    slots: int = 1
    startup: Seconds
    phases: int = 2
    until_order: Seconds = 0.0
    wait_price: float = 10.0
    waiting: int
    pods: int
    starting: int = 3

    @property
    def busy(self) -> float:
        """Pods that the work fills on average: what is paid for whatever anybody does."""
        return self.arrivals * self.seconds / self.slots


def least(case: Memoryless) -> float:
    """The least price per second that any policy reaches in the long run."""
    moves, fastest = _Moves(case), _fastest(case)
    costs, value = moves.costs() / fastest, np.zeros(moves.shape)
    while True:
        after = moves.acted(costs + value + moves.drift(value) / fastest)
        change = after - value
        low, high = float(change.min()) * fastest, float(change.max()) * fastest
        if high - low <= CLOSE * high:
            return (low + high) / 2.0
        value = after - after.flat[0]


def _fastest(case: Memoryless) -> float:
    """Events a second, at most."""
    starts = case.phases * case.starting * case.phases / case.startup
    orders = 1.0 / case.until_order if case.until_order else 0.0
    return case.arrivals + case.slots * case.pods / case.seconds + starts + orders


class _Moves:
    """What may be done, and what happens by itself, state by state.

    The states are an array: how many pods run no task, one, two and so on by its row, then tasks that wait, then pods
    in each phase of their start.
    """

    def __init__(self, case: Memoryless) -> None:
        self._case = case
        counts = itertools.product(range(case.pods + 1), repeat=case.slots + 1)
        held = [count for count in counts if sum(count) <= case.pods]
        self._held: Ints = np.array(held, dtype=np.int64)
        self._row = {count: row for row, count in enumerate(held)}
        self._begun = [self._led(k, k + 1) for k in range(case.slots)]
        self._ended = [self._led(k, k - 1) for k in range(1, case.slots + 1)]
        self._gone, self._come = self._led(0, None), self._led(None, 0)
        self.shape = (len(held), case.waiting + 1, *(case.starting + 1,) * case.phases)

    def _led(self, before: int | None, after: int | None) -> Ints:
        """The row once a pod that ran so many tasks runs so many; -1 where there is none or no room, shape (rows,).

        None before where the pod was not there, and None after where it is gone.
        """
        change = np.zeros(self._case.slots + 1, dtype=np.int64)
        for place, pods in ((before, -1), (after, 1)):
            if place is not None:
                change[place] = pods
        return np.array([self._row.get(tuple(count), -1) for count in (self._held + change).tolist()], dtype=np.int64)

    def _beside(self, values: npt.NDArray[Any], axis: int) -> npt.NDArray[Any]:
        """These along one axis, so that they go with an array of states."""
        return values.reshape([-1 if a == axis else 1 for a in range(len(self.shape))])

    def _counts(self, axis: int) -> Floats:
        return self._beside(np.arange(self.shape[axis], dtype=np.float64), axis)

    def costs(self) -> Floats:
        """What a second costs: pods, those that start among them, and tasks that wait."""
        pods = self._beside(self._held.sum(axis=1).astype(np.float64), 0)
        starting = sum(self._counts(axis) for axis in range(2, len(self.shape)))
        costs: Floats = pods + self._case.wait_price * self._counts(1) + starting
        return np.broadcast_to(costs, self.shape)

    def acted(self, value: Floats) -> Floats:
        """The value before one has acted: tasks that wait begin where one likes, idle pods go, and pods are ordered.

        An order that has to wait for its time is an event instead.
        """
        value = value.copy() if self._case.until_order else _ordered(value)
        for idle in range(1, self._case.pods + 1):
            rows = np.flatnonzero(self._held[:, 0] == idle)
            value[rows] = np.minimum(value[rows], value[self._gone[rows]])
        for waiting in range(1, self._case.waiting + 1):
            for begun in self._begun:
                rows = np.flatnonzero(begun >= 0)
                value[rows, waiting] = np.minimum(value[rows, waiting], value[begun[rows], waiting - 1])
        return value

    def drift(self, value: Floats) -> Floats:
        """By how much the value changes a second, on average."""
        case = self._case
        drift = case.arrivals / case.together * (_joined(value, 1.0 / case.together) - value)
        for tasks, ended in enumerate(self._ended, start=1):
            rows = np.flatnonzero(ended >= 0)
            rate = tasks * self._held[rows, tasks] / case.seconds
            drift[rows] += self._beside(rate, 0) * (value[ended[rows]] - value[rows])
        if case.until_order:
            drift += (_ordered(value) - value) / case.until_order
        for phase in range(case.phases):
            drift += self._counts(2 + phase) * (case.phases / case.startup) * (self._advanced(value, phase) - value)
        result: Floats = drift
        return result

    def _advanced(self, value: Floats, phase: int) -> Floats:
        """The value once a start has come through this phase; one for which there is no room goes on."""
        left = _shifted(value, 2 + phase, -1)
        if phase + 1 < self._case.phases:
            return _shifted(left, 3 + phase, 1)
        return np.where(self._beside(self._come >= 0, 0), left[self._come], value)


def _ordered(value: Floats) -> Floats:
    """The value before as many starts as one likes were begun."""
    return np.minimum.accumulate(value[:, :, ::-1], axis=2)[:, :, ::-1]


def _joined(value: Floats, last: float) -> Floats:
    """The value once some tasks have arrived together; ``last`` is the chance of each that it is the last of them."""
    after = _shifted(value, 1, 1)
    for waiting in range(value.shape[1] - 2, -1, -1):
        after[:, waiting] = last * value[:, waiting + 1] + (1.0 - last) * after[:, waiting + 1]
    return after


def _shifted(value: Floats, axis: int, step: int) -> Floats:
    """The value one step along an axis; where that leads out, at the border."""
    rows = np.clip(np.arange(value.shape[axis]) + step, 0, value.shape[axis] - 1)
    shifted: Floats = np.take(value, rows, axis=axis)
    return shifted
