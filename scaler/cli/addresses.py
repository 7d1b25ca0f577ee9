"""Addresses that are named on the command line. The standard library alone, for the gate's commands need it too."""

from __future__ import annotations

from urllib.parse import urlsplit


def is_base_url(text: str) -> bool:
    """Whether this is http://HOST[:PORT][/PATH] or https://..., so that a path can be put behind it."""
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError:
        return False
    written = text.isascii() and text.isprintable() and " " not in text  # urlsplit takes line breaks out in silence
    whole = parts.scheme in {"http", "https"} and bool(parts.hostname) and port != 0
    return written and whole and not ("?" in text or "#" in text or "@" in parts.netloc)
