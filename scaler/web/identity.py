"""Who gives hints, told from their requests: by a bearer token, or by the certificate of their connection.

Tokens are compared by their digests, each with all of them, so that the time it takes tells nothing about any.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import logging
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final, Protocol

from aiohttp import web

from scaler.config.hints import EVERY, CallerSection, HintsSection
from scaler.config.secret import TOKEN_LONGEST, TokenFileError, token_in
from scaler.core.types import Instant, Seconds
from scaler.live.clock import Clock
from scaler.live.hinting import Caller
from scaler.web.clients import names_of

LOG = logging.getLogger(__name__)
REREAD: Final[Seconds] = 1.0  # a flood of requests reads no file more often than this
SCHEME: Final = "bearer"


class Identity(Protocol):
    """A way to tell callers from their requests."""

    async def caller(self, request: web.Request) -> Caller | None:
        """Who sends this; None where it does not say so in this way, or says it of nobody known."""
        ...


@dataclass(frozen=True, slots=True)
class Known:
    """A caller of the configuration."""

    name: str
    namespaces: tuple[str, ...]

    def may_hint(self, namespace: str) -> bool:
        """Whether the namespace is among those of the configuration."""
        return EVERY in self.namespaces or namespace in self.namespaces


class Certified:
    """Callers by the names in their certificates."""

    def __init__(self, section: Callable[[], HintsSection]) -> None:
        self._section = section

    async def caller(self, request: web.Request) -> Caller | None:
        """Whose certificate the connection has."""
        names = names_of(request) or ()
        callers = self._section().callers.items()
        return _only([Known(name, c.namespaces) for name, c in callers if c.certificate in names])


class Bearer:
    """Callers by their tokens. Belongs to one event loop."""

    def __init__(self, section: Callable[[], HintsSection], clock: Clock) -> None:
        self._section, self._clock = section, clock
        self._read_at: Instant | None = None
        self._read_for: HintsSection | None = None
        self._digests: Mapping[str, bytes] = {}

    async def caller(self, request: web.Request) -> Caller | None:
        """Whose token the request bears; of nobody, if two callers have it."""
        token = _token(request)
        if token is None:
            return None
        section = self._section()
        digests, asked = await self._current(section), hashlib.sha256(token).digest()
        same = [name for name, digest in digests.items() if hmac.compare_digest(digest, asked)]
        return _only([Known(name, section.callers[name].namespaces) for name in same])

    async def _current(self, section: HintsSection) -> Mapping[str, bytes]:
        """The digests of the tokens in force, not older than ``REREAD``."""
        now = self._clock.now()
        if self._read_for is not section or self._read_at is None or abs(now - self._read_at) >= REREAD:
            digests = await asyncio.to_thread(lambda: dict(_digests(section.callers)))
            self._read_at, self._read_for, self._digests = now, section, digests
            return digests
        return self._digests


def _only(callers: list[Known]) -> Known | None:
    """The one there is; none where there are several."""
    return callers[0] if len(callers) == 1 else None


def _token(request: web.Request) -> bytes | None:
    """The token of ``Authorization: Bearer TOKEN``."""
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() != SCHEME or not 0 < len(token) <= TOKEN_LONGEST:
        return None
    return token.strip().encode(errors="surrogateescape")


def _digests(callers: Mapping[str, CallerSection]) -> Iterator[tuple[str, bytes]]:
    """The digest of each caller's token. Blocks."""
    for name, caller in callers.items():
        if caller.token_sha256 is not None:
            yield name, bytes.fromhex(caller.token_sha256)
        elif caller.token_file is not None:
            try:
                yield name, hashlib.sha256(token_in(caller.token_file).encode()).digest()
            except TokenFileError as error:
                LOG.warning("a caller of hints cannot be known", extra={"caller": name, "why": str(error)})
