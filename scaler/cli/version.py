"""Which version of the program this is."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version
from typing import Final

NOT_INSTALLED: Final = "0+source"  # run from a checkout that is not installed


def own_version() -> str:
    """The version of this program."""
    try:
        return version("agent-scaler")
    except PackageNotFoundError:
        return NOT_INSTALLED
