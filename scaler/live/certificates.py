"""The certificates of a door, as they rotate under the running program.

The files are looked at every second, because a mounted Secret changes by a symlink that no watch of a file sees. What
has changed is tried in a handshake with ourselves, in memory, before it is put in force: so its key belongs to it, its
dates hold, and it is one for servers. Whatever does not pass changes nothing, and is told with its file and the reason.
"""

from __future__ import annotations

import asyncio
import re
import ssl
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import structlog

from scaler.core.types import Instant, Seconds
from scaler.live.clock import Clock

LOOK_EVERY: Final[Seconds] = 1.0  # so a rotation holds for connections that are opened two seconds later
LARGEST: Final = 1_048_576  # bytes; a Secret holds no more
_BLOCK: Final = re.compile(rb"-----BEGIN (?P<what>[A-Z0-9 ]+)-----.+?-----END (?P=what)-----", re.DOTALL)
LOG: structlog.stdlib.BoundLogger = structlog.stdlib.get_logger(__name__)


class CertificateError(Exception):
    """A file that cannot be used: which one and why, and never what is in it."""

    def __init__(self, file: Path, why: str) -> None:
        super().__init__(f"{file} {why}")
        self.file, self.why = file, why


@dataclass(frozen=True, slots=True, kw_only=True)
class Files:
    """Where the PEM files are.

    Attributes:
        certificate: the server's, followed by those between it and its authority.
        key: its private key, not encrypted.
        client_ca: the authorities of clients; None where clients are asked for no certificate.
    """

    certificate: Path
    key: Path
    client_ca: Path | None = None


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Pair:
    """A certificate and its key that have passed the trial.

    Attributes:
        certificate, key, client_ca: PEM, without what stood around it.
        context: the same for Python's own servers. A client may do without a certificate there, and is known by it
            where it has one.
        expires: when the certificate does.
        client_ca_expires: when the last of the clients' authorities does.
    """

    certificate: bytes = field(repr=False)
    key: bytes = field(repr=False)
    client_ca: bytes | None = field(repr=False)
    context: ssl.SSLContext
    expires: Instant
    client_ca_expires: Instant | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """How the certificates of a door stand, for those who watch.

    Attributes:
        door: which door.
        expires, client_ca_expires: of what is in force.
        taken: pairs put in force since the start, the first included.
        refused: pairs that could not be used.
        problem: why what is in the files is not in force; None where it is.
    """

    door: str
    expires: Instant
    client_ca_expires: Instant | None
    taken: int
    refused: int
    problem: str | None


@dataclass(frozen=True, slots=True)
class _Unread:
    """A file that could not be read."""

    why: str


@dataclass(frozen=True, slots=True)
class _Contents:
    """What was in the files."""

    certificate: bytes | _Unread = field(repr=False)
    key: bytes | _Unread = field(repr=False)
    client_ca: bytes | _Unread | None = field(repr=False)


class Certificates:
    """Keeps the pair of one door. ``pair`` may be read from any thread."""

    def __init__(self, door: str, files: Files, now: Instant) -> None:
        """Begin with what is in the files.

        Raises:
            CertificateError: it cannot be used, and there is nothing before it that could be.
        """
        self.door, self.files = door, files
        self._seen = _contents(files)
        self.pair = _tried(files, self._seen, now)
        self._taken, self._refused = 1, 0
        self._problem: str | None = None

    def standing(self) -> Standing:
        """How the certificates stand."""
        return Standing(
            door=self.door,
            expires=self.pair.expires,
            client_ca_expires=self.pair.client_ca_expires,
            taken=self._taken,
            refused=self._refused,
            problem=self._problem,
        )

    async def follow(self, clock: Clock) -> None:
        """Look at the files every second, for ever."""
        while True:
            await clock.sleep_until(clock.now() + LOOK_EVERY)
            await asyncio.to_thread(self.look, clock.now())

    def look(self, now: Instant) -> None:
        """Put what is in the files in force, if that is new and good. What was refused is tried again each time."""
        contents = _contents(self.files)
        if contents == self._seen and self._problem is None:
            return
        self._seen = contents
        try:
            self.pair = _tried(self.files, contents, now)
        except CertificateError as error:
            self._refuse(str(error))
        else:
            self._take()

    def _take(self) -> None:
        self._taken += 1
        self._problem = None
        expires = datetime.fromtimestamp(self.pair.expires, UTC).isoformat()
        LOG.info("a new certificate is in force", door=self.door, expires=expires)

    def _refuse(self, problem: str) -> None:
        if problem == self._problem:
            return
        self._refused += 1
        self._problem = problem
        LOG.error("the certificate cannot be used and the one before it stays in force", door=self.door, why=problem)


