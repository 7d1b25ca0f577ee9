"""One call for all who ask the same at about the same time."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Hashable
from dataclasses import dataclass
from typing import Generic, TypeVar

from scaler.core.types import Instant, Seconds

SHARED_FOR: Seconds = 0.5  # half the shortest reading interval: long enough to share, too short to hide an edge

Asked = TypeVar("Asked", bound=Hashable)
Answer = TypeVar("Answer")


class Shared(Generic[Asked, Answer]):
    """Calls that are under way, and those whose answer still serves. Belongs to one event loop."""

    def __init__(self, fetch: Callable[[Asked, Instant], Coroutine[None, None, Answer]]) -> None:
        self._fetch = fetch
        self._calls: dict[Asked, _Call[Answer]] = {}
        self._forgotten: set[asyncio.Task[Answer]] = set()

    async def ask(self, asked: Asked, now: Instant) -> Answer:
        """The answer of a call made at ``now``, or of one that somebody else made within ``SHARED_FOR``."""
        self._forget(now)
        call = self._calls.get(asked)
        if call is None or call.over(now):
            self._calls.pop(asked, None)
            call = self._calls[asked] = _Call(now, asyncio.create_task(self._fetch(asked, now)))
        return await asyncio.shield(call.answer)  # one pool that leaves must not cancel the others' reading

    def forget(self) -> None:
        """Let who asks from now on have an answer that is asked for now. Who waits already gets what was asked."""
        for call in self._calls.values():
            self._forgotten.add(call.answer)
            call.answer.add_done_callback(self._forgotten.discard)
        self._calls.clear()

    def close(self) -> None:
        """Give up the calls under way."""
        for answer in (*(call.answer for call in self._calls.values()), *self._forgotten):
            answer.cancel()

    def _forget(self, now: Instant) -> None:
        """Drop the calls that are done and too old to share. They stand in the order they were asked in."""
        while self._calls and self._calls[first := next(iter(self._calls))].over(now):
            del self._calls[first]


@dataclass(frozen=True, slots=True)
class _Call(Generic[Answer]):
    asked_at: Instant
    answer: asyncio.Task[Answer]

    def over(self, now: Instant) -> bool:
        """Answered, and too long ago to share."""
        return self.answer.done() and abs(now - self.asked_at) >= SHARED_FOR
