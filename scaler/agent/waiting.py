"""Waiting for the gate to come to something, in threads and on event loops."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from contextlib import suppress

from scaler.agent.book import Book


def until(book: Book, settled: Callable[[], bool]) -> None:
    """Return when it is so. Whatever moves the gate wakes us, and so does the end of a session's time."""
    moved = threading.Event()
    with book.watched(moved.set):
        while not settled():
            moved.wait(book.next_expiry())
            moved.clear()


async def come(book: Book, settled: Callable[[], bool]) -> None:
    """The same on an event loop."""
    moved, loop = asyncio.Event(), asyncio.get_running_loop()

    def ring() -> None:
        with suppress(RuntimeError):  # the loop is closed, and nobody waits
            loop.call_soon_threadsafe(moved.set)

    with book.watched(ring):
        while not settled():
            with suppress(TimeoutError):
                await asyncio.wait_for(moved.wait(), book.next_expiry())
            moved.clear()
