"""The API server over plain REST, for parts that see thousands of objects: JSON in, and facts taken out of it.

A typed client costs ten times the processor time of the JSON alone, and would be most of what a fleet of agents does.
"""

from __future__ import annotations

import asyncio
import base64
import json
import ssl
import tempfile
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import Final, TypeAlias

import aiohttp

from scaler.controller.dig import objects, text

Json: TypeAlias = "Sequence[Json] | Mapping[str, Json] | str | int | float | bool | None"
Query: TypeAlias = Mapping[str, str | int]

PAGE: Final = 500  # objects of one answer to a list
RETRY: Final = 0.5  # seconds between two tries to list or watch
SILENCE: Final = 90.0  # seconds after which a watch without even a bookmark is begun anew
GOODBYE: Final = 0.25  # seconds for TLS to end, which aiohttp does not wait for
STRATEGIC: Final = "application/strategic-merge-patch+json"
MERGE: Final = "application/merge-patch+json"


class ApiError(Exception):
    """The API server refused."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(f"{status}: {message}")
        self.status = status


@dataclass(frozen=True, slots=True)
class Put:
    """An object that is there, as it is now."""

    object: Mapping[str, Json]


@dataclass(frozen=True, slots=True)
class Gone:
    """An object that was there, as it was last."""

    object: Mapping[str, Json]


@dataclass(frozen=True, slots=True)
class Listed:
    """Every object there is has been put since the last ``Listed``: whatever else was known is gone."""

    uids: frozenset[str]


Change: TypeAlias = Put | Gone | Listed


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
            read = await response.read()
            if response.status >= HTTPStatus.BAD_REQUEST:
                raise ApiError(response.status, _message(read))
        answer = json.loads(read)
        assert isinstance(answer, dict), f"{path} answered no object"
        return answer

    async def patch(self, path: str, body: Json, *, kind: str = MERGE) -> Mapping[str, Json]:
        """Change a part of an object. Raises as ``get`` does."""
        return await self.send("PATCH", path, body, kind=kind)

    async def follow(self, path: str, query: Query | None = None) -> AsyncIterator[Change]:
        """All objects of a list, and from then on every change; without end, whatever becomes of the API server."""
        while True:
            try:
                async for change in self._once(path, dict(query or {})):
                    yield change
            except (ApiError, aiohttp.ClientError, TimeoutError, OSError):
                pass
            await asyncio.sleep(RETRY)

    async def _once(self, path: str, query: dict[str, str | int]) -> AsyncIterator[Change]:
        """A list, then a watch for as long as it knows what has changed since the list."""
        seen: set[str] = set()
        page: dict[str, str | int] = {"limit": PAGE}
        while True:
            answer = await self.get(path, query | page)
            for item in objects(answer, "items"):
                seen.add(text(item, "metadata", "uid"))
                yield Put(item)
            if not (more := text(answer, "metadata", "continue")):
                break
            page["continue"] = more
        yield Listed(frozenset(seen))
        version = text(answer, "metadata", "resourceVersion")
        while version:
            ahead, version = version, ""
            async for kind, item in self._watch(path, query | {"resourceVersion": ahead}):
                if kind == "ERROR":
                    return
                version = text(item, "metadata", "resourceVersion")
                if kind != "BOOKMARK":
                    yield Gone(item) if kind == "DELETED" else Put(item)

    async def _watch(self, path: str, query: dict[str, str | int]) -> AsyncIterator[tuple[str, Mapping[str, Json]]]:
        """The events of one watch, until the server ends it."""
        asked = query | {"watch": "true", "allowWatchBookmarks": "true"}
        patience = aiohttp.ClientTimeout(sock_connect=5.0, sock_read=SILENCE)
        async with self._session.get(self._server + path, params=asked, timeout=patience) as response:
            if response.status != HTTPStatus.OK:
                raise ApiError(response.status, _message(await response.read()))
            try:
                async for line in _lines(response.content):
                    event = json.loads(line)
                    yield event["type"], event["object"]
            finally:  # nobody waits for the good-bye of a watch that is given up
                if response.connection is not None and response.connection.transport is not None:
                    response.connection.transport.abort()


async def _lines(content: aiohttp.StreamReader) -> AsyncIterator[bytes]:
    """Lines of any length."""
    rest = b""
    async for chunk in content.iter_any():
        *lines, rest = (rest + chunk).split(b"\n")
        for line in lines:
            yield line


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


def holds(found: Json, kind: str) -> bool:
    """Whether the object's condition of that type is True."""
    return any(c.get("type") == kind and c.get("status") == "True" for c in objects(found, "status", "conditions"))
