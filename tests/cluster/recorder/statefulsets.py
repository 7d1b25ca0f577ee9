"""Leads real StatefulSets through changes, and notes in which order their controller starts and deletes pods.

The pods are on one of kwok's nodes, which leaves them as they are; the story says who is ready. The controller tells
nobody that it has nothing more to do: it is taken to be at rest after a while without a new pod or a deletion.
"""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace

from scaler.controller.dig import text
from scaler.controller.feed import Gone, Put
from scaler.core.types import Seconds
from tests.cluster.harness.api import Api, Json
from tests.cluster.harness.kwok import GONE_AFTER, READY_AFTER
from tests.support.recorded.statefulset import Act, Story
from tests.support.wait import eventually

AT_REST: Seconds = 3.0


def scripts() -> Iterator[Story]:
    """Stories whose acts say what is done to the set, and not yet what it does."""
    yield Story(
        name="ordered, up and down",
        acts=(
            Act(replicas=3),
            *(Act(replicas=3, ready=(ordinal,)) for ordinal in range(3)),
            Act(replicas=5),
            Act(replicas=5, ready=(3,)),
            Act(replicas=2),
            Act(replicas=0),
        ),
    )
    yield Story(
        name="ordered, the middle is not ready",
        acts=(*_up(5), Act(replicas=5, unready=(1,)), Act(replicas=3), Act(replicas=3, ready=(1,))),
    )
    yield Story(
        name="ordered, condemned are not ready",
        acts=(*_up(6), Act(replicas=6, unready=(3, 5)), Act(replicas=2), Act(replicas=2, ready=(5,))),
    )
    yield Story(
        name="ordered, the lowest that is not ready is condemned first",
        acts=(*_up(4), Act(replicas=4, unready=(3,)), Act(replicas=1)),
    )
    yield Story(
        name="ordered, the deleted linger",
        lingers=True,
        acts=(*_up(4), Act(replicas=1), Act(replicas=1, gone=(3,)), Act(replicas=3), Act(replicas=3, gone=(2,))),
    )
    yield Story(
        name="ordered, ordinals start higher",
        acts=(*_up(4), Act(replicas=3, first=1), Act(replicas=3, first=2), Act(replicas=3, first=2, ready=(4,))),
    )
    yield Story(
        name="parallel, up and down",
        parallel=True,
        acts=(Act(replicas=9), Act(replicas=9, ready=(0, 4)), Act(replicas=1), Act(replicas=4), Act(replicas=0)),
    )
    yield Story(
        name="parallel, the deleted linger",
        parallel=True,
        lingers=True,
        acts=(
            Act(replicas=5),
            Act(replicas=2),
            Act(replicas=5),
            Act(replicas=5, gone=(4,)),
            Act(replicas=5, gone=(2, 3)),
        ),
    )
    yield Story(
        name="parallel, ordinals start higher",
        parallel=True,
        acts=(Act(replicas=4), Act(replicas=3, first=1), Act(replicas=4, first=3), Act(replicas=2, first=0)),
    )


def _up(replicas: int) -> Iterator[Act]:
    """A set that has come up pod by pod."""
    yield Act(replicas=replicas)
    yield from (Act(replicas=replicas, ready=(ordinal,)) for ordinal in range(replicas))


