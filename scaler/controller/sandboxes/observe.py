"""A warm pool as the decision sees it, and whether its size may be written at all."""

from __future__ import annotations

from scaler.config.pool import PoolKey
from scaler.controller.sandboxes import kinds
from scaler.controller.sandboxes.facts import TAKE_OVER
from scaler.controller.sandboxes.kinds import Kind
from scaler.controller.sandboxes.world import NEEDED, World
from scaler.controller.sandboxes.writer import foreign
from scaler.core.types import Instant, Known, Sample, Unknown
from scaler.core.warmpool_types import WarmObservation
from scaler.live.warm import Block, Blocked


def observe(world: World, key: PoolKey, now: Instant, *, asked: int | None = None) -> WarmObservation:
    """All that is seen of the pool. What came since the last time is taken out of its book.

    ``asked`` is the size that KEDA was told, where it scales the pool. An HPA never goes below one: KEDA takes that one
    away later, so until then none is there.
    """
    fresh = world.ledger.book(key).take()
    blind = world.blind.get(Kind.CLAIM)
    return WarmObservation(
        size=Known(0.0, now) if asked == 0 and _live(world, key) == 1 else _size(world, key, now),
        claims=fresh.arrivals if blind is None else Unknown(f"the claims cannot be seen: {blind}"),
        unschedulable=_stuck(world, key, now),
        settled=_settled(world, key, now),
        leads=tuple(fresh.leads),
        cold=fresh.cold,
        unready=fresh.unready,
    )


def blocked(world: World, key: PoolKey, served: frozenset[str] | None) -> Blocked | None:
    """Why the pool's size is left alone; None where it is ours. ``served`` are the versions of the group, if known."""
    if served is not None and kinds.VERSION not in served:
        has = f"serves only {', '.join(sorted(served))}" if served else "does not have it"
        return Blocked(
            Block.UNSERVED,
            f"warm pools are read in {kinds.EXTENSIONS}/{kinds.VERSION}, and the cluster {has}; "
            "install agent-sandbox 0.5 or later",
        )
    for kind in NEEDED:
        if kind in world.blind:
            return Blocked(Block.UNSEEN, f"{kind.value.rpartition('/')[2]} cannot be seen: {world.blind[kind]}")
    pool = world.pools.get(key)
    if pool is None or pool.leaving:
        end = "is being deleted" if pool is not None else "does not exist; create it, or take it out of warm_pools"
        return Blocked(Block.ABSENT, f"the SandboxWarmPool {key} {end}")
    return _owned(world, key)


def _owned(world: World, key: PoolKey) -> Blocked | None:
    """Who else scales the pool."""
    rival = world.rival(key)
    if rival is not None:
        told = (
            f"the {rival.kind} {rival.id.name} scales {key}; delete it, take the pool out of warm_pools, or have a "
            f"ScaledObject ask here, as in keda/scaledobject-warm-pool.yaml"
        )
        return Blocked(Block.RIVAL, told)
    writer = None if world.through(key) is not None else foreign(world.pools[key])
    if writer is not None:
        return Blocked(
            Block.FOREIGN,
            f"{writer.manager} has set the size of {key}, and is not fought: take spec.replicas out of what it "
            f"applies, then annotate the pool with {TAKE_OVER}={writer.manager}",
        )
    return None


def _live(world: World, key: PoolKey) -> int | None:
    pool = world.pools.get(key)
    return None if pool is None or Kind.POOL in world.blind else pool.size


def _size(world: World, key: PoolKey, now: Instant) -> Sample:
    if (why := world.blind.get(Kind.POOL)) is not None:
        return Unknown(f"the pools cannot be seen: {why}")
    pool = world.pools.get(key)
    return Unknown("there is no such pool") if pool is None else Known(float(pool.size), now)


def _stuck(world: World, key: PoolKey, now: Instant) -> Sample:
    pool = world.pools.get(key)
    members = Unknown("there is no such pool") if pool is None else world.members(pool)
    return members if isinstance(members, Unknown) else Known(float(members.stuck), now)


def _settled(world: World, key: PoolKey, now: Instant) -> bool | Unknown:
    """Whether the pool has followed its last size, and no claim is about to take what a lower one would give up."""
    pool = world.pools.get(key)
    if pool is None or Kind.CLAIM in world.blind:
        return Unknown("the pool or its claims cannot be seen")
    return pool.caught_up and not world.ledger.waits(key, now)
