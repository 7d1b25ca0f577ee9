"""Time in slots, and tasks in classes, such that whatever a real schedule does has its image here.

The image of a schedule is its average over each slot. Averages keep every linear law between instants that lie whole
slots apart, and keep mean times exactly: a task that begins a quarter into slot k counts three quarters in k and one in
k + 1. So where startup and durations are whole slots, each real schedule is a point of the linear program at the same
price, and the program's optimum bounds it from below. Where they are not, they are rounded down, which only lowers it.

A long run is cut into windows, each priced by itself, and that too only lowers the price: a window begins with as many
pods as it likes for nothing, and with the tasks of before either begun when they arrived or not begun at all. Which of
them it begins with is a choice: to leave one out lowers the price as well, if pods need not wait for it to be ordered.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from scaler.core.pods import Floats
from scaler.core.types import Seconds
from scaler.sim.optimum.case import Case
from scaler.sim.optimum.full import turns

Ints = npt.NDArray[np.int64]
ROUNDING = 1e-9
LEAST: Seconds = 1.0  # that a startup takes, or else counts as none: slots divide it, and would be too many
BEFORE = 2  # times the size of a window: tasks of before that it has at most


@dataclass(frozen=True, slots=True, kw_only=True)
class Mesh:
    """How finely to look. Finer raises the bound towards the truth, and takes longer.

    Attributes:
        step: seconds of a slot, about: it is made to divide the startup, and is no longer than a look's turn.
        grain: durations are rounded down to powers of 1 + grain, so that there are fewer classes; 0 does not.
        size: slots and tasks of a window together, at most.
    """

    step: Seconds = 5.0
    grain: float = 0.02
    size: int = 800


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Grid:
    """A window: its slots, and classes of tasks that arrive in the same slot and take as many.

    Attributes:
        first: its first slot, counted from the start of the run; ``step`` seconds of a slot.
        steps: slots of the window; ``startup`` slots that a pod takes to serve.
        arrives, lasts, count: of each class: its slot, the slots that its tasks take, how many they are; shape (g,).
        left: slots that are left of its tasks if they began before the window, -1 for those that arrive in it; (g,).
        early: how much of a class can begin in its first slot, shape (g,).
        waited: sum of the instants, in slots, from which the tasks wait.
        came: tasks that have arrived, on the average over each slot, shape (steps,); ``there`` at its beginning.
        looks: the slots that begin with a look, shape (steps,): every so many, so that they are no more than a look's
            turn apart.
        needed: pods that would be needed if no task had waited, on the average over each slot, shape (steps,).
        crowd: slots of the window in which tasks wait for their turn at a maximum, all together; ``behind`` how many
            wait for it when the window begins.
    """

    first: int
    step: Seconds
    steps: int
    startup: int
    arrives: Ints
    lasts: Ints
    left: Ints
    count: Floats
    early: Floats
    waited: float
    came: Floats
    there: Floats
    looks: npt.NDArray[np.bool_]
    needed: Floats
    crowd: float
    behind: int


def lay(case: Case, mesh: Mesh) -> Iterator[Grid]:
    """The windows of a run, in order. What the last slot would cut in two is left out."""
    length = min(mesh.step, case.look)
    startup = max(1, math.ceil(case.startup / length - ROUNDING)) if case.startup >= LEAST else 0
    step = case.startup / startup if startup else length
    steps, turn = math.floor(case.end / step + ROUNDING), math.floor(case.look / step + ROUNDING)
    scale, needed = _Scale(step, startup, turn, mesh.grain), _needed(case, step * np.arange(steps + 1.0))
    late = np.zeros(len(case.arrived_at)) if case.high is None else turns(case)
    gone = case.arrived_at + np.maximum(case.seconds, _patience(case) + late)
    for first, last in itertools.pairwise(_edges(case, steps, step=step, size=mesh.size)):
        chosen = _concerned(case, gone, (first * step, last * step), most=BEFORE * mesh.size)
        work = _Work(case.arrived_at[chosen], case.seconds[chosen], late[chosen])
        yield _window(work, (first, last), scale, needed[first:last])


@dataclass(frozen=True, slots=True)
class _Work:
    """Tasks of one window: when each arrives, how long it takes, and how long it waits for its turn, shape (k,)."""

    arrived_at: Floats
    seconds: Floats
    late: Floats


@dataclass(frozen=True, slots=True)
class _Scale:
    """Seconds of a slot, slots of a startup and between two looks, and the grain."""

    step: Seconds
    startup: int
    turn: int
    grain: float


def _edges(case: Case, steps: int, *, step: Seconds, size: int) -> list[int]:
    """Where windows begin and the last one ends, in slots."""
    slots = np.arange(steps + 1)
    weight = slots + np.searchsorted(case.arrived_at, slots * step)
    cuts = np.searchsorted(weight, np.arange(0, weight[-1], size))
    return [*np.unique(cuts).tolist(), steps]


def _window(work: _Work, span: tuple[int, int], scale: _Scale, needed: Floats) -> Grid:
    """The slots from the first of ``span`` to before the last, with these tasks."""
    first, steps, step = span[0], span[1] - span[0], scale.step
    at = work.arrived_at / step - first
    lasts = _rounded(np.floor(work.seconds / step + ROUNDING), scale.grain)
    turn = np.clip(at + work.late / step, 0.0, steps)
    behind = int(np.count_nonzero((at < 0) & (turn > 0)))
    arrives = np.floor(at).astype(np.int64)
    left = np.where(at < 0, np.clip(arrives + lasts, 0, steps), -1)
    at, arrives, lasts = np.maximum(at, 0.0), np.maximum(arrives, 0), np.minimum(lasts, steps)
    keys, rows, count = np.unique(np.stack((arrives, lasts, left)), axis=1, return_inverse=True, return_counts=True)
    ahead = np.bincount(arrives, minlength=steps).astype(np.float64)
    return Grid(
        first=first,
        step=step,
        steps=steps,
        startup=scale.startup,
        arrives=keys[0],
        lasts=keys[1],
        left=keys[2],
        count=count.astype(np.float64),
        early=sums(rows.reshape(-1), 1.0 - (at - arrives), len(count)),
        waited=float(at.sum()),
        came=np.cumsum(ahead) - sums(arrives, at - arrives, steps),
        there=np.searchsorted(np.sort(at), np.arange(steps), side="right").astype(np.float64),
        looks=(first + np.arange(steps)) % scale.turn == 0,
        needed=needed,
        crowd=float((turn - np.maximum(at, 0.0)).sum()),
        behind=behind,
    )


def _needed(case: Case, edges: Floats) -> Floats:
    """Whole pods for the tasks that run if none waits, averaged between two edges, shape (edges - 1,)."""
    times = np.concatenate((case.arrived_at, case.arrived_at + case.seconds))
    rises = np.concatenate((np.ones(len(case.arrived_at)), -np.ones(len(case.arrived_at))))
    order = np.argsort(times, kind="stable")
    times, pods = times[order], np.ceil(np.cumsum(rises[order]) / case.slots)
    paid = np.concatenate(([0.0], np.cumsum(pods[:-1] * np.diff(times))))
    average: Floats = np.diff(np.interp(edges, times, paid)) / np.diff(edges)
    return average


def _concerned(case: Case, gone: Floats, span: tuple[Seconds, Seconds], most: int) -> Ints:
    """Rows of the tasks that arrive in a window, and of the latest from before that may still run or wait in it.

    ``most`` is how many of these there are at most. They are all there are where nobody waits for long.
    """
    begin, end = np.searchsorted(case.arrived_at, span)
    before = np.flatnonzero(gone[:begin] > span[0])[-most:]
    return np.concatenate((before, np.arange(begin, end)))


def _patience(case: Case) -> Floats:
    """How long each task may wait in the optimum, in seconds, shape (n,).

    It lets none wait for longer than it takes until a pod of its own, ordered when it arrived, would have been cheaper:
    w * (wait - startup) <= startup + seconds. Where there may be no such pod, it waits for its turn before that.
    """
    with np.errstate(divide="ignore"):
        patience: Floats = case.startup + np.divide(case.startup + case.seconds, case.wait_price)
    return patience


def _rounded(slots: Floats, grain: float) -> Ints:
    """Down to a power of 1 + grain."""
    if grain <= 0:
        return slots.astype(np.int64)
    most = math.ceil(math.log(max(2.0, slots.max(initial=1.0)), 1.0 + grain))
    powers = np.unique(np.floor((1.0 + grain) ** np.arange(most + 1)))
    rungs = np.concatenate(([0.0], powers))
    return rungs[np.searchsorted(rungs, slots, side="right") - 1].astype(np.int64)


def sums(rows: Ints, values: Floats, count: int) -> Floats:
    """The values of each row together, shape (count,)."""
    total = np.zeros(count)
    np.add.at(total, rows, values)
    return total
