"""Free ports on loopback, and whether somebody answers there."""

from __future__ import annotations

import fcntl
import os
import secrets
import socket
import ssl
import tempfile
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import IO

import urllib3

LOWEST = 10_240
TRIES = 1_000
_given: set[int] = set()


def free() -> int:
    """A port that nobody listens on or was given, and that the kernel gives to no outgoing connection.

    Whoever was given one has it as long as his process lives: he may not listen there yet, or not at this moment.

    A part that is restarted needs its port again. From the kernel's own range a client that keeps trying to reach the
    dead part would sooner or later be given that very port, and keep it.

    Raises:
        OSError: no port is free.
    """
    for _ in range(TRIES):
        port = LOWEST + secrets.randbelow(_ephemeral() - LOWEST)
        if port in _given or not _claimed(port):
            continue
        _given.add(port)
        with suppress(OSError), socket.socket() as probe:
            probe.bind(("127.0.0.1", port))
            return port
    raise OSError(f"no free port on 127.0.0.1 from {LOWEST} to {_ephemeral() - 1}")


def listens(port: int) -> bool:
    """Somebody accepts connections there."""
    with suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1.0):
        return True
    return False


def answers(url: str, *, trusting: Path | None = None) -> bool:
    """A GET there is answered 200 within a second. ``trusting`` is the authority of an https address."""
    context = None if trusting is None else ssl.create_default_context(cafile=str(trusting))
    with (
        suppress(urllib3.exceptions.HTTPError),
        urllib3.PoolManager(ssl_context=context, retries=False, timeout=1.0) as pool,
    ):
        return pool.request("GET", url).status == 200
    return False


def _claimed(port: int) -> bool:
    """Claim it for this process, among all of this user's: by a lock on one byte, which ends with the process."""
    with suppress(OSError):
        fcntl.lockf(_claims(), fcntl.LOCK_EX | fcntl.LOCK_NB, 1, port)
        return True
    return False


@cache
def _claims() -> IO[bytes]:
    """The file that is locked, open for ever: to close it would give all up."""
    return (Path(tempfile.gettempdir()) / f"agent-scaler-ports-{os.getuid()}").open("ab")


def _ephemeral() -> int:
    """The first port of those that the kernel gives to outgoing connections."""
    try:
        return int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    except OSError:
        return 32_768
