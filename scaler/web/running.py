"""The running scaler, as its pages see it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final, Protocol

from scaler.config.pool import PoolKey
from scaler.core.types import Instant, Seconds
from scaler.live.board import Board
from scaler.live.calls import Calls
from scaler.live.certificates import Standing
from scaler.live.clock import Clock
from scaler.live.deeds import Deeds
from scaler.live.history import History
from scaler.live.loop import Counts
from scaler.live.office import ALONE, Office
from scaler.live.registry import Registry
from scaler.live.warm import WarmStanding
from scaler.live.writes import Writes
from scaler.sources.health import Health

READY_WITHIN: Final[Seconds] = 30.0  # a pool whose sources hang must not keep the others' answers from KEDA for ever


class Door(Protocol):
    """What KEDA calls, as it is counted."""

    @property
    def calls(self) -> Calls:
        """Calls that ended."""
        ...

    @property
    def open_streams(self) -> int:
        """Streams open now."""
        ...


@dataclass(slots=True)
class Reloads:
    """What became of the configuration file when it changed. Counted as it goes on.

    Attributes:
        good, bad: files that were taken, and that were not.
        last_good: when the configuration in force was taken.
        holds: whether the file as it is now is in force.
    """

    last_good: Instant
    good: int = 0
    bad: int = 0
    holds: bool = True

    def taken(self, now: Instant) -> None:
        """Count a file that is in force from now on."""
        self.good += 1
        self.last_good = now
        self.holds = True

    def refused(self) -> None:
        """Count a file that cannot be used."""
        self.bad += 1
        self.holds = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Running:
    """What there is to look at. All of it is counted as it goes on, and read when somebody looks.

    Attributes:
        history: what the pools' decisions came to.
        counts: what the loop has done.
        sources: the counters of every source.
        stopping: whether it was told to stop.
        left_out: lines that the log left out.
        writes: each thing that is written to disk.
        hints: announcements of callers, by what became of them.
        certificates: how those of each door stand; none where both are plain.
        warm: how each warm pool stands; none where none is sized.
        office: whether this is the replica that leads.
        deeds: what was done in the cluster.
        version: of this program.
    """

    board: Board
    registry: Registry
    history: History
    clock: Clock
    counts: Counts
    sources: Callable[[], tuple[Health, ...]]
    door: Door
    reloads: Reloads
    stopping: Callable[[], bool]
    left_out: Callable[[], int]
    writes: tuple[Writes, ...]
    hints: Callable[[], Mapping[str, int]]
    certificates: Callable[[], tuple[Standing, ...]] = tuple
    warm: Callable[[], Iterable[WarmStanding]] = tuple
    office: Office = ALONE
    deeds: Deeds = field(default_factory=Deeds)
    version: str


class Readiness:
    """Ready from the first full tick of every pool on, and at the latest half a minute after the start; until it stops.

    A tick is full once each of the pool's sources has been read, with whatever result. Pools that come later do not
    make it unready: their own polls say that they are not evaluated yet.
    """

    def __init__(self, running: Running) -> None:
        self._running = running
        self._since: Instant = running.clock.now()
        self._ready = False

    def holds(self) -> bool:
        """Whether it is ready."""
        return not self._running.stopping() and not self.waiting_for()

    def waiting_for(self) -> tuple[PoolKey, ...]:
        """The pools that keep it from being ready; none once it is."""
        board, late = self._running.board, self._running.clock.now() - self._since >= READY_WITHIN
        pools = () if self._ready or late else tuple(self._running.registry)
        missing = tuple(p.spec.key for p in pools if not p.is_read or board.get(p.spec.key) is None)
        self._ready = not missing
        return missing