def _contents(files: Files) -> _Contents:
    ca = files.client_ca
    return _Contents(_content(files.certificate), _content(files.key), None if ca is None else _content(ca))


def _content(file: Path) -> bytes | _Unread:
    try:
        with file.open("rb") as opened:
            return opened.read(LARGEST)
    except OSError as error:
        return _Unread(f"cannot be read: {error.strerror}")


def _tried(files: Files, contents: _Contents, now: Instant) -> Pair:
    """The pair in these contents, if it is good.

    Raises:
        CertificateError: it is not.
    """
    certificate, key = _read(files.certificate, contents.certificate), _read(files.key, contents.key)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    client = _client(files.certificate, certificate)
    _present(context, files)
    client_ca, client_ca_expires = None, None
    if files.client_ca is not None and contents.client_ca is not None:
        client_ca = _read(files.client_ca, contents.client_ca)
        client_ca_expires = _trust(context, files.client_ca, client_ca)
        if client_ca_expires <= now:
            raise CertificateError(files.client_ca, "has expired; put the authority's new certificate there")
    return Pair(
        certificate=_blocks(certificate),
        key=_blocks(key),
        client_ca=None if client_ca is None else _blocks(client_ca),
        context=context,
        expires=_shake_hands(context, client, files.certificate),
        client_ca_expires=client_ca_expires,
    )


def _blocks(pem: bytes) -> bytes:
    """The PEM alone: gRPC stumbles over things around it that OpenSSL, which has tried it, overlooks."""
    return b"".join(found.group() + b"\n" for found in _BLOCK.finditer(pem))


def _read(file: Path, content: bytes | _Unread) -> bytes:
    if isinstance(content, _Unread):
        raise CertificateError(file, content.why)
    return content


def _load(context: ssl.SSLContext, file: Path, pem: bytes) -> None:
    """Have the context trust these certificates."""
    try:
        context.load_verify_locations(cadata=pem.decode("ascii", "ignore"))
    except (ssl.SSLError, ValueError):
        raise CertificateError(file, "is no whole PEM certificate") from None


def _present(context: ssl.SSLContext, files: Files) -> None:
    """Have the context present the certificate, which is known to be one. By path: there is no other way."""
    try:
        context.load_cert_chain(files.certificate, files.key, password="")  # or it would ask at the terminal
    except ssl.SSLError as error:
        raise _unfit(files, error.reason) from None
    except OSError as error:
        raise CertificateError(files.key, f"cannot be read: {error.strerror}") from None


def _unfit(files: Files, reason: str | None) -> CertificateError:
    """What OpenSSL's reason against a pair means; it has none where the key is not to be read."""
    if reason is None:
        return CertificateError(files.key, "is no whole PEM private key without a password")
    if reason == "KEY_VALUES_MISMATCH":
        return CertificateError(files.key, f"is not the key of {files.certificate}")
    return CertificateError(files.certificate, f"is refused: {reason.replace('_', ' ').lower()}")


def _trust(context: ssl.SSLContext, file: Path, pem: bytes) -> Instant:
    """Have the context know clients by these authorities; the instant is when the last of them expires."""
    _load(context, file, pem)
    expiries = [_instant(authority) for authority in context.get_ca_certs()]
    if not expiries:
        raise CertificateError(file, "holds no authority's certificate, which is one with CA:TRUE")
    context.verify_mode = ssl.CERT_OPTIONAL
    return max(expiries)


def _client(file: Path, certificate: bytes) -> ssl.SSLContext:
    """A client that knows this very certificate, whatever its name and whoever signed it."""
    client = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    client.check_hostname = False
    client.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    _load(client, file, certificate)
    return client


def _shake_hands(server: ssl.SSLContext, client: ssl.SSLContext, file: Path) -> Instant:
    """Shake hands with ourselves as a client would; the instant is when the certificate that was shown expires."""
    there, back = ssl.MemoryBIO(), ssl.MemoryBIO()
    caller, answerer = client.wrap_bio(back, there), server.wrap_bio(there, back, server_side=True)
    try:
        for side in (caller, answerer, caller):
            with suppress(ssl.SSLWantReadError):
                side.do_handshake()
    except ssl.SSLCertVerificationError as error:
        raise CertificateError(file, f"cannot be shown to clients: {error.verify_message}") from None
    except ssl.SSLError as error:
        raise CertificateError(file, f"cannot be shown to clients: {error.reason}") from None
    shown = caller.getpeercert()
    if shown is None:
        raise CertificateError(file, "cannot be shown to clients: the handshake does not end")
    return _instant(shown)


def _instant(certificate: Mapping[str, object]) -> Instant:
    """When it expires, from the form that the ssl module gives."""
    return float(ssl.cert_time_to_seconds(str(certificate["notAfter"])))
