"""An agent that is not what it says, at a pod's address: it is slow, says that it is idle and works, or never ends."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from tests.cluster.harness.rest import Json


@dataclass(frozen=True, slots=True, kw_only=True)
class Manner:
    """How it answers.

    Attributes:
        says: on ``GET /activity``, beside its uid.
        replies: to every order, beside its epoch.
        after: seconds that it takes for each.
    """

    says: Mapping[str, Json]
    replies: Mapping[str, Json]
    after: float = 0.0


class _Server(ThreadingHTTPServer):
    """Who is asked, until it is closed."""

    daemon_threads = True

    def __init__(self, address: tuple[str, int], uid: str, manner: Manner) -> None:
        self.uid, self.manner, self.over = uid, manner, threading.Event()
        super().__init__(address, _Handler)


class _Handler(BaseHTTPRequestHandler):
    server: _Server

    def do_GET(self) -> None:
        """What it says of itself."""
        self._answer({"uid": self.server.uid, **self.server.manner.says})

    def do_POST(self) -> None:
        """An order, which it does not look at."""
        self.rfile.read(int(self.headers.get("Content-Length", "0")))
        self._answer({"epoch": 1, **self.server.manner.replies})

    def _answer(self, said: Mapping[str, Json]) -> None:
        self.server.over.wait(self.server.manner.after)
        body = json.dumps(said).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 (as the base class calls it)
        """Say nothing."""


@contextmanager
def impostor(address: tuple[str, int], uid: str, manner: Manner) -> Iterator[None]:
    """It answers at this host and port in the name of the pod with this uid, until the end of the block."""
    server = _Server(address, uid, manner)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    try:
        yield
    finally:
        server.over.set()
        server.shutdown()
        server.server_close()
        thread.join()
