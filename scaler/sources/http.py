"""Signals from JSON over HTTP: one number of a document, or the sentence that says why there is none.

Signals and pools that name the same URL share its GET while it is under way, and its document for a moment, so several
values cost one call. What a server says of itself is true at the instant it was asked.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Final

from scaler.config.path import written
from scaler.config.pool import JsonNumber
from scaler.config.secret import TokenFileError, token_in
from scaler.core.types import Instant, Known, Sample, Unknown
from scaler.sources.get import PLAIN, GetLimits, Getter, open_getter
from scaler.sources.health import Failed, Fault, Health, Tally
from scaler.sources.json_answer import Document, document, number
from scaler.sources.sharing import Shared
from scaler.sources.text import shown

LIMITS: Final = GetLimits(whole=4.0, body=262_144, sockets=1024, sockets_each=4)


@asynccontextmanager
async def open_documents(limits: GetLimits = LIMITS) -> AsyncIterator[Documents]:
    """A reader with its connections, which are closed at the end."""
    async with open_getter(limits) as getter:
        documents = Documents(getter)
        try:
            yield documents
        finally:
            documents.close()


@dataclass(frozen=True, slots=True)
class _Page:
    """What is fetched: two that differ in the token may be given different documents."""

    url: str
    token_file: str | None


class Documents:
    """Reads numbers. Belongs to one event loop."""

    def __init__(self, getter: Getter) -> None:
        self._getter = getter
        self._shared = Shared(self._fetch)
        self._tally = Tally("http")

    def close(self) -> None:
        """Give up the calls under way."""
        self._shared.close()

    async def read(self, source: JsonNumber, now: Instant) -> Sample:
        """The number, asked for at ``now`` or shared with someone who asked a moment ago; counted with its time."""
        clock = asyncio.get_running_loop().time
        begun = clock()
        read = await self._shared.ask(_Page(source.url, source.token_file), now)
        found = read if isinstance(read, Failed) else number(read, source.path)
        self._tally.add(found, clock() - begun)
        if isinstance(found, Known):
            return found
        return Unknown(f"{shown(source.url)}, {written(source.path)}: {found.why}")

    def health(self) -> Health:
        """The counters over all servers."""
        return self._tally.health()

    async def _fetch(self, page: _Page, now: Instant) -> Document | Failed:
        try:
            token = None if page.token_file is None else await asyncio.to_thread(token_in, page.token_file)
        except TokenFileError as error:
            return Failed(Fault.CREDENTIAL, f"no token to send: {error}")
        body = await self._getter.get(page.url, PLAIN if token is None else {"Authorization": f"Bearer {token}"})
        return body if isinstance(body, Failed) else document(body, now)
