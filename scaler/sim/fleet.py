"""The pods of the world as columns, one row a pod. A row is used again once its pod is gone, the lowest first."""

from __future__ import annotations

import heapq
import math
from typing import Final

import numpy as np

from scaler.core.pods import NO_ACK, Ints, Mask, Phase, Stage
from scaler.core.types import Instant, PodUid

CHEAPEST: Final = -(2**31)  # the lowest deletion cost there is
NO_NODE: Final = -1
ROOM: Final = 64  # rows to begin with


class Fleet:
    """Pods by row. Only the world writes here; ``version`` counts what it writes, so that nothing is read twice.

    Attributes:
        uids: empty where the row is free.
        created_at, ready_at: instants; NaN while it starts.
        stage, since: where it stands in its life, and since when: one that gets its node is as old as before.
        node: the row of its node, ``NO_NODE`` while it has none.
        phase, epoch, acked: of the drain protocol; ``closed_for`` is the epoch that the gate is closed for.
        cost: the deletion cost.
        leaving: deleted, and on its way out.
    """

    def __init__(self) -> None:
        self.uids: list[PodUid] = []
        self.version = 0
        self.created_at, self.ready_at, self.since = (np.full(ROOM, math.nan) for _ in range(3))
        self.node, self.stage, self.phase, self.epoch, self.acked, self.closed_for, self.cost = (
            np.zeros(ROOM, dtype=np.int64) for _ in range(7)
        )
        self.leaving, self._standing = (np.zeros(ROOM, dtype=np.bool_) for _ in range(2))
        self._rows: dict[PodUid, int] = {}
        self._free: list[int] = []
        self._turnover = 0  # counts what changes who stays
        self._ready: tuple[int, Mask] = (0, np.zeros(0, dtype=np.bool_))
        self._stays: tuple[int, Ints, tuple[PodUid, ...]] = (0, np.zeros(0, dtype=np.int64), ())

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

    def rows(self) -> Ints:
        """All pods, those that are leaving included."""
        return np.flatnonzero(self._standing)

    def stays(self) -> Ints:
        """The pods that are not leaving."""
        return self._who_stays()[1]

    def names(self) -> tuple[PodUid, ...]:
        """Whose rows ``stays`` are; the same tuple until others stay."""
        return self._who_stays()[2]

    def ready(self) -> Mask:
        """Of ``stays``, which are ready."""
        if self._ready[0] != self.version:
            self._ready = self.version, ~np.isnan(self.ready_at[self.stays()])
        return self._ready[1]

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
        self.since[row], self.stage[row] = now, Stage.PENDING if node == NO_NODE else Stage.STARTING
        self._turn_over()

    def drop(self, row: int) -> None:
        """A pod is gone."""
        del self._rows[self.uid(row)]
        self.uids[row], self._standing[row] = "", False
        heapq.heappush(self._free, row)
        self._turn_over()

    def place(self, row: int, node: int) -> None:
        """It has a node now."""
        self.node[row], self.stage[row] = node, Stage.STARTING
        self.version += 1

    def become_ready(self, row: int, now: Instant) -> None:
        """It is ready from now on."""
        self.ready_at[row] = self.since[row] = now
        self.stage[row] = Stage.READY
        self.version += 1

    def leave(self, row: int) -> None:
        """It was deleted, and is not gone yet."""
        self.leaving[row] = True
        self._turn_over()

    def acknowledge(self, row: int) -> None:
        """It holds no work behind a gate that is closed."""
        self.acked[row] = self.closed_for[row]
        self.version += 1

    def label(self, row: int, phase: Phase, epoch: int) -> None:
        """Write the labels of the drain protocol."""
        self.phase[row], self.epoch[row] = phase, epoch
        self.version += 1

    def _turn_over(self) -> None:
        """Others stay than before."""
        self.version += 1
        self._turnover += 1

    def _who_stays(self) -> tuple[int, Ints, tuple[PodUid, ...]]:
        if self._stays[0] != self._turnover:
            rows, uids = np.flatnonzero(self._standing & ~self.leaving), self.uids
            self._stays = self._turnover, rows, tuple([uids[row] for row in rows.tolist()])
        return self._stays

    def _grow(self) -> None:
        """Room for twice as many."""
        for name in _COLUMNS:
            column = getattr(self, name)
            setattr(self, name, np.concatenate((column, np.zeros_like(column))))


_COLUMNS: Final = (
    *("created_at", "ready_at", "since", "node", "stage", "phase", "epoch", "acked", "closed_for", "cost"),
    *("leaving", "_standing"),
)
