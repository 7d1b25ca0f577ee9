"""Calls that come packed: they are read here, and pass as they came, for the agent was sent them and not we."""

from __future__ import annotations

import zlib
from typing import Final

PLAIN: Final = frozenset({"", "identity"})
ZIPPED: Final = frozenset({"gzip", "x-gzip", "deflate"})
EITHER: Final = 32 + zlib.MAX_WBITS  # of gzip and zlib whichever it is


def unpacked(body: bytes, coding: str, most: int) -> bytes | None:
    """What a body says; None where its coding is none that we read, or it is damaged, or longer than ``most``."""
    named = coding.strip().lower()
    if named in PLAIN:
        return body
    if named not in ZIPPED:
        return None
    reader = zlib.decompressobj(EITHER)
    try:
        said = reader.decompress(body, most)
    except zlib.error:
        return None
    return said if reader.eof and not reader.unused_data else None
