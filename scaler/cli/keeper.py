"""Who keeps the pools: those of the file, and those that triggers bring."""

from __future__ import annotations

import logging
from collections.abc import Iterator

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


class Keeper:
    """Resolves pools into the registry. Belongs to one event loop."""

    def __init__(self, settings: Settings, registry: Registry, clock: Clock) -> None:
        self._settings, self._registry, self._clock = settings, registry, clock
        self._triggers: dict[PoolKey, TriggerMetadata] = {}
        registry.replace(self._specs(), clock.now())

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

    def reload(self, settings: Settings) -> None:
        """Let new settings hold from the next tick on. Pools keep what they have learnt."""
        self._settings = settings
        self._registry.replace(self._specs(), self._clock.now())

    def _specs(self) -> Iterator[PoolSpec]:
        """Every pool as the settings and its trigger have it now."""
        for key in dict.fromkeys((*keys(self._settings), *self._triggers)):
            try:
                yield resolve(self._settings, key, self._triggers.get(key, SILENT))
            except ConfigError as error:
                LOG.warning("pool %s keeps its former settings, the new ones contradict its trigger: %s", key, error)
                former = self.find(key)
                if former is not None:
                    yield former
