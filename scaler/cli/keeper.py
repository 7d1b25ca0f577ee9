"""Who keeps the pools: those of the file, and those that triggers bring."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeAlias

from scaler.config.check import keys
from scaler.config.metadata import TriggerMetadata
from scaler.config.pool import Found, PoolKey, PoolSpec
from scaler.config.problems import ConfigError
from scaler.config.resolve import resolve
from scaler.config.settings import Settings
from scaler.live.clock import Clock
from scaler.live.registry import Registry

LOG = logging.getLogger(__name__)
SILENT = TriggerMetadata()
Resolved: TypeAlias = PoolSpec | ConfigError


@dataclass(frozen=True, slots=True)
class Known:
    """What is known of a pool beside the file: its trigger's metadata, and what the cluster says of it."""

    metadata: TriggerMetadata = SILENT
    found: Found | None = None


class Keeper:
    """Resolves pools into the registry. Belongs to one event loop."""

    def __init__(self, settings: Settings, registry: Registry, clock: Clock) -> None:
        self._settings, self._registry, self._clock = settings, registry, clock
        self._triggers: dict[PoolKey, TriggerMetadata] = {}
        self._discovered: dict[PoolKey, Known] = {}
        registry.replace(self._specs(_resolved(settings, {})), clock.now())

    @property
    def settings(self) -> Settings:
        """The settings in force."""
        return self._settings

    def find(self, key: PoolKey) -> PoolSpec | None:
        """What the pool is asked to be, None where nobody knows it."""
        pool = self._registry.get(key)
        return None if pool is None else pool.spec

    def admit(self, key: PoolKey, metadata: TriggerMetadata) -> PoolSpec:
        """Take the pool in, or take its trigger's new metadata.

        Raises:
            ConfigError: the metadata and the configuration contradict each other; the pool stays as it was.
        """
        spec = resolve(self._settings, key, metadata, self._known(key).found)
        self._triggers[key] = metadata
        return self._registry.put(spec, self._clock.now()).spec

    def discover(self, key: PoolKey, metadata: TriggerMetadata, found: Found) -> None:
        """Take in what the cluster says of a pool. What KEDA has said of its trigger goes before ``metadata``.

        Raises:
            ConfigError: it contradicts the configuration; the pool stays as it was.
        """
        known = Known(self._triggers.get(key, metadata), found)
        spec = resolve(self._settings, key, known.metadata, found)
        self._discovered[key] = Known(metadata, found)
        self._registry.put(spec, self._clock.now())

    def lose(self, key: PoolKey) -> None:
        """The cluster has nothing any more that asks for the pool."""
        if self._discovered.pop(key, None) is not None:
            self.dismiss(key)

    def dismiss(self, key: PoolKey) -> None:
        """Drop the trigger's metadata, and the pool if the file does not name it."""
        self._triggers.pop(key, None)
        if key in self._discovered or key in keys(self._settings):
            known = self._known(key)
            self._registry.put(resolve(self._settings, key, known.metadata, known.found), self._clock.now())
        else:
            self._registry.remove(key)

    async def reload(self, settings: Settings) -> None:
        """Let new settings hold from the next tick on. Pools keep what they have learnt.

        The pools are resolved in a thread, for thousands of them take a second and calls must not wait.
        """
        before = self._all()
        found = await asyncio.to_thread(_resolved, settings, before)
        now = self._all()
        for key in before.keys() | now.keys():
            if before.get(key) != now.get(key):  # the trigger came, went or changed in the meantime
                found.pop(key, None)
        self._settings = settings
        self._registry.replace(self._specs(found), self._clock.now())

    def _specs(self, found: Mapping[PoolKey, Resolved]) -> list[PoolSpec]:
        """Every pool as the settings and its trigger have it now; ``found`` are those that are resolved already."""
        wanted = dict.fromkeys((*keys(self._settings), *self._all()))
        specs = (self._spec(key, found.get(key) or self._anew(key)) for key in wanted)
        return [spec for spec in specs if spec is not None]

    def _anew(self, key: PoolKey) -> Resolved:
        return _resolve(self._settings, key, self._known(key))

    def _all(self) -> dict[PoolKey, Known]:
        return {key: self._known(key) for key in dict.fromkeys((*self._triggers, *self._discovered))}

    def _known(self, key: PoolKey) -> Known:
        """What is known of the pool now."""
        known = self._discovered.get(key, Known())
        return Known(self._triggers.get(key, known.metadata), known.found)

    def _spec(self, key: PoolKey, resolved: Resolved) -> PoolSpec | None:
        """The pool as it is wanted, or as it was where that contradicts its trigger."""
        if isinstance(resolved, PoolSpec):
            return resolved
        LOG.warning(
            "a pool keeps its former settings, for the new ones contradict its trigger",
            extra={"pool": str(key), "why": str(resolved)},
        )
        return self.find(key)


def _resolved(settings: Settings, known: Mapping[PoolKey, Known]) -> dict[PoolKey, Resolved]:
    """Every pool of the file, and of these."""
    wanted = dict.fromkeys((*keys(settings), *known))
    return {key: _resolve(settings, key, known.get(key, Known())) for key in wanted}


def _resolve(settings: Settings, key: PoolKey, known: Known) -> Resolved:
    try:
        return resolve(settings, key, known.metadata, known.found)
    except ConfigError as error:
        return error
