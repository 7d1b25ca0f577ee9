"""The seat of this process among its replicas: alone, or a candidate for a Lease."""

from __future__ import annotations

import asyncio
import secrets
import socket
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final, TypeAlias

from scaler.cli.output import refuse
from scaler.config.names import is_name, is_namespace
from scaler.core.types import Seconds
from scaler.live.clock import Clock, steady
from scaler.live.office import ALONE, Office

LEAVE_WITHIN: Final[Seconds] = 0.7  # the steps of an orderly end add up to less than its bound
Work: TypeAlias = Coroutine[None, None, None]


@dataclass(frozen=True, slots=True)
class Candidacy:
    """What was asked for: the Lease as NAMESPACE/NAME, the name of our pod, and how to reach the API server."""

    lease: str | None = None
    identity: str | None = None
    kubeconfig: Path | None = None


@dataclass(frozen=True, slots=True)
class Seat:
    """The office; what has to run for it, given what begins a term; and how to leave it once nobody is answered."""

    office: Office
    work: Callable[[Callable[[], None]], tuple[Work, ...]]
    leave: Callable[[], Work]


def check(asked: Candidacy) -> None:
    """Refuse what is no Lease."""
    if asked.lease is not None:
        namespace, slash, name = asked.lease.partition("/")
        if not (slash and is_namespace(namespace) and is_name(name)):
            refuse(f"--lease {asked.lease!r} is no Lease: write NAMESPACE/NAME, as in keda/agent-scaler")


@asynccontextmanager
async def seated(asked: Candidacy, clock: Clock) -> AsyncIterator[Seat]:
    """Take the seat, with a connection to the API server where that is needed."""
    if asked.lease is None:
        yield Seat(ALONE, lambda _: (), _stay)
        return
    from scaler.controller.api import ApiError, ConnectError, StaleError, open_api
    from scaler.controller.badge import Badge, PodName
    from scaler.controller.leader import Leader
    from scaler.controller.lease import Candidate
    from scaler.controller.leases import LeaseName, Leases

    name = LeaseName(*asked.lease.split("/"))
    pod = asked.identity or socket.gethostname()
    try:
        async with open_api(asked.kubeconfig) as api:
            candidate = Candidate(name=f"{pod}_{secrets.token_hex(4)}")  # a pod may have several processes in turn
            leader = Leader(Leases(api, name, clock.now), candidate, steady)
            badge = Badge(api, PodName(name.namespace, pod))

            async def leave() -> None:
                """Give the Lease back, so that another may lead at once."""
                with suppress(ApiError, StaleError, TimeoutError):
                    async with asyncio.timeout(LEAVE_WITHIN):
                        await leader.release()
                        await badge.take_off()

            yield Seat(leader, lambda begin: (leader.run(begin), badge.follow(leader)), leave)
    except ConnectError as error:
        refuse(f"--lease needs the API server: {error}; name a --kubeconfig outside a pod")


async def _stay() -> None:
    """There is nothing to give back."""
