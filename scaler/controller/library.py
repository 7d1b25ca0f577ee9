"""What the pools have learnt, kept in a few ConfigMaps: it outlives the leader, and every volume.

The leader writes them every few minutes, each only when something in it has changed. A process reads them once, when it
starts: who stands by learns by itself from then on, as much as the leader does.

Every pool has one text, by its name: pools of pods as ``NAMESPACE_NAME``, warm ones as ``NAMESPACE_NAME_warm``. A text
that cannot be read is set aside under a name of its own, and one that a newer scaler wrote is left as it is.
"""

from __future__ import annotations

import asyncio
import json
import zlib
from collections.abc import Callable, Mapping
from typing import Final, TypeAlias, TypeVar

import structlog

from scaler.config.pool import PoolKey
from scaler.controller.api import Api, ApiError, Request, StaleError
from scaler.controller.api import Json as Body
from scaler.controller.applier import Applier
from scaler.controller.dig import objects, parsed, strings, text
from scaler.controller.names import DOMAIN, MANAGER, TRUE
from scaler.controller.owners import Owned
from scaler.controller.pen import NotLeadingError, Pen
from scaler.core.record import Json
from scaler.core.types import Instant, Seconds
from scaler.live.charge import Charge
from scaler.live.store import EVERY, REMEMBERED, SHARDS, NewerError

LEARNT: Final = f"{DOMAIN}/learnt"  # label of the ConfigMaps
BETWEEN: Final = "_"  # in names of texts, between namespace, name and what follows; neither of them may have it
ASIDE: Final = f"{BETWEEN}damaged"
ASIDE_MOST: Final = 2_048  # characters of a damaged text that are kept for whoever wonders
PATIENCE: Final[Seconds] = 5.0
SOON: Final[Seconds] = 30.0  # after the start: a process that is replaced again at once has taught something too
LEFT: Final = "what a pool had learnt is left as it is, and what it learns now is not kept"
SET_ASIDE: Final = "what a pool had learnt cannot be read and was set aside, and it learns anew"
LOG: structlog.stdlib.BoundLogger = structlog.stdlib.get_logger(__name__)
T = TypeVar("T")
Learnt: TypeAlias = Callable[[], Mapping[str, Callable[[], str]]]  # by name, what makes a pool's text


def name_of(key: PoolKey, *, kind: str = "") -> str:
    """The name of a pool's text; ``kind`` is for those that are no pools of pods."""
    return BETWEEN.join((key.namespace, key.name, *((kind,) if kind else ())))


class Library:
    """The ConfigMaps of one namespace. Belongs to one event loop."""

    def __init__(self, api: Api, pen: Pen, charge: Charge, namespace: str) -> None:
        self._api, self._namespace = api, namespace
        self._clock, self._office = charge.clock, charge.office
        self._applier = Applier(pen, charge.clock)
        self._learnt: list[Learnt] = []
        self._kept: dict[str, str] = {}
        self._closed: set[str] = set()  # texts of a newer scaler
        self._there: set[str] = set()  # ConfigMaps that there are, and that must be emptied when they have nothing left

    async def load(self) -> None:
        """Read what is kept; a failure is told in the log."""
        path = f"/api/v1/namespaces/{self._namespace}/configmaps"
        request = Request(method="GET", path=path, query={"labelSelector": f"{LEARNT}={TRUE}"}, within=PATIENCE)
        try:
            found = parsed(await self._api.send(request))
        except (ApiError, StaleError) as error:
            LOG.warning("what the pools had learnt cannot be read", why=str(error))
            return
        for shard in objects(found, "items"):
            self._there.add(text(shard, "metadata", "name"))
            self._kept |= strings(shard, "data")

    def keep(self, learnt: Learnt) -> None:
        """Write down from now on what these pools have learnt."""
        self._learnt.append(learnt)

    def read(self, name: str, reader: Callable[[Json], T]) -> T | None:
        """What the reader makes of a pool's text; None where there is none that it can read, which is told.

        ``reader`` may raise ``ValueError`` for what nobody wrote, and ``NewerError``.
        """
        kept = self._kept.get(name)
        if kept is None:
            return None
        try:
            return reader(json.loads(kept))
        except NewerError as error:
            self._closed.add(name)
            LOG.warning(LEFT, pool=name, why=str(error))
        except ValueError as error:
            self._kept[f"{name}{ASIDE}"] = self._kept.pop(name)[:ASIDE_MOST]
            LOG.warning(SET_ASIDE, pool=name, aside=f"{name}{ASIDE}", why=str(error))
        return None

    async def follow(self) -> None:
        """Write down what is learnt, soon and then every few minutes, while we lead."""
        wait = SOON
        while True:
            await self._clock.sleep_until(self._clock.now() + wait)
            wait = EVERY
            if self._office.term is not None:
                await self.save(self._clock.now())

    async def save(self, now: Instant) -> None:
        """Write down what is learnt; a failure is told in the log."""
        packers = {name: pack for learnt in self._learnt for name, pack in learnt().items() if name not in self._closed}
        packed = await asyncio.to_thread(lambda: {name: pack() for name, pack in packers.items()})
        kept = packed | {name: one for name, one in self._kept.items() if name not in packed and self._stays(name, now)}
        self._kept = {name: one for name, one in kept.items() if name.removesuffix(ASIDE) in kept}
        try:
            for shard in self._shards():
                await self._applier.apply(shard)
                self._there.add(shard.path.rpartition("/")[2])
        except (ApiError, NotLeadingError) as error:
            LOG.warning("what the pools have learnt could not be written, and is tried again", why=str(error))

    def _stays(self, name: str, now: Instant) -> bool:
        """Whether it is kept although nobody has its pool now. What was set aside stays as long as its pool's text."""
        return name in self._closed or name.endswith(ASIDE) or not _is_over(self._kept[name], now)

    def _shards(self) -> list[Owned]:
        shares: dict[str, dict[str, str]] = {f"{MANAGER}-learnt-{number:02d}": {} for number in range(SHARDS)}
        names = list(shares)
        for name, kept in sorted(self._kept.items()):
            shares[names[zlib.crc32(name.encode()) % SHARDS]][name] = kept
        return [self._shard(name, share) for name, share in shares.items() if share or name in self._there]

    def _shard(self, name: str, share: Mapping[str, str]) -> Owned:
        metadata: dict[str, Body] = {"name": name, "namespace": self._namespace, "labels": {LEARNT: TRUE}}
        body: dict[str, Body] = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": dict(share)}
        return Owned(f"/api/v1/namespaces/{self._namespace}/configmaps/{name}", body)


def _is_over(kept: str, now: Instant) -> bool:
    """Whether nobody has asked for the pool for so long that it is forgotten; what cannot be read is, too."""
    try:
        return bool(abs(now - float(json.loads(kept)["at"])) > REMEMBERED)
    except (ValueError, KeyError, TypeError):
        return True
