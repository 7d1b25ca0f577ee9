"""Scales real Deployments down, whose pods are all as different as can be, and sees whom the controller deletes.

Pods are on kwok's nodes or on none; phase, readiness, its age, and restarts are written as a kubelet would. Only the
age of a pod itself needs real time: Deployments are made in two steps, some seconds apart.
"""

from __future__ import annotations

import asyncio
import functools
import math
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from scaler.controller.dig import objects, text, whole
from scaler.core.types import Instant, Seconds
from scaler.live.clock import SystemClock
from scaler.sim.replicaset import PodPhase
from tests.cluster.harness.api import Api, ApiError, Json
from tests.cluster.harness.kwok import READY_AFTER
from tests.support.recorded.replicaset import Pod, Story
from tests.support.wait import eventually

COST = "controller.kubernetes.io/pod-deletion-cost"
NODES = ("node-a", "node-b", "node-c", "")
PHASES = {PodPhase.PENDING: "Pending", PodPhase.UNKNOWN: "Unknown", PodPhase.RUNNING: "Running"}
READY_AGES = (3.0, 6.0, 12.0, 25.0, 50.0, 100.0, 900.0, 1000.0, 7200.0, 2_678_400.0)  # none near a power of two of ns
LAG: Seconds = 0.4  # the controller sees the new replicas sooner than this
APART: Seconds = 6.0  # between the two steps: another power of two of nanoseconds


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """What a pod shall look like; None for what does not matter in this draw."""

    node: str = NODES[0]
    phase: PodPhase = PodPhase.RUNNING
    cost: int = 0
    restarts: int = 0
    ready_age: Seconds | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Draw:
    """One scaling down: from as many pods as there are looks to ``keep``; ``later`` of them are made later."""

    name: str
    looks: tuple[Look, ...]
    keep: int
    later: int = 0


def draws(count: int) -> Iterator[Draw]:
    """Draws in which fewer and fewer criteria differ, so that the later ones decide too."""
    drawn = random.Random(4)
    for number in range(count):
        alike = number % 6
        many = drawn.randint(4, 9)
        looks = tuple(_look(drawn, alike) for _ in range(many))
        later = many // 2 if alike == 5 else 0
        sure = Look(node=NODES[0], ready_age=50.0)  # one is ready, which tells when the controller has seen them all
        yield Draw(name=f"{number}", looks=(*looks, sure), keep=drawn.randint(1, many), later=later)


def _look(drawn: random.Random, alike: int) -> Look:
    """With ``alike`` the first criteria no longer tell pods apart."""
    node = drawn.choice(NODES if alike == 0 else NODES[:3]) if alike < 4 else NODES[0]
    phase = drawn.choice([*PodPhase]) if alike <= 1 and node else PodPhase.RUNNING if node else PodPhase.PENDING
    ready = phase is PodPhase.RUNNING and drawn.random() < (0.7 if alike <= 2 else 1.0 if alike < 5 else 0.3)
    cost = drawn.choice((-5, 0, 0, 10, 100)) if alike <= 2 else 0
    age = drawn.choice(READY_AGES if alike < 4 else READY_AGES[4:5]) if ready else None
    restarts = drawn.choice((0, 0, 1, 7)) if alike == 4 or not ready else 0
    return Look(node=node, phase=phase, cost=cost, restarts=restarts if node else 0, ready_age=age)


