"""What happened in a run, looked at every so often: for plots."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from scaler.core.pods import Phase
from scaler.core.types import Instant, Seconds
from scaler.sim.world import World

LOOKS: Final = 720
QUANTILES: Final = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class History:
    """Columns of equal length, one entry a look, and the waits of the run.

    Attributes:
        at: hours since the start.
        demand: tasks that run or wait, over the slots of a pod.
        ready, starting, draining: pods.
        queued: tasks that wait. ``killed``: runs that were cut so far.
        scaled: each change of the replicas, as (hours, replicas).
        waits: seconds waited, at evenly spaced quantiles from 0 to 1.
    """

    at: list[float]
    demand: list[float]
    ready: list[int]
    starting: list[int]
    draining: list[int]
    queued: list[int]
    killed: list[int]
    scaled: list[tuple[float, int]]
    waits: list[float]


class Recorder:
    """Looks at one world as long as it runs."""

    def __init__(self, world: World, lasts: Seconds) -> None:
        self._world, self._every = world, max(1.0, lasts / LOOKS)
        self._seen: list[tuple[float, float, int, int, int, int, int]] = []
        self._look(world)

    def history(self) -> History:
        """What was seen."""
        world, columns = self._world, [list(column) for column in zip(*self._seen, strict=True)]
        at, demand, ready, starting, draining, queued, killed = columns
        waits = world.work.waits()
        spread = np.quantile(waits, np.linspace(0.0, 1.0, QUANTILES + 1)) if len(waits) else np.zeros(QUANTILES + 1)
        return History(
            at=at,
            demand=demand,
            ready=[int(n) for n in ready],
            starting=[int(n) for n in starting],
            draining=[int(n) for n in draining],
            queued=[int(n) for n in queued],
            killed=[int(n) for n in killed],
            scaled=[(self._hours(at), replicas) for at, replicas in world.scaled],
            waits=spread.round(3).tolist(),
        )

    def _hours(self, at: Instant) -> float:
        return round((at - self._world.start) / 3600.0, 5)

    def _look(self, world: World) -> None:
        fleet, work = world.fleet, world.work
        ready = fleet.ready()
        active = fleet.phase[fleet.stays()] == Phase.ACTIVE
        serving, starting = int(np.count_nonzero(ready & active)), int(np.count_nonzero(~ready))
        draining = len(fleet) - serving - starting
        demand = (len(work.queue) + work.running) / world.setting.serving.slots
        self._seen.append((self._hours(world.now), demand, serving, starting, draining, len(work.queue), work.killed))
        world.agenda.at(world.now + self._every, self._look, world)
