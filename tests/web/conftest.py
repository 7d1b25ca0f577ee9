"""A running scaler to look at: a real board, registry and ticker, on a clock that the test advances."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass, field

import aiohttp
import pytest

from scaler.config.metadata import TriggerMetadata
from scaler.config.pool import PoolKey, PoolSpec
from scaler.config.resolve import resolve
from scaler.core.types import Known, Observation, Outcome, Sample, Signal, Unknown
from scaler.live.board import Board
from scaler.live.calls import Calls
from scaler.live.clock import VirtualClock
from scaler.live.history import History
from scaler.live.loop import Counts
from scaler.live.office import ALONE, Office
from scaler.live.registry import Registry
from scaler.live.ticker import Ticker
from scaler.live.writes import Writes
from scaler.sources.health import Tally
from scaler.web.app import application, served
from scaler.web.running import Reloads, Running
from tests.config.material import QUERY, READABLE, Section, parsed

NOON = 1_795_262_400.0  # 2026-11-21 12:00:00 UTC
NO_PODS = Unknown("the pool has no source of pods")


def spec(name: str, **pool: str | int) -> PoolSpec:
    """A pool of class ``coding`` with these settings of its own."""
    read: Section = {"signals": {"queue": QUERY}, "replicas": QUERY, "max": 9}
    pools: Section = {f"agents/{name}": {"class": "coding", **pool}}
    settings = parsed({**READABLE, "classes": {"coding": read}, "pools": pools})
    return resolve(settings, PoolKey("agents", name), TriggerMetadata())


@dataclass
class Door:
    """KEDA's door, as far as it is counted."""

    calls: Calls = field(default_factory=Calls)
    open_streams: int = 3


@dataclass
class Scaler:
    """What runs, and where its pages are."""

    url: str = ""
    clock: VirtualClock = field(default_factory=lambda: VirtualClock(NOON))
    board: Board = field(default_factory=Board)
    registry: Registry = field(default_factory=Registry)
    history: History = field(default_factory=History)
    counts: Counts = field(default_factory=lambda: Counts(ticks=7, at_once=2, failures=1))
    activity: Tally = field(default_factory=lambda: Tally("activity"))
    door: Door = field(default_factory=Door)
    reloads: Reloads = field(default_factory=lambda: Reloads(NOON))
    journal: Writes = field(default_factory=lambda: Writes("journal"))
    hints: dict[str, int] = field(default_factory=dict)
    office: Office = ALONE
    left_out: int = 0
    stopping: bool = False

    def running(self) -> Running:
        """As its pages see it."""
        return Running(
            board=self.board,
            registry=self.registry,
            history=self.history,
            clock=self.clock,
            counts=self.counts,
            sources=lambda: (self.activity.health(),),
            door=self.door,
            reloads=self.reloads,
            stopping=lambda: self.stopping,
            left_out=lambda: self.left_out,
            writes=(self.journal,),
            hints=lambda: self.hints,
            office=self.office,
            version="1.2.3",
        )

    def admit(self, pool: PoolSpec) -> PoolSpec:
        """Take a pool in."""
        self.registry.put(pool, self.clock.now())
        return pool

    def tick(self, pool: PoolSpec, *, queue: Sample, replicas: int = 1, inflight: Sample | None = None) -> Outcome:
        """Evaluate a pool that has this queue, and that may count what runs."""
        now = self.clock.now()
        live = self.registry.get(pool.key)
        assert live is not None
        signals = {Signal.QUEUE: queue} | ({} if inflight is None else {Signal.INFLIGHT: inflight})
        observation = Observation(replicas=Known(replicas, now), pods=NO_PODS, signals=signals)
        outcome = Ticker(self.board).tick(live, observation, now)
        self.history.note(pool.key, outcome)
        return outcome

    def read(self, pool: PoolSpec) -> None:
        """Read each of the pool's sources once."""
        now = self.clock.now()
        live = self.registry.get(pool.key)
        assert live is not None
        assert pool.replicas is not None
        live.take_replicas(pool.replicas, Known(1, now), now)
        for name, source in pool.signals.items():
            live.take_signal(name, source, Unknown("no answer"), now)

    def known(self, value: float) -> Known:
        """A sample of this instant."""
        return Known(value, self.clock.now())


@pytest.fixture
async def scaler() -> AsyncIterator[Scaler]:
    """A scaler without pools, whose pages are served on loopback."""
    scaler = Scaler()
    async with served(application(scaler.running()), "127.0.0.1", 0) as port:
        scaler.url = f"http://127.0.0.1:{port}"
        yield scaler


@pytest.fixture
async def http(scaler: Scaler) -> AsyncIterator[aiohttp.ClientSession]:
    """A client of its pages."""
    async with aiohttp.ClientSession(scaler.url) as session:
        yield session
