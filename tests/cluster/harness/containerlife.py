"""A container's life on a node: one process after the other, as its pod's restart policy and its probes say."""

from __future__ import annotations

import asyncio
from asyncio import Future
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final

import aiohttp

from scaler.core.types import Seconds
from scaler.live.clock import Clock
from tests.cluster.harness.api import ApiError
from tests.cluster.harness.container import Ended, Launch, Running
from tests.cluster.harness.podspec import PodSpec, Probe, UnsupportedError
from tests.cluster.harness.podstatus import State

RETRY: Final[Seconds] = 0.5  # where something it needs is missing
PAUSES: Final[tuple[Seconds, ...]] = (0.0, 1.0, 2.0, 4.0, 8.0, 16.0)  # kubelet's are ten times as long
STEADY: Final[Seconds] = 60.0  # whoever ran so long begins with the first pause again


@dataclass(frozen=True, slots=True)
class ContainerLife:
    """Keeps one container running.

    Attributes:
        state: how it stands; read by whoever reports it.
        launch: finds out how it is started.
        changed: is called when the state has changed.
        stopping: once set, nothing is started any more.
    """

    spec: PodSpec
    state: State
    clock: Clock
    launch: Callable[[], Awaitable[Launch]]
    changed: Callable[[], None]
    stopping: asyncio.Event

    async def keep(self) -> None:
        """Run it, and again as often as the policy says. Cancelled, it ends at once."""
        failures = 0
        while not self.stopping.is_set():
            if (launch := await self._launch()) is None:
                await asyncio.sleep(RETRY)
                continue
            ended = await self._run(launch)
            if self.stopping.is_set() or not _again(self.spec.restart, ended):
                return
            failures = 1 if ended.finished_at - ended.started_at > STEADY else failures + 1
            self.state.restarts += 1
            self._wait_for("CrashLoopBackOff", f"it ended with {ended.code}")
            await asyncio.sleep(PAUSES[min(failures, len(PAUSES)) - 1])

    async def stop(self, deadline: Future[None]) -> None:
        """End what runs; it has until the deadline for it."""
        if self.state.running is not None:
            await self.state.running.stop(deadline)

    async def _launch(self) -> Launch | None:
        """How it is started; None while something that it needs is missing."""
        try:
            return await self.launch()
        except (ApiError, KeyError, UnsupportedError, aiohttp.ClientError, TimeoutError) as error:
            self._wait_for("CreateContainerConfigError", str(error))
            return None

    def _wait_for(self, reason: str, why: str) -> None:
        self.state.waits_for, self.state.why = reason, why
        self.changed()

    async def _run(self, launch: Launch) -> Ended:
        """One process, from its start to its end."""
        running = self.state.running = await Running.start(self.state.container, launch, self.clock)
        self._wait_for("", "")
        probing = asyncio.create_task(self._probe(running))
        try:
            ended = self.state.last = await running.ended()
        finally:
            running.kill()
            probing.cancel()
            self.state.running, self.state.started, self.state.ready = None, False, False
            self.changed()
        return ended

    async def _probe(self, running: Running) -> None:
        """Ask as its probes say, and end it where they say so."""
        container = self.state.container
        if container.startup is not None and not await _passes(container.startup, running):
            await self._give_up(running)
            return
        self.state.started, self.state.ready = True, container.readiness is None
        self.changed()
        async with asyncio.TaskGroup() as group:
            if container.readiness is not None:
                group.create_task(self._watch_readiness(container.readiness, running))
            if container.liveness is not None:
                group.create_task(self._watch_liveness(container.liveness, running))

    async def _watch_readiness(self, probe: Probe, running: Running) -> None:
        row = 0
        await asyncio.sleep(probe.delay)
        while True:
            succeeded = await running.succeeds(probe.asks, within=probe.timeout)
            row = max(row, 0) + 1 if succeeded else min(row, 0) - 1
            if succeeded != self.state.ready and row in {probe.successes, -probe.failures}:
                self.state.ready = succeeded
                self.changed()
            await asyncio.sleep(probe.period)

    async def _watch_liveness(self, probe: Probe, running: Running) -> None:
        failed = 0
        await asyncio.sleep(probe.delay)
        while failed < probe.failures:
            failed = 0 if await running.succeeds(probe.asks, within=probe.timeout) else failed + 1
            await asyncio.sleep(probe.period if failed < probe.failures else 0.0)
        await self._give_up(running)

    async def _give_up(self, running: Running) -> None:
        """End a process that a probe has given up, within the pod's own grace period."""
        deadline: Future[None] = asyncio.get_running_loop().create_future()
        alarm = self.clock.alarm(self.clock.now() + self.spec.grace, lambda: deadline.set_result(None))
        try:
            await running.stop(deadline)
        finally:
            alarm.cancel()


async def _passes(probe: Probe, running: Running) -> bool:
    """Whether the probe succeeds before it has failed too often."""
    await asyncio.sleep(probe.delay)
    for _ in range(probe.failures):
        if await running.succeeds(probe.asks, within=probe.timeout):
            return True
        await asyncio.sleep(probe.period)
    return False


def _again(policy: str, ended: Ended) -> bool:
    """Whether a container that ended so is started again."""
    return policy == "Always" or (policy == "OnFailure" and ended.code != 0)
