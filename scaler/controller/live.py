"""How many pods a workload asks for at this very moment, read where no watch may be behind."""

from __future__ import annotations

from http import HTTPStatus
from typing import Final

from scaler.config.pool import PoolKey, WatchedPods
from scaler.controller.api import Request
from scaler.controller.dig import parsed, whole
from scaler.controller.pen import Pen
from scaler.core.types import Seconds, Unknown
from scaler.live.board import Board
from scaler.live.registry import Registry

PATIENCE: Final[Seconds] = 15.0  # a write given up is made all the same, and its connection is lost


class Live:
    """Reads workloads live, and holds them against the pools' targets."""

    def __init__(self, pen: Pen, registry: Registry, board: Board) -> None:
        self._pen, self._registry, self._board = pen, registry, board

    async def replicas(self, source: WatchedPods) -> int | Unknown:
        """What the workload asks for.

        Raises:
            ApiError: there was no answer.
        """
        answer = await self._pen.read(Request(method="GET", path=f"{source.path}/scale", within=PATIENCE))
        if answer.status == HTTPStatus.OK:
            return whole(parsed(answer.body), "spec", "replicas", otherwise=0)  # the API writes no zero into a scale
        return Unknown(f"{source.kind}/{source.name} has no scale: HTTP {answer.status} {answer.message}")

    async def is_lowered(self, key: PoolKey) -> bool | Unknown:
        """Whether the workload asks for no more than the target: one that is deleted now is not started again.

        Where the target wants the room of a drained pod, its workload asks for no more either, and starts another.
        """
        pool, posted = self._registry.get(key), self._board.get(key)
        if pool is None or posted is None or not isinstance(pool.spec.pods, WatchedPods):
            return Unknown(f"there is no pool {key}")
        report = posted.outcome.report
        if isinstance(report, Unknown):
            return report
        replicas = await self.replicas(pool.spec.pods)
        return replicas if isinstance(replicas, Unknown) else replicas <= report
