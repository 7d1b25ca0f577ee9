"""A warm pool at work: what is kept of it between two ticks, how it stands, and what of a shared budget it may have."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field

from scaler.config.pool import PoolKey
from scaler.config.warm import WarmSpec
from scaler.controller.sandboxes.digest import Books
from scaler.controller.sandboxes.ledger import Served
from scaler.controller.sandboxes.wards import STATES
from scaler.controller.sandboxes.world import World
from scaler.core.types import Instant, Seconds, Unknown
from scaler.core.warmpool_budget import Stake, share
from scaler.core.warmpool_memory import WarmMemory
from scaler.core.warmpool_model import Offered
from scaler.core.warmpool_types import WarmOutcome
from scaler.live.hints import Hints
from scaler.live.warm import Blocked, WarmAnswer, WarmStanding


@dataclass(slots=True)
class Kept:
    """A pool at work.

    Attributes:
        answer: what KEDA is told.
        books: those that the last digest ended with.
        asked: the size that was written last, of which pool and when.
        idle: sandbox-seconds that stood in it, up to ``counted``.
        writing: the write under way.
    """

    spec: WarmSpec
    memory: WarmMemory
    hints: Hints = field(default_factory=Hints)
    outcome: WarmOutcome | None = None
    blocked: Blocked | None = None
    answer: WarmAnswer | None = None
    books: Books | None = None
    asked: tuple[str, int, Instant] = ("", -1, 0.0)
    idle: Seconds = 0.0
    counted: Instant | None = None
    writes: int = 0
    writing: asyncio.Task[None] | None = None


def standing(world: World, key: PoolKey, kept: Kept) -> WarmStanding:
    """The pool as it stands."""
    pool, book = world.pools.get(key), world.ledger.book(key)
    members = None if pool is None else world.members(pool)
    known = None if isinstance(members, Unknown) else members
    return WarmStanding(
        key=key,
        policy=kept.spec.policy,
        outcome=kept.outcome,
        blocked=kept.blocked,
        size=None if pool is None else pool.size,
        ready=None if known is None else known.ready,
        starting=None if known is None else known.starting,
        stuck=None if known is None else known.stuck,
        served={word.value: book.served[word] for word in Served},
        guarded={state: world.wards[key, state] for state in STATES},
        waits=book.waits.times(),
        idle=kept.idle,
        idle_price=kept.spec.idle_price,
        writes=kept.writes,
        through=None if (asking := world.through(key)) is None else asking.id.name,
    )


def shared(most: int | None, kept: Mapping[PoolKey, Kept]) -> dict[PoolKey, int]:
    """What each pool may have of the sandboxes that all may have together, by what each was last offered."""
    if most is None:
        return {}
    stakes = {
        str(key): Stake(
            rate=each.outcome.evidence.rate if each.outcome else 0.0,
            offered=each.outcome.evidence.offered if each.outcome else Offered(0.0),
            price=each.spec.policy.price,
            least=each.spec.policy.min_size,
            most=each.spec.policy.max_size,
        )
        for key, each in kept.items()
    }
    given = share(most, stakes)
    return {key: given[str(key)] for key in kept}
