"""Orders carried out: what becomes of one that the API server does not take."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from aiohttp import web

from scaler.config.pool import PoolKey
from scaler.controller.drainer import Drainer
from scaler.controller.estate import Estate
from scaler.controller.events import Events
from scaler.controller.gates import open_gates
from scaler.controller.names import MANAGED, POOL
from scaler.controller.orders import Signer
from scaler.controller.pen import Pen
from scaler.core.types import Order, Verb
from scaler.live.clock import SystemClock
from scaler.live.deeds import Deeds
from scaler.live.office import ALONE
from tests.controller.objects import pod_object
from tests.controller.served import PODS, Server, reached
from tests.support.wait import eventually

KEY = PoolKey("agents", "coder")
MARK = Order(Verb.MARK, "uid-coder-a", 1)


@dataclass
class Strained(Server):
    """It takes no order for a pod, and says of none how it is."""

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """One call."""
        if request.path != f"{PODS}/coder-a":
            return await super().handle(request)
        self.writes[request.method] += 1
        return web.json_response({}, status=409 if request.method == "PATCH" else 503)


async def roomy(_: PoolKey) -> bool:
    """There is room for whoever is to be deleted."""
    return True


async def test_a_pod_of_which_nobody_says_how_it_is_stays_known(tmp_path: Path) -> None:
    """Or it would count as gone, and its task with it. The next tick orders again what has not come about."""
    server, clock = (
        Strained([pod_object("coder-a", labels={"app": "coder", MANAGED: "true", POOL: "coder"})]),
        SystemClock(),
    )
    async with reached(tmp_path, server) as api, open_gates(Signer.new(), clock) as gates:
        pen, estate = Pen(api, ALONE, Deeds()), Estate(api)
        drainer = Drainer(estate, pen, gates, Events(pen, clock), roomy)
        estate.keep({KEY.namespace})

        async def ordered_again() -> bool | None:
            """Another tick orders it."""
            drainer.carry_out(KEY, (MARK,))
            return server.writes["PATCH"] > 1 or None

        await eventually(ordered_again)
        assert server.writes["GET"]
        estate.keep(set())
