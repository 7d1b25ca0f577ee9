"""Warm pools at KEDA's door: a ScaledObject whose trigger has the key ``warmPool`` scales a SandboxWarmPool as we say.

It is told the size as it is told replicas: so many, against a target of exactly 1. The pool's policy stands in the file
alone, so nothing is kept of who asks.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Final, Protocol

import grpc

from scaler.config.metadata import parse_metadata, warm_key
from scaler.config.pool import PoolKey
from scaler.config.problems import ConfigError
from scaler.core.types import Instant, Seconds, Unknown
from scaler.external.desk import RefusedError
from scaler.external.proto import externalscaler_pb2 as pb
from scaler.live.warm import WarmAnswer

KEY: Final = "warmPool"


class WarmPools(Protocol):
    """Who decides about warm pools."""

    def answer(self, key: PoolKey) -> WarmAnswer | None:
        """What was decided of the pool last; None where the file does not name it."""
        ...

    def listening(self, key: PoolKey, ring: Callable[[], None]) -> AbstractContextManager[None]:
        """Call ``ring`` whenever the pool wakes or rests."""
        ...


class NoWarmPools:
    """There are none."""

    def answer(self, key: PoolKey) -> WarmAnswer | None:
        """The file names no pool."""
        return None

    def listening(self, key: PoolKey, ring: Callable[[], None]) -> AbstractContextManager[None]:
        """Nothing will be rung."""
        return nullcontext()


class WarmDesk:
    """Answers for warm pools, as long as what was decided is no older than ``stale_after`` seconds."""

    def __init__(self, pools: WarmPools, stale_after: Seconds) -> None:
        self._pools, self._stale_after = pools, stale_after

    def key(self, ref: pb.ScaledObjectRef) -> PoolKey | None:
        """The warm pool that is asked for; None where it is a pool of pods.

        Raises:
            RefusedError: INVALID_ARGUMENT for metadata that cannot be used.
        """
        if KEY not in ref.scalerMetadata:
            return None
        try:
            return warm_key(parse_metadata(ref.scalerMetadata), ref.namespace)
        except ConfigError as error:
            raise RefusedError(grpc.StatusCode.INVALID_ARGUMENT, str(error)) from None

    def size(self, key: PoolKey, now: Instant) -> int:
        """The size that the pool shall have.

        Raises:
            RefusedError: FAILED_PRECONDITION where the file does not name the pool, UNAVAILABLE where its size is not
                known now; the HPA then leaves it as it is.
        """
        answer = self._pools.answer(key)
        if answer is None:
            why = f"{key} is no warm pool of the configuration; name it under warm_pools.pools"
            raise RefusedError(grpc.StatusCode.FAILED_PRECONDITION, why)
        if isinstance(answer.size, Unknown):
            raise RefusedError(grpc.StatusCode.UNAVAILABLE, f"the warm pool {key} has no size: {answer.size.why}")
        if (age := abs(now - answer.at)) > self._stale_after:
            why = f"decided {age:.0f} s ago, and a decision holds for {self._stale_after:.0f} s; see the scaler's log"
            raise RefusedError(grpc.StatusCode.UNAVAILABLE, f"the warm pool {key} has no size: {why}")
        return answer.size

    def is_active(self, key: PoolKey) -> bool:
        """Whether the pool is known to be asked for any."""
        answer = self._pools.answer(key)
        return answer is not None and not isinstance(answer.size, Unknown) and answer.size > 0

    def listening(self, key: PoolKey, ring: Callable[[], None]) -> AbstractContextManager[None]:
        """Call ``ring`` whenever the pool wakes or rests."""
        return self._pools.listening(key, ring)
