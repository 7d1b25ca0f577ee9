"""The namespaces that have watched pools: their pods and workloads, each watched for as long as a pool is there.

And the nodes, which belong to no namespace.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from scaler.config.knobs import WATCHED
from scaler.config.pool import WatchedPods
from scaler.controller.api import Api
from scaler.controller.facts import PodFacts, WorkloadFacts, pod, workload
from scaler.controller.mirror import Mirror
from scaler.controller.names import NODE_ASKED, OWNER_ASKED, POOL_ASKED
from scaler.controller.nodes import Nodes
from scaler.controller.retire import Owners, part
from scaler.core.types import Instant, PodUid, Unknown

SETS: Final = "replicasets"
ASKED: Final = {
    POOL_ASKED: "the pool does not need it",
    OWNER_ASKED: "its owner is gone, or has another in its place",
}
NOBODY: Final = "it is not needed, or another stands in its place"  # of a mark that does not say who asked


@dataclass(frozen=True, slots=True)
class Place:
    """A namespace: its pods, and its workloads by their plural."""

    pods: Mirror[PodFacts]
    workloads: dict[str, Mirror[WorkloadFacts]]

    @property
    def why_not(self) -> Unknown | None:
        """Why not all of it is known; None where it is."""
        found = (self.pods.why_not, *(mirror.why_not for mirror in self.workloads.values()))
        return next((why for why in found if why is not None), None)

    def workload(self, kind: str, name: str) -> WorkloadFacts | None:
        """The workload of this name, if there is one."""
        return next((found for found in self.workloads[kind] if found.name == name), None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Holding:
    """A pool's workload, None where there is none, and its pods.

    Attributes:
        pods: those that count.
        surplus: those that must go anyway.
        others: those that are another workload's: guarded like all, and else left alone.
    """

    workload: WorkloadFacts | None
    pods: tuple[PodFacts, ...]
    surplus: tuple[PodFacts, ...]
    others: tuple[PodFacts, ...]

    @property
    def all(self) -> tuple[PodFacts, ...]:
        """Every pod that wears the pool's label or is selected by its workload."""
        return (*self.pods, *self.surplus, *self.others)


class Estate:
    """Belongs to one event loop."""

    def __init__(self, api: Api) -> None:
        self._api, self._nodes = api, Nodes(api)
        self._watching: asyncio.Task[None] | None = None
        self._places: dict[str, Place] = {}
        self._tasks: dict[str, list[asyncio.Task[None]]] = {}

    def keep(self, namespaces: Collection[str]) -> None:
        """Watch these namespaces from now on, and no others; and the nodes while there is any."""
        if namespaces and self._watching is None:
            self._watching = asyncio.create_task(self._nodes.follow())
        elif not namespaces and self._watching is not None:
            self._watching.cancel()
            self._watching = None
        for namespace in self._places.keys() - namespaces:
            del self._places[namespace]
            for task in self._tasks.pop(namespace):
                task.cancel()
        for namespace in namespaces - self._places.keys():
            place = self._places[namespace] = self._made(namespace)
            work = (place.pods.follow(), *(mirror.follow() for mirror in place.workloads.values()))
            self._tasks[namespace] = [asyncio.create_task(each) for each in work]

    def place(self, namespace: str) -> Place | None:
        """The namespace, if it is watched."""
        return self._places.get(namespace)

    def pod(self, namespace: str, uid: PodUid) -> PodFacts | None:
        """The pod, if it is there."""
        place = self._places.get(namespace)
        return None if place is None else place.pods.get(uid)

    def holding(self, source: WatchedPods, now: Instant) -> Holding | Unknown:
        """What the pool has at ``now``, or why that is not known."""
        place = self._places.get(source.pool.namespace)
        if place is None:
            return Unknown(f"namespace {source.pool.namespace} is not watched yet")
        if (why := place.why_not) is not None:
            return why
        if not self._nodes.tried:
            return Unknown("nodes have not been listed yet")
        owner = place.workload(source.kind, source.name)
        pods = tuple(found for found in place.pods if _belongs(found, owner, source))
        there = {each.uid: each for mirror in place.workloads.values() for each in mirror}
        parted = part(pods, Owners(workload=owner, there=there, now=now))
        moving = self._nodes.displaced(parted.others, now)
        return Holding(
            workload=owner,
            pods=parted.pods,
            surplus=(*parted.surplus, *(pod for pod in parted.others if pod.uid in moving)),
            others=tuple(pod for pod in parted.others if pod.uid not in moving),
        )

    def displaced(self, pods: Iterable[PodFacts], now: Instant) -> Mapping[PodUid, str]:
        """Those of the pods that their nodes ask away, each with why."""
        return self._nodes.displaced(pods, now)

    def why_displaced(self, pod: PodFacts) -> str:
        """Why its node asks the pod away, empty where it does not; as of the last time that was asked of any."""
        return self._nodes.why(pod)

    def who_asked(self, pod: PodFacts) -> str:
        """Who wants the pod to go and why, in words: its node as it is now, or who its mark names."""
        asked = pod.asked_by or ""
        node = f"node {asked.removeprefix(NODE_ASKED)} asked for it" if asked.startswith(NODE_ASKED) else ""
        return self._nodes.why(pod) or node or ASKED.get(asked, NOBODY)

    def _made(self, namespace: str) -> Place:
        apps = f"/apis/apps/v1/namespaces/{namespace}"
        kinds = (*WATCHED, SETS)
        return Place(
            Mirror(self._api, f"/api/v1/namespaces/{namespace}/pods", pod),
            {kind: Mirror(self._api, f"{apps}/{kind}", workload) for kind in kinds},
        )


def _belongs(found: PodFacts, owner: WorkloadFacts | None, source: WatchedPods) -> bool:
    """Whether the pod is one of the pool's: its workload selects it, or it wears the pool's label."""
    if found.leaving:
        return False
    return (owner is not None and owner.selects(found.labels)) or (found.managed and found.pool == source.pool.name)
