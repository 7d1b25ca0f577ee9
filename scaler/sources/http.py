"""Signals from JSON over HTTP: one number of a document, or the sentence that says why there is none.

Signals and pools that name the same URL share its GET while it is under way, and its document for a moment, so several
values cost one call. What a server says of itself is true at the instant it was asked.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Final, TypeAlias

from scaler.config.path import written
from scaler.config.pool import JsonNumber, LiveScale, Page
from scaler.config.secret import TokenFileError, token_in
from scaler.core.types import Instant, Known, Sample, Seconds, Unknown
from scaler.sources.authorities import Authorities, AuthorityError
from scaler.sources.get import PLAIN, GetLimits, Getter, open_getter
from scaler.sources.health import Failed, Fault, Health, Tally
from scaler.sources.json_answer import Document, document, number, replicas
from scaler.sources.sharing import Shared
from scaler.sources.text import shown
from scaler.sources.timing import stopwatch

LIMITS: Final = GetLimits(whole=4.0, body=262_144, sockets=1024, sockets_each=4)
Number: TypeAlias = JsonNumber | LiveScale
AT_ONCE: Final = 256  # numbers of a page that are looked up before others have their turn


@asynccontextmanager
async def open_documents(limits: GetLimits = LIMITS) -> AsyncIterator[Documents]:
    """A reader with its connections, which are closed at the end."""
    async with open_getter(limits) as getter:
        documents = Documents(getter)
        try:
            yield documents
        finally:
            documents.close()


class Documents:
    """Reads numbers. Belongs to one event loop."""

    def __init__(self, getter: Getter) -> None:
        self._getter = getter
        self._shared = Shared(self._fetch)
        self._tally = Tally("http")
        self._authorities = Authorities()

    def forget(self) -> None:
        """Answer who asks from now on with nothing that was asked for before."""
        self._shared.forget()

    def close(self) -> None:
        """Give up the calls under way."""
        self._shared.close()

    async def read(self, sources: Sequence[Number], now: Instant) -> list[Sample]:
        """Numbers of one page, asked for at ``now`` or shared with someone who asked a moment ago.

        Each is counted with the time that the page took.
        """
        begun = stopwatch()
        read = await self._shared.ask(sources[0].call, now)
        took, samples = stopwatch() - begun, list[Sample]()
        for i, source in enumerate(sources, start=1):
            samples.append(self._number(read, source, took))
            if i % AT_ONCE == 0:
                await asyncio.sleep(0)
        return samples

    def _number(self, read: Document | Failed, source: Number, took: Seconds) -> Sample:
        found = read if isinstance(read, Failed) else _found(read, source)
        self._tally.add(found, took)
        if isinstance(found, Known):
            return found
        place = f", {written(source.path)}" if isinstance(source, JsonNumber) else ""
        return Unknown(f"{shown(source.url)}{place}: {found.why}")

    def health(self) -> Health:
        """The counters over all servers."""
        return self._tally.health()

    async def _fetch(self, page: Page, now: Instant) -> Document | Failed:
        try:
            plain = page.token_file is None and page.ca_file is None
            headers, trust = (PLAIN, None) if plain else await asyncio.to_thread(self._identified, page)
        except TokenFileError as error:
            return Failed(Fault.CREDENTIAL, f"no token to send: {error}")
        except AuthorityError as error:
            return Failed(Fault.CREDENTIAL, f"no authority to trust: {error}")
        body = await self._getter.get(page.url, headers, trust=trust)
        return body if isinstance(body, Failed) else document(body, now)

    def _identified(self, page: Page) -> tuple[Mapping[str, str], ssl.SSLContext | None]:
        """Who we are to the server, and by whom we know it; from files as they are now. Blocks."""
        trust = None if page.ca_file is None else self._authorities.context(page.ca_file)
        token = None if page.token_file is None else token_in(page.token_file)
        return PLAIN if token is None else {"Authorization": f"Bearer {token}"}, trust


def _found(read: Document, source: Number) -> Known | Failed:
    return number(read, source.path) if isinstance(source, JsonNumber) else replicas(read)
