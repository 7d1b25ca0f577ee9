"""Who may ask, and about which pool.

A request names a ScaledObject and carries its trigger's metadata. The desk reads the metadata strictly, keeps each
namespace to its own pools, hands a pool nobody knew to those who keep the pools, and holds a bounded number of them, of
each namespace no more than its share. Of triggers that contradict each other about one pool the first is heard. All of
it is done once for each distinct request; after that it costs a few lookups.
"""

from __future__ import annotations

import logging
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Final, Protocol

import grpc

from scaler.config.metadata import TriggerMetadata, parse_metadata, pool_key
from scaler.config.pool import JobStrategy, PoolKey, PoolSpec
from scaler.config.problems import ConfigError, ForeignPoolError
from scaler.core.types import Instant, Seconds
from scaler.external.claims import LATELY, Claims, differences
from scaler.external.proto import externalscaler_pb2 as pb
from scaler.live.board import Posted

LOG = logging.getLogger(__name__)
MOST_POOLS: Final = 10_000
GONE_AFTER: Seconds = 3600.0  # KEDA asks twice a minute; who has been silent for an hour may lose its place to another
ONE_POLL: Seconds = 1.0  # IsActive follows its GetMetrics at once; one that comes later is of another poll


class RefusedError(Exception):
    """A request that gets an error status: its code, and a message that says which pool, why, and what to do."""

    def __init__(self, code: grpc.StatusCode, why: str) -> None:
        super().__init__(why)
        self.code, self.why = code, why


class Pools(Protocol):
    """Those who keep the pools and have them evaluated."""

    def find(self, key: PoolKey) -> PoolSpec | None:
        """What the pool is asked to be, None where nobody knows it."""
        ...

    def admit(self, key: PoolKey, metadata: TriggerMetadata) -> PoolSpec:
        """Take the pool in, or take its trigger's new metadata. The same twice changes nothing.

        Raises:
            ConfigError: the metadata and the configuration contradict each other.
        """
        ...

    def dismiss(self, key: PoolKey) -> None:
        """Nobody asks for the pool: drop its trigger's metadata, and the pool itself if nothing else names it."""
        ...


@dataclass(frozen=True, slots=True, eq=False)
class _Asked:
    """A distinct request, read."""

    key: PoolKey
    metadata: TriggerMetadata


@dataclass(slots=True)
class Visit:
    """What is kept of a pool that is asked for.

    Attributes:
        asked: as it was asked for last.
        at: when that was.
        claims: what its triggers say.
        strategy: how KEDA counts its Jobs, None for a ScaledObject.
    """

    asked: _Asked
    at: Instant
    claims: Claims
    strategy: JobStrategy | None
    _served: tuple[Posted, Instant] | None = None

    @property
    def key(self) -> PoolKey:
        """The pool."""
        return self.asked.key

    def serve(self, posted: Posted, now: Instant) -> None:
        """Keep what GetMetrics answers from, for the IsActive of the same poll."""
        self._served = posted, now

    def served(self, now: Instant) -> Posted | None:
        """What the GetMetrics of this poll answered from, once."""
        served, self._served = self._served, None
        return served[0] if served is not None and abs(now - served[1]) <= ONE_POLL else None


