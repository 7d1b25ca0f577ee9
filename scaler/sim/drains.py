"""Drain orders as a controller and the agents carry them out: each takes a little while, and may come to nothing.

What was true when the order was given need not be true when it arrives, so each tests what it finds, as the patches and
the agents' gates do, and does nothing where that does not fit.
"""

from __future__ import annotations

from collections.abc import Iterable

from scaler.core.pods import NO_ACK, Phase
from scaler.core.types import Order, Seconds, Verb
from scaler.sim.replica import CHEAPEST, Replica
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
        self._world = world
        self._acts = {
            Verb.MARK: self._mark,
            Verb.CLOSE: self._close,
            Verb.COMMIT: self._commit,
            Verb.CANCEL: self._cancel,
            Verb.DELETE: self._delete,
        }

    def carry(self, orders: Iterable[Order]) -> None:
        """Set out to do these. Returns at once."""
        agenda = self._world.agenda
        for order in orders:
            agenda.at(agenda.now + TAKES[order.verb], self._arrive, order)

    def _arrive(self, order: Order) -> None:
        pod = self._world.pods.get(order.uid)
        if pod is not None and not pod.leaving:
            self._acts[order.verb](pod, order.epoch)

    def _mark(self, pod: Replica, epoch: int) -> None:
        if pod.phase is Phase.ACTIVE and epoch == pod.epoch + 1:
            pod.phase, pod.epoch = Phase.DRAINING, epoch

    def _close(self, pod: Replica, epoch: int) -> None:
        if pod.phase is Phase.DRAINING and epoch == pod.epoch:
            pod.closed_for = epoch
            pod.settle()

    def _commit(self, pod: Replica, epoch: int) -> None:
        if pod.phase is Phase.DRAINING and epoch == pod.epoch:
            pod.phase, pod.deletion_cost = Phase.DRAINED, CHEAPEST

    def _cancel(self, pod: Replica, epoch: int) -> None:
        """The label first, then the gate: a pod whose gate is open is never one that may be deleted."""
        if pod.phase is Phase.DRAINING and epoch == pod.epoch + 1:
            pod.phase, pod.epoch, pod.closed_for = Phase.ACTIVE, epoch, NO_ACK
            pod.settle()
            self._world.work.offer(pod)

    def _delete(self, pod: Replica, epoch: int) -> None:
        if epoch == pod.epoch:
            self._world.delete(pod)
