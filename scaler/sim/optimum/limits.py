"""The limits of a case, side by side."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from scaler.core.pods import Floats
from scaler.sim.optimum.case import Case
from scaler.sim.optimum.grid import Grid, Mesh, lay
from scaler.sim.optimum.program import Answer, solve
from scaler.sim.optimum.zero_wait import Bracket, zero_wait
from scaler.sim.score_waits import P95, hours


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Prices in pod-seconds + wait price x seconds waited, from the start of the run to its end.

    Attributes:
        zero_wait: nobody waits, everything is known.
        priced: waiting is paid for, everything is known: no policy costs less.
        blind: the same, but pods are ordered at looks only, for no more tasks than wait there: nobody costs less who
            scales through an HPA and orders for what waits.
        blind_p95: of each hour with arrivals, by its number, the 95th percentile of the waits at that last price.
    """

    zero_wait: Bracket
    priced: float
    blind: float
    blind_p95: dict[int, float]


def limits(case: Case, mesh: Mesh | None = None) -> Limits:
    """All of them."""
    mesh = mesh or Mesh()
    blind = [(grid, solve(case, grid, blind=True)) for grid in lay(case, mesh)]
    seen = [_waits(grid, answer) for grid, answer in blind]
    at, waits, weights = (np.concatenate(columns) for columns in zip(*seen, strict=True))
    return Limits(
        zero_wait=zero_wait(case),
        priced=bound(case, mesh, blind=False),
        blind=math.fsum(answer.price for _, answer in blind),
        blind_p95=hours(at, waits, share=P95, weights=weights),
    )


def bound(case: Case, mesh: Mesh, *, blind: bool) -> float:
    """The least price, window by window."""
    return math.fsum(solve(case, grid, blind=blind).price for grid in lay(case, mesh))


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
