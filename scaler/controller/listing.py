"""Listing what there is of a kind, once and without a watch: for commands that a person runs."""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus
from typing import Final

from scaler.controller.api import Api, ApiError, Json, Request
from scaler.controller.dig import objects, parsed
from scaler.core.types import Seconds

PATIENCE: Final[Seconds] = 30.0


async def listed(api: Api, path: str, *, labels: str = "") -> list[Mapping[str, Json]]:
    """The objects there; none where that kind is not served.

    Raises:
        ApiError: they cannot be listed.
    """
    query = {"labelSelector": labels} if labels else {}
    answer = await api.ask(Request(method="GET", path=path, query=query, within=PATIENCE))
    if answer.status == HTTPStatus.NOT_FOUND:
        return []
    if answer.status != HTTPStatus.OK:
        raise ApiError(f"{path} cannot be listed: HTTP {answer.status} {answer.message}")
    return objects(parsed(answer.body), "items")
