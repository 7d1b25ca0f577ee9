"""Whatever whole number the scaler reports, a real KEDA and a real HPA make exactly that number of replicas of it."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack, asynccontextmanager
from dataclasses import dataclass

from scaler.config.pool import PoolKey
from scaler.core.types import Instant
from scaler.live.clock import SystemClock
from tests.cluster.harness.audit import Request
from tests.cluster.harness.cluster import Cluster
from tests.cluster.harness.dictated import Dictated, dictated
from tests.cluster.harness.landing import Replicas, followed
from tests.cluster.harness.scaled import Scaled
from tests.cluster.harness.shipped import HOME, Shipped, shipped

PLURAL = {"Deployment": "deployments", "StatefulSet": "statefulsets"}
AROUND_300 = (300, 301, 300, 299, 300)  # steps that a tolerance of a tenth would swallow
LOOKUPS = 2  # of one question at our door: the number, and whether the pool is active
POLL = Scaled(name="").poll
ASKED = 2  # times by the HPA, until it writes what it is told; up to the write as the API server received it
PATIENCE = 300.0  # seconds for one target: a lease runs out, a new leader waits, and the machine may be busy
TERM = 8  # targets of one leader
# Switched off the scaler answers the replicas that it reads.
LED = """\
sources: {kubernetes: {url: "{server}", token_file: "{folder}/token", ca_file: "{folder}/ca.crt"}}
pools:
  {namespace}/led:
    mode: "off"
    max: 500
    signals: {queue: {url: "{page}/replicas", path: value}}
    replicas: {url: "{page}/replicas", path: value}
"""


def walk(seed: int, steps: int, most: int, *, least: int = 0) -> Iterator[int]:
    """So many targets from ``least`` to ``most``, no two in a row the same: small steps, and some leaps."""
    drawn, at = random.Random(seed), most // 2
    for _ in range(steps):
        step = drawn.choice((-1, 1, -1, 1, -drawn.randint(2, 20), drawn.randint(2, 20), None))
        to = drawn.choice((0, drawn.randint(0, most))) if step is None else at + step
        to = min(most, max(least, to))
        at = to if to != at else (at + 1 if at < most else at - 1)
        yield at


@dataclass(frozen=True, slots=True)
class Landing:
    """A number that was said and reached, when it was said, and when it was looked up from then on."""

    said: Instant
    looked: list[Instant]

    def asked(self, writes: list[Instant]) -> float:
        """How often the HPA had asked, at least, when it was written: KEDA's own polls look it up as well."""
        written = next(write for write in writes if write > self.said)
        polls = 1 + (written - self.said) // POLL
        return sum(look <= written for look in self.looked) / LOOKUPS - polls


async def lands(door: Dictated, key: PoolKey, replicas: Replicas, target: int) -> Landing | None:
    """Say a number, and see the workload go there, and nowhere else. None where KEDA waits for its cooldown."""
    begun, said = len(replicas.seen), SystemClock().now()
    looked = door.say(key, target)
    await replicas.reaches(target, within=PATIENCE)
    assert nowhere_else(replicas.seen, begun)
    return None if 0 in replicas.seen[begun - 1 :] else Landing(said, looked)


def nowhere_else(seen: list[int], begun: int) -> bool:
    """Whether a workload has gone straight from where it stood to where it stands.

    From zero, and to it, by way of one: KEDA wakes one, and the HPA's least is one. KEDA 2.21 wakes it twice where its
    cache still says zero: it reads who is there, and writes one over whatever the HPA has made of it meanwhile.
    """
    woken = 0 in seen[max(0, begun - 3) :]
    return set(seen[begun:]) <= {seen[begun - 1], seen[-1], *((1,) if woken else ())}


@dataclass(frozen=True, slots=True)
class Walk:
    """What has become of one workload's targets: how many there were, and how those that were not zero were reached."""

    key: PoolKey
    targets: int
    landings: list[Landing]

    def most_asked(self, requests: list[Request]) -> float:
        """How often the HPA asked for a number before it wrote it, at the most."""
        writes = [r.received for r in requests if (r.namespace, r.name) == self.key]
        return max((landing.asked(writes) for landing in self.landings), default=0.0)


