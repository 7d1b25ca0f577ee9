"""A fair share of the event loop: at once where there is time, in order always, and never all of it."""

from __future__ import annotations

import asyncio
from functools import partial

from scaler.live.turns import Turns
from tests.support.wait import eventually

LONG, NONE = 3600.0, 1e-9  # a slice that lasts for the test, and one that any work uses up


async def test_what_there_is_time_for_is_done_at_once() -> None:
    """Whoever asks finds it done when the call returns."""
    done: list[int] = []
    turns = Turns(LONG)
    for i in range(100):
        turns.do(partial(done.append, i))
        assert done[-1] == i


async def test_what_there_is_no_time_for_is_done_later_and_in_order() -> None:
    """Nothing is lost, and nothing that comes later overtakes what waits."""
    done: list[int] = []
    turns = Turns(NONE)
    for i in range(5):
        turns.do(partial(done.append, i))
    assert done == [0]
    await eventually(lambda: _when(len(done) == 5))
    assert done == [0, 1, 2, 3, 4]


async def test_who_comes_while_others_wait_comes_after_them() -> None:
    """A new turn has begun and has time: it is theirs who waited."""
    done: list[int] = []
    turns = Turns(NONE)
    for i in range(20):
        turns.do(partial(done.append, 2 * i))
        turns.do(partial(done.append, 2 * i + 1))
        await asyncio.sleep(0)
    await eventually(lambda: _when(len(done) == 40))
    assert done == list(range(40))


async def test_others_have_their_turn_between_two_slices() -> None:
    """Ten pieces that each use up their slice: whoever waits on the event loop runs many times between them."""
    log: list[str] = []
    turns = Turns(NONE)

    async def other() -> None:
        while True:
            log.append("other")
            await asyncio.sleep(0)

    task = asyncio.create_task(other())
    for _ in range(10):
        turns.do(partial(log.append, "work"))
    await eventually(lambda: _when(log.count("work") == 10))
    task.cancel()
    assert "work, work" not in ", ".join(log)
    others = ", ".join(log).split("work")[1:-1]
    assert len(others) == 9
    assert sum(each.count("other") for each in others) > 30


async def test_a_turn_of_the_event_loop_brings_a_new_slice() -> None:
    """What was spent is forgotten once everybody else had a turn, so that a quiet loop never makes anybody wait."""
    done: list[int] = []
    turns = Turns(NONE)
    for i in range(5):
        turns.do(partial(done.append, i))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert done[-1] == i


async def test_what_waits_at_the_end_is_left_undone() -> None:
    """Who stops is not overtaken by what he wanted before."""
    done: list[int] = []
    turns = Turns(NONE)
    for i in range(3):
        turns.do(partial(done.append, i))
    turns.close()
    for _ in range(100):
        await asyncio.sleep(0)
    assert done == [0]


async def _when(it_is_so: bool) -> bool | None:
    """What ``eventually`` waits for."""
    return it_is_so or None
