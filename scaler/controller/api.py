"""The API server: one connection to it, as a pod's ServiceAccount or by a kubeconfig, and how its calls fail.

The official client finds the server, proves who we are and is sure of the server. Objects are plain JSON, for its typed
calls cost forty megabytes and most of a second of processor time at the start.

A ServiceAccount's token is read from its file again every minute. When the API server does not know us or we do not
trust it, everything is read again before the next call, so rotated tokens, authorities and kubeconfigs need no restart.
"""

from __future__ import annotations

import asyncio
import functools
import json
from collections import Counter
from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from http import HTTPStatus
from pathlib import Path
from tempfile import TemporaryDirectory
from types import MappingProxyType
from typing import Final, TypeAlias

import aiohttp
import yaml
from kubernetes.aio.client import ApiClient, Configuration
from kubernetes.aio.client.rest import RESTResponse
from kubernetes.aio.config import load_incluster_config, load_kube_config
from kubernetes.aio.config.config_exception import ConfigException

from scaler.controller.kubeconfig import joined
from scaler.core.types import Seconds

Json: TypeAlias = "Mapping[str, Json] | Sequence[Json] | str | int | float | bool | None"
JSON: Final = "application/json"
MERGE: Final = "application/merge-patch+json"
PATCH: Final = "application/json-patch+json"
APPLY: Final = "application/apply-patch+yaml"
SILENCE: Final[Seconds] = 90.0  # the longest that a stream may say nothing
STALE: Final = {HTTPStatus.CONFLICT, HTTPStatus.NOT_FOUND}  # a write over what no longer stands


class ApiError(Exception):
    """A call of which nobody knows what became of it, or that the API server will not have: says what was seen."""


class StaleError(Exception):
    """A write over a version that no longer stands, or over what is no longer there; it changed nothing."""


class ConnectError(Exception):
    """There is no API server to speak to: names the file, and what is wrong."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """One call. ``within`` is how many seconds it may take."""

    method: str
    path: str
    query: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    body: Json = None
    content: str = JSON
    accept: str = JSON
    within: Seconds


@dataclass(frozen=True, slots=True)
class Answer:
    """What the API server said: the HTTP status, and the body."""

    status: int
    body: bytes

    @property
    def message(self) -> str:
        """What a refusal says, if it is one of the API server's."""
        return _message(self.body).removeprefix(": ")


class Api:
    """The connection. Belongs to one event loop.

    A client that is not to be used any more is closed when its last call has ended: one that is closed under its calls
    cancels those that wait for a free connection, as if their own task had been cancelled.
    """

    def __init__(self, kubeconfig: Path | None) -> None:
        self._kubeconfig = kubeconfig
        self._client: ApiClient | None = None
        self._calls = Counter[ApiClient]()

    async def send(self, request: Request) -> bytes:
        """Make a call, and return the body of its answer.

        Raises:
            StaleError: a conflict, or nothing is there.
            ApiError: every other failure.
        """
        answer = await self.ask(request)
        status, body = answer.status, answer.body
        if status in STALE:
            raise StaleError(f"HTTP {status}")
        if status >= HTTPStatus.MULTIPLE_CHOICES:
            raise ApiError(f"{request.method} {request.path}: HTTP {status}{_message(body)}")
        return body

    async def ask(self, request: Request) -> Answer:
        """Make a call, and return its answer, a refusal as well.

        Raises:
            ApiError: there is none, and nobody knows what became of the call.
        """
        try:
            async with asyncio.timeout(request.within), self._answer(request, None) as answer:
                return Answer(answer.status, bytes(await answer.read()))
        except TimeoutError:
            raise ApiError(f"the API server did not answer within {request.within:.1f} s") from None
        except aiohttp.ClientSSLError as error:
            raise ApiError(f"the API server cannot be trusted: {error}") from None
        except (aiohttp.ClientError, OSError, ConnectError, ConfigException) as error:
            raise ApiError(f"the API server cannot be reached: {error}") from None

    async def stream(self, request: Request) -> AsyncGenerator[bytes, None]:
        """The lines of an answer that goes on, until the server ends it.

        Raises:
            ApiError: it is refused, it breaks, or it says nothing for too long.
        """
        patience = aiohttp.ClientTimeout(sock_connect=request.within, sock_read=SILENCE)
        try:
            async with self._answer(request, patience) as told:
                answer = told.response
                try:
                    if answer.status != HTTPStatus.OK:
                        why = _message(await answer.read())
                        raise ApiError(f"{request.method} {request.path}: HTTP {answer.status}{why}")
                    async for line in lines(answer.content):
                        yield line
                finally:
                    answer.close()
        except (TimeoutError, aiohttp.ClientError, OSError, ConnectError, ConfigException) as error:
            raise ApiError(f"{request.path} cannot be followed: {error!r}") from None

    async def connect(self) -> ApiClient:
        """The client, made anew where there is none.

        Raises:
            ConnectError: its configuration cannot be used.
        """
        client = self._client
        if client is None:
            client = self._client = await _made(self._kubeconfig)
        return client

    async def close(self) -> None:
        """Let the connection go, when the calls that are under way have ended."""
        client, self._client = self._client, None
        if client is not None and client not in self._calls:
            await client.close()

    @asynccontextmanager
    async def _answer(self, request: Request, patience: aiohttp.ClientTimeout | None) -> AsyncIterator[RESTResponse]:
        """The answer to a call. One that is not known or not trusted has the next call read everything again."""
        client = await self.connect()
        self._calls[client] += 1
        try:
            answer = await _called(client, request, patience)
            if answer.status == HTTPStatus.UNAUTHORIZED:
                self._forsake(client)
            yield answer
        except aiohttp.ClientSSLError:
            self._forsake(client)
            raise
        finally:
            self._calls[client] -= 1
            if not self._calls[client]:
                del self._calls[client]
                if client is not self._client:
                    await client.close()

    def _forsake(self, client: ApiClient) -> None:
        """Use it no more. Another may have taken its place already."""
        if self._client is client:
            self._client = None


