"""What there is of agent-sandbox in the cluster, as facts, and which pools a change concerns.

Feeds of several kinds are not ordered among each other, so nothing here relies on what is seen first.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final, TypeAlias

from scaler.config.pool import PoolKey
from scaler.controller.api import Json
from scaler.controller.dig import text
from scaler.controller.feed import Change, Gone, Listed, Lost, Put
from scaler.controller.sandboxes.facts import (
    Claim,
    Pod,
    Rival,
    Sandbox,
    WarmPool,
    claim_of,
    pod_of,
    rival_of,
    sandbox_of,
    warm_pool_of,
)
from scaler.controller.sandboxes.kinds import Kind
from scaler.controller.sandboxes.ledger import Ledger, is_live
from scaler.controller.sandboxes.refill import Refills
from scaler.core.types import Instant, Unknown

Object: TypeAlias = Mapping[str, Json]
NEEDED: Final = (Kind.POOL, Kind.CLAIM, Kind.SANDBOX, Kind.HPA, Kind.SCALED_OBJECT)  # before a pool can be judged


@dataclass(frozen=True, slots=True)
class Members:
    """The sandboxes of a pool.

    Attributes:
        ready: how many are ready.
        starting: how many are not ready yet and will be.
        stuck: how many cannot be scheduled.
    """

    ready: int = 0
    starting: int = 0
    stuck: int = 0


@dataclass(slots=True)
class World:
    """Everything that is known.

    Attributes:
        ledger: the books of what arrived and what it was served with.
        blind: the kinds of which nobody knows at present what there is, and why.
        wards: claimed sandboxes that ask to be guarded, by pool and by what their agents do.
    """

    ledger: Ledger
    pools: dict[PoolKey, WarmPool] = field(default_factory=dict)
    claims: dict[str, Claim] = field(default_factory=dict)
    sandboxes: dict[str, Sandbox] = field(default_factory=dict)
    rivals: dict[str, Rival] = field(default_factory=dict)
    pods: dict[str, Pod] = field(default_factory=dict)
    blind: dict[Kind, str] = field(default_factory=lambda: dict.fromkeys(Kind, "not listed yet"))
    wards: Counter[tuple[PoolKey, str]] = field(default_factory=Counter)
    _members: dict[str, set[str]] = field(default_factory=dict)  # sandboxes by the uid of their pool
    _origins: dict[str, PoolKey] = field(default_factory=dict)  # where sandboxes came from
    _keys: dict[str, PoolKey] = field(default_factory=dict)  # pools by uid
    _refills: Refills = field(default_factory=Refills)

    def take(self, kind: Kind, change: Change, now: Instant) -> frozenset[PoolKey]:
        """Take a change in; the value is the pools for which something has just arrived."""
        match change:
            case Put(found):
                return self._put(kind, found, now)
            case Gone(found):
                self._drop(kind, text(found, "metadata", "uid"))
            case Listed(uids):
                self.blind.pop(kind, None)
                for uid in [uid for uid in self._uids(kind) if uid not in uids]:
                    if kind is Kind.CLAIM:
                        self.ledger.counted(self.claims[uid])
                    self._drop(kind, uid)
            case Lost(why):
                self.blind[kind] = why
        return frozenset()

    def members(self, pool: WarmPool) -> Members | Unknown:
        """The sandboxes that are in the pool now."""
        if (why := self.blind.get(Kind.SANDBOX)) is not None:
            return Unknown(f"the sandboxes cannot be seen: {why}")
        there = [self.sandboxes[uid] for uid in self._members.get(pool.id.uid, ())]
        staying = [each for each in there if not each.leaving]
        ready, stuck = sum(each.ready for each in staying), sum(each.stuck for each in staying)
        return Members(ready=ready, starting=len(staying) - ready - stuck, stuck=stuck)

    def rival(self, key: PoolKey) -> Rival | None:
        """Who else scales the pool, and not as we say: a ScaledObject before the HPA that it keeps."""
        found = [each for each in self.rivals.values() if each.key == key and not self._asks(each)]
        return min(found, key=lambda each: each.kind != "ScaledObject", default=None)

    def through(self, key: PoolKey) -> Rival | None:
        """The ScaledObject by which the pool gets the size that we say; None where there is none."""
        return next((each for each in self.rivals.values() if each.key == key and each.asks), None)

    def _asks(self, rival: Rival) -> bool:
        """Whether it asks us, or is the HPA of one that does."""
        owner = self.rivals.get(rival.owner)
        return rival.asks or (owner is not None and owner.asks)

    def _put(self, kind: Kind, found: Object, now: Instant) -> frozenset[PoolKey]:
        match kind:
            case Kind.CLAIM:
                return self._put_claim(claim_of(found), now)
            case Kind.SANDBOX:
                self._put_sandbox(sandbox_of(found), now)
            case Kind.POOL:
                pool = warm_pool_of(found)
                if (known := self.pools.get(pool.key)) is not None and known.id.uid == pool.id.uid:
                    self._refills.fewer(pool.id.uid, known.size - pool.size)
                self.pools[pool.key] = pool
                self._keys[pool.id.uid] = pool.key
            case Kind.HPA | Kind.SCALED_OBJECT:
                self._put_rival(text(found, "metadata", "uid"), rival_of(found))
            case Kind.POD:
                self.pods[text(found, "metadata", "uid")] = pod_of(found)
        return frozenset()

    def _put_claim(self, claim: Claim, now: Instant) -> frozenset[PoolKey]:
        self.claims[claim.id.uid] = claim
        return frozenset({claim.key}) if self.ledger.put_claim(claim, now) else frozenset()

    def _put_sandbox(self, sandbox: Sandbox, now: Instant) -> None:
        uid, before = sandbox.id.uid, self.sandboxes.get(sandbox.id.uid)
        missing = 0.0
        if before is None and sandbox.pool and is_live(sandbox, now):
            missing = self._refills.came(sandbox.pool, now)
        elif before is not None and before.pool and sandbox.claim and not sandbox.pool:
            self._refills.left(before.pool, now)
        self.sandboxes[uid] = sandbox
        if before is not None and before.pool != sandbox.pool:
            self._members.get(before.pool, set()).discard(uid)
        if sandbox.pool:
            self._members.setdefault(sandbox.pool, set()).add(uid)
        key = self._keys.get(sandbox.pool) or self._origins.get(uid)
        if key is None and sandbox.claim in self.claims:
            key = self.claims[sandbox.claim].key
        if key is not None:
            self._origins[uid] = key
        self.ledger.put_sandbox(sandbox, key, now, missing=missing)

    def _put_rival(self, uid: str, rival: Rival | None) -> None:
        """One that scales something else now is none any more."""
        if rival is None:
            self.rivals.pop(uid, None)
        else:
            self.rivals[uid] = rival

    def _uids(self, kind: Kind) -> Iterator[str]:
        match kind:
            case Kind.CLAIM:
                yield from self.claims
            case Kind.SANDBOX:
                yield from self.sandboxes
            case Kind.POOL:
                yield from self._keys
            case Kind.POD:
                yield from self.pods
            case Kind.HPA | Kind.SCALED_OBJECT:
                yield from (uid for uid, each in self.rivals.items() if each.kind == RIVALS[kind])

    def _drop(self, kind: Kind, uid: str) -> None:
        match kind:
            case Kind.CLAIM:
                self._drop_claim(uid)
            case Kind.SANDBOX:
                self._drop_sandbox(uid)
            case Kind.POOL:
                self._drop_pool(uid)
            case Kind.HPA | Kind.SCALED_OBJECT:
                self.rivals.pop(uid, None)
            case Kind.POD:
                self.pods.pop(uid, None)

    def _drop_claim(self, uid: str) -> None:
        if (claim := self.claims.pop(uid, None)) is not None:
            self.ledger.drop_claim(claim)

    def _drop_sandbox(self, uid: str) -> None:
        self._origins.pop(uid, None)
        if (sandbox := self.sandboxes.pop(uid, None)) is not None:
            self._members.get(sandbox.pool, set()).discard(uid)
            self.ledger.drop_sandbox(sandbox)

    def _drop_pool(self, uid: str) -> None:
        """One of the same name may have been made meanwhile, and stays."""
        key = self._keys.pop(uid, None)
        self._members.pop(uid, None)
        self._refills.drop(uid)
        if key is not None and key in self.pools and self.pools[key].id.uid == uid:
            del self.pools[key]


RIVALS: Final = {Kind.HPA: "HorizontalPodAutoscaler", Kind.SCALED_OBJECT: "ScaledObject"}