async def walked(cluster: Cluster, namespace: str, door: Dictated, scaled: Scaled, targets: list[int]) -> Walk:
    """Scale one workload through the targets."""
    key = PoolKey(namespace, scaled.name)
    door.say(key, 0)
    await asyncio.to_thread(cluster.api.apply, scaled.documents(), namespace=namespace)
    async with followed(cluster.admin, PLURAL[scaled.kind], namespace, scaled.name) as replicas:
        await replicas.reaches(0)
        landings = [await lands(door, key, replicas, target) for target in targets]
    return Walk(key, len(targets), [landing for landing in landings if landing is not None])


@asynccontextmanager
async def led(cluster: Cluster, namespace: str) -> AsyncIterator[Shipped]:
    """Two replicas of the scaler as it ships, for a pool whose target is the number of a page, whoever leads."""
    stack = ExitStack()
    scaler = await asyncio.to_thread(stack.enter_context, shipped(cluster, LED.replace("{namespace}", namespace)))
    try:
        yield scaler
    finally:
        await asyncio.to_thread(stack.close)


async def walked_under_changing_leaders(scaler: Shipped, namespace: str, targets: list[int]) -> Walk:
    """Scale one workload through the targets, with a leader for every eight: one is told to end, the next killed.

    None of them is zero, and the cooldown is as long as in what ships: KEDA 2.21 takes for inactive what it asked of a
    connection that was closed meanwhile, and after the cooldown that means zero.
    """
    scaler.tell("replicas", 0)
    scaled = Scaled(name="led", address=scaler.service.address, cooldown=3600)
    await asyncio.to_thread(scaler.cluster.api.apply, scaled.documents(), namespace=namespace)
    async with followed(scaler.cluster.admin, "deployments", namespace, "led") as replicas:
        await replicas.reaches(0)
        for number, target in enumerate(targets):
            if number and number % TERM == 0:
                await asyncio.to_thread(handed_over if number // TERM % 2 else killed, scaler)
            begun = len(replicas.seen)
            scaler.tell("replicas", target)
            await replicas.reaches(target, within=PATIENCE)
            assert nowhere_else(replicas.seen, begun)
    return Walk(PoolKey(namespace, "led"), len(targets), [])


def killed(scaler: Shipped) -> None:
    """Kill the leader; when its Lease has run out, it or another leads."""
    scaler.kill(scaler.leader())


def handed_over(scaler: Shipped) -> None:
    """Let the leader end in order, and return when another leads."""
    leader = scaler.leader()
    scaler.cluster.api.delete(f"/api/v1/namespaces/{HOME}/pods/{leader}")
    scaler.leader(other_than=leader)


async def test_every_target_lands_exactly(keda: Cluster, namespace: str) -> None:
    """Two hundred up to 500 for a Deployment; forty each for a StatefulSet, a push trigger, and replicas of ours."""
    mark = keda.audit.mark()
    async with dictated() as door, led(keda, namespace) as scaler:
        stories = {
            Scaled(name="pulled", address=door.address): [*AROUND_300, *walk(seed=1, steps=195, most=500)],
            Scaled(name="pushed", address=door.address, push=True): [*walk(seed=2, steps=40, most=60)],
            Scaled(name="ordered", address=door.address, kind="StatefulSet"): [*walk(seed=3, steps=40, most=60)],
        }
        walks = [walked(keda, namespace, door, scaled, targets) for scaled, targets in stories.items()]
        walks.append(walked_under_changing_leaders(scaler, namespace, [*walk(seed=4, steps=40, most=60, least=1)]))
        ended = await asyncio.gather(*walks)
    assert [walk.targets for walk in ended] == [200, 40, 40, 40]
    scaled = [r for r in keda.audit.since(mark) if (r.verb, r.subresource) == ("update", "scale")]
    assert max(walk.most_asked(scaled) for walk in ended) <= ASKED
