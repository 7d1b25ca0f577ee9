"""KEDA's door through all changes of who leads: one port, and a server for each role.

KEDA keeps its connection for as long as it can. So when a term begins or ends, every stream ends with OK, every
connection is told to go, and the next server listens on the same port: KEDA then asks the Service again, which knows
who leads. A replica that stands by goes on to listen, so that a client that comes by mistake is told why in words, and
sends it away after a second.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Final

from scaler.core.types import Seconds
from scaler.external.listener import GRACE, Listener
from scaler.external.server import ExternalScaler
from scaler.live.certificates import Certificates
from scaler.live.clock import Clock
from scaler.live.office import Office, Term

HEED: Final[Seconds] = 0.5


class Reception:
    """The door. To be opened once and closed once."""

    def __init__(
        self,
        scaler: ExternalScaler,
        office: Office,
        *,
        ready: Callable[[], bool] = lambda: True,
        certificates: Certificates | None = None,
        grace: Seconds = GRACE,
    ) -> None:
        self._scaler, self._office, self._ready = scaler, office, ready
        self._certificates, self._grace = certificates, grace
        self._address = ""
        self._term: Term | None = None
        self._listener: Listener | None = None

    async def open(self, address: str) -> int:
        """Listen on ``host:port``; port 0 takes a free one, and keeps it.

        Returns:
            The port.

        Raises:
            ListenError: the address is taken or not ours.
        """
        self._term = self._office.term
        listener = Listener(self._scaler, brief=self._term is None)
        port = await listener.open(address, self._certificates, serving=self._ready())
        self._listener, self._address = listener, f"{address.rpartition(':')[0]}:{port}"
        return port

    async def follow(self) -> None:
        """Change roles with the office, until cancelled.

        Raises:
            ListenError: somebody else took the port in between.
        """
        while True:
            await self._office.turned(self._term)
            await self.close()
            await self.open(self._address)

    async def heed(self, clock: Clock) -> None:
        """Let the health service say whether this process is ready, until cancelled."""
        while True:
            if self._listener is not None:
                await self._listener.say(serving=self._ready())
            await clock.sleep_until(clock.now() + HEED)

    async def close(self) -> None:
        """End the streams with OK, tell every client to go, and cut off what lasts longer than the grace."""
        listener, self._listener = self._listener, None
        if listener is not None:
            await listener.close(self._grace)


@asynccontextmanager
async def receiving(reception: Reception, address: str) -> AsyncIterator[int]:
    """Keep the door open inside the block; the value is its port.

    Raises:
        ListenError: the address is taken or not ours.
    """
    port = await reception.open(address)
    try:
        yield port
    finally:
        await reception.close()
