"""What stands in the conditions of a status."""

from __future__ import annotations

from collections.abc import Mapping

from scaler.controller.api import Json
from scaler.controller.dig import objects, text


def condition(found: Json, kind: str) -> Mapping[str, Json] | None:
    """The condition of this type; None where there is none."""
    return next((each for each in objects(found, "status", "conditions") if text(each, "type") == kind), None)


def holds(found: Json, kind: str) -> bool:
    """Whether that condition is True."""
    return text(condition(found, kind), "status") == "True"
