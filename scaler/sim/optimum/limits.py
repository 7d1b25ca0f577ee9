"""The limits of a case, side by side."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import TypeAlias

import numpy as np

from scaler.core.pods import Floats
from scaler.sim.optimum.case import Case
from scaler.sim.optimum.full import crowded, waiting
from scaler.sim.optimum.grid import Grid, Mesh, lay
from scaler.sim.optimum.program import Answer, solve
from scaler.sim.optimum.zero_wait import Bracket, zero_wait
from scaler.sim.score_waits import HOUR, P95, hours

Priced: TypeAlias = tuple[Grid, Answer | None]
# A window that its maximum fills further than this gets no optimum: waits alone tell nearly as much, and at once.
MOST = 30_000  # slots that its tasks wait for their turn, all together
FULL = 10  # tasks that wait for it when the window begins, for each that can run


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Prices in pod-seconds + wait price x seconds waited, from the start of the run to its end.

    Attributes:
        zero_wait: nobody waits, everything is known.
        priced: waiting is paid for, everything is known: no policy costs less.
        blind: the same, but pods are ordered at looks only, for no more tasks than wait there: nobody costs less who
            scales through an HPA and orders for what waits.
        blind_p95: of each hour with arrivals, by its number, the 95th percentile of the waits at that last price.

    Where a maximum binds, ``priced`` is that of whoever keeps to it; and ``blind`` that or the price without a maximum,
    whichever is more, and the waits likewise.
    """

    zero_wait: Bracket
    priced: float
    blind: float
    blind_p95: dict[int, float]


def limits(case: Case, mesh: Mesh | None = None) -> Limits:
    """All of them."""
    mesh = mesh or Mesh()
    blind, priced = (_windows(case, mesh, blind=blind) for blind in (True, False))
    least, p95 = _price(case, priced), _p95(blind)
    if case.high is None:
        return Limits(zero_wait=zero_wait(case), priced=least, blind=_price(case, blind), blind_p95=p95)
    kept = _p95(priced)
    return Limits(
        zero_wait=zero_wait(case),
        priced=least,
        blind=max(least, _price(replace(case, high=None), blind)),
        blind_p95={hour: max(wait, kept.get(hour, math.inf)) for hour, wait in p95.items()},
    )


def bound(case: Case, mesh: Mesh, *, blind: bool) -> float:
    """The least price; ``blind`` without a maximum."""
    return _price(replace(case, high=None) if blind else case, _windows(case, mesh, blind=blind))


def _windows(case: Case, mesh: Mesh, *, blind: bool) -> list[Priced]:
    """Each window and its optimum, but where one that a maximum fills would take too long to find.

    Who orders only for tasks that wait may order for those that a window leaves out, and where a maximum binds nobody
    knows how long these wait. So ``blind`` is without one.
    """
    asked = replace(case, high=None) if blind else case
    most = math.inf if asked.high is None else FULL * asked.high * asked.slots
    return [
        (grid, None if grid.crowd > MOST or grid.behind > most else solve(asked, grid, blind=blind))
        for grid in lay(asked, mesh)
    ]


def _price(case: Case, windows: Sequence[Priced]) -> float:
    """Of all windows together, each at no less than what its tasks wait for at least where a maximum binds."""
    prices = [0.0 if answer is None else answer.price for _, answer in windows]
    if case.high is None:
        return math.fsum(prices)
    edges = [0.0, *(grid.step * (grid.first + grid.steps) for grid, _ in windows)]
    waited = case.wait_price * np.diff(waiting(case, edges))
    return max(crowded(case), math.fsum(np.maximum(prices, waited).tolist()))


def _p95(windows: Iterable[Priced]) -> dict[int, float]:
    """The 95th percentile of the waits of each hour with arrivals; of none in which a window has no optimum."""
    seen = [_waits(grid, answer) for grid, answer in windows if answer is not None]
    full = [grid.step * (grid.first + np.array([0, grid.steps])) // HOUR for grid, answer in windows if answer is None]
    if not seen:
        return {}
    at, waits, weights = (np.concatenate(columns) for columns in zip(*seen, strict=True))
    found = hours(at, waits, share=P95, weights=weights)
    return {hour: wait for hour, wait in found.items() if not any(first <= hour <= last for first, last in full)}


def _waits(grid: Grid, answer: Answer) -> tuple[Floats, Floats, Floats]:
    """What arrives in a window: instants, seconds waited, and how many tasks, shape (k + g,).

    Those that do not begin in the window have waited until its end.
    """
    begins, new = answer.begins, grid.left < 0
    begun = np.bincount(begins.of, weights=answer.amounts, minlength=len(new))
    of = np.concatenate((begins.of, np.arange(len(new))))
    at = np.concatenate((begins.at, np.full(len(new), grid.steps)))
    amounts = np.concatenate((answer.amounts, grid.count - begun))
    mine = new[of] & (amounts > 0)
    arrives = grid.arrives[of][mine]
    instants: Floats = np.float64(grid.step) * (grid.first + arrives)
    waits: Floats = np.float64(grid.step) * (at[mine] - arrives)
    return instants, waits, amounts[mine]
