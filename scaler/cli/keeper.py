"""Who keeps the pools: those of the file, and those that triggers bring."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from typing import TypeAlias

from scaler.config.check import keys
from scaler.config.metadata import TriggerMetadata
from scaler.config.pool import PoolKey, PoolSpec
from scaler.config.problems import ConfigError
from scaler.config.resolve import resolve
from scaler.config.settings import Settings
from scaler.live.clock import Clock
from scaler.live.registry import Registry

LOG = logging.getLogger(__name__)
SILENT = TriggerMetadata()
Resolved: TypeAlias = PoolSpec | ConfigError


class Keeper:
    """Resolves pools into the registry. Belongs to one event loop."""

    def __init__(self, settings: Settings, registry: Registry, clock: Clock) -> None:
        self._settings, self._registry, self._clock = settings, registry, clock
        self._triggers: dict[PoolKey, TriggerMetadata] = {}
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
        spec = resolve(self._settings, key, metadata)
        self._triggers[key] = metadata
        return self._registry.put(spec, self._clock.now()).spec

    def dismiss(self, key: PoolKey) -> None:
        """Drop the trigger's metadata, and the pool if the file does not name it."""
        self._triggers.pop(key, None)
        if key in keys(self._settings):
            self._registry.put(resolve(self._settings, key, SILENT), self._clock.now())
        else:
            self._registry.remove(key)

    async def reload(self, settings: Settings) -> None:
        """Let new settings hold from the next tick on. Pools keep what they have learnt.

        The pools are resolved in a thread, for thousands of them take a second and calls must not wait.
        """
        triggers = dict(self._triggers)
        found = await asyncio.to_thread(_resolved, settings, triggers)
        for key in triggers.keys() | self._triggers.keys():
            if triggers.get(key) is not self._triggers.get(key):  # the trigger came, went or changed in the meantime
                found.pop(key, None)
        self._settings = settings
        self._registry.replace(self._specs(found), self._clock.now())

    def _specs(self, found: Mapping[PoolKey, Resolved]) -> list[PoolSpec]:
        """Every pool as the settings and its trigger have it now; ``found`` are those that are resolved already."""
        wanted = dict.fromkeys((*keys(self._settings), *self._triggers))
        specs = (self._spec(key, found.get(key) or self._anew(key)) for key in wanted)
        return [spec for spec in specs if spec is not None]

    def _anew(self, key: PoolKey) -> Resolved:
        return _resolve(self._settings, key, self._triggers.get(key, SILENT))

    def _spec(self, key: PoolKey, resolved: Resolved) -> PoolSpec | None:
        """The pool as it is wanted, or as it was where that contradicts its trigger."""
        if isinstance(resolved, PoolSpec):
            return resolved
        LOG.warning(
            "a pool keeps its former settings, for the new ones contradict its trigger",
            extra={"pool": str(key), "why": str(resolved)},
        )
        return self.find(key)


def _resolved(settings: Settings, triggers: Mapping[PoolKey, TriggerMetadata]) -> dict[PoolKey, Resolved]:
    """Every pool of the file and of these triggers."""
    wanted = dict.fromkeys((*keys(settings), *triggers))
    return {key: _resolve(settings, key, triggers.get(key, SILENT)) for key in wanted}


def _resolve(settings: Settings, key: PoolKey, metadata: TriggerMetadata) -> Resolved:
    try:
        return resolve(settings, key, metadata)
    except ConfigError as error:
        return error