@dataclass
class Scene:
    """One set in a namespace of its own."""

    api: Api
    namespace: str
    script: Story
    _did: list[str] = field(default_factory=list)
    _there: dict[str, bool] = field(default_factory=dict)  # by name; whether it is leaving
    _moved: asyncio.Event = field(default_factory=asyncio.Event)

    async def play(self) -> Story:
        """Play it, and return the story with what was done."""
        await self.api.send("POST", "/api/v1/namespaces", {"metadata": {"name": self.namespace}})
        following = asyncio.create_task(self._follow())
        try:
            acts = [await self._act(number, act) for number, act in enumerate(self.script.acts)]
        finally:
            following.cancel()
            await asyncio.wait([following])
        return replace(self.script, acts=tuple(acts))

    @property
    def _pods(self) -> str:
        return f"/api/v1/namespaces/{self.namespace}/pods"

    async def _act(self, number: int, act: Act) -> Act:
        """Do this to the set, and wait until it does nothing more."""
        self._did.clear()
        for ordinal in (*act.ready, *act.unready):
            await self._turn(ordinal, ready=ordinal in act.ready)
        for ordinal in act.gone:
            body: Json = {"gracePeriodSeconds": 0}
            await self.api.send("DELETE", f"{self._pods}/set-{ordinal}", body)
        await self._scale(number, act)
        await self._at_rest()
        return replace(act, did=tuple(self._did))

    async def _scale(self, number: int, act: Act) -> None:
        sets = f"/apis/apps/v1/namespaces/{self.namespace}/statefulsets"
        if number == 0:
            await self.api.send("POST", sets, _set(self.script, act))
        before = self.script.acts[max(0, number - 1)]
        if (before.replicas, before.first) != (act.replicas, act.first):
            spec: Json = {"replicas": act.replicas, "ordinals": {"start": act.first}}
            await self.api.patch(f"{sets}/set", {"spec": spec})

    async def _turn(self, ordinal: int, *, ready: bool) -> None:
        """Be the kubelet: the pod runs, and is ready or not."""
        path = f"{self._pods}/set-{ordinal}"
        await eventually(functools.partial(self._has_address, path))
        conditions: Json = [{"type": "Ready", "status": str(ready)}]
        await self.api.patch(f"{path}/status", {"status": {"phase": "Running", "conditions": conditions}})

    async def _has_address(self, path: str) -> bool | None:
        """Kwok has given it an address, and does nothing more to it."""
        return bool(text(await self.api.get(path), "status", "podIP")) or None

    async def _at_rest(self) -> None:
        """Nothing has been started or deleted for a while."""
        while True:
            self._moved.clear()
            try:
                async with asyncio.timeout(AT_REST):
                    await self._moved.wait()
            except TimeoutError:
                return

    async def _follow(self) -> None:
        """Note every pod that appears and every one that is deleted, in the order in which the server has them."""
        async for change in self.api.follow(self._pods):
            match change:
                case Put(pod):
                    name, leaving = text(pod, "metadata", "name"), bool(text(pod, "metadata", "deletionTimestamp"))
                    if name not in self._there:
                        self._note("+", name)
                    if leaving and not self._there.get(name, False):
                        self._note("-", name)
                    self._there[name] = leaving
                case Gone(pod):
                    name = text(pod, "metadata", "name")
                    if not self._there.pop(name, True):
                        self._note("-", name)
                case _:
                    pass

    def _note(self, sign: str, name: str) -> None:
        self._did.append(f"{sign}{name.removeprefix('set-')}")
        self._moved.set()


def _set(script: Story, act: Act) -> Json:
    lingers: dict[str, Json] = {GONE_AFTER: "1000h"} if script.lingers else {}
    pod: Json = {"nodeName": "node-a", "containers": [{"name": "agent", "image": "registry.example/agent:1"}]}
    labels: Json = {"app": "set"}
    spec: Json = {
        "replicas": act.replicas,
        "podManagementPolicy": "Parallel" if script.parallel else "OrderedReady",
        "selector": {"matchLabels": labels},
        "template": {"metadata": {"labels": labels, "annotations": {READY_AFTER: "1000h", **lingers}}, "spec": pod},
    }
    return {"metadata": {"name": "set"}, "spec": spec}


async def record(api: Api, wanted: Sequence[Story]) -> list[Story]:
    """Play all of them side by side. The value is in their order."""
    scenes = (Scene(api, f"set-{number}", story) for number, story in enumerate(wanted))
    return list(await asyncio.gather(*(scene.play() for scene in scenes)))
