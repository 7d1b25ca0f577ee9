"""Sources that begin and cease to fail, and lines that the log left out: looked for now and then, told on the edges."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final, TypeAlias

import structlog

from scaler.cli.sparing import Sparing
from scaler.core.types import Instant, Seconds
from scaler.live.clock import Clock
from scaler.sources.health import Fault, Health

LOOK: Final[Seconds] = 5.0  # one tick: every source is read in between
LOG: structlog.stdlib.BoundLogger = structlog.stdlib.get_logger(__name__)
Trouble: TypeAlias = tuple[str, Fault]


@dataclass(frozen=True, slots=True)
class _Failing:
    """A source that fails in one way, since an instant at which so many readings had failed before."""

    since: Instant
    before: int


class Watcher:
    """Compares the counters of sources with what they were. However many pools read a source, each edge is one line."""

    def __init__(self, sources: Callable[[], tuple[Health, ...]], sparing: Sparing) -> None:
        self._sources, self._sparing = sources, sparing
        self._last: dict[str, Health] = {}
        self._failing: dict[Trouble, _Failing] = {}

    async def watch(self, clock: Clock) -> None:
        """Look now and then, until cancelled."""
        while True:
            now = clock.now()
            self.look(now)
            await clock.sleep_until(now + LOOK)

    def look(self, now: Instant) -> None:
        """Tell what has changed since the last look."""
        seen = {health.source: health for health in self._sources()}
        for health in seen.values():
            self._compare(health, self._last.get(health.source), now)
        self._failing = {trouble: since for trouble, since in self._failing.items() if trouble[0] in seen}
        self._last = seen
        for kind, count in self._sparing.left_out().items():
            LOG.warning("lines were left out", kind=kind, count=count)

    def _compare(self, health: Health, last: Health | None, now: Instant) -> None:
        reads = health.reads - (0 if last is None else last.reads)
        for fault, count, new in _counted(health, last):
            failing = self._failing.get((health.source, fault))
            if new > 0 and failing is None:
                self._failing[health.source, fault] = _Failing(now, count - new)
                why = health.told[fault]
                LOG.warning("a source fails", source=health.source, fault=fault.value, failed=new, reads=reads, why=why)
            elif failing is not None and new == 0 and reads > 0:
                del self._failing[health.source, fault]
                failed, lasted = count - failing.before, round(now - failing.since, 3)
                told = "a source has ceased to fail"
                LOG.info(told, source=health.source, fault=fault.value, failed=failed, seconds=lasted)


def _counted(health: Health, last: Health | None) -> Iterator[tuple[Fault, int, int]]:
    """Each fault the source ever had, how often, and how often since the last look."""
    for fault, count in health.faults.items():
        yield fault, count, count - (0 if last is None else last.faults.get(fault, 0))
