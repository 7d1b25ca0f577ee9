"""Addresses that are named on the command line. The standard library alone, for the gate's commands need it too."""

from __future__ import annotations

from scaler.config import addresses


def is_base_url(text: str) -> bool:
    """Whether this is http://HOST[:PORT][/PATH] or https://..., as it can be typed, so that a path can follow it."""
    return text.isascii() and text.isprintable() and addresses.is_base_url(text)
