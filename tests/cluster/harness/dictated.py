"""The scaler's real door, whose targets a test dictates: what KEDA and the HPA make of a number, whatever led to it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from scaler.config.pool import PoolKey
from scaler.core.types import Instant
from scaler.external.desk import Desk
from scaler.external.listener import listening
from scaler.external.server import ExternalScaler
from scaler.live.board import Board, Posted
from scaler.live.clock import SystemClock
from tests.contract.door import Keeper, at_work

REFRESH = 5.0  # seconds between two evaluations, as live ones


class Asked(Board):
    """A board that knows when each pool has been looked up since its number was changed."""

    def __init__(self) -> None:
        super().__init__()
        self.since: dict[PoolKey, list[Instant]] = {}
        self._clock = SystemClock()

    def get(self, key: PoolKey) -> Posted | None:
        """As every board, and noted."""
        self.since.setdefault(key, []).append(self._clock.now())
        return super().get(key)


@dataclass
class Dictated:
    """Answers KEDA what it was told to.

    Attributes:
        address: what a ScaledObject has as ``scalerAddress``.
    """

    board: Asked = field(default_factory=Asked)
    address: str = ""
    _said: dict[PoolKey, int] = field(default_factory=dict)
    _clock: SystemClock = field(default_factory=SystemClock)

    def say(self, key: PoolKey, replicas: int) -> list[Instant]:
        """From now on this is the pool's target. The value will have every time at which it is looked up."""
        self._said[key] = replicas
        looked = self.board.since[key] = []
        self.board.publish(key, at_work(replicas, self._clock.now()))
        return looked

    async def keep_fresh(self) -> None:
        """Evaluate every pool again and again: what is old is not reported."""
        while True:
            await asyncio.sleep(REFRESH)
            for key, replicas in self._said.items():
                self.board.publish(key, at_work(replicas, self._clock.now()))


@asynccontextmanager
async def dictated() -> AsyncIterator[Dictated]:
    """Listen on a free port of loopback until the end of the block."""
    door = Dictated()
    scaler = ExternalScaler(door.board, Desk(Keeper()), SystemClock())
    async with asyncio.TaskGroup() as group, listening(scaler, "127.0.0.1:0", grace=1.0) as port:
        door.address = f"127.0.0.1:{port}"
        refreshing = group.create_task(door.keep_fresh())
        try:
            yield door
        finally:
            refreshing.cancel()
