"""Listing what there is of a kind, once and without a watch: for commands that a person runs."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from http import HTTPStatus
from typing import Final

from scaler.controller.api import Api, ApiError, Json, Request
from scaler.controller.dig import objects, parsed
from scaler.core.types import Seconds

PATIENCE: Final[Seconds] = 30.0
TRIES: Final = 20  # a busy API server, or one that has just been told of a kind, asks to come again
PAUSE: Final[Seconds] = 0.5


async def listed(api: Api, path: str, *, labels: str = "") -> list[Mapping[str, Json]]:
    """The objects there; none where that kind is not served.

    Raises:
        ApiError: they cannot be listed.
    """
    request = Request(method="GET", path=path, query={"labelSelector": labels} if labels else {}, within=PATIENCE)
    answer = await api.ask(request)
    for _ in range(TRIES):
        if answer.status != HTTPStatus.TOO_MANY_REQUESTS:
            break
        await asyncio.sleep(PAUSE)
        answer = await api.ask(request)
    if answer.status == HTTPStatus.NOT_FOUND:
        return []
    if answer.status != HTTPStatus.OK:
        raise ApiError(f"{path} cannot be listed: HTTP {answer.status} {answer.message}")
    return objects(parsed(answer.body), "items")
