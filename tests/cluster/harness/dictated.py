"""The scaler's real door, whose targets a test dictates: what KEDA and the HPA make of a number, whatever led to it."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from scaler.config.pool import PoolKey
from scaler.external.desk import Desk
from scaler.external.listener import listening
from scaler.external.server import ExternalScaler
from scaler.live.board import Board, Posted
from scaler.live.clock import SystemClock
from tests.contract.door import Keeper, at_work

REFRESH = 5.0  # seconds between two evaluations, as live ones


class Asked(Board):
    """A board that knows how often each pool has been looked up since its number was changed."""

    def __init__(self) -> None:
        super().__init__()
        self.since: Counter[PoolKey] = Counter()

    def get(self, key: PoolKey) -> Posted | None:
        """As every board, and counted."""
        self.since[key] += 1
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

    def say(self, key: PoolKey, replicas: int) -> None:
        """From now on this is the pool's target."""
        self._said[key] = replicas
        self.board.since[key] = 0
        self.board.publish(key, at_work(replicas, self._clock.now()))

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
