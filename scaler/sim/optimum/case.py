"""What there is to serve, and by what: the question that every limit answers."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from scaler.core.pods import Floats
from scaler.core.types import Seconds
from scaler.sim.hpa import SYNC


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """A run from 0 to ``end``, in seconds. A pod-second costs 1.

    Attributes:
        arrived_at: when each task arrives, in order, shape (n,); ``seconds`` how long each takes, shape (n,).
        slots: tasks a pod runs at once.
        startup: seconds from ordering a pod until it serves, all of them paid for.
        wait_price: price of a second that a task waits.
        high: most pods that may stand at once, starting ones included; None for no bound.
        look: seconds between two looks of whoever has no foresight: an order waits for the next one, as for the HPA's.
    """

    arrived_at: Floats
    seconds: Floats
    slots: int = 1
    startup: Seconds
    wait_price: float
    end: Seconds
    high: int | None = None
    look: Seconds = SYNC

    def __post_init__(self) -> None:
        """Refuse what no limit can be found for."""
        if len(self.arrived_at) != len(self.seconds):
            raise ValueError(f"{len(self.arrived_at)} arrivals and {len(self.seconds)} durations: give one of each")
        if np.any(np.diff(self.arrived_at) < 0) or np.any(self.arrived_at < 0):
            raise ValueError("arrived_at must rise from 0 on: sort the tasks, and count from the start of the run")
        if not (self.startup >= 0 and self.wait_price >= 0 and self.end > 0 and self.slots >= 1 and self.look > 0):
            raise ValueError("startup and wait_price must be >= 0, end and look > 0 and slots >= 1")
