"""One pod on a node, from when it is bound to it until it is gone.

When it is deleted each of its containers is ended within the grace period, which a second deletion can shorten, and
only when nothing runs any more is the object removed.
"""

from __future__ import annotations

import asyncio
import shutil
from asyncio import Future
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from functools import partial
from http import HTTPStatus
from pathlib import Path
from typing import Final

import aiohttp

from scaler.core.types import Instant, Seconds
from scaler.live.clock import Alarm, Clock
from tests.cluster.harness.api import STRATEGIC, Api, ApiError, Json
from tests.cluster.harness.container import Launch
from tests.cluster.harness.containerlife import ContainerLife
from tests.cluster.harness.podspec import Container, PodSpec
from tests.cluster.harness.podstatus import State, restarts, status
from tests.cluster.harness.volumes import Volumes, surroundings

FORCED: Final[Seconds] = 1.0  # the grace of a pod whose object is gone already
RETRY: Final[Seconds] = 0.5  # of a write that nobody has answered
ANOTHER: Final = {HTTPStatus.NOT_FOUND, HTTPStatus.CONFLICT}  # the object is gone, or there is another of its name


@dataclass(frozen=True, slots=True)
class Host:
    """What all pods of a node share.

    Attributes:
        cluster: the API server as a kubeconfig names it.
        folder: for logs and volumes.
    """

    api: Api
    clock: Clock
    cluster: Mapping[str, str]
    folder: Path


class PodRun:
    """Runs one pod. Belongs to one event loop."""

    def __init__(self, spec: PodSpec, ip: str, host: Host) -> None:
        self._spec = spec
        self._ip = ip
        self._host = host
        self._folder = host.folder / f"{spec.namespace}_{spec.name}_{spec.uid}"
        self._volumes = Volumes(host.api, spec, self._folder, ip)
        self._states = [State(c, restarts(spec.object, c.name)) for c in spec.containers]
        self._launches: dict[str, Launch] = {}
        self._started_at = host.clock.now()
        self._deadline: Future[None] = asyncio.get_running_loop().create_future()
        self._ends_at: Instant | None = None
        self._alarm: Alarm | None = None
        self._stopping = asyncio.Event()
        self._changed = asyncio.Event()
        self._sent: Mapping[str, Json] = {}
        self._forgotten = False

    def delete(self, grace: Seconds) -> None:
        """End within so many seconds; a second call can only shorten that."""
        end = self._host.clock.now() + grace
        if self._ends_at is not None and end >= self._ends_at:
            return
        if self._alarm is not None:
            self._alarm.cancel()
        self._ends_at = end
        self._alarm = self._host.clock.alarm(end, partial(self._deadline.set_result, None))
        self._stopping.set()

    def forget(self) -> None:
        """The object is gone already: end almost at once, and write nothing more."""
        self._forgotten = True
        self.delete(FORCED)

    async def live(self) -> None:
        """Run until told to stop; then end everything and remove the object. Cancelled, it ends everything at once."""
        lives = [self._life(state) for state in self._states]
        kept = [asyncio.create_task(life.keep()) for life in lives]
        reporting = asyncio.create_task(self._report_changes())
        try:
            await self._stopping.wait()
            await asyncio.gather(*(life.stop(self._deadline) for life in lives))
        finally:
            for task in (*kept, reporting):
                task.cancel()
            await asyncio.gather(*kept, reporting, return_exceptions=True)
            if self._alarm is not None:
                self._alarm.cancel()
        if not self._forgotten:
            await self._persist(self._report)
            await self._persist(self._remove)
        shutil.rmtree(self._folder / "volumes", ignore_errors=True)

    def _life(self, state: State) -> ContainerLife:
        launch = partial(self._launch, state.container)
        return ContainerLife(self._spec, state, self._host.clock, launch, self._changed.set, self._stopping)

    async def _launch(self, container: Container) -> Launch:
        """How a container is started; found out once, so that one is started again while the API server is away."""
        if container.name not in self._launches:
            self._launches[container.name] = await self._prepare(container)
        return self._launches[container.name]

    async def _prepare(self, container: Container) -> Launch:
        """Fill the volumes and the variables.

        Raises:
            ApiError, KeyError: something that the container needs is missing.
            UnsupportedError: it cannot be had here.
        """
        folder = self._folder / container.name
        folder.mkdir(parents=True, exist_ok=True)
        await self._volumes.fill()
        env = surroundings(folder) | {"HOSTNAME": self._spec.name}
        env["KUBECONFIG"] = str(await self._volumes.kubeconfig(self._host.cluster))
        env = await self._volumes.environment(container, env)
        words = self._volumes.command(container, env)
        return Launch(words, env, folder, self._ip, self._folder / f"{container.name}.log")

    async def _report_changes(self) -> None:
        while True:
            self._changed.clear()
            await self._persist(self._report)
            await self._changed.wait()

    async def _persist(self, write: Callable[[], Awaitable[None]]) -> None:
        """Write until it is written, or until there is nothing to write to."""
        while not self._forgotten:
            try:
                await write()
            except ApiError as error:
                if error.status in ANOTHER:
                    return
                await asyncio.sleep(RETRY)
            except (aiohttp.ClientError, TimeoutError, OSError):
                await asyncio.sleep(RETRY)
            else:
                return

    async def _report(self) -> None:
        now = status(self._spec, self._states, self._ip, self._started_at)
        if now != self._sent:
            body: Json = {"metadata": {"uid": self._spec.uid}, "status": now}
            await self._host.api.patch(f"{self._path}/status", body, kind=STRATEGIC)
            self._sent = now

    async def _remove(self) -> None:
        body: Json = {"gracePeriodSeconds": 0, "preconditions": {"uid": self._spec.uid}}
        await self._host.api.send("DELETE", self._path, body)

    @property
    def _path(self) -> str:
        return f"/api/v1/namespaces/{self._spec.namespace}/pods/{self._spec.name}"
