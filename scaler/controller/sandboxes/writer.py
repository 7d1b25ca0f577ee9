"""The size of a warm pool, written through ``/scale``.

A custom resource's scale cannot be applied, only changed. So it is changed by a JSON patch that tests which pool it is
and the size that was seen: a compare-and-swap that does not fail because the pool's status moved, as it does all the
time. The API server notes who changed a size, by which a foreign writer is known: whoever did after the pool was made.
It is not fought; a person may name it in the annotation ``agent-scaler.io/take-over``, and the size is ours again.
"""

from __future__ import annotations

from dataclasses import dataclass
from http import HTTPStatus
from typing import Final, TypeAlias

from scaler.controller.api import PATCH, STALE, ApiError, Json, Request
from scaler.controller.names import MANAGER
from scaler.controller.pen import NotLeadingError, Pen
from scaler.controller.sandboxes.facts import WarmPool, Writer
from scaler.controller.sandboxes.kinds import Kind
from scaler.core.types import Instant, Seconds

PATIENCE: Final[Seconds] = 5.0
AT_BIRTH: Final[Seconds] = 1.0  # what was set within the second of its creation came with the pool


@dataclass(frozen=True, slots=True)
class Written:
    """The pool is asked for that many now."""

    size: int


@dataclass(frozen=True, slots=True)
class Refused:
    """Nothing was written, because ``why``."""

    why: str


Result: TypeAlias = Written | Refused


def foreign(pool: WarmPool) -> Writer | None:
    """Who else has set the size since the pool was made, unless a person lets us take it from them."""
    writer = pool.writer
    if writer is None or writer.manager in {MANAGER, pool.take_over} or _came_with(pool, writer.at):
        return None
    return writer


class ScaleWriter:
    """Writes sizes."""

    def __init__(self, pen: Pen) -> None:
        self._pen = pen

    async def write(self, pool: WarmPool, seen: int, size: int) -> Result:
        """Ask for this size, if the pool is still this one and its size is still the one that was seen.

        Raises:
            ApiError: nobody knows whether it was written.
        """
        body: Json = [
            {"op": "test", "path": "/metadata/uid", "value": pool.id.uid},
            {"op": "test", "path": "/spec/replicas", "value": seen or None},  # nought is left out of a scale
            {"op": "add", "path": "/spec/replicas", "value": size},
        ]
        request = Request(
            method="PATCH",
            path=f"{Kind.POOL.of(pool.id.namespace, pool.id.name)}/scale",
            query={"fieldManager": MANAGER},
            body=body,
            content=PATCH,
            within=PATIENCE,
        )
        try:
            answer = await self._pen.write("warm pool size", request)
        except NotLeadingError:
            return Refused("this replica leads no more")
        if answer.status < HTTPStatus.MULTIPLE_CHOICES:
            return Written(size)
        if answer.status in {*STALE, HTTPStatus.UNPROCESSABLE_ENTITY}:
            return Refused(answer.message)
        raise ApiError(f"{request.path}: HTTP {answer.status}: {answer.message}")


def _came_with(pool: WarmPool, at: Instant | None) -> bool:
    return at is not None and at - pool.created <= AT_BIRTH
