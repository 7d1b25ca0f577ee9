"""Waiting, from synchronous code, for what happens in another process."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


def until(probe: Callable[[], T | None], *, within: float = 30.0, every: float = 0.05) -> T:
    """The first answer that is not None, asked for every ``every`` seconds.

    Raises:
        AssertionError: there was none within so many seconds; names the probe.
    """
    pause, end = threading.Event(), time.perf_counter() + within
    while (answer := probe()) is None:
        if time.perf_counter() >= end:
            raise AssertionError(f"not within {within:g} s: {probe.__doc__ or probe.__qualname__}")
        pause.wait(every)
    return answer
