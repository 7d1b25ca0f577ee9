"""``scaler explain``: asks a running scaler and prints what it says."""

from __future__ import annotations

import json as json_
import ssl
from dataclasses import dataclass
from functools import partial
from http.client import BadStatusLine, HTTPException
from pathlib import Path
from typing import Final
from urllib.error import HTTPError, URLError
from urllib.request import HTTPSHandler, ProxyHandler, Request, build_opener

import typer

from scaler.cli.addresses import is_base_url
from scaler.cli.naming import pool_key
from scaler.cli.output import fail, refuse
from scaler.core.types import Seconds

PATIENCE: Final[Seconds] = 5.0


@dataclass(frozen=True, slots=True)
class Trust:
    """Whose certificates are trusted beside those of the system's authorities, and what we are known by there."""

    ca: Path | None = None
    certificate: Path | None = None

    def context(self) -> ssl.SSLContext:
        """What a connection is made with."""
        context = ssl.create_default_context()
        for option, file, load in (
            ("--ca", self.ca, context.load_verify_locations),
            ("--certificate", self.certificate, partial(context.load_cert_chain, password="")),
        ):
            try:
                if file is not None:
                    load(file)
            except OSError as error:
                why = (error.strerror or "unreadable") if not isinstance(error, ssl.SSLError) else "no whole PEM"
                refuse(f"{option} {file} cannot be used: {why}")
        return context


def print_explanation(pool: str, url: str, trust: Trust, *, json: bool) -> None:
    """Print why the pool has its target."""
    key = pool_key(pool)
    if not is_base_url(url):
        refuse(f"--url {url!r} is no address: write http://HOST:PORT")
    page = f"{url.rstrip('/')}/api/v1/pools/{key}/explain"
    answer = _read(page, "application/json" if json else "text/plain", trust.context())
    typer.echo(_indented(page, answer) if json else answer.rstrip("\n"))


def _read(page: str, accept: str, context: ssl.SSLContext) -> str:
    """The page's text. A scaler is reached directly, whatever the environment says of proxies."""
    request = Request(page, headers={"Accept": accept})  # noqa: S310 - http or https, as was checked
    mine = "`scaler serve` has its pages at --http"
    try:
        with build_opener(ProxyHandler({}), HTTPSHandler(context=context)).open(request, timeout=PATIENCE) as answer:
            return str(answer.read().decode())
    except HTTPError as error:
        fail(_detail(error))
    except BadStatusLine:
        fail(f"{page} is no HTTP, as at the port where KEDA calls, or behind https: {mine}; name that with --url")
    except (HTTPException, ValueError) as error:
        fail(f"the answer of {page} cannot be read: {str(error) or type(error).__name__}; --url must name a scaler")
    except (URLError, OSError) as error:
        why = error.reason if isinstance(error, URLError) else error
        if isinstance(why, ssl.SSLCertVerificationError):
            fail(f"{page} is not believed: {why.verify_message}; name its authority with --ca, or its host with --url")
        fail(f"no scaler answers at {page}: {why}; start one with `scaler serve`, or name it with --url")


def _indented(page: str, answer: str) -> str:
    try:
        return json_.dumps(json_.loads(answer), indent=2)
    except ValueError:
        fail(f"the answer of {page} is no JSON; --url must name a scaler")


def _detail(error: HTTPError) -> str:
    """What a problem body says, or the bare status of somebody else's page."""
    with error:
        try:
            return str(json_.loads(error.read())["detail"])
        except (HTTPException, OSError, ValueError, KeyError, TypeError):
            return f"{error.url} answered {error.code} {error.reason}; --url must name a scaler"
