"""When the pod must go all the same, and who wants to know."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from typing import Final, TypeVar

from scaler.agent.clock import Clock

LOG: Final = logging.getLogger(__name__)
Told = TypeVar("Told")


class Deadline:
    """The earliest instant that any notice has named, for everybody who has asked."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._at: float | None = None
        self._heirs: list[Callable[[float], None]] = []

    def tell(self, heir: Callable[[float], None]) -> None:
        """Call ``heir`` with the seconds that remain, at each notice that leaves less; now, if there was one."""
        with self._lock:
            self._heirs.append(heir)
            at = self._at
        if at is not None:
            call(heir, max(0.0, at - self._clock.steady()))

    def notice(self, seconds: float) -> None:
        """So many seconds remain. A notice that leaves more than an earlier one changes nothing."""
        at = self._clock.steady() + seconds
        with self._lock:
            if self._at is not None and self._at <= at:
                return
            self._at = at
            heirs = tuple(self._heirs)
        for heir in heirs:
            call(heir, seconds)


def call(callback: Callable[[Told], None], told: Told) -> None:
    """Call what the agent gave us. What breaks there keeps no gate from closing and no process from ending."""
    try:
        callback(told)
    except Exception:  # it is not ours, and may raise anything
        LOG.exception("a callback of the gate failed")
