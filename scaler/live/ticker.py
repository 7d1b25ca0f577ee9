"""One tick made real: the decision is kept, shown and passed on. Live and lockstep worlds both come through here."""

from __future__ import annotations

from typing import Protocol

from scaler.config.pool import PoolKey
from scaler.core.tick import tick
from scaler.core.types import Instant, Observation, Order, Outcome
from scaler.live.board import Board
from scaler.live.registry import Pool


class Orders(Protocol):
    """Who carries out what a tick orders for single pods. Orders come again each tick until they show effect."""

    def carry_out(self, key: PoolKey, orders: tuple[Order, ...]) -> None:
        """Take these on; must return at once."""


class Ticker:
    """Ticks pools onto a board."""

    def __init__(self, board: Board, orders: Orders | None = None) -> None:
        self._board = board
        self._orders = orders

    def tick(self, pool: Pool, observation: Observation, now: Instant) -> Outcome:
        """Decide, remember, publish, order: in this order, and nothing of it if the decision fails."""
        key = pool.spec.key
        outcome = tick(pool.spec.policy, pool.memory, observation, now)
        pool.memory = outcome.memory
        self._board.publish(key, outcome)
        if self._orders is not None and outcome.orders:
            self._orders.carry_out(key, outcome.orders)
        return outcome

    def forget(self, key: PoolKey) -> None:
        """Take a pool that is no longer evaluated off the board."""
        self._board.forget(key)
