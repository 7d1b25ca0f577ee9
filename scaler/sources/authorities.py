"""Who is trusted to sign for a server, from mounted files, which are replaced under us when they are rotated."""

from __future__ import annotations

import ssl
from pathlib import Path
from typing import Final

LARGEST: Final = 1_048_576  # bytes; a Secret or ConfigMap holds no more


class AuthorityError(ValueError):
    """A file that holds no authorities: which, and why."""


class Authorities:
    """What to connect with, by file, made anew when the file holds something else. From any thread."""

    def __init__(self) -> None:
        self._known: dict[str, tuple[bytes, ssl.SSLContext]] = {}

    def context(self, file: str) -> ssl.SSLContext:
        """A client that trusts the authorities that the file holds now, and nobody else. Blocks.

        Raises:
            AuthorityError: it cannot be read, or holds no whole certificate of an authority.
        """
        try:
            with Path(file).open("rb") as opened:
                pem = opened.read(LARGEST)
        except (OSError, ValueError) as error:
            why = error.strerror if isinstance(error, OSError) else error
            raise AuthorityError(f"{file} cannot be read: {why}") from None
        known = self._known.get(file)
        if known is None or known[0] != pem:
            known = self._known[file] = pem, _trusting(file, pem)
        return known[1]


def _trusting(file: str, pem: bytes) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        context.load_verify_locations(cadata=pem.decode("ascii", "ignore"))
    except (ssl.SSLError, ValueError):
        raise AuthorityError(f"{file} holds no whole PEM certificate") from None
    if not context.get_ca_certs():
        raise AuthorityError(f"{file} holds no authority's certificate, which is one with CA:TRUE")
    return context
