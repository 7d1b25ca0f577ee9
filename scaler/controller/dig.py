"""Reading what stands somewhere in an object's JSON. What is not there, or of another kind, is empty."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Final

from scaler.controller.api import ApiError, Json
from scaler.core.types import Instant

NOTHING: Final[Mapping[str, str]] = MappingProxyType({})


def parsed(body: bytes) -> Mapping[str, Json]:
    """The object that a body holds.

    Raises:
        ApiError: it holds none.
    """
    try:
        found = json.loads(body)
    except ValueError:
        found = None
    if not isinstance(found, dict):
        raise ApiError(f"the API server answered no object: {body[:80].decode(errors='replace')!r}")
    return found


def at(found: Json, *path: str) -> Json:
    """What stands at the end of a path of keys; None where the path breaks off."""
    for key in path:
        found = found.get(key) if isinstance(found, Mapping) else None
    return found


def text(found: Json, *path: str) -> str:
    """The string there; empty where there is none."""
    value = at(found, *path)
    return value if isinstance(value, str) else ""


def whole(found: Json, *path: str, otherwise: int) -> int:
    """The whole number there."""
    value = at(found, *path)
    return value if isinstance(value, int) and not isinstance(value, bool) else otherwise


def strings(found: Json, *path: str) -> Mapping[str, str]:
    """The strings by their keys there."""
    value = at(found, *path)
    if not isinstance(value, Mapping) or not value:
        return NOTHING
    return {key: each for key, each in value.items() if isinstance(each, str)}


def objects(found: Json, *path: str) -> list[Mapping[str, Json]]:
    """The objects of the list there."""
    value = at(found, *path)
    if not isinstance(value, Sequence) or isinstance(value, str):
        return []
    return [item for item in value if isinstance(item, Mapping)]


def instant(found: Json, *path: str) -> Instant | None:
    """The instant there, in seconds since the epoch."""
    try:
        return datetime.fromisoformat(text(found, *path)).timestamp()
    except ValueError:
        return None


def stamp(at: Instant) -> str:
    """An instant as Kubernetes writes it, to the second."""
    return datetime.fromtimestamp(int(at), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def condition(found: Json, kind: str) -> Mapping[str, Json] | None:
    """The condition of this type in a status; None where there is none."""
    return next((each for each in objects(found, "status", "conditions") if text(each, "type") == kind), None)


def holds(found: Json, kind: str) -> bool:
    """Whether that condition is True."""
    return text(condition(found, kind), "status") == "True"
