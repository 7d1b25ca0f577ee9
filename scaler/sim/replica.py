"""One pod of the world, with the agent in it."""

from __future__ import annotations

from scaler.core.pods import NO_ACK, Phase, Stage
from scaler.core.types import Instant, PodUid

CHEAPEST = -(2**31)  # the lowest deletion cost there is


class Replica:
    """A pod. Only the world writes to it.

    Attributes:
        node: the row of its node.
        ready_at: None while it starts.
        epoch, acked: of the drain protocol; ``closed_for`` is the epoch the gate is closed for, ``NO_ACK`` while open.
        leaving: deleted, and on its way out.
        open: takes tasks: ready, gate open, not leaving.
        waiting: stands in the row of consumers that wait for a task.
        running: the tasks in it.
    """

    __slots__ = (
        "acked",
        "closed_for",
        "created_at",
        "deletion_cost",
        "epoch",
        "leaving",
        "node",
        "open",
        "phase",
        "ready_at",
        "running",
        "uid",
        "waiting",
    )

    def __init__(self, uid: PodUid, *, node: int, created_at: Instant) -> None:
        self.uid, self.node, self.created_at = uid, node, created_at
        self.ready_at: Instant | None = None
        self.phase = Phase.ACTIVE
        self.epoch = 0
        self.acked = self.closed_for = NO_ACK
        self.deletion_cost = 0
        self.leaving = self.open = self.waiting = False
        self.running: list[int] = []

    @property
    def stage(self) -> Stage:
        """Where it stands in its life."""
        return Stage.STARTING if self.ready_at is None else Stage.READY

    def settle(self) -> None:
        """Bring the gate and the acknowledgement up to what the pod is now: idle behind a closed gate acknowledges."""
        self.open = self.ready_at is not None and not self.leaving and self.closed_for == NO_ACK
        if self.closed_for != NO_ACK and not self.running:
            self.acked = self.closed_for
