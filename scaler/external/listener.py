"""The socket KEDA calls: the external scaler beside health and reflection, opened and closed in good order."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final, Protocol

import grpc
import grpc.aio
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection

from scaler.core.types import Seconds
from scaler.external.server import ExternalScaler
from scaler.external.wire import SERVICE
from scaler.live.certificates import Certificates, Pair

GRACE: Seconds = 5.0  # a unary call takes microseconds and streams end at once, so this is only for clients that hang

_BURST: Final = 25_000  # every stream reopens at once after a restart; gRPC cancels some beyond a thousand

_BRIEF: Final = (  # a client that is told to go asks the Service again, and so comes to the replica that leads
    ("grpc.max_connection_age_ms", 1_000),
    ("grpc.max_connection_age_grace_ms", 1_000),
)

_OPTIONS: Final = (
    ("grpc.so_reuseport", 0),  # a second server on the same port is an error, not a silent half of the calls
    ("grpc.server.max_pending_requests", _BURST),
    ("grpc.server.max_pending_requests_hard_limit", 2 * _BURST),
    ("grpc.max_receive_message_length", 65_536),  # a ScaledObject's metadata is a few hundred bytes
    ("grpc.keepalive_time_ms", 60_000),  # KEDA pings nobody, so a stream to a node that died would stay for ever
    ("grpc.keepalive_timeout_ms", 20_000),
)


class ListenError(OSError):
    """The address cannot be listened on."""

    def __init__(self, address: str) -> None:
        super().__init__(f"cannot listen on {address}: another server may hold it, or it is no address of this machine")


class _Health(Protocol):
    """What we use of grpcio's health servicer."""

    async def set(self, service: str, status: health_pb2.HealthCheckResponse.ServingStatus) -> None: ...

    async def enter_graceful_shutdown(self) -> None: ...


class Listener:
    """One server, to be opened once and closed once. One that is ``brief`` sends clients away after a second."""

    def __init__(self, scaler: ExternalScaler, *, brief: bool = False) -> None:
        self._scaler, self._brief = scaler, brief
        self._health: _Health = health.aio.HealthServicer()  # type: ignore[attr-defined]  # the stubs do not know it
        self._server = grpc.aio.server(options=(*_OPTIONS, *(_BRIEF if brief else ())))
        self._server.add_generic_rpc_handlers((scaler.handler(),))
        health_pb2_grpc.add_HealthServicer_to_server(self._health, self._server)
        reflection.enable_server_reflection((SERVICE, health.SERVICE_NAME, reflection.SERVICE_NAME), self._server)

    async def open(self, address: str, certificates: Certificates | None = None, *, serving: bool = True) -> int:
        """Listen on ``host:port``, in plaintext where there are no certificates; port 0 takes a free one.

        The health service says ``serving`` of the scaler until it is told otherwise.

        Returns:
            The port.

        Raises:
            ListenError: the address is taken or not ours.
        """
        try:
            if certificates is None:
                port = self._server.add_insecure_port(address)
            else:
                port = self._server.add_secure_port(address, _credentials(certificates))
        except RuntimeError:
            raise ListenError(address) from None
        self._scaler.take_streams()
        await self._server.start()
        await self._health.set("", health_pb2.HealthCheckResponse.SERVING)
        await self.say(serving=serving)
        return port

    async def say(self, *, serving: bool) -> None:
        """Say by the health service whether calls find targets here; a server that is ``brief`` never has any."""
        here = serving and not self._brief
        status = health_pb2.HealthCheckResponse.SERVING if here else health_pb2.HealthCheckResponse.NOT_SERVING
        await self._health.set(SERVICE, status)

    async def close(self, grace: Seconds = GRACE) -> None:
        """Say NOT_SERVING, end the streams with OK, let calls finish, and cut off what lasts longer than ``grace``."""
        await self._health.enter_graceful_shutdown()
        self._scaler.end_streams()
        await self._server.stop(grace)


@asynccontextmanager
async def listening(
    scaler: ExternalScaler, address: str, *, certificates: Certificates | None = None, grace: Seconds = GRACE
) -> AsyncIterator[int]:
    """Listen on the address inside the block, in plaintext where there are no certificates; the value is the port.

    Raises:
        ListenError: the address is taken or not ours.
    """
    listener = Listener(scaler)
    port = await listener.open(address, certificates)
    try:
        yield port
    finally:
        await listener.close(grace)


def _credentials(certificates: Certificates) -> grpc.ServerCredentials:
    """Credentials that go with the certificates. gRPC asks before each handshake; streams that are open stay."""
    given = certificates.pair

    def newest() -> grpc.ServerCertificateConfiguration | None:
        """The pair in force, None where gRPC has it."""
        nonlocal given
        pair = certificates.pair
        if pair is given:
            return None
        given = pair
        return _configuration(pair)

    return grpc.dynamic_ssl_server_credentials(
        _configuration(given),
        newest,  # type: ignore[arg-type]  # the stubs do not know that it may say None
        require_client_authentication=given.client_ca is not None,
    )


def _configuration(pair: Pair) -> grpc.ServerCertificateConfiguration:
    return grpc.ssl_server_certificate_configuration([(pair.key, pair.certificate)], pair.client_ca)