@dataclass(frozen=True, slots=True)
class Scene:
    """One Deployment in a namespace of its own."""

    api: Api
    namespace: str
    clock: SystemClock

    @property
    def _deployment(self) -> str:
        return f"/apis/apps/v1/namespaces/{self.namespace}/deployments/agents"

    @property
    def _pods(self) -> str:
        return f"/api/v1/namespaces/{self.namespace}/pods"

    async def play(self, draw: Draw) -> Story:
        """Make the pods, scale down, and say who was there and who has gone."""
        await self.api.send("POST", "/api/v1/namespaces", {"metadata": {"name": self.namespace}})
        pods = await self._made(len(draw.looks) - draw.later)
        if draw.later:
            await self.clock.sleep_until(self.clock.now() + APART)
            pods = await self._made(len(draw.looks))
        began = self.clock.now()
        *others, last = (functools.partial(self._dress, text(pod, "metadata", "name")) for pod in pods)
        await asyncio.gather(*(dress(look, began) for dress, look in zip(others, draw.looks[:-1], strict=True)))
        await last(draw.looks[-1], began)
        ready = sum(look.ready_age is not None for look in draw.looks)
        await eventually(functools.partial(self._counted, "readyReplicas", ready))
        scaled = _clear_of_edges(pods, draw.looks, began, self.clock.now())
        await self.clock.sleep_until(scaled)
        await self.api.patch(self._deployment, {"spec": {"replicas": draw.keep}})
        await eventually(functools.partial(self._counted, "replicas", draw.keep))
        left = {text(pod, "metadata", "uid") for pod in await self._standing()}
        seen = [_seen(pod, look, began, scaled) for pod, look in zip(pods, draw.looks, strict=True)]
        await self.api.send("DELETE", self._deployment)
        return Story(name=draw.name, pods=tuple(_fate(pod, left) for pod in seen))

    async def _made(self, count: int) -> Sequence[Json]:
        """The pods, oldest first, once there are so many, all of which kwok leaves as they are."""
        if not await self._exists():
            await self.api.send("POST", self._deployment.rpartition("/")[0], _deployment(count))
        else:
            await self.api.patch(self._deployment, {"spec": {"replicas": count}})

        async def there() -> Sequence[Json] | None:
            """There are so many pods."""
            found = await self._standing()
            return found if len(found) == count else None

        found = await eventually(there)
        return sorted(found, key=lambda pod: text(pod, "metadata", "creationTimestamp"))

    async def _exists(self) -> bool:
        try:
            await self.api.get(self._deployment)
        except ApiError:
            return False
        return True

    async def _standing(self) -> list[Json]:
        found = objects(await self.api.get(self._pods), "items")
        return [pod for pod in found if not text(pod, "metadata", "deletionTimestamp")]

    async def _dress(self, name: str, look: Look, now: Instant) -> None:
        """Make a pod look so. Whether it is ready comes last of all that is written of it."""
        path = f"{self._pods}/{name}"
        if look.cost:
            await self.api.patch(path, {"metadata": {"annotations": {COST: str(look.cost)}}})
        if look.node:
            target: Json = {"apiVersion": "v1", "kind": "Node", "name": look.node}
            body: Json = {"apiVersion": "v1", "kind": "Binding", "metadata": {"name": name}, "target": target}
            await self.api.send("POST", f"{path}/binding", body)
            await eventually(functools.partial(self._has_address, path))
        ready: dict[str, Json] = {"type": "Ready", "status": "False"}
        if look.ready_age is not None:
            ready = {"type": "Ready", "status": "True", "lastTransitionTime": _written(now - look.ready_age)}
        agent: Json = {"name": "agent", "restartCount": look.restarts, "image": "", "imageID": "", "ready": True}
        status: Json = {"phase": PHASES[look.phase], "conditions": [ready], "containerStatuses": [agent]}
        await self.api.patch(f"{path}/status", {"status": status})

    async def _has_address(self, path: str) -> bool | None:
        """Kwok has given it an address, and does nothing more to it."""
        return bool(text(await self.api.get(path), "status", "podIP")) or None

    async def _counted(self, field: str, count: int) -> bool | None:
        """The ReplicaSet's status counts so many."""
        path = f"/apis/apps/v1/namespaces/{self.namespace}/replicasets"
        (found,) = objects(await self.api.get(path), "items")
        return whole(found, "status", field, otherwise=0) == count or None


def _seen(pod: Json, look: Look, began: Instant, scaled: Instant) -> Pod:
    created = datetime.fromisoformat(text(pod, "metadata", "creationTimestamp")).timestamp()
    return Pod(
        uid=text(pod, "metadata", "uid"),
        node=look.node,
        phase=look.phase,
        cost=look.cost,
        restarts=look.restarts,
        age=round(scaled - created, 3),
        ready_age=None if look.ready_age is None else round(scaled - int(began - look.ready_age), 3),
    )


def _clear_of_edges(pods: Sequence[Json], looks: Sequence[Look], began: Instant, now: Instant) -> Instant:
    """From now on the first moment at which no age is near a power of two of nanoseconds, or will be soon."""
    while any(near_an_edge(_seen(pod, look, began, now)) for pod, look in zip(pods, looks, strict=True)):
        now += LAG / 4
    return now


def near_an_edge(pod: Pod) -> bool:
    """Whether the controller, who looks a little later, may see an age in another power of two."""
    ages = (pod.age, pod.ready_age or pod.age)
    return any(math.log2(age * 1e9) // 1 != math.log2((age + LAG) * 1e9) // 1 for age in ages)


def _fate(pod: Pod, left: set[str]) -> Pod:
    return replace(pod, gone=pod.uid not in left)


def _written(at: Instant) -> str:
    return datetime.fromtimestamp(int(at), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _deployment(replicas: int) -> Json:
    metadata: Json = {"labels": {"app": "agents"}, "annotations": {READY_AFTER: "1000h"}}
    pod: Json = {"schedulerName": "nobody", "containers": [{"name": "agent", "image": "registry.example/agent:1"}]}
    spec: Json = {
        "replicas": replicas,
        "selector": {"matchLabels": {"app": "agents"}},
        "template": {"metadata": metadata, "spec": pod},
    }
    return {"metadata": {"name": "agents"}, "spec": spec}


async def record(api: Api, wanted: Sequence[Draw]) -> list[Story]:
    """Play all draws, some at a time. The value is in their order."""
    room, clock = asyncio.Semaphore(6), SystemClock()

    async def played(draw: Draw) -> Story:
        async with room:
            return await Scene(api, f"draw-{draw.name}", clock).play(draw)

    return list(await asyncio.gather(*(played(draw) for draw in wanted)))
