"""One call for all who ask the same, until what was asked before will not do."""

from __future__ import annotations

import asyncio

from scaler.core.types import Instant
from scaler.sources.sharing import Shared

NOW = 1_760_000_000.0


class Slow:
    """Answers with the instant of the question, once it is let."""

    def __init__(self) -> None:
        self.asked: list[Instant] = []
        self.let = asyncio.Event()

    async def fetch(self, _: str, now: Instant) -> Instant:
        """Ask."""
        self.asked.append(now)
        await self.let.wait()
        return now


async def test_what_was_asked_for_before_is_forgotten_when_it_must_be() -> None:
    """Who asks after that waits for an answer of his own, though another is under way; and both get theirs."""
    slow = Slow()
    shared = Shared(slow.fetch)
    before = asyncio.create_task(shared.ask("a", NOW))
    same = asyncio.create_task(shared.ask("a", NOW + 0.1))
    await asyncio.sleep(0)
    shared.forget()
    after = asyncio.create_task(shared.ask("a", NOW + 0.2))
    await asyncio.sleep(0)
    slow.let.set()
    assert [await answer for answer in (before, same, after)] == [NOW, NOW, NOW + 0.2]
    assert await shared.ask("a", NOW + 0.3) == NOW + 0.2
    shared.forget()
    assert await shared.ask("a", NOW + 0.3) == NOW + 0.3


async def test_a_call_that_was_forgotten_ends_with_the_rest() -> None:
    """Nothing is left under way."""
    slow = Slow()
    shared = Shared(slow.fetch)
    asking = [asyncio.create_task(shared.ask("a", NOW))]
    await asyncio.sleep(0)
    shared.forget()
    asking.append(asyncio.create_task(shared.ask("a", NOW)))
    await asyncio.sleep(0)
    shared.close()
    assert [type(end) for end in await asyncio.gather(*asking, return_exceptions=True)] == [asyncio.CancelledError] * 2
