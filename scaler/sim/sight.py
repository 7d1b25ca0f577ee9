"""The world as our decision sees it: signals and activity as of the last scrape, labels and replicas as they stand."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from typing import Final, TypedDict

import numpy as np

from scaler.core.passing import maker, passing
from scaler.core.pods import NO_ORDINAL, NO_ZONE, Floats, Ints, Mask, Pods
from scaler.core.types import Instant, Known, Observation, PodUid, Sample, Seconds, Signal, Unknown
from scaler.sim.recent import Recent, p95
from scaler.sim.work import FRESH, HELD, Work
from scaler.sim.world import World

SCRAPE: Seconds = 5.0
RATE_WINDOW: Seconds = 60.0
WAIT_WINDOW: Seconds = 1800.0
SERVED: Final = 100  # tasks whose mean length is the service time
_FIRST = np.array(0)  # the first task, as what is in a slot: an array is compared with in half the time
_new_pods = maker(Pods)
_new_known = maker(Known)
_new_observation = maker(Observation)


class _Alike(TypedDict):
    """Columns of ``Pods`` that stay as they are while the same pods stand."""

    uids: tuple[PodUid, ...]
    created_at: Floats
    ordinal: Ints
    displaced: Mask
    for_node: Mask
    zone: Ints


class _Stood(_Alike):
    """All columns that a scrape says nothing about."""

    since: Floats
    stage: Ints
    phase: Ints
    epoch: Ints
    acked: Ints


class Sight:
    """Scrapes one world from now on, every ``SCRAPE`` seconds.

    A scrape only notes what will have changed; what it comes to is worked out when somebody asks, which is more rarely.
    """

    def __init__(self, world: World, names: Iterable[Signal]) -> None:
        self._world, self._recent = world, Recent(world.work)
        self._names = tuple(names)
        self._last = _scraped(world)
        self._seen: tuple[tuple[int, Instant], Pods] | None = None
        self._stood: tuple[int, tuple[Ints, Floats, _Stood]] | None = None
        self._alike = self._gather()
        world.agenda.at(world.now + SCRAPE, self._scrape, world)

    def observe(self) -> Observation:
        """All that is known now."""
        last, recent = self._last, self._recent
        signals = {name: _FIGURES[name](last, recent) for name in self._names}
        return _new_observation(replicas=self.replicas(), pods=self.pods(), signals=signals)

    def signal(self, name: Signal) -> Sample:
        """One signal as of the last scrape."""
        return _FIGURES[name](self._last, self._recent)

    def replicas(self) -> Sample:
        """The live ``spec.replicas``."""
        return _new_known(float(self._world.replicas), self._world.now)

    def pods(self) -> Pods:
        """The pods that are not leaving: what they are as of now, what they do as of the last scrape."""
        asked = self._world.fleet.version, self._last.at
        if self._seen is None or self._seen[0] != asked:
            self._seen = asked, self._look()
        return self._seen[1]

    def _look(self) -> Pods:
        last, fleet = self._last, self._world.fleet
        if self._stood is None or self._stood[0] != fleet.version:
            self._stood = fleet.version, self._stand()
        (rows, ready_at, stood), serving = self._stood[1], self._world.setting.serving
        inside, seen_at = last.inside(len(fleet.uids) * serving.slots), np.empty(len(rows))
        inflight = _by_pod(inside >= _FIRST, serving.slots)[rows]
        sessions = _by_pod(inside == HELD, serving.slots)[rows] if serving.hold else np.zeros(len(rows), dtype=np.int64)
        seen_at.fill(last.at)
        asked = ready_at <= np.array(last.at)  # NaN compares false: a pod that starts was not asked,
        if np.count_nonzero(asked) < len(rows):  # and its slots tell of whoever was there before it
            inflight[~asked], sessions[~asked], seen_at[~asked] = 0, 0, math.nan
        return _new_pods(**stood, inflight=inflight, sessions=sessions, seen_at=seen_at)

    def _stand(self) -> tuple[Ints, Floats, _Stood]:
        """The rows of the pods, since when each is ready, and what stays as it is until the fleet is written to."""
        fleet, rows = self._world.fleet, self._world.fleet.stays()
        if self._alike["uids"] is not fleet.names():
            self._alike = self._gather()
        stood = _Stood(
            **self._alike,
            since=fleet.since[rows],
            stage=fleet.stage[rows],
            phase=fleet.phase[rows],
            epoch=fleet.epoch[rows],
            acked=fleet.acked[rows],
        )
        return rows, fleet.ready_at[rows], stood

    def _gather(self) -> _Alike:
        fleet, rows = self._world.fleet, self._world.fleet.stays()
        return _Alike(
            uids=fleet.names(),
            created_at=fleet.created_at[rows],
            ordinal=rows if self._world.setting.ordinals else np.full(len(rows), NO_ORDINAL, dtype=np.int64),
            displaced=np.zeros(len(rows), dtype=np.bool_),
            for_node=np.zeros(len(rows), dtype=np.bool_),
            zone=np.full(len(rows), NO_ZONE, dtype=np.int64),
        )

    def _scrape(self, world: World) -> None:
        """Look at everything that can be asked, and come again."""
        world.agenda.at(world.now + SCRAPE, self._scrape, world)
        if not (world.setting.blind and world.blind):
            self._last = _scraped(world)


@passing
class Scraped:
    """What stood at one instant: what is in the slots, how many wait, since when, and how many came and went.

    Attributes:
        pace: seconds that a second of a task took.
    """

    work: Work
    at: Instant
    places: Ints
    queued: int
    first: Instant
    arrived: int
    finished: int
    pace: float

    @property
    def in_flight(self) -> Ints:
        """The tasks that ran."""
        return self.places[self.places >= 0]

    def inside(self, slots: int) -> Ints:
        """What was in so many slots: nothing yet in those that are new since then."""
        missing = slots - len(self.places)
        return np.concatenate((self.places, np.full(missing, FRESH))) if missing else self.places


_new_scraped = maker(Scraped)


def _by_pod(which: Mask, slots: int) -> Ints:
    """How many of these slots each pod has, by row."""
    return which.astype(np.int64) if slots == 1 else np.add.reduce(which.reshape(-1, slots), axis=1)


def _scraped(world: World) -> Scraped:
    work, now = world.work, world.now
    queue = work.queue
    first = queue[0][1] if queue else now
    return _new_scraped(
        work=work,
        at=now,
        places=work.inside.copy(),
        queued=len(queue),
        first=first,
        arrived=work.arrived,
        finished=work.finished,
        pace=work.progress.pace,
    )


def _wait_p95(last: Scraped, recent: Recent) -> Sample:
    waits = recent.waits(last.at - WAIT_WINDOW, last.at)
    return _new_known(p95(waits), last.at) if waits else Unknown("no task started lately")


def _service(last: Scraped, _: Recent) -> Sample:
    ended = last.work.ended[max(0, last.finished - SERVED) : last.finished]
    lengths = last.work.tasks.seconds[list(ended)]
    return _new_known(float(lengths.mean()) * last.pace, last.at) if len(lengths) else Unknown("no task has ended yet")


def _arrivals(last: Scraped, _: Recent) -> Sample:
    before = int(np.searchsorted(last.work.tasks.arrived_at, last.at - RATE_WINDOW, side="right"))
    return _new_known(max(0, last.arrived - before) / RATE_WINDOW, last.at)


def _tokens(last: Scraped, _: Recent) -> Sample:
    return _new_known(float(last.work.tasks.tokens[last.in_flight].sum()) / last.pace, last.at)


_FIGURES: Final[Mapping[Signal, Callable[[Scraped, Recent], Sample]]] = {
    Signal.QUEUE: lambda last, _: _new_known(float(last.queued), last.at),
    Signal.PENDING: lambda last, _: _new_known(float(last.queued + len(last.in_flight)), last.at),
    Signal.INFLIGHT: lambda last, _: _new_known(float(len(last.in_flight)), last.at),
    Signal.TOKENS: _tokens,
    Signal.OLDEST_WAIT: lambda last, _: _new_known(last.at - last.first, last.at),
    Signal.WAIT_P95: _wait_p95,
    Signal.ARRIVALS: _arrivals,
    Signal.SERVICE: _service,
    Signal.COMPLETIONS: lambda last, _: _new_known(float(last.finished), last.at),
}
