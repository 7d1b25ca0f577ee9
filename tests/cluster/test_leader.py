"""One of several replicas leads, on a real API server: whatever is done to it, never two answer, and soon one does."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, aclosing, asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from scaler.external.client import CallError, connected
from tests.cluster.harness.cluster import Cluster
from tests.cluster.harness.forwarder import forwarding
from tests.cluster.replicas import LIVE, Cable, Replica, Stage, cable
from tests.support.wait import eventually


@dataclass
class Pair:
    """Two replicas, and who has been seen to answer.

    Attributes:
        cables: to the API server, by pod.
        both: whether two were ever seen to answer at one instant.
        rounds: how often they were looked at.
    """

    stage: Stage
    one: Replica
    two: Replica
    cables: dict[str, Cable]
    both: bool = False
    rounds: int = field(default=0)

    async def leads(self, replica: Replica) -> None:
        """Return once this replica answers and the Service would find it, and it alone."""

        async def leads() -> bool | None:
            """It answers, holds the Lease and is labelled."""
            told = await replica.value(self.stage.trigger)
            found = self.stage.holder() == replica.pod and self.stage.labelled() == {replica.pod}
            return True if told == LIVE and found else None

        await eventually(leads, within=120.0)

    async def watch(self) -> None:
        """Ask one, the other, and the one again: if all three answer, two lead in the middle."""
        trigger = self.stage.trigger
        while True:
            for first, second in ((self.one, self.two), (self.two, self.one)):
                told = [await replica.value(trigger, within=1.0) for replica in (first, second, first)]
                self.both |= None not in told
            self.rounds += 1
            await asyncio.sleep(0.02)

    async def watched(self) -> None:
        """Return when both have been looked at from now on."""
        enough = self.rounds + 2

        async def looked() -> bool | None:
            """Each was asked in between two questions to the other."""
            return self.rounds >= enough or None

        await eventually(looked)


@asynccontextmanager
async def pair(cluster: Cluster, namespace: str, folder: Path) -> AsyncIterator[Pair]:
    """Two replicas, of which the first leads, each with a cable of its own; watched all the time."""
    stage = Stage(cluster, namespace, folder).prepare()
    async with AsyncExitStack() as stack:
        replicas, cables = [], {}
        for pod in ("one", "two"):
            cables[pod], url = await stack.enter_async_context(cable(cluster.api.typed.configuration.host))
            replicas.append(await stack.enter_async_context(stage.replica(pod, url)))
            both = Pair(stage, replicas[0], replicas[-1], cables)
            await both.leads(replicas[0])
        watching = asyncio.create_task(both.watch())
        try:
            await both.watched()
            yield both
            await both.watched()
        finally:
            watching.cancel()
            with suppress(asyncio.CancelledError):
                await watching
        assert not both.both, "two replicas answered at one instant"


@pytest.fixture
async def replicas(cluster: Cluster, namespace: str, tmp_path: Path) -> AsyncIterator[Pair]:
    """Two replicas, of which the first leads."""
    async with pair(cluster, namespace, tmp_path) as both:
        yield both


async def test_a_leader_that_is_killed_is_followed(replicas: Pair) -> None:
    """Its lease runs out; the next takes the label off its pod, which nobody else could, and answers the same."""
    epoch = replicas.stage.epoch()
    replicas.one.part.kill()
    await replicas.leads(replicas.two)
    assert replicas.stage.epoch() == epoch + 1


async def test_a_leader_that_is_told_to_end_hands_over(replicas: Pair) -> None:
    """Its streams end with OK, it ends in order, and the other need not wait for a lease to run out."""
    async with aclosing(replicas.one.client.pushes(replicas.stage.trigger)) as pushes:
        assert await anext(pushes)
        replicas.one.part.signal(signal.SIGTERM)
        assert [push async for push in pushes] == []
    await replicas.leads(replicas.two)
    assert replicas.one.part.ended() == 0


async def test_a_leader_that_was_frozen_answers_nobody_when_it_wakes(replicas: Pair) -> None:
    """Not even the call that came while it was frozen: its term is over by the clock, whatever it knew before."""
    replicas.one.part.freeze()
    await replicas.leads(replicas.two)
    async with connected(f"{replicas.one.address}:6000") as keda:
        asked = asyncio.create_task(replicas.one.client.value(replicas.stage.trigger, "agent-replicas"))
        anew = asyncio.create_task(keda.value(replicas.stage.trigger, "agent-replicas"))
        await asyncio.sleep(0.1)
        replicas.one.part.thaw()
        for call in (asked, anew):
            with pytest.raises(CallError, match=r"UNAVAILABLE|CANCELLED"):
                await call
    await replicas.leads(replicas.two)


async def test_a_leader_that_is_cut_off_stands_by_before_another_leads(replicas: Pair) -> None:
    """It cannot know that nobody has taken over; its streams end with OK, and it is no leader when it is back."""
    async with aclosing(replicas.one.client.pushes(replicas.stage.trigger)) as pushes:
        assert await anext(pushes)
        replicas.cables["one"].pull()
        assert [push async for push in pushes] == []
    await replicas.leads(replicas.two)
    replicas.cables["one"].plug()
    await replicas.leads(replicas.two)


async def test_without_the_api_server_nobody_answers_for_long_and_then_one_does(replicas: Pair) -> None:
    """KEDA and the HPA cannot act without it either; when it is back, whoever is first leads, under a new epoch."""
    epoch = replicas.stage.epoch()
    for each in replicas.cables.values():
        each.pull()

    async def silent() -> bool | None:
        """Neither answers."""
        told = [await replica.value(replicas.stage.trigger) for replica in (replicas.one, replicas.two)]
        return True if told == [None, None] else None

    await eventually(silent)
    for each in replicas.cables.values():
        each.plug()

    async def led() -> Replica | None:
        """One of the two answers."""
        for replica in (replicas.one, replicas.two):
            if await replica.value(replicas.stage.trigger) is not None:
                return replica
        return None

    await replicas.leads(await eventually(led))
    assert replicas.stage.epoch() == epoch + 1


async def test_keda_follows_the_leader_through_its_service(cluster: Cluster, replicas: Pair) -> None:
    """Over one connection that it would keep: it is told to go, asks the Service again, and finds the other."""
    stage = replicas.stage
    async with AsyncExitStack() as stack:
        service = await stack.enter_async_context(forwarding(cluster.admin, stage.namespace, "agent-scaler"))
        keda = await stack.enter_async_context(connected("{}:{}".format(*service.address)))

        async def answered() -> bool | None:
            """KEDA's client is answered."""
            try:
                return (await keda.poll(stage.trigger)).value == LIVE or None
            except CallError:
                return None

        await eventually(answered)
        for pulled, follower in (("one", replicas.two), ("two", replicas.one)):
            replicas.cables[pulled].pull()
            await replicas.leads(follower)
            await eventually(answered)
            replicas.cables[pulled].plug()


async def test_a_workload_at_zero_is_known_to_be_there(replicas: Pair) -> None:
    """The API server writes no zero into a scale; and work that comes then raises the pool from it."""
    stage, api = replicas.stage, replicas.stage.cluster.api
    path = f"/apis/apps/v1/namespaces/{stage.namespace}/deployments/coder/scale"
    api.request("PATCH", path, {"spec": {"replicas": 0}}, content="application/merge-patch+json")
    replicas.one.part.signal(signal.SIGTERM)

    async def told(value: float) -> None:
        """Return once the other says so."""

        async def says() -> bool | None:
            """The number is told."""
            return True if await replicas.two.value(stage.trigger) == value else None

        await eventually(says)

    await told(0)
    stage.queue(2)
    await told(2)
