"""Lines of JSON that show damage: each ends in a checksum, ``c``, of itself and, in a chain, of those before it."""

from __future__ import annotations

import json
import zlib
from typing import Final

from scaler.core.record import Json

FIRST: Final = 0  # what the first line of a chain is sealed with
_SEAL: Final = b',"c":"%08x"}\n'
_LENGTH: Final = len(_SEAL % FIRST)
_ENCODER: Final = json.JSONEncoder(separators=(",", ":"), allow_nan=False)


class LineError(ValueError):
    """A line that is not as it was written."""


def seal(value: Json, before: int = FIRST) -> tuple[bytes, int]:
    """The object as one line, and what the next one is sealed with. Strings keep to ASCII, so bytes are characters."""
    body = _ENCODER.encode(value).encode()[:-1]
    check = zlib.crc32(body, before)
    return body + _SEAL % check, check


def unseal(line: bytes, before: int = FIRST) -> tuple[Json, int]:
    """The object of a line, and what the next one is sealed with.

    Raises:
        LineError: the line is cut, changed, or does not follow the one before it.
    """
    body = line[:-_LENGTH]
    check = zlib.crc32(body, before)
    if line[-_LENGTH:] != _SEAL % check:
        raise LineError(f"its checksum does not match, it begins {line[:40]!r}")
    try:
        value = json.loads(body + b"}")
    except (ValueError, RecursionError) as error:
        raise LineError(f"no JSON: {error}") from error
    if not isinstance(value, dict):
        raise LineError(f"no object, it begins {line[:40]!r}")
    return value, check
