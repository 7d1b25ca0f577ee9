"""Errors as RFC 9457 problem bodies, whatever raised them."""

from __future__ import annotations

import json
import logging
from typing import Final

from aiohttp import web
from aiohttp.typedefs import Handler

PASSED_ON: Final = ("Allow", "Retry-After", "WWW-Authenticate")
LOG = logging.getLogger(__name__)


class Refusal(web.HTTPException):
    """An error response whose detail says what is wrong and what to do."""

    def __init__(self, status: int, detail: str, *, retry_after: int | None = None) -> None:
        self.status_code = status
        self.detail = detail
        headers = None if retry_after is None else {"Retry-After": str(retry_after)}
        super().__init__(headers=headers)


@web.middleware
async def as_problems(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Turn every error into a problem body; an unexpected one is logged and told without its inside."""
    try:
        return await handler(request)
    except Refusal as refusal:
        return _problem(request, refusal, refusal.detail)
    except web.HTTPNotFound as error:
        return _problem(request, error, "there is no such page; see /api/v1/pools, /metrics, /healthz and /readyz")
    except web.HTTPMethodNotAllowed as error:
        return _problem(request, error, f"this page is read with {', '.join(sorted(error.allowed_methods))}")
    except web.HTTPException as error:
        return _problem(request, error, error.reason)
    except Exception:
        LOG.exception("a page failed", extra={"method": request.method, "path": request.path})
        return _problem(request, web.HTTPInternalServerError(), "an unexpected error; the scaler's log has it")


def _problem(request: web.Request, error: web.HTTPException, detail: str) -> web.Response:
    body = {"title": error.reason, "status": error.status, "detail": detail, "instance": request.path}
    headers = {name: error.headers[name] for name in PASSED_ON if name in error.headers}
    return web.Response(
        status=error.status, text=json.dumps(body), content_type="application/problem+json", headers=headers
    )
