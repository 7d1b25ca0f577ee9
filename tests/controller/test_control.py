"""The controller put together, on an API server as small as a namespace: a pool that is switched off in mid-drain."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from pathlib import Path

import pytest

from scaler.config.pool import PoolKey, WatchedPods
from scaler.controller.control import Control
from scaler.controller.gates import open_gates
from scaler.controller.names import EPOCH, MANAGED, PHASE, POOL
from scaler.controller.orders import Signer
from scaler.core.pods import Phase
from scaler.core.policy import Mode
from scaler.live.board import Board
from scaler.live.charge import Charge
from scaler.live.clock import SystemClock
from scaler.live.office import ALONE
from scaler.live.registry import Registry
from scaler.sources.activity_answer import Report
from tests.controller.objects import Object, a_report, pod_object
from tests.controller.served import Server, reached
from tests.support.pools import spec
from tests.support.wait import eventually

SOURCE = WatchedPods(pool=PoolKey("agents", "coder"), kind="deployments", name="coder")
LABELS = {"app": "coder", MANAGED: "true", POOL: "coder"}


async def says(urls: Iterable[str]) -> Mapping[str, Report]:
    """Every agent's gate is closed for the third order."""
    return {url: a_report("uid-coder-a", phase=Phase.DRAINING, epoch=3) for url in urls}


@asynccontextmanager
async def switched_off(folder: Path, server: Server) -> AsyncIterator[Control]:
    """A controller of a pool whose mode is off."""
    async with reached(folder, server) as api, open_gates(Signer.new(), SystemClock()) as gates:
        charge = Charge(Registry(), Board(), ALONE, SystemClock())
        made = spec(pods=SOURCE)
        charge.registry.put(replace(made, policy=replace(made.policy, mode=Mode.OFF)), charge.clock.now())
        control = Control(api, gates, says, charge)
        tasks = [asyncio.create_task(work) for work in control.work()]
        try:
            yield control
        finally:
            for task in tasks:
                task.cancel()
                with suppress(asyncio.CancelledError):
                    await task


async def opened(control: Control, server: Server) -> None:
    """Return once a gate was told to open."""

    async def told() -> bool | None:
        """The pods are looked at, and the gate is told."""
        await control.watched.pods(SOURCE, SystemClock().now())
        return server.writes["POST /resume"] > 0 or None

    await eventually(told)


@pytest.mark.parametrize(("owner", "phase"), [("nobody", "draining"), ("nobody", "active"), ("set-1", "active")])
async def test_a_pool_that_is_switched_off_leaves_nobody_shut(tmp_path: Path, owner: str, phase: str) -> None:
    """Not those whose owner asked either; and a gate that did not hear that it was called back is told again."""
    pod: Object = pod_object("coder-a", owner=owner, labels=LABELS | {PHASE: phase}, annotations={EPOCH: "3"})
    server = Server([pod])
    async with switched_off(tmp_path, server) as control:
        await opened(control, server)
    found = server.pods[0]["metadata"]
    assert found["labels"][PHASE] == "active"
