"""One tick made real: the decision is kept, shown and passed on. Live and lockstep worlds both come through here.

Where another process has the right to act, a tick only learns: it decides as for ``mode: recommend``, so it takes the
live replicas for what they are, orders nothing and is not written down.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Protocol

from scaler.config.pool import PoolKey
from scaler.core.memory import Memory
from scaler.core.policy import Mode, Policy
from scaler.core.tick import tick
from scaler.core.types import Instant, Observation, Order, Outcome
from scaler.live.board import Board
from scaler.live.office import ALONE, Office
from scaler.live.registry import Pool


class Orders(Protocol):
    """Who carries out what a tick orders for single pods. Orders come again each tick until they show effect."""

    def carry_out(self, key: PoolKey, orders: tuple[Order, ...]) -> None:
        """Take these on; must return at once."""


@dataclass(frozen=True, slots=True)
class Moment:
    """One tick: what it was given, at ``outcome.at``, and what came out."""

    policy: Policy
    memory: Memory
    observation: Observation
    outcome: Outcome


class Witness(Protocol):
    """Who is told of every tick, and writes it down for instance."""

    def note(self, key: PoolKey, moment: Moment) -> None:
        """Take this in; must return at once."""

    def forget(self, key: PoolKey) -> None:
        """The pool is no longer evaluated."""


class Ticker:
    """Ticks pools onto a board, with the right to act while ``office`` has it."""

    def __init__(
        self, board: Board, orders: Orders | None = None, witness: Witness | None = None, office: Office = ALONE
    ) -> None:
        self._board = board
        self._office = office
        self._orders = orders
        self._witness = witness

    def tick(self, pool: Pool, observation: Observation, now: Instant) -> Outcome:
        """Decide, remember, publish, order: in this order, and nothing of it if the decision fails."""
        key = pool.spec.key
        leads = self._office.term is not None
        policy, memory = pool.spec.policy if leads else _watching(pool.spec.policy), pool.memory
        outcome = tick(policy, memory, observation, now)
        pool.memory = outcome.memory
        self._board.publish(key, outcome)
        if not leads:
            return outcome
        if self._orders is not None and outcome.orders:
            self._orders.carry_out(key, outcome.orders)
        if self._witness is not None:
            self._witness.note(key, Moment(policy, memory, observation, outcome))
        return outcome

    def forget(self, key: PoolKey) -> None:
        """Take a pool that is no longer evaluated off the board."""
        self._board.forget(key)
        if self._witness is not None:
            self._witness.forget(key)


def _watching(policy: Policy) -> Policy:
    """The policy of one who only watches."""
    return replace(policy, mode=Mode.RECOMMEND) if policy.mode is Mode.AUTO else policy
