"""What the pools have learnt, kept in a few ConfigMaps: it outlives the leader, and every volume.

The leader writes them every few minutes, each only when something in it has changed. A process reads them once, when it
starts: who stands by learns by itself from then on, as much as the leader does.
"""

from __future__ import annotations

import asyncio
import json
import zlib
from collections.abc import Mapping
from typing import Final

import structlog

from scaler.config.pool import PoolKey, PoolSpec
from scaler.controller.api import Api, ApiError, Json, Request, StaleError
from scaler.controller.applier import Applier
from scaler.controller.dig import objects, parsed, strings, text
from scaler.controller.names import DOMAIN, MANAGER, TRUE
from scaler.controller.owners import Owned
from scaler.controller.pen import NotLeadingError, Pen
from scaler.core.memory import Memory
from scaler.core.record import RecordError
from scaler.core.types import Instant, Seconds
from scaler.live.charge import Charge
from scaler.live.lasting import pack, unpack
from scaler.live.store import EVERY, REMEMBERED, SHARDS

LEARNT: Final = f"{DOMAIN}/learnt"  # label of the ConfigMaps
BETWEEN: Final = "_"  # in keys, between namespace and name; neither may have it
PATIENCE: Final[Seconds] = 5.0
LOG: structlog.stdlib.BoundLogger = structlog.stdlib.get_logger(__name__)


class Library:
    """The ConfigMaps of one namespace. Belongs to one event loop."""

    def __init__(self, api: Api, pen: Pen, charge: Charge, namespace: str) -> None:
        self._api, self._charge, self._namespace = api, charge, namespace
        self._applier = Applier(pen, charge.clock)
        self._kept: dict[PoolKey, str] = {}
        self._there: set[str] = set()  # ConfigMaps that there are, and that must be emptied when they have nothing left

    async def load(self) -> None:
        """Read what is kept, and let pools that are there already remember it. What cannot be read is left out."""
        path = f"/api/v1/namespaces/{self._namespace}/configmaps"
        request = Request(method="GET", path=path, query={"labelSelector": f"{LEARNT}={TRUE}"}, within=PATIENCE)
        try:
            found = parsed(await self._api.send(request))
        except (ApiError, StaleError) as error:
            LOG.warning("what the pools had learnt cannot be read", why=str(error))
            return
        for shard in objects(found, "items"):
            self._there.add(text(shard, "metadata", "name"))
            self._kept |= {_key(name): kept for name, kept in strings(shard, "data").items()}
        now = self._charge.clock.now()
        for pool in self._charge.registry:
            if (memory := self.recall(pool.spec, now)) is not None:
                pool.memory = memory

    def recall(self, spec: PoolSpec, now: Instant) -> Memory | None:
        """What the pool remembers, None where nothing is known of it."""
        kept = self._kept.get(spec.key)
        if kept is None:
            return None
        try:
            return unpack(json.loads(kept), spec.policy.pace, now)
        except (RecordError, ValueError) as error:
            LOG.warning("what a pool had learnt cannot be read, and it learns anew", pool=str(spec.key), why=str(error))
            return None

    async def follow(self) -> None:
        """Write down what is learnt, every few minutes, while we lead."""
        clock = self._charge.clock
        while True:
            await clock.sleep_until(clock.now() + EVERY)
            if self._charge.office.term is not None:
                await self.save(clock.now())

    async def save(self, now: Instant) -> None:
        """Write down what is learnt; a failure is told in the log."""
        learnt = {pool.spec.key: pool.memory for pool in self._charge.registry}
        kept = {key: one for key, one in self._kept.items() if key not in learnt and not _is_over(one, now)}
        self._kept = kept | await asyncio.to_thread(_packed, learnt)
        try:
            for shard in self._shards():
                await self._applier.apply(shard)
                self._there.add(shard.path.rpartition("/")[2])
        except (ApiError, NotLeadingError) as error:
            LOG.warning("what the pools have learnt could not be written, and is tried again", why=str(error))

    def _shards(self) -> list[Owned]:
        shares: dict[str, dict[str, str]] = {f"{MANAGER}-learnt-{number:02d}": {} for number in range(SHARDS)}
        names = list(shares)
        for key, kept in sorted(self._kept.items()):
            name = f"{key.namespace}{BETWEEN}{key.name}"
            shares[names[zlib.crc32(name.encode()) % SHARDS]][name] = kept
        return [self._shard(name, share) for name, share in shares.items() if share or name in self._there]

    def _shard(self, name: str, share: Mapping[str, str]) -> Owned:
        metadata: dict[str, Json] = {"name": name, "namespace": self._namespace, "labels": {LEARNT: TRUE}}
        body: dict[str, Json] = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": dict(share)}
        return Owned(f"/api/v1/namespaces/{self._namespace}/configmaps/{name}", body)


def _packed(learnt: Mapping[PoolKey, Memory]) -> dict[PoolKey, str]:
    return {key: pack(memory) for key, memory in learnt.items()}


def _key(name: str) -> PoolKey:
    namespace, _, pool = name.partition(BETWEEN)
    return PoolKey(namespace, pool)


def _is_over(kept: str, now: Instant) -> bool:
    """Whether nobody has asked for the pool for so long that it is forgotten; what cannot be read is, too."""
    try:
        return bool(abs(now - float(json.loads(kept)["at"])) > REMEMBERED)
    except (ValueError, KeyError, TypeError):
        return True
