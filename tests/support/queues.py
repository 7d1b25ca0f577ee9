"""A queue with c servers, written plainly in SimPy: what the simulator's waits and speed are held against."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from typing import Any

import simpy

Happening = Generator[simpy.Event, Any, None]


def waits_in_simpy(arrivals: Sequence[float], lengths: Sequence[float], servers: int) -> list[float]:
    """Seconds that each customer waits, first come first served, in the order in which service begins."""
    env = simpy.Environment()
    desk = simpy.Resource(env, servers)
    waits: list[float] = []

    def customer(arrived: float, length: float) -> Happening:
        with desk.request() as turn:
            yield turn
            waits.append(env.now - arrived)
            yield env.timeout(length)

    def source() -> Happening:
        for arrived, length in zip(arrivals, lengths, strict=True):
            yield env.timeout(arrived - env.now)
            env.process(customer(arrived, length))

    env.process(source())
    env.run()
    return waits
