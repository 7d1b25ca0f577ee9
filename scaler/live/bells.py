"""Who is rung when something of a pool changes. Belongs to one event loop."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from scaler.config.pool import PoolKey


class Bells:
    """Listeners by pool. The pool need not be known yet."""

    def __init__(self) -> None:
        self._listeners: dict[PoolKey, dict[object, Callable[[], None]]] = {}

    @contextmanager
    def listening(self, key: PoolKey, ring: Callable[[], None]) -> Iterator[None]:
        """Have ``ring`` called, from within ``ring`` of the pool, until the end of the block."""
        listeners, listener = self._listeners.setdefault(key, {}), object()
        listeners[listener] = ring
        try:
            yield
        finally:
            del listeners[listener]
            if not listeners:
                self._listeners.pop(key, None)

    def ring(self, key: PoolKey) -> None:
        """Tell everybody who listens for the pool."""
        for each in tuple(self._listeners.get(key, {}).values()):
            each()
