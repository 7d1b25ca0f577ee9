"""Who may ask, and about which pool.

A request names a ScaledObject and carries its trigger's metadata. The desk reads the metadata strictly, keeps each
namespace to its own pools, hands a pool nobody knew to those who keep the pools, and holds a bounded number of them.
All of it is done once for each distinct request; after that it costs a few lookups.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from functools import lru_cache
from typing import Final, Protocol

import grpc

from scaler.config.metadata import TriggerMetadata, parse_metadata, pool_key
from scaler.config.pool import JobStrategy, PoolKey, PoolSpec
from scaler.config.problems import ConfigError, ForeignPoolError
from scaler.core.types import Instant, Seconds
from scaler.external.proto import externalscaler_pb2 as pb
from scaler.live.board import Posted

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
        strategy: how KEDA counts its Jobs, None for a ScaledObject.
    """

    asked: _Asked
    at: Instant
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

    def __init__(self, pools: Pools, *, most_pools: int = MOST_POOLS) -> None:
        self._pools = pools
        self._most = most_pools
        self._visits: OrderedDict[PoolKey, Visit] = OrderedDict()
        self._read = lru_cache(maxsize=2 * most_pools)(_read)

    def receive(self, ref: pb.ScaledObjectRef, now: Instant) -> Visit:
        """The visit of the pool that is asked for, after checking that it may be.

        Raises:
            RefusedError: PERMISSION_DENIED for another namespace's pool, INVALID_ARGUMENT for metadata that cannot be
                used, RESOURCE_EXHAUSTED where there is no place for another pool.
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
        return visit

    def _visit(self, asked: _Asked, now: Instant) -> Visit:
        """The pool's visit, brought up to what is asked and to what the pool is now."""
        visit, spec = self._visits.get(asked.key), self._pools.find(asked.key)
        if spec is None or visit is None or (visit.asked is not asked and visit.asked.metadata != asked.metadata):
            if spec is None and visit is None and len(self._visits) >= self._most:
                self._make_room(asked.key, now)
            spec = self._pools.admit(asked.key, asked.metadata)
            visit = self._visits.setdefault(asked.key, Visit(asked, now, spec.job_strategy))
        visit.asked, visit.strategy = asked, spec.job_strategy
        return visit

    def _make_room(self, key: PoolKey, now: Instant) -> None:
        """Give the place of the pool that was asked for least recently away, if that is long ago."""
        oldest = next(iter(self._visits.values()))
        if now - oldest.at <= GONE_AFTER:
            why = (
                f"no place for {key}: {self._most} pools were asked for within the last {GONE_AFTER:.0f} s, "
                "which is the most; delete ScaledObjects, or name the pool in the configuration"
            )
            raise RefusedError(grpc.StatusCode.RESOURCE_EXHAUSTED, why)
        del self._visits[oldest.key]
        self._pools.dismiss(oldest.key)


def _read(request: bytes) -> _Asked:
    """Read a request, by its bytes with the metadata in order. Only one that can be used is remembered."""
    ref = pb.ScaledObjectRef.FromString(request)
    metadata = parse_metadata(ref.scalerMetadata)
    return _Asked(pool_key(metadata, ref.namespace, ref.name), metadata)
