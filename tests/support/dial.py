"""Connections below gRPC and HTTP: what a server shows and speaks in the handshake itself."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from cryptography.x509 import load_der_x509_certificate
from cryptography.x509.oid import NameOID

PATIENCE = 30.0  # seconds


@dataclass(frozen=True)
class Visit:
    """One request over a connection of its own: the first line of the answer, and the session to come back with.

    Where the connection failed there is no answer.
    """

    answer: str
    session: ssl.SSLSession | None
    resumed: bool


async def presented(port: int, context: ssl.SSLContext) -> str:
    """The common name of the server's certificate on this port of loopback, as of a new connection."""
    async with _dialled(port, context) as connection:
        shown = connection.getpeercert(binary_form=True)
    assert shown is not None
    [common] = load_der_x509_certificate(shown).subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    return str(common.value)


async def negotiated(port: int, context: ssl.SSLContext) -> str | None:
    """The version of TLS that a new connection speaks; None where there is none that both sides would."""
    try:
        async with _dialled(port, context) as connection:
            return connection.version()
    except OSError:
        return None


def visit(port: int, context: ssl.SSLContext, session: ssl.SSLSession | None = None) -> Visit:
    """GET /healthz, with the session of an earlier visit if there is one."""
    try:
        return _visit(port, context, session)
    except OSError:
        return Visit("", None, resumed=False)


def _visit(port: int, context: ssl.SSLContext, session: ssl.SSLSession | None) -> Visit:
    with (
        socket.create_connection(("localhost", port), timeout=PATIENCE) as plain,
        context.wrap_socket(plain, server_hostname="localhost", session=session) as secure,
    ):
        secure.sendall(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        answer = b"".join(iter(lambda: secure.recv(4096), b"")).decode()
        return Visit(answer.partition("\r\n")[0], secure.session, resumed=bool(secure.session_reused))


@asynccontextmanager
async def _dialled(port: int, context: ssl.SSLContext) -> AsyncIterator[ssl.SSLObject]:
    async with asyncio.timeout(PATIENCE):
        _, writer = await asyncio.open_connection("localhost", port, ssl=context)
    try:
        yield writer.get_extra_info("ssl_object")
    finally:
        writer.close()
