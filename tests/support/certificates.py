"""An authority of our own, and what it signs: made when a test runs, and kept nowhere."""

from __future__ import annotations

import datetime as dt
import ipaddress
import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from cryptography.x509.oid import NameOID

from scaler.live.certificates import Files

LONG_AGO = dt.datetime(2000, 1, 1, tzinfo=dt.UTC)
YEARS_AGO = dt.datetime(2001, 1, 1, tzinfo=dt.UTC)
FAR_OFF = dt.datetime(2100, 1, 1, tzinfo=dt.UTC)


@dataclass(frozen=True)
class Identity:
    """A certificate and its key, as PEM."""

    certificate: bytes
    key: bytes = field(repr=False)


@dataclass(frozen=True)
class Authority:
    """Signs certificates."""

    certificate: bytes
    _name: x509.Name
    _key: ec.EllipticCurvePrivateKey

    def server(self, name: str = "scaler", *, expires: dt.datetime = FAR_OFF) -> Identity:
        """A server on loopback. ``name`` tells one certificate from the next."""
        return self.client(name, "localhost", "127.0.0.1", expires=expires)

    def client(
        self, common: str, *alternatives: str, groups: Sequence[str] = (), expires: dt.datetime = FAR_OFF
    ) -> Identity:
        """Whoever has this common name, these alternative names (URIs, addresses, DNS names), and organisations."""
        key = ec.generate_private_key(ec.SECP256R1())
        made = _builder(_name(common, *groups), self._name, key, expires)
        if alternatives:
            made = made.add_extension(
                x509.SubjectAlternativeName([_alternative(a) for a in alternatives]), critical=False
            )
        return Identity(_pem(made.sign(self._key, SHA256())), _private(key))


def authority(name: str = "authority", *, expires: dt.datetime = FAR_OFF) -> Authority:
    """A new authority."""
    key = ec.generate_private_key(ec.SECP256R1())
    made = _builder(_name(name), _name(name), key, expires)
    made = made.add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
    return Authority(_pem(made.sign(key, SHA256())), _name(name), key)


def locked(key: bytes) -> bytes:
    """The private key with a password."""
    opened = load_pem_private_key(key, password=None)
    return opened.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"hunter2"))


@dataclass
class Mount:
    """A Secret as the kubelet mounts it: files are links through ``..data``, which one rename points elsewhere."""

    folder: Path
    _generation: int = 0

    @property
    def files(self) -> Files:
        """The files by the names that stay."""
        ca = self.folder / "ca.crt"
        return Files(
            certificate=self.folder / "tls.crt", key=self.folder / "tls.key", client_ca=ca if ca.exists() else None
        )

    def put(self, identity: Identity, ca: bytes | None = None) -> None:
        """Swap this into the mount, all of it at once."""
        parts = {"tls.crt": identity.certificate, "tls.key": identity.key} | ({} if ca is None else {"ca.crt": ca})
        self._generation += 1
        generation = self.folder / f"..{self._generation}"
        generation.mkdir(parents=True)
        for name, content in parts.items():
            generation.joinpath(name).write_bytes(content)
            if not (self.folder / name).is_symlink():
                (self.folder / name).symlink_to(Path("..data") / name)
        fresh = self.folder / "..data_tmp"
        fresh.symlink_to(generation.name)
        os.replace(fresh, self.folder / "..data")  # noqa: PTH105 - the very call that the kubelet makes


def _builder(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePrivateKey, expires: dt.datetime
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(LONG_AGO)
        .not_valid_after(expires)
    )


def _name(common: str, *organisations: str) -> x509.Name:
    belongs = [x509.NameAttribute(NameOID.ORGANIZATION_NAME, organisation) for organisation in organisations]
    return x509.Name([*belongs, x509.NameAttribute(NameOID.COMMON_NAME, common)])


def _alternative(name: str) -> x509.GeneralName:
    if "://" in name:
        return x509.UniformResourceIdentifier(name)
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def _pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(Encoding.PEM)


def _private(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
