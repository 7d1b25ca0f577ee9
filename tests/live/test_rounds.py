"""Rounds: one call for all who find their numbers in its answer, at instants that nothing shifts."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from scaler.config.pool import JsonNumber, SignalSource
from scaler.core.types import Instant, Known, Sample
from scaler.live.rounds import Rounds, Want
from scaler.live.turns import Turns
from tests.support.pools import NOON, Wall, query, settle

ONE, TWO, OTHER = (
    JsonNumber(url=url, path=(key,)) for url, key in (("http://a", "x"), ("http://a", "y"), ("http://b", "x"))
)


@dataclass
class Pages:
    """Pages whose every number is 7; keeps what was asked for when, and answers no page in ``held``."""

    clock: Wall
    asked: list[tuple[Instant, tuple[SignalSource, ...]]] = field(default_factory=list)
    held: asyncio.Event | None = None

    async def read(self, sources: Sequence[SignalSource], now: Instant) -> Sequence[Sample]:
        """Answer."""
        self.asked.append((now, tuple(sources)))
        if self.held is not None:
            await self.held.wait()
        return [Known(7.0, now) for _ in sources]

    def since(self, instant: Instant) -> list[tuple[SignalSource, ...]]:
        """What was asked for after an instant, call by call."""
        return [sources for at, sources in self.asked if at > instant]


@dataclass
class Taker:
    """Somebody who wants a number, and keeps when what was handed over had been asked for."""

    taken: list[Instant] = field(default_factory=list)

    def want(self, source: SignalSource, period: float = 5.0) -> Want:
        """The wish for it."""
        return Want(source, period, self.take)

    def take(self, sample: Sample, now: Instant) -> None:
        """Keep it."""
        assert sample == Known(7.0, now)
        self.taken.append(now)


class EndError(Exception):
    """The test is over, and so are the tasks."""


@asynccontextmanager
async def rounds() -> AsyncIterator[tuple[Rounds, Pages, asyncio.TaskGroup]]:
    """Rounds, the pages that they read, and the group that their tasks belong to, which ends with the block."""
    pages = Pages(Wall())
    try:
        async with asyncio.TaskGroup() as group:
            yield Rounds(pages.read, pages.clock, Turns()), pages, group
            group.create_task(_end())
    except* EndError:
        pass


async def _end() -> None:
    raise EndError


async def test_numbers_of_one_page_are_asked_for_in_one_call() -> None:
    """Two pools, two numbers, one page: one call at once and one at each instant; another page has its own."""
    async with rounds() as (all_, pages, group):
        takers = [Taker(), Taker(), Taker()]
        for taker, source in zip(takers, (ONE, TWO, OTHER), strict=True):
            all_.add(taker.want(source))
        all_.begin(group)
        await pages.clock.pass_time(20)
        assert sorted({len(sources) for _, sources in pages.asked}) == [1, 2]
        assert len(pages.asked) == 2 * (1 + 4)
        assert [len(taker.taken) for taker in takers] == [5, 5, 5]


async def test_the_same_query_of_many_pools_is_one_call() -> None:
    """What Prometheus is asked does not depend on how many want to know it."""
    async with rounds() as (all_, pages, group):
        takers = [Taker() for _ in range(50)]
        for taker in takers:
            all_.add(taker.want(query("up")))
        all_.begin(group)
        await pages.clock.pass_time(20)
        assert len(pages.asked) == 5
        assert {len(taker.taken) for taker in takers} == {5}


async def test_a_newcomer_is_read_at_once_and_then_with_the_others() -> None:
    """Its first number does not wait for the grid, and costs the others no second look."""
    async with rounds() as (all_, pages, group):
        old, new = Taker(), Taker()
        all_.add(old.want(ONE))
        all_.begin(group)
        await pages.clock.pass_time(7)
        before, now = list(old.taken), pages.clock.now()
        all_.add(new.want(TWO))
        all_.begin(group)
        await settle()
        assert (new.taken, old.taken) == ([now], before)
        await pages.clock.pass_time(5)
        assert pages.since(now) == [(ONE, TWO)]
        assert new.taken[1:] == old.taken[len(before) :]


async def test_an_answer_is_not_handed_to_who_has_left() -> None:
    """A pool that goes while its page is under way is not given what it no longer asks for; the others are."""
    async with rounds() as (all_, pages, group):
        stays, goes = Taker(), Taker()
        pages.held = asyncio.Event()
        want = goes.want(TWO)
        all_.add(stays.want(ONE))
        all_.add(want)
        all_.begin(group)
        await settle()
        all_.discard(want)
        pages.held.set()
        await settle()
        assert (stays.taken, goes.taken) == ([NOON], [])


async def test_a_round_that_nobody_wants_ends_and_may_begin_again() -> None:
    """No page is asked for in vain, and who comes back is read at once, on the same instants as before."""
    async with rounds() as (all_, pages, group):
        taker = Taker()
        want = taker.want(ONE)
        all_.add(want)
        all_.begin(group)
        await pages.clock.pass_time(10)
        grid = taker.taken[-1]
        all_.discard(want)
        left = pages.clock.now()
        await pages.clock.pass_time(20)
        assert pages.since(left) == []
        all_.add(want)
        all_.begin(group)
        await settle()
        assert taker.taken[-1] == pages.clock.now()
        await pages.clock.pass_time(5)
        assert (taker.taken[-1] - grid) % 5 == 0


async def test_who_leaves_before_the_round_has_begun_was_never_there() -> None:
    """Added and taken away between two looks at the pools: nothing is read."""
    async with rounds() as (all_, pages, group):
        want = Taker().want(ONE)
        all_.add(want)
        all_.discard(want)
        all_.begin(group)
        await pages.clock.pass_time(10)
        assert pages.asked == []


async def test_what_is_read_often_shares_its_instants_with_what_is_not() -> None:
    """Every second and every five: at each fifth of a second's instants both ask, and one call may serve both."""
    async with rounds() as (all_, pages, group):
        often, seldom = Taker(), Taker()
        all_.add(often.want(ONE, 1.0))
        all_.add(seldom.want(TWO, 5.0))
        all_.begin(group)
        await pages.clock.pass_time(30)
        assert len(often.taken) == 31
        assert set(seldom.taken) <= set(often.taken)
