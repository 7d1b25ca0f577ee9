"""Who reads the pages: clients by their certificates, each kept to its namespaces."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, TypeAlias, cast

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from scaler.config.clients import EVERY, Clients, MayAsk, Names, names
from scaler.web.problem import Refusal

OPEN: Final = {"/healthz", "/readyz"}  # probes have no certificate

_Attributes: TypeAlias = "tuple[tuple[tuple[str, str], ...], ...]"


def names_of(request: web.Request) -> Names | None:
    """The names in the certificate that the client has shown and that its authority has signed; None without one."""
    said = request.get_extra_info("peercert")
    if not said:
        return None
    subject = cast("_Attributes", said.get("subject", ()))
    common = next((value for part in subject for key, value in part if key == "commonName"), None)
    return names(common, (str(value) for _, value in said.get("subjectAltName", ())))


def only_for(rules: Callable[[], MayAsk | None], *, apart: frozenset[str] = frozenset()) -> Middleware:
    """Show pages only to clients that may ask for the page's namespace, or for every one where it is about all pools.

    The resources ``apart`` judge their callers themselves.
    """
    clients = Clients(rules, "tls.http.clients.may_ask")

    @web.middleware
    async def judged(request: web.Request, handler: Handler) -> web.StreamResponse:
        if _resource(request) not in OPEN | apart:
            client = names_of(request)
            if client is None:
                raise Refusal(403, "this page is for clients with a certificate that tls.http.clients.ca has signed")
            refusal = clients.refusal(client, request.match_info.get("namespace", EVERY))
            if refusal is not None:
                raise Refusal(403, refusal)
        return await handler(request)

    return judged


def _resource(request: web.Request) -> str:
    """What was asked for, as it is written in the routes; nothing where there is no such page."""
    resource = request.match_info.route.resource
    return "" if resource is None else resource.canonical
