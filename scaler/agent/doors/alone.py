"""For agents that serve no HTTP: a small server in a thread that answers for the gate."""

from __future__ import annotations

import threading
from functools import partial
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Final, Self

from scaler.agent.desk import LARGEST, Desk, Question, Reply, ours
from scaler.agent.gate import Gate

CLOSES: Final = 0.05  # seconds that closing it may take
PORT: Final = 8476  # the controller asks there where the pod's annotation names no other


class Door:
    """The server. It ends with ``close``, with the ``with`` block, or with the process."""

    def __init__(self, desk: Desk, host: str, port: int) -> None:
        handler = type("_Handler", (_Handler,), {"desk": desk})
        self._server = _Server((host, port), handler)
        serving = partial(self._server.serve_forever, poll_interval=CLOSES)
        self._thread = threading.Thread(target=serving, name="gate-door", daemon=True)
        self._thread.start()

    @property
    def port(self) -> int:
        """Where it listens."""
        return int(self._server.server_address[1])

    def close(self) -> None:
        """Stop listening."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def serve(gate: Gate, port: int = PORT, *, host: str = "0.0.0.0") -> Door:  # noqa: S104 (the controller calls the pod's own address)
    """Answer for the gate at this port; 0 takes a free one.

    Raises:
        OSError: it cannot be listened on.
    """
    return Door(Desk(gate), host, port)


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False


class _Handler(BaseHTTPRequestHandler):
    desk: Desk
    protocol_version = "HTTP/1.1"
    timeout = 30.0  # seconds that a client may be silent

    def do_GET(self) -> None:
        self._answer(b"")

    def do_HEAD(self) -> None:
        self._answer(b"")

    def do_POST(self) -> None:
        length = self.headers.get("Content-Length", "")
        if not length.isdecimal():
            self._send(Reply(HTTPStatus.LENGTH_REQUIRED, b"", {"Connection": "close"}))
            return
        body = self.rfile.read(min(int(length), LARGEST + 1))
        self.close_connection = self.close_connection or len(body) < int(length)
        self._answer(body)

    def _answer(self, body: bytes) -> None:
        path = self.path.partition("?")[0]
        if not ours(path):
            self._send(Reply(HTTPStatus.NOT_FOUND, b'{"error": "there are /activity, /drain, /resume and /metrics"}'))
            return
        self._send(self.desk.answer(Question(self.command, path, body, self.headers.get("Authorization", ""))))

    def _send(self, reply: Reply) -> None:
        self.send_response(reply.status)
        for name, value in reply.headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(reply.body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(reply.body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 (the name it has in the standard library)
        """Polls come every few seconds and are nothing to tell."""
