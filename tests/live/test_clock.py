"""Clocks: one follows the wall, one stands until it is advanced and then wakes its sleepers in order."""

from __future__ import annotations

import asyncio
from functools import partial

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scaler.core.types import Instant
from scaler.live.clock import SystemClock, VirtualClock

START: Instant = 1_772_452_800.0  # Monday, 2 March 2026, 12:00 UTC


async def every(clock: VirtualClock, seconds: float, log: list[tuple[str, Instant]], name: str) -> None:
    """Note what time it is each time so many seconds have passed."""
    while True:
        await clock.sleep_until(clock.now() + seconds)
        log.append((name, clock.now()))


async def test_a_virtual_clock_stands_until_it_is_advanced() -> None:
    """However long the loop runs, no time passes and nobody wakes."""
    clock = VirtualClock(START)
    sleeper = asyncio.create_task(clock.sleep_until(START + 1))
    for _ in range(100):
        await asyncio.sleep(0)
    assert (clock.now(), sleeper.done()) == (START, False)
    await clock.advance_to(START + 1)
    assert (clock.now(), sleeper.done()) == (START + 1, True)


async def test_sleepers_wake_in_order_each_at_its_own_instant() -> None:
    """One advance of twenty seconds: who sleeps again within it wakes again within it, and sees the right time."""
    clock, log = VirtualClock(START), list[tuple[str, Instant]]()
    tasks = [asyncio.create_task(every(clock, seconds, log, f"{seconds} s")) for seconds in (5, 3)]
    await asyncio.sleep(0)
    await clock.advance_to(START + 10)
    told = [(name, at - START) for name, at in log]
    assert told == [("3 s", 3), ("5 s", 5), ("3 s", 6), ("3 s", 9), ("5 s", 10)]
    assert clock.now() == START + 10
    for task in tasks:
        task.cancel()


async def test_who_sleeps_first_wakes_first_at_the_same_instant() -> None:
    """Ties go by when the alarms were set, so that a run is the same each time."""
    clock, log = VirtualClock(START), list[str]()
    for name in "abc":
        clock.alarm(START + 1, partial(log.append, name))
    await clock.advance_to(START + 1)
    assert log == ["a", "b", "c"]


async def test_a_cancelled_alarm_stays_silent() -> None:
    """Whoever stopped waiting is not called, and leaves nothing in the way of the others."""
    clock, log = VirtualClock(START), list[str]()
    clock.alarm(START + 1, lambda: log.append("cancelled")).cancel()
    clock.alarm(START + 2, lambda: log.append("kept"))
    sleeper = asyncio.create_task(clock.sleep_until(START + 1))
    await asyncio.sleep(0)
    sleeper.cancel()
    await clock.advance_to(START + 3)
    assert log == ["kept"]


async def test_time_that_has_passed_is_not_waited_for() -> None:
    """A sleep into the past returns at once; an alarm in the past rings with the next advance, at no earlier time."""
    clock, log = VirtualClock(START), list[Instant]()
    await clock.sleep_until(START - 5)
    clock.alarm(START - 5, lambda: log.append(clock.now()))
    await clock.advance_to(START)
    assert log == [START]


async def test_time_does_not_run_backwards() -> None:
    """To go back is a mistake of the one who advances, and told as one."""
    clock = VirtualClock(START)
    with pytest.raises(ValueError, match="already 1772452800"):
        await clock.advance_to(START - 1)


@given(st.lists(st.integers(0, 50), max_size=30))
def test_alarms_ring_in_the_order_of_their_instants(offsets: list[int]) -> None:
    """Whatever the order in which they were set."""

    async def rung() -> list[Instant]:
        clock, log = VirtualClock(START), list[Instant]()
        for offset in offsets:
            clock.alarm(START + offset, lambda: log.append(clock.now()))
        await clock.advance_to(START + 50)
        return log

    assert asyncio.run(rung()) == sorted(START + offset for offset in offsets)


async def test_the_system_clock_rings_and_wakes_in_order() -> None:
    """What is due earlier comes earlier, a past instant first of all, and what was cancelled not at all."""
    clock, log = SystemClock(), list[str]()
    now = clock.now()
    for after, name in ((0.04, "third"), (0.02, "second"), (-60.0, "first")):
        clock.alarm(now + after, partial(log.append, name))
    clock.alarm(now + 0.03, partial(log.append, "cancelled")).cancel()
    async with asyncio.timeout(10):
        await clock.sleep_until(now + 0.08)
    assert log == ["first", "second", "third"]
