"""Orders to a gate, signed: an agent can verify whose they are, and nobody who only has an agent can make one.

An order is a compact JSON Web Signature by Ed25519, bound to one pod by its uid, to one drain by its epoch, and short
of life.
"""

from __future__ import annotations

import json
from base64 import urlsafe_b64encode
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from scaler.core.types import Instant, PodUid, Seconds

AUDIENCE: Final = "agent-scaler/gate"
LIFE: Final[Seconds] = 120.0


class KeyFileError(Exception):
    """There is no private key to sign with: names the file, and what is wrong."""


@dataclass(frozen=True, slots=True)
class Signer:
    """Signs with one key; ``kid`` is its name among the keys that agents have."""

    key: Ed25519PrivateKey
    kid: str

    def sign(self, act: str, uid: PodUid, epoch: int, now: Instant) -> str:
        """An order to ``drain`` or ``resume`` this pod in this epoch."""
        issued = int(now)
        claims: dict[str, str | int] = {
            "sub": uid,
            "aud": AUDIENCE,
            "act": act,
            "epoch": epoch,
            "iat": issued,
            "exp": issued + int(LIFE),
        }
        signed = f"{_part({'alg': 'EdDSA', 'typ': 'JWT', 'kid': self.kid})}.{_part(claims)}"
        return f"{signed}.{_text(self.key.sign(signed.encode()))}"


def read_signer(path: Path) -> Signer:
    """The key of a PEM file; the file's name without its suffix is the key's.

    Raises:
        KeyFileError: there is no Ed25519 key in it.
    """
    try:
        key = load_pem_private_key(path.read_bytes(), password=None)
    except (OSError, ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise KeyFileError(f"{path} cannot be used: {error}") from None
    if not isinstance(key, Ed25519PrivateKey):
        raise KeyFileError(f"{path} holds no Ed25519 key; make one with openssl genpkey -algorithm ed25519")
    return Signer(key, path.stem)


def _part(value: Mapping[str, str | int]) -> str:
    return _text(json.dumps(value, separators=(",", ":")).encode())


def _text(raw: bytes) -> str:
    return urlsafe_b64encode(raw).rstrip(b"=").decode()
