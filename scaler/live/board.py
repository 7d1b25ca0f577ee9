"""The latest outcome of every pool. Whoever answers for a pool reads it here; nobody computes it again.

Belongs to one event loop, so it needs no lock. A read is one lookup and never waits.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass

from scaler.config.pool import PoolKey
from scaler.core.types import Instant, Outcome, Seconds, Unknown
from scaler.live.bells import Bells

STALE_AFTER: Seconds = 30.0  # six ticks missed; long enough for a restart of the sources, short beside KEDA's cooldown


@dataclass(frozen=True, slots=True)
class Posted:
    """A pool's latest outcome, and whether the pool was active when that was last known."""

    outcome: Outcome
    active: bool | Unknown

    @property
    def at(self) -> Instant:
        """When the pool was evaluated."""
        return self.outcome.at

    def age(self, now: Instant) -> Seconds:
        """How far ``now`` is from the evaluation, in either direction: a clock set back makes nothing fresher."""
        return abs(now - self.outcome.at)


class Board:
    """Outcomes by pool.

    Attributes:
        stale_after: seconds after which an outcome no longer says what the target is.
    """

    def __init__(self, *, stale_after: Seconds = STALE_AFTER) -> None:
        self.stale_after = stale_after
        self._posted: dict[PoolKey, Posted] = {}
        self._bells = Bells()

    def __len__(self) -> int:
        return len(self._posted)

    def __iter__(self) -> Iterator[tuple[PoolKey, Posted]]:
        """Every pool with its latest outcome, as of now."""
        return iter(tuple(self._posted.items()))

    def publish(self, key: PoolKey, outcome: Outcome) -> None:
        """Put the outcome in the place of the one before it, and tell those who listen when the pool wakes or rests."""
        before, active = self._posted.get(key), outcome.active
        last = None if before is None else before.active
        if isinstance(active, Unknown) and last is not None:
            active = last
        self._posted[key] = Posted(outcome, active)
        if active != last:
            self._bells.ring(key)

    def get(self, key: PoolKey) -> Posted | None:
        """The pool's latest outcome, None before the first."""
        return self._posted.get(key)

    def is_fresh(self, posted: Posted, now: Instant) -> bool:
        """Whether the outcome still says what the target is."""
        return posted.age(now) <= self.stale_after

    def forget(self, key: PoolKey) -> None:
        """Take a pool off that is no longer evaluated. Who listens for it goes on listening."""
        self._posted.pop(key, None)

    def listening(self, key: PoolKey, ring: Callable[[], None]) -> AbstractContextManager[None]:
        """Call ``ring`` from ``publish`` on each edge of the pool's activity. The pool need not be known yet."""
        return self._bells.listening(key, ring)
