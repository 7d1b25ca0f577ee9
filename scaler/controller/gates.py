"""The gates of agents, as the controller speaks to them: close, and open again."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from http import HTTPStatus
from typing import Final

import aiohttp

from scaler.controller.facts import PodFacts
from scaler.controller.orders import Signer
from scaler.core.types import Seconds, Unknown
from scaler.live.clock import Clock

PATIENCE: Final[Seconds] = 3.0
BODY: Final = 4_096  # bytes of one answer
SOCKETS: Final = 256


@dataclass(frozen=True, slots=True)
class Reply:
    """What a gate said: its state and epoch; where it is busy, how many tasks and sessions hold it."""

    state: str
    epoch: int
    inflight: int = 0
    sessions: int = 0


class Gates:
    """Speaks to gates. Belongs to one event loop.

    Attributes:
        clock: by which orders are dated.
    """

    def __init__(self, session: aiohttp.ClientSession, signer: Signer, clock: Clock) -> None:
        self._session, self._signer, self.clock = session, signer, clock

    async def close(self, pod: PodFacts, epoch: int) -> Reply | Unknown:
        """Ask the pod to take nothing more, in this epoch."""
        return await self._tell(pod, "drain", epoch)

    async def open(self, pod: PodFacts, epoch: int) -> Reply | Unknown:
        """Let the pod take work again, in this epoch."""
        return await self._tell(pod, "resume", epoch)

    async def _tell(self, pod: PodFacts, act: str, epoch: int) -> Reply | Unknown:
        if not pod.gate:
            return Unknown("the pod has no address")
        order = self._signer.order(act, pod.uid, epoch, self.clock.now())
        try:
            async with self._session.post(
                f"{pod.gate}/{act}", json={"order": order}, allow_redirects=False
            ) as response:
                body = await response.content.read(BODY)
                if response.status != HTTPStatus.OK:
                    return Unknown(f"HTTP {response.status}: {body[:200].decode(errors='replace')}")
        except (TimeoutError, aiohttp.ClientError, ValueError) as error:
            return Unknown(f"the gate cannot be reached: {error!r}")
        return _reply(body)


@asynccontextmanager
async def open_gates(signer: Signer, clock: Clock) -> AsyncIterator[Gates]:
    """Gates, and connections to them that are closed at the end."""
    async with aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=SOCKETS),
        timeout=aiohttp.ClientTimeout(total=PATIENCE),
        cookie_jar=aiohttp.DummyCookieJar(),
    ) as session:
        yield Gates(session, signer, clock)


def _reply(body: bytes) -> Reply | Unknown:
    try:
        said = json.loads(body)
    except ValueError:
        said = None
    if not isinstance(said, dict) or not isinstance(said.get("state"), str) or not isinstance(said.get("epoch"), int):
        return Unknown(f"the gate's answer has no state and epoch: {body[:80].decode(errors='replace')!r}")
    return Reply(said["state"], said["epoch"], _count(said, "inflight"), _count(said, "sessions"))


def _count(said: Mapping[str, object], key: str) -> int:
    value = said.get(key, 0)
    return value if isinstance(value, int) else 0
