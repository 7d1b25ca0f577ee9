"""Writing to the API server: each write is made only if this process leads at that very moment, and is counted."""

from __future__ import annotations

from http import HTTPStatus

from scaler.controller.api import Answer, Api, ApiError, Request
from scaler.live.deeds import Deeds
from scaler.live.office import Office


class NotLeadingError(Exception):
    """This process has not the right to write."""


class Pen:
    """Writes, and counts what became of it; reads what no watch may be trusted for.

    Attributes:
        deeds: where it counts.
    """

    def __init__(self, api: Api, office: Office, deeds: Deeds) -> None:
        self._api, self._office, self.deeds = api, office, deeds

    async def read(self, request: Request) -> Answer:
        """Read what stands at this very moment, whoever leads.

        Raises:
            ApiError: there was no answer.
        """
        return await self._api.ask(request)

    async def write(self, what: str, request: Request) -> Answer:
        """Make a write, which the metrics call ``what``; a refusal is an answer.

        Raises:
            NotLeadingError: the term is over. Nothing was sent.
            ApiError: there was no answer, and nobody knows whether it was made.
        """
        if self._office.term is None:
            raise NotLeadingError
        try:
            answer = await self._api.ask(request)
        except ApiError:
            self.deeds.writes[what, "unanswered"] += 1
            raise
        self.deeds.writes[what, _became(answer.status)] += 1
        return answer


def _became(status: int) -> str:
    if status < HTTPStatus.MULTIPLE_CHOICES:
        return "done"
    stale = {HTTPStatus.NOT_FOUND, HTTPStatus.CONFLICT, HTTPStatus.UNPROCESSABLE_ENTITY}
    return "stale" if status in stale else "refused"