async def _called(client: ApiClient, request: Request, patience: aiohttp.ClientTimeout | None) -> RESTResponse:
    prepared = await client.param_serialize(
        request.method,
        request.path,
        query_params=list(request.query.items()),
        header_params={"Accept": request.accept, "Content-Type": request.content},
        body=request.body,
        auth_settings=["BearerToken"],
    )
    return await client.call_api(*prepared, _request_timeout=patience)


@asynccontextmanager
async def open_api(kubeconfig: Path | None) -> AsyncIterator[Api]:
    """A connection by the kubeconfig, or as the ServiceAccount of the pod that we are in.

    Raises:
        ConnectError: neither can be used.
    """
    api = Api(kubeconfig)
    try:
        await api.connect()
        yield api
    finally:
        await api.close()


@dataclass(frozen=True, slots=True)
class Credentials:
    """The API server, and who we are to it, for those who connect by themselves. Empty is for what there is none of."""

    server: str
    ca_file: str
    certificate_file: str
    key_file: str
    token: str


async def credentials(kubeconfig: Path | None) -> Credentials:
    """As they are now.

    Raises:
        ConnectError: they cannot be used.
    """
    client = await _made(kubeconfig)
    try:
        found = client.configuration
        token = (await found.get_api_key_with_prefix("BearerToken")) or ""
        return Credentials(
            server=found.host,
            ca_file=found.ssl_ca_cert or "",
            certificate_file=found.cert_file or "",
            key_file=found.key_file or "",
            token=token.removeprefix("Bearer "),
        )
    finally:
        await client.close()


@functools.cache
def _keys() -> TemporaryDirectory[str]:
    """Where keys lie that stand in a kubeconfig itself, until the process ends.

    The loader remembers for good into which file it has written which of them, and would miss one that is gone.
    """
    return TemporaryDirectory(prefix="scaler-")


async def _made(kubeconfig: Path | None) -> ApiClient:
    source = "no kubeconfig, and no ServiceAccount of a pod" if kubeconfig is None else str(kubeconfig)
    found = Configuration()
    try:
        if kubeconfig is None:
            load_incluster_config(found)
        else:
            files, context = joined(kubeconfig)
            await load_kube_config(
                files,
                context=context,
                client_configuration=found,
                persist_config=False,
                temp_file_path=_keys().name,
            )
        return ApiClient(found)
    except ConfigException as error:
        raise ConnectError(f"{source}: {str(error).rstrip('.')}") from None
    except (OSError, ValueError, TypeError, AttributeError, yaml.YAMLError) as error:
        raise ConnectError(f"{source} cannot be used: {error}") from None


async def lines(content: aiohttp.StreamReader) -> AsyncIterator[bytes]:
    """Lines of any length: an object is longer than aiohttp's own lines may be."""
    rest = b""
    async for chunk in content.iter_any():
        *lines, rest = (rest + chunk).split(b"\n")
        for line in lines:
            yield line


def _message(body: bytes) -> str:
    """What a refusal says, if it is one of the API server's."""
    try:
        said = json.loads(body)
    except ValueError:
        return ""
    return f": {said['message']}" if isinstance(said, dict) and isinstance(said.get("message"), str) else ""
