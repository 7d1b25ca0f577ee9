"""Addresses of pages. The standard library alone, for the gate's commands need it too."""

from __future__ import annotations

import re
from urllib.parse import urlsplit


def is_page(text: str) -> bool:
    """Whether this is http://HOST[:PORT][/PATH][?QUERY] or https://..., without credentials or fragment."""
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError:
        return False
    whole = parts.scheme in {"http", "https"} and bool(parts.hostname) and port != 0
    bare = not ("#" in text or "@" in parts.netloc)
    return whole and bare and not re.search(r"\s", text)


def is_base_url(text: str) -> bool:
    """Whether a path can be put behind it."""
    return is_page(text) and "?" not in text
