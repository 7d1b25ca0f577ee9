"""Foreign text in our sentences: short, on one line, and without secrets."""

from __future__ import annotations

from urllib.parse import urlsplit, urlunsplit

SHOWN = 160


def cut(text: str, most: int = SHOWN) -> str:
    """The text on one line, and no more than ``most`` characters of it."""
    text = " ".join(text.split())
    return text if len(text) <= most else f"{text[:most]}…"


def shown(url: str) -> str:
    """The URL without a user and password, which belong in no log and on no page."""
    parts = urlsplit(url)
    return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))


def root(error: BaseException) -> str:
    """What lies at the bottom of a chain of errors."""
    while (cause := error.__cause__ or error.__context__) is not None:
        error = cause
    return cut(str(error) or type(error).__name__)
