"""The pods of the world as columns, one row a pod. A row is used again once its pod is gone, the lowest first."""

from __future__ import annotations

import heapq
import math
from typing import Final

import numpy as np

from scaler.core.pods import NO_ACK, Ints, Mask, Phase
from scaler.core.types import Instant, PodUid

CHEAPEST: Final = -(2**31)  # the lowest deletion cost there is
NO_NODE: Final = -1
ROOM: Final = 64  # rows to begin with


class Fleet:
    """Pods by row. Only the world writes here; ``version`` counts what it writes, so that nothing is read twice.

    Attributes:
        uids: empty where the row is free.
        created_at, ready_at: instants; NaN while it starts.
        node: the row of its node, ``NO_NODE`` while it has none.
        phase, epoch, acked: of the drain protocol; ``closed_for`` is the epoch that the gate is closed for.
        cost: the deletion cost.
        leaving: deleted, and on its way out.
    """

    def __init__(self) -> None:
        self.uids: list[PodUid] = []
        self.version = 0
        self.created_at, self.ready_at = np.full(ROOM, math.nan), np.full(ROOM, math.nan)
        self.node, self.phase, self.epoch, self.acked, self.closed_for, self.cost = (
            np.zeros(ROOM, dtype=np.int64) for _ in range(6)
        )
        self.leaving, self._standing = (np.zeros(ROOM, dtype=np.bool_) for _ in range(2))
        self._rows: dict[PodUid, int] = {}
        self._free: list[int] = []
        self._stays: tuple[int, Ints] = (-1, np.zeros(0, dtype=np.int64))

    def __len__(self) -> int:
        """Pods that there are, those that are leaving included."""
        return len(self._rows)

    def row(self, uid: PodUid) -> int | None:
        """Where the pod is, or None where it is gone."""
        return self._rows.get(uid)

    def uid(self, row: int) -> PodUid:
        """Whose row it is.

        Raises:
            KeyError: nobody's.
        """
        uid = self.uids[row]
        if not uid:
            raise KeyError(f"there is no pod in row {row}")
        return uid

    def names(self, rows: Ints) -> tuple[PodUid, ...]:
        """Whose rows these are, of rows that have pods."""
        uids = self.uids
        return tuple([uids[row] for row in rows.tolist()])

    def rows(self) -> Ints:
        """All pods, those that are leaving included."""
        return np.flatnonzero(self._standing)

    def stays(self) -> Ints:
        """The pods that are not leaving."""
        if self._stays[0] != self.version:
            self._stays = self.version, np.flatnonzero(self._standing & ~self.leaving)
        return self._stays[1]

    def ready(self) -> Mask:
        """Of ``stays``, which are ready."""
        ready: Mask = ~np.isnan(self.ready_at[self.stays()])
        return ready

    def lowest_free(self) -> int:
        """The row that a new pod takes unless it is told another."""
        while self._free and self._standing[self._free[0]]:
            heapq.heappop(self._free)
        return self._free[0] if self._free else len(self.uids)

    def add(self, uid: PodUid, row: int, *, now: Instant, node: int) -> None:
        """A pod is created."""
        while len(self.uids) <= row:
            heapq.heappush(self._free, len(self.uids))
            self.uids.append("")
        if row >= len(self.created_at):
            self._grow()
        self.uids[row], self._rows[uid] = uid, row
        self.created_at[row], self.ready_at[row], self.node[row] = now, math.nan, node
        self.phase[row], self.epoch[row], self.cost[row] = Phase.ACTIVE, 0, 0
        self.acked[row] = self.closed_for[row] = NO_ACK
        self.leaving[row], self._standing[row] = False, True
        self.version += 1

    def drop(self, row: int) -> None:
        """A pod is gone."""
        del self._rows[self.uid(row)]
        self.uids[row], self._standing[row] = "", False
        heapq.heappush(self._free, row)
        self.version += 1

    def place(self, row: int, node: int) -> None:
        """It has a node now."""
        self.node[row] = node
        self.version += 1

    def become_ready(self, row: int, now: Instant) -> None:
        """It is ready from now on."""
        self.ready_at[row] = now
        self.version += 1

    def leave(self, row: int) -> None:
        """It was deleted, and is not gone yet."""
        self.leaving[row] = True
        self.version += 1

    def acknowledge(self, row: int) -> None:
        """It holds no work behind a gate that is closed."""
        self.acked[row] = self.closed_for[row]
        self.version += 1

    def label(self, row: int, phase: Phase, epoch: int) -> None:
        """Write the labels of the drain protocol."""
        self.phase[row], self.epoch[row] = phase, epoch
        self.version += 1

    def _grow(self) -> None:
        """Room for twice as many."""
        for name in _COLUMNS:
            column = getattr(self, name)
            setattr(self, name, np.concatenate((column, np.zeros_like(column))))


_COLUMNS: Final = (
    *("created_at", "ready_at", "node", "phase", "epoch", "acked", "closed_for", "cost"),
    *("leaving", "_standing"),
)
