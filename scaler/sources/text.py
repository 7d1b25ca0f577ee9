"""Foreign text in our sentences: short, on one line, and without secrets."""

from __future__ import annotations

from typing import Final
from urllib.parse import urlsplit, urlunsplit

from scaler.config.problems import printable

SHOWN = 160
KINDS: Final = {dict: "an object", list: "a list", str: "a string", bool: "a truth value", type(None): "null"}


def cut(text: str, most: int = SHOWN) -> str:
    """The text on one line, printable, and no more than ``most`` characters of it."""
    text = printable(" ".join(text[: 2 * most].split()))
    return text if len(text) <= most else f"{text[:most]}…"


def kind(value: object) -> str:
    """What JSON calls a value."""
    return KINDS.get(type(value), "a number")


def shown(url: str) -> str:
    """The URL without a user and password, which belong in no log and on no page."""
    parts = urlsplit(url)
    return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))


def root(error: BaseException) -> str:
    """What lies at the bottom of a chain of errors."""
    while (cause := error.__cause__ or error.__context__) is not None:
        error = cause
    return cut(str(error) or type(error).__name__)
