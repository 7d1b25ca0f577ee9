"""The running scaler, whole, against an embedded world, both on one clock that stands still until it is moved.

Everything of ours is the real thing: configuration, registry, loop, decision, board, and the gRPC server on loopback
that a client asks as KEDA does. Only what lies outside is played: Prometheus, the pods' activity, the controller, KEDA
and the HPA. While a call is under way no virtual time passes, so the same seed gives the same figures.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Final

from scaler.cli.keeper import Keeper
from scaler.config.check import checked
from scaler.config.pool import PodSource, PoolKey, PrometheusQuery, SignalSource
from scaler.core.pods import Pods
from scaler.core.types import Instant, Order, Outcome, Sample, Seconds, Signal, Unknown
from scaler.external.client import CallError, Client, Trigger, connected
from scaler.external.desk import Desk
from scaler.external.listener import listening
from scaler.external.server import ExternalScaler
from scaler.live.board import Board
from scaler.live.clock import Clock, VirtualClock
from scaler.live.loop import Loop
from scaler.live.registry import Registry
from scaler.live.ticker import Ticker, Witness
from scaler.sim.drains import Drains
from scaler.sim.hpa import FOLLOW
from scaler.sim.keda import ScaledObject
from scaler.sim.run import Answer, Beat, beats, scale
from scaler.sim.sight import Sight
from scaler.sim.world import World

POOL: Final = PoolKey("agents", "coder")
REPLICAS: Final = "kube_deployment_spec_replicas"
QUERIES: Final = {  # what the world's Prometheus can be asked
    "agent_tasks_queued": Signal.QUEUE,
    "agent_tokens_per_second": Signal.TOKENS,
    "agent_oldest_wait_seconds": Signal.OLDEST_WAIT,
    "agent_wait_seconds_p95": Signal.WAIT_P95,
}
CONFIG: Final = f"""
sources:
  prometheus:
    url: http://prometheus.world
pools:
  {POOL}:
    max: 100 # KEDA's own default
    target_wait_p95: 30s
    tokens_per_pod: 60 # three times what a task streams on average: the slots bind first
    signals: {{{", ".join(f"{signal}: {query}" for query, signal in QUERIES.items())}}}
    replicas: {REPLICAS}
    pods:
      activity: [http://agents.world]
"""


class LockstepError(Exception):
    """A tick or a reading failed, so the figures would not be those of the running scaler."""


@dataclass(frozen=True, slots=True)
class Moment:
    """The world and what was last decided about it."""

    world: World
    outcome: Outcome

    @property
    def elapsed(self) -> Seconds:
        """Virtual seconds since the world began."""
        return self.world.now - self.world.start


class Bridge:
    """The world as the loop reads it and gives it orders. The world comes along to the clock's time each time."""

    def __init__(self, world: World, clock: Clock) -> None:
        self._world, self._clock = world, clock
        self._sight, self._drains = Sight(world, QUERIES.values()), Drains(world)

    async def signals(self, sources: Sequence[SignalSource], now: Instant) -> list[Sample]:
        """What Prometheus answers: figures of its last scrape, the replicas as they stand."""
        self._world.run_until(now)
        return [self._signal(source) for source in sources]

    def _signal(self, source: SignalSource) -> Sample:
        if not isinstance(source, PrometheusQuery):
            return Unknown("the world has no JSON documents")
        return self._sight.replicas() if source.query == REPLICAS else self._sight.signal(QUERIES[source.query])

    async def pods(self, _: PodSource, now: Instant) -> Pods:
        """What the pods answer."""
        self._world.run_until(now)
        return self._sight.pods()

    def carry_out(self, _: PoolKey, orders: tuple[Order, ...]) -> None:
        """Hand the orders to the world's controller."""
        self._world.run_until(self._clock.now())
        self._drains.carry(orders)


@asynccontextmanager
async def _scaler(
    world: World, clock: VirtualClock, witness: Witness | None
) -> AsyncIterator[tuple[Client, Board, Loop]]:
    """The scaler at work on the world, and a client of its door."""
    bridge, board, registry = Bridge(world, clock), Board(), Registry()
    keeper = Keeper(checked(CONFIG), registry, clock)
    loop = Loop(registry, bridge, Ticker(board, bridge, witness), clock)
    door = ExternalScaler(board, Desk(keeper), clock)
    async with listening(door, "127.0.0.1:0") as port, connected(f"127.0.0.1:{port}") as client:
        running = asyncio.create_task(loop.run())
        try:
            while board.get(POOL) is None:  # all alarms are set once the first tick has come of the first readings
                if running.done():
                    running.result()
                await asyncio.sleep(0)
            yield client, board, loop
        finally:
            running.cancel()
            await asyncio.wait([running])


async def play(world: World, end: Instant, witness: Witness | None = None) -> AsyncGenerator[Moment]:
    """Run the world until ``end`` under the scaler; yields at each of KEDA's polls.

    Raises:
        LockstepError: something failed that should not.
    """
    clock = VirtualClock(world.now)
    scaled = ScaledObject(behavior=FOLLOW)
    async with _scaler(world, clock, witness) as (client, board, loop):
        for at, beat in beats(world.now, end, Beat.POLL, Beat.SYNC):
            await clock.advance_to(at)
            world.run_until(at)
            scale(world, scaled, beat, await _ask(client))
            posted = board.get(POOL)
            if beat is Beat.POLL and posted is not None:
                yield Moment(world, posted.outcome)
        await clock.advance_to(end)
        world.run_until(end)
        if loop.counts.failures:
            raise LockstepError(f"ticks or readings that failed: {loop.counts.failures}; the log says why")


async def _ask(client: Client) -> Answer:
    """Ask the door as KEDA does; what fails, KEDA and the HPA take as unknown."""
    try:
        poll = await client.poll(Trigger(POOL.namespace, POOL.name))
    except CallError as error:
        return Answer(Unknown(str(error)), 1.0, Unknown(str(error)))
    return Answer(poll.value, poll.metric.target, poll.active)
