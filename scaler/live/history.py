"""What each pool's decisions came to over the life of this process: counters, where the board holds the latest only."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from scaler.config.pool import PoolKey
from scaler.core.reasons import Reason
from scaler.core.types import Hold, Instant, Outcome, Signal, Unknown


@dataclass(slots=True)
class Past:
    """One pool's counters.

    Attributes:
        steps: by reason, over all trails.
        missing: by signal, evaluations at which nothing was known of it.
        ups, downs: evaluations that moved the target.
        holds: evaluations that ended in a hold.
        reversals: quick ones, as the flap budget counts them.
    """

    steps: Counter[Reason] = field(default_factory=Counter)
    missing: Counter[Signal] = field(default_factory=Counter)
    ups: int = 0
    downs: int = 0
    holds: int = 0
    reversals: int = 0
    last_turn: Instant | None = None

    def note(self, outcome: Outcome) -> None:
        """Count one more outcome."""
        self.steps.update(step.reason for step in outcome.trail)
        self.missing.update(name for name, age in outcome.evidence.ages.items() if isinstance(age, Unknown))
        self.holds += isinstance(outcome.decision, Hold)
        before, after = outcome.trail[0].before, outcome.decision.replicas
        if not isinstance(after, Unknown):
            self.ups += after > before
            self.downs += after < before
        self._turn(outcome.memory.moves.turns)

    def _turn(self, turns: tuple[Instant, ...]) -> None:
        """Count a turn that was not there before; old ones leave by themselves."""
        if turns and turns[-1] != self.last_turn:
            self.last_turn = turns[-1]
            self.reversals += 1


class History:
    """Counters by pool. Belongs to one event loop; they may be read from any thread."""

    def __init__(self) -> None:
        self._pasts: dict[PoolKey, Past] = {}

    def note(self, key: PoolKey, outcome: Outcome) -> None:
        """Count an outcome of the pool."""
        self._pasts.setdefault(key, Past()).note(outcome)

    def get(self, key: PoolKey) -> Past | None:
        """The pool's counters, None before its first outcome."""
        return self._pasts.get(key)

    def forget(self, key: PoolKey) -> None:
        """Let the counters of a pool go that is no longer evaluated."""
        self._pasts.pop(key, None)
