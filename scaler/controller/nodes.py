"""What nodes ask of their pods: whether these should go, and why.

Whoever cordons a node, drains it, or has an autoscaler take it down wants it empty. What becomes of a node by itself
(it is not ready, or cannot be reached) is nobody's wish: its pods are not ready then, and are counted so. But where the
Node object is gone Kubernetes takes its pods a minute later, at work or not; until then they take no more.

That a node wants its pods again must have been seen: whoever has just begun to lead goes by the pods' marks until then.

A pod that was made after a node was tainted ``NoExecute``, and that stands on it, tolerates the taint and was placed
there with it: it stays. To ask it away would start another, which may be placed there as well, and so on without end.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from scaler.controller.api import Api, Json
from scaler.controller.dig import at, instant, objects, text
from scaler.controller.facts import PodFacts
from scaler.controller.mirror import Mirror
from scaler.core.types import Instant, PodUid, Seconds

CLUSTER_AUTOSCALER: Final = "ToBeDeletedByClusterAutoscaler"
KARPENTER: Final = ("karpenter.sh/disrupted", "karpenter.sh/disruption")
OUT_OF_SERVICE: Final = "node.kubernetes.io/out-of-service"
CONDITIONS: Final = ("node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable")
NO_EXECUTE, NO_SCHEDULE = "NoExecute", "NoSchedule"
FORGOTTEN: Final[Seconds] = 600.0  # a node that is gone has no pods any more after so long


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeFacts:
    """A node.

    Attributes:
        why: why it asks its pods away, as what follows its name in a sentence; empty where it does not.
        open: it takes pods that tolerate ``NoExecute``, all the same.
        since: when it was tainted, where the taint says so.
    """

    uid: str
    name: str
    why: str
    open: bool
    since: Instant | None


def node(found: Json) -> NodeFacts:
    """The facts of a node."""
    taints = objects(found, "spec", "taints")
    cordoned, leaving = at(found, "spec", "unschedulable") is True, at(found, "metadata", "deletionTimestamp")
    asking = [taint for taint in taints if _asks(taint)]
    why = "is being deleted" if leaving else _said(asking) or ("is cordoned" if cordoned else "")
    barred = cordoned or leaving or any(text(taint, "effect") == NO_SCHEDULE for taint in taints)
    return NodeFacts(
        uid=text(found, "metadata", "uid"),
        name=text(found, "metadata", "name"),
        why=why,
        open=not barred,
        since=next((since for taint in asking if (since := instant(taint, "timeAdded")) is not None), None),
    )


def _asks(taint: Mapping[str, Json]) -> bool:
    """Whether a taint is somebody's wish that the pods go."""
    key, effect = text(taint, "key"), text(taint, "effect")
    if key in {CLUSTER_AUTOSCALER, *KARPENTER}:
        return True
    return effect == NO_EXECUTE and key not in CONDITIONS


def _said(asking: list[Mapping[str, Json]]) -> str:
    keys = [text(taint, "key") for taint in asking]
    if CLUSTER_AUTOSCALER in keys:
        return "is being removed by the cluster autoscaler"
    if any(key in KARPENTER for key in keys):
        return "is being disrupted by Karpenter"
    if OUT_OF_SERVICE in keys:
        return "is out of service"
    return f"is tainted {keys[0]}:{NO_EXECUTE}" if keys else ""


class Nodes:
    """The nodes of the cluster, as far as they ask pods away. Belongs to one event loop."""

    def __init__(self, api: Api) -> None:
        self._mirror = Mirror(api, "/api/v1/nodes", node)
        self._read = -1
        self._since: dict[str, Instant] = {}
        self._asking: dict[str, NodeFacts] = {}
        self._there: frozenset[str] = frozenset()
        self._gone: dict[str, Instant] = {}

    async def follow(self) -> None:
        """Watch them, until cancelled."""
        await self._mirror.follow()

    @property
    def tried(self) -> bool:
        """Whether they were listed, or cannot be: who may not see nodes drains none."""
        return self._mirror.tried

    def displaced(self, pods: Iterable[PodFacts], now: Instant) -> Mapping[PodUid, str]:
        """The pods that their nodes ask away, each with why, in a sentence.

        While nodes cannot be watched they are what they were: that a drain is over must have been seen.
        """
        self._look(now)
        asked = pods if self._asking or self._gone else [pod for pod in pods if pod.asked_by is not None]
        return {pod.uid: why for pod in asked if (why := self.why(pod))}

    def why(self, pod: PodFacts) -> str:
        """Why its node asks the pod away, by the last look; empty where it does not."""
        found = self._asking.get(pod.node)
        if found is not None:
            came_later = found.open and pod.created_at > self._since[found.uid]
            return "" if came_later else f"node {pod.node} {found.why}"
        if pod.node in self._gone:
            return f"node {pod.node} is gone"
        unseen = pod.for_node and pod.node not in self._there
        return f"node {pod.node} asked for it, and is not seen" if unseen else ""

    def _look(self, now: Instant) -> None:
        """Take in who asks, since when as far as it is known, and who is gone, where anything has changed."""
        read = self._mirror.changes
        if read == self._read:
            return
        there = frozenset(found.name for found in self._mirror)
        gone = self._gone | dict.fromkeys(self._there - there, now)
        self._gone = {name: at for name, at in gone.items() if name not in there and abs(now - at) < FORGOTTEN}
        self._there, asking = there, [found for found in self._mirror if found.why]
        self._since = {found.uid: found.since or self._since.get(found.uid, now) for found in asking}
        self._read, self._asking = read, {found.name: found for found in asking}
