"""The API server over plain REST, for parts that see thousands of objects: JSON in, and facts taken out of it.

A typed client costs ten times the processor time of the JSON alone, and would be most of what a fleet of agents does.
Lists are followed as the controller follows them.
"""

from __future__ import annotations

import asyncio
import base64
import json
import ssl
import tempfile
from collections.abc import AsyncGenerator, AsyncIterator, Iterator, Mapping, Sequence
from contextlib import aclosing, asynccontextmanager, contextmanager
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import Final, TypeAlias

import aiohttp

from scaler.controller import api
from scaler.controller.dig import parsed, text
from scaler.controller.feed import Feed, Gone, Listed, Lost, Put

Json: TypeAlias = "Sequence[Json] | Mapping[str, Json] | str | int | float | bool | None"
Query: TypeAlias = Mapping[str, str | int]

GOODBYE: Final = 0.25  # seconds for TLS to end, which aiohttp does not wait for
STRATEGIC: Final = "application/strategic-merge-patch+json"
MERGE: Final = "application/merge-patch+json"


class ApiError(api.ApiError):
    """The API server refused."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(f"{status}: {message}")
        self.status = status


class Api:
    """Calls one API server. Belongs to one event loop."""

    def __init__(self, session: aiohttp.ClientSession, server: str) -> None:
        self._session = session
        self._server = server

    async def get(self, path: str, query: Query | None = None) -> Mapping[str, Json]:
        """One object, or a list.

        Raises:
            ApiError: there is none, or we may not see it.
            aiohttp.ClientError, TimeoutError: nobody answers.
        """
        return await self.send("GET", path, query=query)

    async def send(
        self, method: str, path: str, body: Json = None, *, kind: str = "application/json", query: Query | None = None
    ) -> Mapping[str, Json]:
        """Any other call; ``kind`` is the content type of the body. Raises as ``get`` does."""
        data = None if body is None else json.dumps(body).encode()
        call = self._session.request(
            method, self._server + path, data=data, params=query, headers={"Content-Type": kind}
        )
        async with call as response:
            return parsed(await _body(response))

    async def patch(self, path: str, body: Json, *, kind: str = MERGE) -> Mapping[str, Json]:
        """Change a part of an object. Raises as ``get`` does."""
        return await self.send("PATCH", path, body, kind=kind)

    async def follow(self, path: str, query: Query | None = None) -> AsyncIterator[Put | Gone | Listed]:
        """All objects of a list, and from then on every change; without end, whatever becomes of the API server."""
        told = {key: str(value) for key, value in (query or {}).items()}
        async with aclosing(Feed(_Reads(self._session, self._server), path, told).follow()) as changes:
            async for change in changes:
                if not isinstance(change, Lost):
                    yield change


@dataclass(frozen=True, slots=True)
class _Reads:
    """The API server as the controller's feed reads it."""

    session: aiohttp.ClientSession
    server: str

    async def send(self, request: api.Request) -> bytes:
        """Make a call, and return the body of its answer."""
        with _failing():
            async with self.session.request(
                request.method, self.server + request.path, params=request.query
            ) as response:
                return await _body(response)

    async def stream(self, request: api.Request) -> AsyncGenerator[bytes, None]:
        """The lines of an answer that goes on."""
        patience = aiohttp.ClientTimeout(sock_connect=5.0, sock_read=api.SILENCE)
        call = self.session.get(self.server + request.path, params=request.query, timeout=patience)
        with _failing():
            async with call as response:
                if response.status != HTTPStatus.OK:
                    raise ApiError(response.status, _message(await response.read()))
                try:
                    async for line in api.lines(response.content):
                        yield line
                finally:  # nobody waits for the good-bye of a watch that is given up
                    if response.connection is not None and response.connection.transport is not None:
                        response.connection.transport.abort()


@contextmanager
def _failing() -> Iterator[None]:
    """What the controller makes of a call that comes to nothing."""
    try:
        yield
    except (aiohttp.ClientError, TimeoutError, OSError) as error:
        raise ApiError(0, repr(error)) from None


async def _body(response: aiohttp.ClientResponse) -> bytes:
    """What was answered.

    Raises:
        ApiError: a refusal.
    """
    body = await response.read()
    if response.status >= HTTPStatus.BAD_REQUEST:
        raise ApiError(response.status, _message(body))
    return body


@asynccontextmanager
async def open_api(kubeconfig: Path) -> AsyncIterator[Api]:
    """The API server of a kubeconfig that holds its credentials itself; connections close at the end."""
    cluster, user = _identity(kubeconfig)
    headers = {"Authorization": f"Bearer {user['token']}"} if "token" in user else {}
    connector = aiohttp.TCPConnector(ssl=_trust(cluster, user), limit=64)
    timeout = aiohttp.ClientTimeout(total=30.0)
    async with aiohttp.ClientSession(connector=connector, headers=headers, timeout=timeout) as session:
        yield Api(session, cluster["server"])
    await asyncio.sleep(GOODBYE)


def _identity(kubeconfig: Path) -> tuple[Mapping[str, str], Mapping[str, str]]:
    """The cluster and the user of a kubeconfig, which the harness writes as JSON."""
    config = json.loads(kubeconfig.read_text())
    return config["clusters"][0]["cluster"], config["users"][0]["user"]


def _trust(cluster: Mapping[str, str], user: Mapping[str, str]) -> ssl.SSLContext:
    """Whom we trust, and who we are."""
    context = ssl.create_default_context(cadata=base64.b64decode(cluster["certificate-authority-data"]).decode())
    if "client-certificate-data" in user:
        with tempfile.NamedTemporaryFile() as pem:  # the ssl module takes our own certificate from a file only
            pem.write(b"".join(base64.b64decode(user[f"client-{half}-data"]) for half in ("certificate", "key")))
            pem.flush()
            context.load_cert_chain(pem.name)
    return context


def _message(body: bytes) -> str:
    try:
        return text(json.loads(body), "message") or body.decode(errors="replace")
    except ValueError:
        return body.decode(errors="replace")[:400]
