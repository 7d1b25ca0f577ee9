"""Pods that must go whatever the pool wants: their owner is gone, or asks for others in their place.

They are drained like any others and counted by nobody: another stands in their place already, or none is to.

- A pod whose ReplicaSet or StatefulSet is no more, or is being deleted: nobody would start it again.
- In a rollout of a Deployment an old ReplicaSet asks for ever fewer pods, and the guards keep those it would delete. As
  many as it has too many are drained, those that need the least time first.
- In a rollout of a StatefulSet the highest pod of the old revision is the one that its controller would delete next.
- A StatefulSet that was told to start at a higher ordinal wants none of the pods below it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from scaler.controller.facts import PodFacts, WorkloadFacts
from scaler.core.pods import NO_ACK, NO_ORDINAL, Phase
from scaler.core.types import Instant, Order, PodUid, Seconds, Verb
from scaler.sources.activity_answer import Report

YOUNG: Final[Seconds] = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Owners:
    """A pool's workload, None where there is none, and the ReplicaSets of its namespace, as known at ``now``."""

    workload: WorkloadFacts | None
    sets: Mapping[str, WorkloadFacts]
    now: Instant


def surplus(pods: Sequence[PodFacts], owners: Owners) -> tuple[PodFacts, ...]:
    """Those of a pool's pods that must go."""
    workload = owners.workload
    if workload is None or workload.leaving:
        return tuple(pods)
    strays = [pod for pod in pods if not _is_owned(pod, workload, owners)]
    of_sets = [old for each in _outdated(workload, owners.sets) for old in _too_many(pods, each)]
    above = [pod for pod in pods if not _is_below(pod, workload)]
    below = [pod for pod in pods if _is_below(pod, workload) and pod not in strays]
    return (*strays, *of_sets, *below, *_next_of(above, workload))


def orders(pods: Iterable[PodFacts], heard: Mapping[PodUid, Report]) -> tuple[Order, ...]:
    """The next order for each of them, by the same protocol as any other's."""
    return tuple(_order(pod, heard.get(pod.uid)) for pod in pods)


def _order(pod: PodFacts, report: Report | None) -> Order:
    epoch = pod.epoch or 0
    match pod.phase:
        case Phase.ACTIVE:
            return Order(Verb.MARK, pod.uid, epoch + 1)
        case Phase.DRAINING:
            return Order(Verb.COMMIT if _has_acknowledged(report, epoch) else Verb.CLOSE, pod.uid, epoch)
        case Phase.DRAINED:
            return Order(Verb.DELETE, pod.uid, epoch)


def _has_acknowledged(report: Report | None, epoch: int) -> bool:
    """Whether its gate is closed for this epoch and it is idle, by its own word."""
    return report is not None and report.acked == epoch != NO_ACK and not report.inflight and not report.sessions


def _is_owned(pod: PodFacts, workload: WorkloadFacts, owners: Owners) -> bool:
    """Whether the workload counts the pod. The ReplicaSet of a young one may not have been seen yet."""
    if pod.owner == workload.uid:
        return True
    made_by = owners.sets.get(pod.owner)
    if made_by is not None:
        return made_by.owner == workload.uid and not made_by.leaving
    return bool(pod.owner) and owners.now - pod.created_at < YOUNG


def _is_below(pod: PodFacts, workload: WorkloadFacts) -> bool:
    """Whether it is a StatefulSet's, of an ordinal that is lower than its first."""
    return NO_ORDINAL < pod.ordinal < workload.start


def _outdated(workload: WorkloadFacts, sets: Mapping[str, WorkloadFacts]) -> list[WorkloadFacts]:
    """The workload's ReplicaSets but for its newest."""
    own = [each for each in sets.values() if each.owner == workload.uid]
    newest = max((each.revision for each in own), default=0)
    return [each for each in own if each.revision < newest]


def _too_many(pods: Sequence[PodFacts], made_by: WorkloadFacts) -> list[PodFacts]:
    """As many of a ReplicaSet's pods as it has too many: those first that are on their way out already."""
    own = [pod for pod in pods if pod.owner == made_by.uid]
    own.sort(key=lambda pod: (-pod.phase, pod.ready is not None, pod.created_at))
    return own[: max(0, len(own) - made_by.replicas)]


def _next_of(pods: Sequence[PodFacts], workload: WorkloadFacts) -> list[PodFacts]:
    """Of a StatefulSet in a rollout the highest pod of an old revision, once all the others are ready.

    One that has begun to drain goes on, for others may start meanwhile.
    """
    if not workload.revision_hash:
        return []
    old = [pod for pod in pods if pod.owner == workload.uid and pod.revision not in {"", workload.revision_hash}]
    if going := [pod for pod in old if pod.phase is not Phase.ACTIVE]:
        return going
    top = max(old, key=lambda pod: pod.ordinal, default=None)
    if top is None or top.ordinal < workload.partition or any(pod.ready is None for pod in pods if pod is not top):
        return []
    return [top]
