"""One GET, bounded in time and bytes. Nothing is followed, nothing unpacked, no cookie kept, no proxy used."""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from http import HTTPStatus
from types import MappingProxyType
from typing import Final

import aiohttp

from scaler.core.types import Seconds
from scaler.sources.health import Failed, Fault
from scaler.sources.text import root

PLAIN: Final[Mapping[str, str]] = MappingProxyType({})


@dataclass(frozen=True, slots=True, kw_only=True)
class GetLimits:
    """What GETs may cost.

    Attributes:
        whole: seconds from asking to the last byte, waiting for a connection included.
        body: bytes of one answer.
        sockets: connections to all servers together.
        sockets_each: connections to one server; 0 is no bound.
    """

    whole: Seconds
    body: int
    sockets: int
    sockets_each: int = 0


class Getter:
    """GETs within limits. Belongs to one event loop."""

    def __init__(self, session: aiohttp.ClientSession, limits: GetLimits) -> None:
        self._session, self._limits = session, limits

    async def get(
        self, url: str, headers: Mapping[str, str] = PLAIN, *, trust: ssl.SSLContext | None = None
    ) -> bytes | Failed:
        """The body of an answer with status 200, of a server that ``trust`` trusts; None is for the system's choice."""
        ours = True if trust is None else trust
        try:
            async with self._session.get(url, headers=headers, allow_redirects=False, ssl=ours) as response:
                if response.status != HTTPStatus.OK:
                    return Failed(Fault.STATUS, f"HTTP {response.status}")
                return await self._body(response)
        except TimeoutError:
            return Failed(Fault.SLOW, f"no complete answer within {self._limits.whole:g} s")
        except (aiohttp.ClientError, ValueError) as error:  # the latter for a host that no resolver can spell
            return Failed(Fault.UNREACHABLE, f"the connection failed: {root(error)}")

    async def _body(self, response: aiohttp.ClientResponse) -> bytes | Failed:
        if (told := response.content_length or 0) > self._limits.body:
            return Failed(Fault.GARBAGE, f"the answer is {told} bytes long, and {self._limits.body} are read at most")
        body = bytearray()
        async for chunk in response.content.iter_any():
            body += chunk
            if len(body) > self._limits.body:
                return Failed(Fault.GARBAGE, f"the answer is longer than {self._limits.body} bytes")
        return bytes(body)


@asynccontextmanager
async def open_getter(limits: GetLimits) -> AsyncIterator[Getter]:
    """A getter with its connections, which are closed at the end."""
    async with aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=limits.sockets, limit_per_host=limits.sockets_each),
        timeout=aiohttp.ClientTimeout(total=limits.whole),
        cookie_jar=aiohttp.DummyCookieJar(),
        headers={"Accept": "application/json", "Accept-Encoding": "identity"},
        auto_decompress=False,  # a compressed body may unpack to any size
    ) as session:
        yield Getter(session, limits)
