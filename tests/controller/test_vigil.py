"""What the operator sees of agents that never answer, hang, or run a task for ever: an hour on a clock of our own."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

from scaler.config.pool import PoolKey, WatchedPods
from scaler.controller.dig import stamp
from scaler.controller.estate import Estate
from scaler.controller.events import Events
from scaler.controller.facts import PodFacts
from scaler.controller.names import ASKED_BY, EPOCH, PHASE, SINCE
from scaler.controller.pen import Pen
from scaler.controller.view import Beside, columns
from scaler.controller.vigil import Seen, Vigil
from scaler.core.policy import Policy
from scaler.core.types import Instant, Seconds
from scaler.live.clock import VirtualClock
from scaler.live.deeds import Deeds
from scaler.live.office import ALONE
from scaler.live.registry import Pool, Registry
from scaler.sources.activity_answer import Report
from tests.controller.objects import Object, a_pod, a_report
from tests.support.event_server import event_server
from tests.support.pools import spec
from tests.support.wait import eventually

START: Instant = 1_800_000_000.0
KEY = PoolKey("agents", "coder")
SOURCE = WatchedPods(pool=KEY, kind="deployments", name="coder")
TICK: Seconds = 5.0
LIMIT: Seconds = 1_800.0


@dataclass
class Told:
    """A vigil over one pool, and the Events that were written."""

    vigil: Vigil
    registry: Registry
    pool: Pool
    clock: VirtualClock
    events: list[Object] = field(default_factory=list)

    async def passes(self, seconds: Seconds, pod: PodFacts, says: Report | None, *, news: int) -> list[str]:
        """The pod is seen like this every five seconds for so long; returns so many Events of that time, sorted."""
        before, end = len(self.events), self.clock.now() + seconds
        while self.clock.now() < end:
            await self.clock.advance_to(self.clock.now() + TICK)
            now = self.clock.now()
            running = self.clock.now() - START
            report = says and replace(says, oldest_task=running if says.inflight else None)
            heard = {} if report is None else {pod.uid: report}
            self.vigil.look(
                SOURCE, Seen(pods=[pod], columns=columns([pod], heard, Beside(), now), heard=heard, now=now)
            )

        async def written() -> bool | None:
            """So many Events have come."""
            return len(self.events) >= before + news or None

        await eventually(written)
        return sorted(f"{event['type']} {event['reason']}: {event['message']}" for event in self.events[before:])


@asynccontextmanager
async def watching(folder: Path) -> AsyncIterator[Told]:
    """A vigil whose Events are read by nobody else."""
    async with event_server(folder) as (api, events):
        clock, registry = VirtualClock(START), Registry()
        made = spec(policy=Policy(task_limit=LIMIT), pods=SOURCE)
        pool = registry.put(made, START)
        vigil = Vigil(registry, Estate(api), Events(Pen(api, ALONE, Deeds()), clock))
        yield Told(vigil, registry, pool, clock, events)


def says(inflight: int = 0) -> Report:
    """What an agent says."""
    return a_report(inflight=inflight, epoch=1)


WAY = "; we never end it: scaler release --pod agents/coder-1 does, with what it holds"
POD = a_pod()
DRAINING = a_pod(labels={PHASE: "draining"}, annotations={EPOCH: "1"})


async def test_an_agent_that_never_answers(tmp_path: Path) -> None:
    """A minute: a word; ten minutes and an hour: warnings, and the alert's figure; each says what frees it."""
    why = "AgentSilent: its agent has not said for {} whether it works, so it counts as busy and stays" + WAY
    async with watching(tmp_path) as told:
        assert await told.passes(55.0, POD, None, news=0) == []
        assert await told.passes(10.0, POD, None, news=1) == ["Normal " + why.format("a minute")]
        assert told.pool.stuck == {("silent", "1m"): 1}
        assert await told.passes(600.0, POD, None, news=1) == ["Warning " + why.format("ten minutes")]
        assert told.pool.stuck == {("silent", "10m"): 1}
        assert await told.passes(3_600.0, POD, None, news=1) == ["Warning " + why.format("an hour")]
        assert told.pool.stuck == {("silent", "1h"): 1}
        assert await told.passes(10.0, POD, says(), news=0) == []
        assert told.pool.stuck == {}


async def test_an_agent_that_hangs_while_it_drains(tmp_path: Path) -> None:
    """It answers, and its task never ends: what it still holds is told with each step."""
    why = "it has drained for {}, for it is not needed, or another stands in its place; it runs 1 task"
    async with watching(tmp_path) as told:
        seen = await told.passes(LIMIT - 60.0, DRAINING, says(1), news=2)
        assert [each.partition(":")[0] for each in seen] == ["Normal DrainTakesLong", "Warning DrainTakesLong"]
        assert why.format("ten minutes") in seen[1]
        assert told.pool.stuck == {("draining", "10m"): 1}


async def test_a_task_that_never_ends(tmp_path: Path) -> None:
    """It is told from a minute past the pool's limit on, whatever its phase, and is never ended."""
    why = "TaskOverLimit: a task of it has run for {} longer than the pool's task_limit of 1800 s" + WAY
    async with watching(tmp_path) as told:
        assert await told.passes(LIMIT + 55.0, POD, says(1), news=0) == []
        assert await told.passes(10.0, POD, says(1), news=1) == ["Normal " + why.format("a minute")]
        assert await told.passes(3_600.0, POD, says(1), news=2) == [
            "Warning " + why.format("an hour"),
            "Warning " + why.format("ten minutes"),
        ]
        assert told.pool.stuck == {("long_task", "1h"): 1}


async def test_who_leads_next_tells_from_the_beginning(tmp_path: Path) -> None:
    """Of a silence, for nothing says since when it lasts. A pool that is no more is forgotten as well."""
    async with watching(tmp_path) as told:
        await told.passes(70.0, POD, None, news=1)
        told.vigil.forget()
        assert await told.passes(50.0, POD, None, news=0) == []
        assert told.pool.stuck == {}
        await told.passes(560.0, POD, None, news=1)
        told.registry.remove(KEY)
        assert await told.passes(3_600.0, POD, None, news=0) == []


async def test_who_leads_next_knows_since_when_a_pod_drains(tmp_path: Path) -> None:
    """By its mark, as old as that is, and who asked for it."""
    marked = {EPOCH: "1", ASKED_BY: "node/node-a", SINCE: stamp(START - 3_600.0)}
    async with watching(tmp_path) as told:
        (said,) = await told.passes(TICK, a_pod(labels={PHASE: "draining"}, annotations=marked), says(1), news=1)
        why = "Warning DrainTakesLong: it has drained for an hour, for node node-a asked for it, and is not seen;"
        assert said.startswith(why)
        assert told.pool.stuck == {("draining", "1h"): 1}
