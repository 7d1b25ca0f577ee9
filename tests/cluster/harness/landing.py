"""Follows what becomes of a workload's ``spec.replicas``."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from scaler.controller.dig import whole
from scaler.controller.feed import Put
from tests.cluster.harness.api import open_api


class Replicas:
    """Every value that ``spec.replicas`` of one workload has had, in order, repeated ones left out."""

    def __init__(self) -> None:
        self.seen: list[int] = []
        self._moved = asyncio.Condition()

    async def note(self, replicas: int) -> None:
        """It has this value now."""
        if self.seen[-1:] != [replicas]:
            async with self._moved:
                self.seen.append(replicas)
                self._moved.notify_all()

    async def reaches(self, replicas: int, *, within: float = 60.0) -> None:
        """Return when it has this value.

        Raises:
            AssertionError: it has another after so many seconds.
        """
        try:
            async with asyncio.timeout(within), self._moved:
                await self._moved.wait_for(lambda: self.seen[-1:] == [replicas])
        except TimeoutError:
            raise AssertionError(f"spec.replicas is {self.seen[-5:]} and not {replicas} after {within:g} s") from None


@asynccontextmanager
async def followed(kubeconfig: Path, plural: str, namespace: str, name: str) -> AsyncIterator[Replicas]:
    """Follow one workload until the end of the block."""
    replicas = Replicas()

    async def follow() -> None:
        query: dict[str, str | int] = {"fieldSelector": f"metadata.name={name}"}
        async with open_api(kubeconfig) as api:
            async for change in api.follow(f"/apis/apps/v1/namespaces/{namespace}/{plural}", query):
                if isinstance(change, Put):
                    await replicas.note(whole(change.found, "spec", "replicas", otherwise=0))

    following = asyncio.create_task(follow())
    try:
        yield replicas
    finally:
        following.cancel()
        await asyncio.wait([following])
