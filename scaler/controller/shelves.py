"""Which pools the library keeps, and how each comes back: those of pods, and warm ones."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Final

from scaler.config.pool import PoolKey, PoolSpec
from scaler.controller.library import Library, name_of
from scaler.core.memory import Memory
from scaler.core.policy import Pace
from scaler.core.types import Instant
from scaler.core.warmpool_memory import WarmMemory
from scaler.live.lasting import pack, unpack
from scaler.live.lasting_warm import pack_warm, unpack_warm
from scaler.live.registry import Registry

WARM: Final = "warm"


def keep_pools(library: Library, registry: Registry, now: Instant) -> None:
    """Let the pools remember what the library has of them, those that come too, and the library what they learn."""

    def recall(spec: PoolSpec, at: Instant) -> Memory | None:
        return library.read(name_of(spec.key), lambda kept: unpack(kept, spec.policy.pace, at))

    for pool in registry:
        if (memory := recall(pool.spec, now)) is not None:
            pool.memory = memory
    registry.recall_by(recall)
    library.keep(lambda: {name_of(pool.spec.key): partial(pack, pool.memory) for pool in registry})


def keep_warm(
    library: Library, memories: Callable[[], Mapping[PoolKey, WarmMemory]]
) -> Callable[[PoolKey, Pace, Instant], WarmMemory | None]:
    """Have the library remember what warm pools learn; the value is what recalls it."""

    def recall(key: PoolKey, pace: Pace, now: Instant) -> WarmMemory | None:
        """What the pool remembers, None where nothing is known of it."""
        return library.read(name_of(key, kind=WARM), lambda kept: unpack_warm(kept, pace, now))

    library.keep(lambda: {name_of(key, kind=WARM): partial(pack_warm, one) for key, one in memories().items()})
    return recall
