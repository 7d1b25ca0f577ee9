"""Orders, and whether they are believed: compact JWS, signed with Ed25519, for one pod, one act and one epoch.

An agent has public keys alone: it can tell a true order and cannot make one. An order that is repeated does nothing,
for the epoch is in it, so none has to be remembered.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final, TypeAlias

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from scaler.agent.gate import MOST_EPOCH

AUDIENCE: Final = "agent-scaler/gate"
ALGORITHM: Final = "EdDSA"
LONGEST: Final = 300.0  # seconds that an order may be good for
SLACK: Final = 30.0  # seconds that the signer's clock and ours may differ
LARGEST: Final = 4096  # characters of an order
LARGEST_KEYS: Final = 1_048_576  # bytes of a key set
LATEST: Final = 1e11  # a later instant is in milliseconds
ACTS: Final = ("drain", "resume")

_BASE64URL: Final = re.compile(r"[A-Za-z0-9_-]*")
_Keys: TypeAlias = Mapping[str, Ed25519PublicKey]
_Said: TypeAlias = Mapping[str, object]


@dataclass(frozen=True, slots=True)
class Order:
    """An order that is believed. For which pod it is, is said in it, and is still to be looked at."""

    act: str
    uid: str
    epoch: int


class DisbelievedError(ValueError):
    """An order that is not believed, and why."""


class Keyring:
    """The public keys of a file, which is read again when it has changed. May block."""

    def __init__(self, path: Path | None, now: Callable[[], float]) -> None:
        self._path = path
        self._now = now
        self._lock = threading.Lock()
        self._seen: tuple[int, ...] = ()
        self._keys: _Keys = {}

    def read(self, token: str, act: str) -> Order:
        """The order in a token.

        Raises:
            DisbelievedError: it is none, it is not signed by one of the keys, or it is for another act or time.
        """
        if len(token) > LARGEST:
            raise DisbelievedError(f"the order has {len(token)} characters, and none has more than {LARGEST}")
        match token.split("."):
            case [header, payload, signature] if token.isascii():
                self._verify(header, payload, signature)
            case _:
                raise DisbelievedError(
                    "the order is no compact JWS: it must be three parts in base64url joined by dots"
                )
        order = _order(_json(payload, "claims"), self._now())
        if order.act != act:
            raise DisbelievedError(f"the order is to {order.act}, and was sent to /{act}")
        return order

    def _verify(self, header: str, payload: str, signature: str) -> None:
        said = _json(header, "header")
        if said.get("alg") != ALGORITHM or "crit" in said:
            raise DisbelievedError(f"alg is {str(said.get('alg'))[:40]!r}; orders are signed with {ALGORITHM}")
        kid = said.get("kid")
        key = self._key(kid) if isinstance(kid, str) else None
        if key is None:
            raise DisbelievedError(f"there is no key {str(kid)[:80]!r} in {self._path}")
        try:
            key.verify(_bytes(signature, "signature"), f"{header}.{payload}".encode())
        except InvalidSignature:
            raise DisbelievedError(f"key {kid!r} has not signed this order") from None

    def _key(self, kid: str) -> Ed25519PublicKey | None:
        """The key as the file has it now. One that cannot be read has none: it may have withdrawn what it had."""
        if self._path is None:
            raise DisbelievedError("the agent was given no keys; set AGENT_SCALER_KEYS to a key set's file")
        with self._lock:
            try:
                found = self._path.stat()
                seen = (found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns)
                if seen != self._seen or kid not in self._keys:
                    self._keys, self._seen = _key_set(self._path), seen
            except (OSError, ValueError) as error:
                self._keys, self._seen = {}, ()
                raise DisbelievedError(f"the keys cannot be read: {error}") from error
            return self._keys.get(kid)


def _key_set(path: Path) -> _Keys:
    """The Ed25519 keys of a JSON Web Key Set; keys of other kinds are for others."""
    with path.open("rb") as file:
        said = json.loads(file.read(LARGEST_KEYS))
    keys = said.get("keys") if isinstance(said, dict) else None
    if not isinstance(keys, list):
        raise DisbelievedError(f"{path} is no JSON Web Key Set: it has no list of keys")
    return {
        key["kid"]: Ed25519PublicKey.from_public_bytes(_bytes(str(key.get("x")), "key"))
        for key in keys
        if isinstance(key, dict) and key.get("crv") == "Ed25519" and isinstance(key.get("kid"), str)
    }


def _order(claims: _Said, now: float) -> Order:
    """The order, if its time is now."""
    if claims.get("aud") != AUDIENCE:
        raise DisbelievedError(f"aud is {str(claims.get('aud'))[:80]!r}; it must be {AUDIENCE!r}")
    issued, expires = _instant(claims, "iat"), _instant(claims, "exp")
    if expires - issued > LONGEST:
        raise DisbelievedError(
            f"the order is good for {expires - issued:.0f} s, and none is for more than {LONGEST:.0f} s"
        )
    if not issued - SLACK <= now < expires + SLACK:
        raise DisbelievedError(f"the order is good from {issued:.0f} to {expires:.0f}, and now is {now:.0f}")
    act, uid, epoch = claims.get("act"), claims.get("sub"), claims.get("epoch")
    if act not in ACTS or not isinstance(act, str):
        raise DisbelievedError(f"act is {str(act)[:40]!r}; it must be one of {', '.join(ACTS)}")
    if not isinstance(uid, str) or not uid:
        raise DisbelievedError("sub is missing; it must be the pod's uid")
    if not isinstance(epoch, int) or isinstance(epoch, bool) or not 0 <= epoch <= MOST_EPOCH:
        raise DisbelievedError(f"epoch is {str(epoch)[:40]!r}; it must be a whole number from 0 to {MOST_EPOCH}")
    return Order(act, uid, epoch)


def _instant(claims: _Said, key: str) -> float:
    value = claims.get(key)
    if not isinstance(value, int | float) or isinstance(value, bool) or not 0 <= value < LATEST:
        raise DisbelievedError(f"{key} is {str(value)[:40]!r}; it must be in seconds since the epoch")
    return float(value)


def _json(part: str, what: str) -> _Said:
    try:
        said = json.loads(_bytes(part, what))
    except (ValueError, RecursionError):
        raise DisbelievedError(f"the order's {what} cannot be read") from None
    if not isinstance(said, dict):
        raise DisbelievedError(f"the order's {what} is no JSON object")
    return said


def _bytes(part: str, what: str) -> bytes:
    """What is written in base64url without padding, and in no other way."""
    try:
        if _BASE64URL.fullmatch(part):
            return base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))
    except binascii.Error:
        pass
    raise DisbelievedError(f"the {what} is no base64url")
