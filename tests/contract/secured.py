"""The external scaler behind TLS on a real socket, and those who call it with their certificates."""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import grpc

from scaler.config.clients import MayAsk
from scaler.core.types import Instant
from scaler.external.authentication import credentials
from scaler.external.client import Client, connected
from scaler.external.desk import Desk
from scaler.external.guard import Guard
from scaler.external.listener import listening
from scaler.external.server import ExternalScaler
from scaler.live.board import Board
from scaler.live.certificates import Certificates
from scaler.live.clock import VirtualClock
from tests.contract.door import CODER, Keeper, at_work
from tests.core.pool import NOW
from tests.support.certificates import Authority, Identity, Mount, authority
from tests.support.dial import presented


@dataclass
class Secured:
    """A door with a certificate, in front of the pool ``agents/coder``, which has two replicas.

    Attributes:
        servers: signs the door's certificates.
        clients: signs those of its clients.
        rules: which client may ask for which namespaces; the test may change them.
    """

    servers: Authority
    clients: Authority
    mount: Mount
    certificates: Certificates
    rules: MayAsk | None
    board: Board = field(default_factory=Board)
    scaler: ExternalScaler = field(init=False)
    port: int = 0

    def __post_init__(self) -> None:
        guard = Guard(lambda: self.rules)
        self.scaler = ExternalScaler(self.board, Desk(Keeper()), VirtualClock(NOW), guard=guard)

    @property
    def address(self) -> str:
        """Where it listens."""
        return f"localhost:{self.port}"

    def rotate(self, name: str, now: Instant = NOW) -> None:
        """Mount a new certificate and let the door look."""
        ca = self.clients.certificate if self.mount.files.client_ca else None
        self.mount.put(self.servers.server(name), ca)
        self.certificates.look(now)

    @asynccontextmanager
    async def caller(self, client: Identity | None = None) -> AsyncIterator[Client]:
        """A client that trusts the door and presents this certificate."""
        async with connected(self.address, credentials=trusting(self.servers, client)) as caller:
            yield caller

    async def presented(self) -> str:
        """The common name of the certificate that the door shows to whoever connects now."""
        return await presented(self.port, self.context())

    def context(self) -> ssl.SSLContext:
        """What a client that trusts the door connects with, outside gRPC."""
        context = ssl.create_default_context(cadata=self.servers.certificate.decode())
        context.set_alpn_protocols(["h2"])
        return context


def trusting(servers: Authority, client: Identity | None = None) -> grpc.ChannelCredentials:
    """What KEDA connects with for a TriggerAuthentication with this authority and this certificate."""
    parameters = {"caCert": servers.certificate.decode()}
    if client is not None:
        parameters |= {"tlsClientCert": client.certificate.decode(), "tlsClientKey": client.key.decode()}
    made = credentials({}, parameters)
    assert made is not None
    return made


@asynccontextmanager
async def secured(folder: Path, *, mutual: bool = True, rules: MayAsk | None = None) -> AsyncIterator[Secured]:
    """Open a door with a certificate on a free port; if ``mutual``, for clients of its authority only."""
    servers, clients, mount = authority("servers"), authority("clients"), Mount(folder / "mount")
    mount.put(servers.server("first"), clients.certificate if mutual else None)
    door = Secured(servers, clients, mount, Certificates("keda", mount.files, NOW), rules)
    door.board.publish(CODER, at_work(2))
    async with listening(door.scaler, "localhost:0", certificates=door.certificates, grace=1.0) as door.port:
        yield door
