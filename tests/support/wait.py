"""Waiting for the real world: ask until the answer is there, and not for ever."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

T = TypeVar("T")


async def eventually(probe: Callable[[], Awaitable[T | None]], *, within: float = 30.0) -> T:
    """The first answer that is not None, asked for every 50 ms.

    Raises:
        AssertionError: there was none within so many seconds; names the probe.
    """
    try:
        async with asyncio.timeout(within):
            while (answer := await probe()) is None:  # noqa: ASYNC110 (what changes is in another process)
                await asyncio.sleep(0.05)
    except TimeoutError:
        raise AssertionError(f"not within {within:g} s: {probe.__doc__ or probe.__qualname__}") from None
    return answer
