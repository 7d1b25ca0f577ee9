"""The world as it is seen: signals and activity as of the last scrape, labels and replicas as they stand."""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Mapping

import numpy as np

from scaler.core.pods import NO_ORDINAL, Pods
from scaler.core.types import Instant, Known, Observation, PodUid, Sample, Seconds, Signal, Unknown
from scaler.sim.work import Work
from scaler.sim.world import World

SCRAPE: Seconds = 5.0
RATE_WINDOW: Seconds = 60.0
WAIT_WINDOW: Seconds = 1800.0
SERVED = 100  # tasks whose mean length is the service time


class Sight:
    """Scrapes one world from now on, every ``SCRAPE`` seconds."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._scraped_at: Instant = math.nan
        self._signals: Mapping[Signal, Sample] = {}
        self._inflight: dict[PodUid, int] = {}
        self._scrape(world)

    def observe(self, signals: Iterable[Signal]) -> Observation:
        """All that is known now to a pool measured by these signals."""
        return Observation(
            replicas=self.replicas(), pods=self.pods(), signals={name: self.signal(name) for name in signals}
        )

    def signal(self, name: Signal) -> Sample:
        """One signal as of the last scrape."""
        return self._signals[name]

    def replicas(self) -> Sample:
        """The live ``spec.replicas``."""
        return Known(float(self._world.replicas), self._world.now)

    def pods(self) -> Pods:
        """The pods that are not leaving: what they are as of now, what they do as of the last scrape."""
        pods = [pod for pod in self._world.pods.values() if not pod.leaving]
        heard = [pod.uid in self._inflight for pod in pods]
        return Pods(
            uids=tuple(pod.uid for pod in pods),
            created_at=np.array([pod.created_at for pod in pods], dtype=np.float64),
            since=np.array([pod.created_at if (at := pod.ready_at) is None else at for pod in pods], dtype=np.float64),
            stage=np.array([pod.stage for pod in pods], dtype=np.int64),
            phase=np.array([pod.phase for pod in pods], dtype=np.int64),
            inflight=np.array([self._inflight.get(pod.uid, 0) for pod in pods], dtype=np.int64),
            sessions=np.zeros(len(pods), dtype=np.int64),
            seen_at=np.where(heard, self._scraped_at, math.nan),
            ordinal=np.full(len(pods), NO_ORDINAL, dtype=np.int64),
            epoch=np.array([pod.epoch for pod in pods], dtype=np.int64),
            acked=np.array([pod.acked for pod in pods], dtype=np.int64),
        )

    def _scrape(self, world: World) -> None:
        """Look at everything that can be asked, and come again."""
        self._scraped_at = world.now
        ready = [pod for pod in world.pods.values() if pod.ready_at is not None and not pod.leaving]
        self._inflight = {pod.uid: len(pod.running) for pod in ready}
        self._signals = _signals(world)
        world.agenda.at(world.now + SCRAPE, self._scrape, world)


def _signals(world: World) -> dict[Signal, Sample]:
    """Every signal there is, measured now."""
    work, tasks, now = world.work, world.work.tasks, world.now
    waits = [work.waited[task] for task in _started_since(work, now - WAIT_WINDOW)]
    served = [tasks.seconds[task] for task in work.ends[-SERVED:]]
    recent = work.arrived - bisect_right(tasks.arrived_at, now - RATE_WINDOW, hi=work.arrived)
    figures = {
        Signal.QUEUE: len(work.queue),
        Signal.PENDING: len(work.queue) + work.running,
        Signal.INFLIGHT: work.running,
        Signal.TOKENS: sum(tasks.tokens[task] for pod in world.pods.values() for task in pod.running),
        Signal.OLDEST_WAIT: now - tasks.arrived_at[work.queue[0]] if work.queue else 0.0,
        Signal.ARRIVALS: recent / RATE_WINDOW,
        Signal.COMPLETIONS: len(work.ends),
    }
    return {name: Known(float(value), now) for name, value in figures.items()} | {
        Signal.WAIT_P95: Known(float(np.quantile(waits, 0.95)), now) if waits else Unknown("no task started lately"),
        Signal.SERVICE: Known(float(np.mean(served)), now) if served else Unknown("no task has ended yet"),
    }


def _started_since(work: Work, since: Instant) -> Iterator[int]:
    """Tasks whose run began later than that, the latest first; those of a run that was cut have no beginning."""
    for task in reversed(work.starts):
        if work.started_at[task] <= since:
            return
        if work.started_at[task] > since:
            yield task
