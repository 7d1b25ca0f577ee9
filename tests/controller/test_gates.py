"""Orders to a gate over real HTTP: what is sent, and that whatever comes back instead of an answer is none."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from urllib.parse import urlsplit

import pytest
from aiohttp import web

from scaler.controller import gates
from scaler.controller.facts import PodFacts
from scaler.controller.gates import Gates, Reply, open_gates
from scaler.controller.names import GATE_PORT
from scaler.controller.orders import Signer
from scaler.core.types import Unknown
from scaler.live.clock import VirtualClock
from tests.controller.objects import a_pod
from tests.support.http import serving
from tests.support.pools import NOON

SIGNER = Signer.new()


@dataclass
class Gate:
    """An agent's gate that answers what it is told to."""

    status: int = 200
    body: str = '{"state": "drained", "epoch": 3}'
    hangs: bool = False
    asked: list[tuple[str, str]] = field(default_factory=list)

    async def handle(self, request: web.Request) -> web.Response:
        """An order."""
        self.asked.append((request.path, (await request.json())["order"]))
        if self.hangs:
            await asyncio.Event().wait()
        return web.Response(status=self.status, text=self.body, headers={"Location": "/elsewhere"})


@asynccontextmanager
async def meeting(gate: Gate) -> AsyncIterator[tuple[Gates, PodFacts]]:
    """Somebody who speaks to gates, and a pod that has this one."""
    app = web.Application()
    app.router.add_post("/{act}", gate.handle)
    async with serving(app) as url, open_gates(SIGNER, VirtualClock(NOON)) as speaker:
        yield speaker, a_pod(ip="127.0.0.1", annotations={GATE_PORT: str(urlsplit(url).port)})


def claims(order: str) -> dict[str, str | int]:
    """What an order says, if its signature is ours."""
    signed, _, signature = order.rpartition(".")
    SIGNER.key.public_key().verify(base64.urlsafe_b64decode(signature + "=="), signed.encode())
    part = signed.split(".")[1]
    found: dict[str, str | int] = json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))
    return found


async def test_an_order_is_signed_and_for_this_pod_and_epoch_alone() -> None:
    """To close, and to open again."""
    gate = Gate()
    async with meeting(gate) as (speaker, pod):
        assert await speaker.close(pod, 3) == Reply("drained", 3)
        gate.body = '{"state": "active", "epoch": 4}'
        assert await speaker.open(pod, 4) == Reply("active", 4)
    (closing, first), (opening, second) = gate.asked
    assert (closing, opening) == ("/drain", "/resume")
    said = [claims(order) for order in (first, second)]
    assert [(each["sub"], each["act"], each["epoch"]) for each in said] == [
        (pod.uid, "drain", 3),
        (pod.uid, "resume", 4),
    ]


async def test_a_busy_gate_says_what_holds_it() -> None:
    """Tasks and sessions."""
    async with meeting(Gate(body='{"state": "busy", "epoch": 3, "inflight": 2, "sessions": 1}')) as (speaker, pod):
        assert await speaker.close(pod, 3) == Reply("busy", 3, 2, 1)


@pytest.mark.parametrize(
    "gate",
    [
        Gate(status=403, body="not believed"),
        Gate(status=409, body='{"uid": "another", "epoch": 9}'),
        Gate(status=302),
        Gate(body="<html>"),
        Gate(body="[]"),
        Gate(body='{"state": "drained"}'),
        Gate(body='{"state": 1, "epoch": 3}'),
        Gate(body="x" * 100_000),
    ],
    ids=["403", "409", "redirected", "no JSON", "no object", "no epoch", "no state", "too long"],
)
async def test_what_is_no_answer_is_unknown(gate: Gate) -> None:
    """So nothing is taken for closed that did not say so."""
    async with meeting(gate) as (speaker, pod):
        assert isinstance(await speaker.close(pod, 3), Unknown)


async def test_nobody_there_is_unknown() -> None:
    """A pod that is gone, and one that has no address yet."""
    async with open_gates(SIGNER, VirtualClock(NOON)) as speaker:
        nowhere = a_pod(ip="127.0.0.1", annotations={GATE_PORT: "1"})
        assert isinstance(await speaker.close(nowhere, 1), Unknown)
        assert isinstance(await speaker.close(a_pod(ip=""), 1), Unknown)


async def test_a_gate_that_hangs_holds_nobody_up() -> None:
    """It is given its time and no more."""
    async with meeting(Gate(hangs=True)) as (speaker, pod):
        async with asyncio.timeout(5 * gates.PATIENCE):
            assert isinstance(await speaker.close(pod, 3), Unknown)
