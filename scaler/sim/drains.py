"""Drain orders as a controller and the agents carry them out: each takes a little while, and may come to nothing.

What was true when the order was given need not be true when it arrives, so each tests what it finds, as the patches and
the agents' gates do, and does nothing where that does not fit.
"""

from __future__ import annotations

from collections.abc import Iterable

from scaler.core.pods import Phase
from scaler.core.types import Order, Seconds, Verb
from scaler.sim.fleet import CHEAPEST
from scaler.sim.world import World

TAKES: dict[Verb, Seconds] = {  # a write to the API server, or a request to the agent and its answer
    Verb.MARK: 0.05,
    Verb.CLOSE: 0.10,
    Verb.COMMIT: 0.05,
    Verb.CANCEL: 0.15,
    Verb.DELETE: 0.05,
}


class Drains:
    """Carries orders out in one world."""

    def __init__(self, world: World) -> None:
        self._agenda, self._pool, self._fleet = world.agenda, world.pool, world.fleet
        self._acts = {
            Verb.MARK: self._mark,
            Verb.CLOSE: self._close,
            Verb.COMMIT: self._commit,
            Verb.CANCEL: self._cancel,
            Verb.DELETE: self._delete,
        }

    def carry(self, orders: Iterable[Order]) -> None:
        """Set out to do these. Returns at once."""
        for order in orders:
            self._agenda.at(self._agenda.now + TAKES[order.verb], self._arrive, order)

    def _arrive(self, order: Order) -> None:
        row = self._fleet.row(order.uid)
        if row is not None and not self._fleet.leaving[row]:
            self._acts[order.verb](row, order.epoch)

    def _stands(self, row: int, phase: Phase, epoch: int) -> bool:
        return int(self._fleet.phase[row]) == phase and int(self._fleet.epoch[row]) == epoch

    def _mark(self, row: int, epoch: int) -> None:
        """The label, and at once the gate."""
        if self._stands(row, Phase.ACTIVE, epoch - 1):
            self._fleet.label(row, Phase.DRAINING, epoch)
            self.carry((Order(Verb.CLOSE, self._fleet.uid(row), epoch),))

    def _close(self, row: int, epoch: int) -> None:
        if self._stands(row, Phase.DRAINING, epoch) and self._fleet.closed_for[row] != epoch:
            self._pool.close(row, epoch)

    def _commit(self, row: int, epoch: int) -> None:
        if self._stands(row, Phase.DRAINING, epoch):
            self._fleet.label(row, Phase.DRAINED, epoch)
            self._fleet.cost[row] = CHEAPEST

    def _cancel(self, row: int, epoch: int) -> None:
        """The label first, then the gate: a pod whose gate is open is never one that may be deleted."""
        if self._stands(row, Phase.DRAINING, epoch - 1):
            self._fleet.label(row, Phase.ACTIVE, epoch)
            self._pool.reopen(row)

    def _delete(self, row: int, epoch: int) -> None:
        if self._fleet.epoch[row] == epoch:
            self._pool.delete(row)
