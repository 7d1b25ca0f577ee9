"""Pools as they are named on the command line."""

from __future__ import annotations

from collections.abc import Collection
from typing import Final

from scaler.cli.output import refuse
from scaler.config.names import is_name, is_namespace
from scaler.config.pool import PoolKey

NAMED: Final = 10  # of many names, so many are told


def pool_key(text: str) -> PoolKey:
    """The pool that is named on the command line."""
    namespace, slash, name = text.partition("/")
    if not (slash and is_namespace(namespace) and is_name(name)):
        refuse(f"{text!r} is no pool: write NAMESPACE/NAME, as in agents/coder")
    return PoolKey(namespace, name)


def listed(names: Collection[str]) -> str:
    """The names for people, and of many how many more there are."""
    told = ", ".join(list(names)[:NAMED])
    return told if len(names) <= NAMED else f"{told} and {len(names) - NAMED} more"