class Desk:
    """Takes requests in. Belongs to one event loop."""

    def __init__(
        self, pools: Pools, *, most_pools: int = MOST_POOLS, share: Callable[[], int] = lambda: MOST_POOLS
    ) -> None:
        self._pools = pools
        self._most, self._share = most_pools, share
        self._visits: OrderedDict[PoolKey, Visit] = OrderedDict()
        self._places: dict[str, OrderedDict[PoolKey, Visit]] = {}  # by namespace
        self._read = lru_cache(maxsize=2 * most_pools)(_read)

    def receive(self, ref: pb.ScaledObjectRef, now: Instant) -> Visit:
        """The visit of the pool that is asked for, after checking that it may be.

        Raises:
            RefusedError: PERMISSION_DENIED for another namespace's pool, INVALID_ARGUMENT for metadata that cannot be
                used, FAILED_PRECONDITION for metadata that contradicts another trigger's, RESOURCE_EXHAUSTED where
                there is no place for another pool.
        """
        try:
            asked = self._read(ref.SerializeToString(deterministic=True))
            visit = self._visit(asked, now)
        except ForeignPoolError as error:
            raise RefusedError(grpc.StatusCode.PERMISSION_DENIED, str(error)) from None
        except ConfigError as error:
            raise RefusedError(grpc.StatusCode.INVALID_ARGUMENT, str(error)) from None
        visit.at = now
        self._visits.move_to_end(asked.key)
        self._places[asked.key.namespace].move_to_end(asked.key)
        return visit

    def _visit(self, asked: _Asked, now: Instant) -> Visit:
        """The pool's visit, brought up to what is asked and to what the pool is now."""
        visit, spec = self._visits.get(asked.key), self._pools.find(asked.key)
        if visit is None:
            return self._welcome(asked, now, spec)
        if visit.asked is asked or visit.claims.in_force == asked.metadata:
            visit.claims.repeat(now)
        elif visit.claims.dispute(asked.metadata, now):
            raise _contradiction(asked, visit.claims)
        else:
            spec = self._pools.admit(asked.key, asked.metadata)
            visit.claims.take(asked.metadata, now)
        if spec is None:
            spec = self._pools.admit(asked.key, asked.metadata)
        visit.asked, visit.strategy = asked, spec.job_strategy
        return visit

    def _welcome(self, asked: _Asked, now: Instant, spec: PoolSpec | None) -> Visit:
        """A visit for a pool that nobody has asked for; one that the configuration names has its place already."""
        if spec is None:
            self._make_room(asked.key, now)
        spec = self._pools.admit(asked.key, asked.metadata)
        visit = self._visits[asked.key] = Visit(asked, now, Claims(asked.metadata, now), spec.job_strategy)
        self._places.setdefault(asked.key.namespace, OrderedDict())[asked.key] = visit
        return visit

    def _make_room(self, key: PoolKey, now: Instant) -> None:
        """Make sure of a place for another pool, in its namespace and in all.

        Raises:
            RefusedError: there is none.
        """
        share, ago = self._share(), f"were asked for within the last {GONE_AFTER:.0f} s"
        way_out = "delete ScaledObjects, or name the pool in the configuration"
        if len(own := self._places.get(key.namespace, OrderedDict())) >= share:
            why = f"no place for {key}: {share} pools of namespace {key.namespace} {ago}, which is its share"
            self._leave(own, now, f"{why} (admission.pools_per_namespace); {way_out}")
        if len(self._visits) >= self._most:
            why = f"no place for {key}: {self._most} pools {ago}, which is the most"
            self._leave(self._visits, now, f"{why}; {way_out}")

    def _leave(self, visits: OrderedDict[PoolKey, Visit], now: Instant, otherwise: str) -> None:
        """Dismiss the pool of these that was asked for least recently, if that is long ago."""
        oldest = next(iter(visits.values()))
        if now - oldest.at <= GONE_AFTER:
            raise RefusedError(grpc.StatusCode.RESOURCE_EXHAUSTED, otherwise)
        own = self._places[oldest.key.namespace]
        del self._visits[oldest.key], own[oldest.key]
        if not own:
            del self._places[oldest.key.namespace]
        self._pools.dismiss(oldest.key)


def _contradiction(asked: _Asked, claims: Claims) -> RefusedError:
    """Why a trigger is not heard."""
    keys = ", ".join(differences(claims.in_force, asked.metadata))
    LOG.warning("triggers of one pool contradict each other", extra={"pool": str(asked.key), "keys": keys})
    why = (
        f"another trigger speaks for {asked.key}, and this one contradicts it in {keys}: give both the same metadata, "
        f"or each a pool of its own with the key pool; {LATELY:.0f} s after the other has gone this one is heard"
    )
    return RefusedError(grpc.StatusCode.FAILED_PRECONDITION, why)


def _read(request: bytes) -> _Asked:
    """Read a request, by its bytes with the metadata in order. Only one that can be used is remembered."""
    ref = pb.ScaledObjectRef.FromString(request)
    metadata = parse_metadata(ref.scalerMetadata)
    return _Asked(pool_key(metadata, ref.namespace, ref.name), metadata)
