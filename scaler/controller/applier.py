"""Applying what is owned: server-side, by our name, and only where it differs from what was applied last."""

from __future__ import annotations

from http import HTTPStatus
from typing import Final

from scaler.controller.api import APPLY, ApiError, Request
from scaler.controller.names import MANAGER
from scaler.controller.owners import Owned
from scaler.controller.pen import Pen
from scaler.core.types import Instant, Seconds
from scaler.live.clock import Clock

ANEW: Final[Seconds] = 60.0  # somebody may have taken it away
PATIENCE: Final[Seconds] = 15.0  # a write given up is made all the same, and its connection is lost
FORCED: Final = {"fieldManager": MANAGER, "force": "true"}  # the fields are ours alone


class Applier:
    """Belongs to one event loop."""

    def __init__(self, pen: Pen, clock: Clock) -> None:
        self._pen, self._clock = pen, clock
        self._applied: dict[str, tuple[Owned | None, Instant]] = {}  # None where it was deleted

    async def apply(self, owned: Owned) -> None:
        """Apply it, unless it was applied just so a short while ago.

        Raises:
            ApiError: it was refused, or nobody answered.
            NotLeadingError: the term is over.
        """
        if self._is_so(owned.path, owned):
            return
        request = Request(
            method="PATCH", path=owned.path, query=FORCED, body=owned.body, content=APPLY, within=PATIENCE
        )
        answer = await self._pen.write("apply", request)
        if answer.status >= HTTPStatus.MULTIPLE_CHOICES:
            raise ApiError(f"{owned.path} cannot be applied: HTTP {answer.status} {answer.message}")
        self._applied[owned.path] = owned, self._clock.now()

    async def delete(self, owned: Owned) -> None:
        """Delete what was applied; nothing being there is as good. Raises as ``apply`` does."""
        if self._is_so(owned.path, None):
            return
        answer = await self._pen.write("apply", Request(method="DELETE", path=owned.path, within=PATIENCE))
        if answer.status >= HTTPStatus.MULTIPLE_CHOICES and answer.status != HTTPStatus.NOT_FOUND:
            raise ApiError(f"{owned.path} cannot be deleted: HTTP {answer.status} {answer.message}")
        self._applied[owned.path] = None, self._clock.now()

    def _is_so(self, path: str, owned: Owned | None) -> bool:
        """Whether it was brought to this a short while ago."""
        last = self._applied.get(path)
        return last is not None and last[0] == owned and abs(self._clock.now() - last[1]) < ANEW

    def forget(self) -> None:
        """Another may have applied something else since: apply everything anew."""
        self._applied.clear()
