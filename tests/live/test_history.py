"""What decisions came to, counted pool by pool."""

from __future__ import annotations

from dataclasses import replace

from scaler.config.pool import PoolKey
from scaler.core.memory import Memory, Moves
from scaler.core.policy import Policy
from scaler.core.tick import tick
from scaler.core.types import Known, Observation, Outcome, Signal, Unknown
from scaler.live.history import History
from tests.support.pools import NOON

KEY, OTHER = PoolKey("agents", "coder"), PoolKey("agents", "writer")
POLICY = Policy()


def outcome(*turns: float) -> Outcome:
    """A tick after which the pool's target has turned back at these instants."""
    seen = Observation(replicas=Known(1, NOON), pods=Unknown("no source"), signals={Signal.QUEUE: Known(3, NOON)})
    told = tick(POLICY, Memory.fresh(NOON, POLICY.pace), seen, NOON)
    return replace(told, memory=replace(told.memory, moves=Moves(turns=turns)))


def test_a_turn_is_counted_once_though_it_is_remembered_for_an_hour() -> None:
    """And old ones that are forgotten take nothing away: a counter only rises."""
    history = History()
    for turns in ((), (1.0,), (1.0,), (1.0, 2.0), (2.0,), (), (), (9.0,)):
        history.note(KEY, outcome(*turns))
    past = history.get(KEY)
    assert past is not None
    assert (past.reversals, past.ups, past.downs) == (3, 8, 0)


def test_each_pool_has_its_own() -> None:
    """And none before its first decision, nor after its last."""
    history = History()
    history.note(KEY, outcome())
    assert history.get(OTHER) is None
    history.forget(KEY)
    assert history.get(KEY) is None
    history.forget(KEY)
