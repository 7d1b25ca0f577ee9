"""A keeper of a small file, its registry, and a clock that the test advances."""

from __future__ import annotations

from scaler.cli.keeper import Keeper
from scaler.config.check import checked
from scaler.config.pool import PoolKey
from scaler.live.clock import VirtualClock
from scaler.live.registry import Registry

NOON = 1_795_262_400.0  # 2026-11-21 12:00:00 UTC
CODER, WRITER = PoolKey("agents", "coder"), PoolKey("agents", "writer")
FILE = """\
sources: {prometheus: {url: "http://prometheus:9090"}}
classes:
  coding:
    max: 9
    signals: {queue: 'queued{n="{namespace}", p="{name}"}'}
    replicas: replicas{n="{namespace}", d="{name}"}
pools:
  agents/coder: {class: coding, min: 2}
"""


class World:
    """A keeper of the file above, its registry, and a clock."""

    def __init__(self) -> None:
        self.clock, self.registry = VirtualClock(NOON), Registry()
        self.keeper = Keeper(checked(FILE), self.registry, self.clock)

    def bounds(self, key: PoolKey) -> tuple[int, int] | None:
        """Fewest and most replicas of a pool, None where nobody knows it."""
        spec = self.keeper.find(key)
        return None if spec is None else (spec.policy.min_replicas, spec.policy.max_replicas)
