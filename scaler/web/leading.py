"""Pages that only the leader has: what is decided, and what callers announce to whoever decides."""

from __future__ import annotations

from typing import Final

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from scaler.live.office import Office
from scaler.web.problem import Refusal

PAGES: Final = "/api/"
AGAIN: Final = 1  # seconds; by then the Service may know who leads


def only_while_leading(office: Office) -> Middleware:
    """Refuse them where another replica is to be asked, and say which."""

    @web.middleware
    async def led(request: web.Request, handler: Handler) -> web.StreamResponse:
        if request.path.startswith(PAGES) and office.term is None:
            leads = f"{office.holder} leads" if office.holder else "none is known to lead"
            raise Refusal(503, f"this replica stands by, and {leads}; ask the leader's Service", retry_after=AGAIN)
        return await handler(request)

    return led
