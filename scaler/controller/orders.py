"""Orders to agents: who signs them, and the public keys by which agents know them.

An order is a compact JWS, signed with Ed25519, for one pod, one act and one epoch, and good for a minute. Agents have
the public keys alone, so none can make an order for itself or for another.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Self, TypeAlias

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)

AUDIENCE: Final = "agent-scaler/gate"
GOOD_FOR: Final = 60  # seconds; agents believe no order that is good for more than 300

Claims: TypeAlias = Mapping[str, str | int]


class KeyFileError(ValueError):
    """A file that holds no key to sign with."""


@dataclass(frozen=True, slots=True)
class Signer:
    """A private key, and the id by which its public half stands in the key set."""

    key: Ed25519PrivateKey
    kid: str

    @classmethod
    def new(cls) -> Self:
        """A key that nobody has."""
        return cls.of(Ed25519PrivateKey.generate())

    @classmethod
    def of(cls, key: Ed25519PrivateKey, kid: str = "") -> Self:
        """A signer with this key; its id is the key's thumbprint (RFC 7638) unless it is given another."""
        return cls(key, kid or _thumbprint(key))

    @classmethod
    def read(cls, path: Path, kid: str = "") -> Self:
        """The key of a PEM file.

        Raises:
            KeyFileError: there is no Ed25519 key in it.
        """
        way_out = "make one with: scaler gate keys"
        try:
            key = load_pem_private_key(path.read_bytes(), password=None)
        except (OSError, TypeError, ValueError, UnsupportedAlgorithm) as error:
            raise KeyFileError(f"{path} cannot be read as a private key in PEM: {error}; {way_out}") from error
        if not isinstance(key, Ed25519PrivateKey):
            raise KeyFileError(f"{path} holds a {type(key).__name__}, it must be an Ed25519 key; {way_out}")
        return cls.of(key, kid)

    def order(self, act: str, uid: str, epoch: int, now: float) -> str:
        """An order to ``drain`` or to ``resume``, for this pod and epoch, good from ``now`` on (seconds since 1970)."""
        claims: Claims = {"sub": uid, "aud": AUDIENCE, "act": act, "epoch": epoch}
        return self.sign({**claims, "iat": int(now), "exp": int(now) + GOOD_FOR})

    def sign(self, claims: Claims) -> str:
        """Any claims, as a compact JWS."""
        header = {"alg": "EdDSA", "kid": self.kid, "typ": "JWT"}
        signed = f"{_text(_json(header))}.{_text(_json(claims))}"
        return f"{signed}.{_text(self.key.sign(signed.encode()))}"

    def pem(self) -> str:
        """The private key, for a Secret."""
        return self.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()

    def jwk(self) -> Mapping[str, str]:
        """The public key, for the key set."""
        return {"kty": "OKP", "crv": "Ed25519", "x": _x(self.key), "kid": self.kid, "alg": "EdDSA", "use": "sig"}


def key_set(jwks: Iterable[Mapping[str, str]]) -> str:
    """The JSON Web Key Set of these keys. While keys are rotated there are two: the one that signs, and the next."""
    return json.dumps({"keys": [dict(jwk) for jwk in jwks]}, indent=2)


def _x(key: Ed25519PrivateKey) -> str:
    return _text(key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw))


def _thumbprint(key: Ed25519PrivateKey) -> str:
    required = {"crv": "Ed25519", "kty": "OKP", "x": _x(key)}  # in this order, as RFC 7638 demands
    return _text(hashlib.sha256(_json(required)).digest())


def _json(value: Claims) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()


def _text(value: bytes) -> str:
    return base64.urlsafe_b64encode(value).rstrip(b"=").decode()
