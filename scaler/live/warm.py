"""What is known of a warm pool and was decided for it, for every surface that shows it."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass

from scaler.config.pool import PoolKey
from scaler.core.policy import Policy
from scaler.core.types import Instant, Seconds, Unknown
from scaler.core.warmpool_types import WarmOutcome, WarmPolicy
from scaler.live.hints import Hints
from scaler.sources.timing import Times


class Block(enum.StrEnum):
    """Why a pool's size is left alone. There is one word for each, which metrics have as a label."""

    UNSERVED = "unserved"  # the cluster does not serve the version that is read
    ABSENT = "absent"  # there is no such pool, or it is being deleted
    UNSEEN = "unseen"  # something that decides about it cannot be seen
    RIVAL = "rival"  # an HPA or a ScaledObject scales it
    FOREIGN = "foreign"  # somebody else has set its size


@dataclass(frozen=True, slots=True)
class Blocked:
    """The size is left alone; ``why`` says what was seen and the way out."""

    block: Block
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class WarmStanding:
    """One warm pool as it stands.

    Attributes:
        outcome: of the last tick; None before the first.
        blocked: why its size is left alone; None where it is not.
        size: its live size; None where it is not known, as are the next three.
        ready, starting, stuck: the sandboxes in it.
        served: claims by what became of them, by the words of ``Served``.
        guarded: claimed sandboxes that ask to be guarded, by what their agents do.
        waits: from a claim's arrival until it was ready.
        idle: sandbox-seconds that stood in the pool so far.
        idle_price: of one idle sandbox for an hour; None where nobody said.
        writes: sizes that were written.
        through: the ScaledObject that scales it as we say; None where we write the size ourselves.
    """

    key: PoolKey
    policy: WarmPolicy
    outcome: WarmOutcome | None
    blocked: Blocked | None
    size: int | None
    ready: int | None
    starting: int | None
    stuck: int | None
    served: Mapping[str, int]
    guarded: Mapping[str, int]
    waits: Times
    idle: Seconds
    idle_price: float | None
    writes: int
    through: str | None


@dataclass(frozen=True, slots=True)
class WarmAnswer:
    """What whoever scales the pool as we say is told: the size that was decided at this instant."""

    at: Instant
    size: int | Unknown


@dataclass(frozen=True, slots=True)
class WarmBounds:
    """What bounds the hints of a warm pool: one sandbox for each task that is announced."""

    key: PoolKey
    policy: Policy


@dataclass(frozen=True, slots=True)
class WarmHinted:
    """A warm pool for which hints may be given."""

    hints: Hints
    spec: WarmBounds


def hinted(key: PoolKey, policy: WarmPolicy, hints: Hints) -> WarmHinted:
    """The warm pool as hints see it."""
    bounds = Policy(mode=policy.mode, max_replicas=policy.max_size, slots_per_pod=1)
    return WarmHinted(hints, WarmBounds(key, bounds))
