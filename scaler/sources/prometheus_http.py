"""One Prometheus server over HTTP, through prometheus-api-client, with the bounds that client does not set.

The client retries with pauses, follows redirects, reads a body of any length for as long as it trickles, and drops the
part of the answer that tells a string from a number and a partial result from a whole one. Here nothing is retried
(the next reading comes anyway), nothing is followed, a body is bounded in bytes and time, and an envelope that says
"error", "string" or "partial" is a ``Failed`` before the client sees it.
"""

from __future__ import annotations

import io
import json
from dataclasses import dataclass

import requests
from prometheus_api_client.exceptions import PrometheusApiClientException
from prometheus_api_client.prometheus_connect import PrometheusConnect
from requests.adapters import HTTPAdapter
from urllib3 import BaseHTTPResponse
from urllib3.exceptions import HTTPError, ReadTimeoutError

from scaler.core.types import Seconds
from scaler.sources.health import Failed, Fault
from scaler.sources.prometheus_answer import ADVICE
from scaler.sources.text import cut, root
from scaler.sources.timing import stopwatch

CHUNK = 65_536
DIGITS = 19  # a length of more is none


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What one reading may cost.

    Attributes:
        connect: seconds to connect.
        silence: seconds without a byte.
        whole: seconds from asking to the answer, waiting for a thread included.
        body: bytes.
        calls: calls to one server at once.
        servers: servers that are read at once.
    """

    connect: Seconds = 1.0
    silence: Seconds = 3.0
    whole: Seconds = 4.0
    body: int = 65_536  # one number is some two hundred; an answer of many series is none, whatever they say
    calls: int = 4
    servers: int = 64


class Refusal(requests.RequestException):
    """An answer that is complete and no use; ``failed`` says why."""

    def __init__(self, failed: Failed) -> None:
        super().__init__(failed.why)
        self.failed = failed


def connect(url: str, limits: Limits) -> PrometheusConnect:
    """A client for the server at this base URL, usable from several threads."""
    session = requests.Session()
    session.trust_env = False  # a proxy variable meant for something else must not reroute the readings
    session.headers["Accept-Encoding"] = "identity"  # a compressed body may unpack to any size
    client = PrometheusConnect(url=url, session=session)
    session.mount(url, _Bounded(limits))  # replaces the retrying adapter the client has just mounted
    return client


def ask(client: PrometheusConnect, query: str, limits: Limits) -> object:
    """The ``result`` of an instant query as parsed JSON, or ``Failed``. Blocks for as long as the limits allow."""
    try:
        result: object = client.custom_query(query, timeout=(limits.connect, limits.silence))  # type: ignore[arg-type]
    except Refusal as refusal:
        return refusal.failed
    except requests.ConnectTimeout:
        return Failed(Fault.SLOW, f"no connection within {limits.connect:g} s")
    except (requests.ReadTimeout, ReadTimeoutError):
        return Failed(Fault.SLOW, f"nothing heard for {limits.silence:g} s")
    except (requests.ConnectionError, HTTPError) as error:
        return Failed(Fault.UNREACHABLE, f"the connection failed: {root(error)}")
    except (requests.RequestException, PrometheusApiClientException, ValueError, RecursionError) as error:
        return Failed(Fault.GARBAGE, f"the request failed: {root(error)}")
    return result


class _Bounded(HTTPAdapter):
    """Reads the whole body itself, within its bounds, and refuses what is no answer."""

    def __init__(self, limits: Limits) -> None:
        super().__init__(pool_maxsize=limits.calls)
        self._limits = limits

    def build_response(self, req: requests.PreparedRequest, resp: BaseHTTPResponse) -> requests.Response:
        response = super().build_response(req, resp)
        try:
            body = self._read(resp)
        except BaseException:
            resp.close()  # half an answer is still on its way: this connection cannot serve again
            raise
        refused = _judge(response.status_code, body)
        if refused is not None:
            raise Refusal(refused)
        response.raw = io.BytesIO(body)
        return response

    def _read(self, resp: BaseHTTPResponse) -> bytes:
        """The body. ``read1`` returns what one receive brought, so that a trickle cannot hold us."""
        most, until = self._limits.body, stopwatch() + self._limits.whole
        if (told := _length(resp)) > most:
            raise Refusal(
                Failed(Fault.GARBAGE, f"the answer is {told} bytes long, and {most} are read at most; {ADVICE}")
            )
        body = bytearray()
        while chunk := resp.read1(CHUNK, decode_content=False):
            body += chunk
            if len(body) > most:
                raise Refusal(Failed(Fault.GARBAGE, f"the answer is longer than {most} bytes; {ADVICE}"))
            if stopwatch() > until:
                raise Refusal(Failed(Fault.SLOW, f"the answer was not complete within {self._limits.whole:g} s"))
        return bytes(body)


def _length(resp: BaseHTTPResponse) -> int:
    """The length that the server tells of its answer, 0 where it tells none."""
    told = resp.headers.get("Content-Length", "")
    return int(told) if told.isdecimal() and len(told) < DIGITS else 0


def _judge(status: int, body: bytes) -> Failed | None:
    """Whether this is an answer at all: HTTP 200, JSON, ``success``, whole, and neither an error nor a string."""
    try:
        envelope: object = json.loads(body)
    except (ValueError, RecursionError):
        envelope = None
    if status != requests.codes.ok:
        return Failed(Fault.STATUS, f"HTTP {status}{_error(envelope)}")
    data = envelope.get("data") if isinstance(envelope, dict) else None
    if not isinstance(envelope, dict) or not isinstance(data, dict) or "result" not in data:
        return Failed(Fault.GARBAGE, f"not an answer of the query API: {cut(body.decode('utf-8', 'replace'))}")
    if data.get("resultType") == "string":
        return Failed(Fault.KIND, "the result is a string; one number is needed")
    warnings = envelope.get("warnings")
    return _partial(warnings) if isinstance(warnings, list) else None


def _partial(warnings: list[object]) -> Failed | None:
    """A warning means that a store did not answer, and a sum over some stores is too low. Notes on style are not."""
    severe = [w for w in map(str, warnings) if not w.startswith("PromQL info")]
    return Failed(Fault.PARTIAL, f"the result is partial: {cut(severe[0])}") if severe else None


def _error(envelope: object) -> str:
    text = envelope.get("error") if isinstance(envelope, dict) else None
    return f": {cut(text)}" if isinstance(text, str) else ""
