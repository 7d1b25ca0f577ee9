"""``/api/v1/hints``: callers announce work before it is queued, and take announcements back.

``POST`` takes a JSON object: ``pool`` (NAMESPACE/NAME), ``slots`` (tasks at once), ``duration`` (``10m`` or seconds),
``reason``, and if wanted ``start`` (ISO 8601 with an offset; now without one) and ``id`` (made up without one). It
answers 202 with what was granted, until when, and what bounds it. The same under the same id changes nothing, so a
request whose answer was lost can be sent again. ``DELETE /api/v1/hints/ID`` withdraws one of the caller's own.
"""

from __future__ import annotations

import asyncio
import json
import math
import re
import secrets
from dataclasses import dataclass
from datetime import datetime
from http import HTTPStatus
from typing import Annotated, Final

from aiohttp import web
from pydantic import AfterValidator, BeforeValidator, Field, ValidationError

from scaler.config import blame
from scaler.config.fields import Duration, PoolName, refusal
from scaler.config.knobs import Section
from scaler.config.pool import PoolKey
from scaler.core.types import Instant, Seconds
from scaler.live.clock import Clock
from scaler.live.hinting import Caller, HintDesk, HintError, Verdict
from scaler.live.hints import Wish
from scaler.web.hint_views import as_json
from scaler.web.identity import Bearer, Certified, Identity
from scaler.web.problem import Refusal

PATH: Final = "/api/v1/hints"
ONE: Final = "/api/v1/hints/{id}"
BODY_MOST: Final = 4_096  # bytes
BODY_WITHIN: Final[Seconds] = 5.0
REASON_LONGEST: Final = 200
TOLD: Final = 5  # problems in one answer

_ID: Final = re.compile(r"[A-Za-z0-9._-]{1,64}")

STATUS: Final = {
    Verdict.FORBIDDEN: HTTPStatus.FORBIDDEN,
    Verdict.NO_POOL: HTTPStatus.NOT_FOUND,
    Verdict.NO_HINT: HTTPStatus.NOT_FOUND,
    Verdict.TAKEN: HTTPStatus.CONFLICT,
    Verdict.CROWDED: HTTPStatus.TOO_MANY_REQUESTS,
    Verdict.SPENT: HTTPStatus.TOO_MANY_REQUESTS,
    Verdict.FAR: HTTPStatus.BAD_REQUEST,
}


def _id(text: str) -> str:
    if not _ID.fullmatch(text):
        raise refusal("must be 1 to 64 letters, digits, dots, hyphens and underscores", "choose one, or leave it out")
    return text


def _reason(text: str) -> str:
    if not 0 < len(text) <= REASON_LONGEST or not text.strip() or not text.isprintable():
        raise refusal(f"must be 1 to {REASON_LONGEST} characters on one line", "say in a few words what is coming")
    return text


def _start(value: object) -> object:
    try:
        start = datetime.fromisoformat(value) if isinstance(value, str) else None
        if start is not None and start.tzinfo is not None:
            return start.timestamp()
    except ValueError:
        pass
    raise refusal("must be an instant in ISO 8601 with an offset", "write it as in 2026-11-21T12:00:00+00:00")


class _Body(Section):
    """What a POST says."""

    pool: PoolName
    slots: Annotated[int, Field(strict=True, ge=1, le=1_000_000)]
    duration: Annotated[Duration, Field(ge=1, le=1_000_000_000)]
    reason: Annotated[str, Field(strict=True), AfterValidator(_reason)]
    start: Annotated[float, BeforeValidator(_start)] | None = None
    id: Annotated[str, Field(strict=True), AfterValidator(_id)] | None = None


def read_wish(body: bytes) -> Wish:
    """What a body asks for.

    Raises:
        Refusal: 400, with every key that is missing or unknown and every value out of range.
    """
    try:
        said: object = json.loads(body)
    except (ValueError, RecursionError):
        raise Refusal(400, "the body is not JSON") from None
    if not isinstance(said, dict):
        raise Refusal(400, "the body is not a JSON object")
    try:
        asked = _Body.model_validate(said)
    except ValidationError as error:
        found = blame.problems(error, _Body, {})
        raise Refusal(400, " | ".join(str(problem) for problem in found[:TOLD])) from None
    return Wish(
        id=asked.id or secrets.token_hex(8),
        pool=PoolKey(*asked.pool.split("/", 1)),
        slots=asked.slots,
        duration=asked.duration,
        start=asked.start,
        reason=asked.reason,
    )


@dataclass(frozen=True, slots=True)
class HintPages:
    """The handlers. ``identities`` are ways to know callers, and the first that knows one counts."""

    desk: HintDesk
    identities: tuple[Identity, ...]
    clock: Clock

    def routes(self) -> tuple[web.RouteDef, ...]:
        """The pages, as an application takes them."""
        return web.post(PATH, self.give), web.delete(ONE, self.withdraw)

    async def give(self, request: web.Request) -> web.Response:
        """Take a hint in."""
        caller = await self._caller(request)
        wish = read_wish(await _body(request))
        now = self.clock.now()
        try:
            granted = self.desk.give(caller, wish, now)
        except HintError as error:
            raise _refused(error, now) from None
        body = {**as_json(granted.hint), "bounds": granted.bounds, "explain": f"/api/v1/pools/{wish.pool}/explain"}
        return web.json_response(body, status=HTTPStatus.ACCEPTED)

    async def withdraw(self, request: web.Request) -> web.Response:
        """Let a hint stand no more."""
        caller, now = await self._caller(request), self.clock.now()
        try:
            self.desk.withdraw(caller, request.match_info["id"], now)
        except HintError as error:
            raise _refused(error, now) from None
        return web.Response(status=HTTPStatus.NO_CONTENT)

    async def _caller(self, request: web.Request) -> Caller:
        """Who sends this."""
        if not self.desk.section().callers:
            raise Refusal(503, "nobody may give hints: hints.callers of the configuration names nobody")
        for identity in self.identities:
            caller = await identity.caller(request)
            if caller is not None:
                return caller
        refused = Refusal(401, "hints are taken from known callers: send Authorization: Bearer and a token in force")
        refused.headers["WWW-Authenticate"] = "Bearer"
        raise refused


def hint_pages(desk: HintDesk, clock: Clock) -> HintPages:
    """The handlers for the callers of the configuration in force."""
    return HintPages(desk, (Bearer(desk.section, clock), Certified(desk.section)), clock)


async def _body(request: web.Request) -> bytes:
    """The body, if it is JSON by its type, short, and whole within a few seconds."""
    if request.content_type != "application/json":
        raise Refusal(415, "the body must be JSON: send Content-Type: application/json")
    if coding := request.headers.get("Content-Encoding"):
        raise Refusal(415, f"the body is not unpacked: send it without Content-Encoding, which is {coding!r:.60}")
    body = bytearray()
    try:
        async with asyncio.timeout(BODY_WITHIN):
            async for chunk in request.content.iter_any():
                body += chunk
                if len(body) > BODY_MOST:
                    raise Refusal(413, f"the body must be at most {BODY_MOST} bytes")
    except TimeoutError:
        raise Refusal(408, f"the body was not whole within {BODY_WITHIN:g} s") from None
    except (web.RequestPayloadError, ConnectionError) as error:  # the caller left, or sent what is no HTTP
        raise Refusal(400, "the body did not come whole") from error
    return bytes(body)


def _refused(error: HintError, now: Instant) -> Refusal:
    again = None if error.again is None else max(1, math.ceil(error.again - now))
    return Refusal(STATUS[error.verdict], str(error), retry_after=again)
