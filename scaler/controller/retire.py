"""Pods that must go whatever the pool wants: their owner is gone, or asks for others in their place.

They are drained like any others and counted by nobody: another stands in their place already, or none is to.

- A pod whose ReplicaSet or StatefulSet is no more, or is being deleted: nobody would start it again.
- A pod of another workload than the pool's, once that one asks for fewer. The pool's workload selects it too, or was
  that one before; as long as it is asked for it stays as it is, for whoever made it would start another in its place.
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
MAKERS: Final = ("ReplicaSet", "StatefulSet")  # kinds that make pods and are watched: of the others nobody here knows


@dataclass(frozen=True, slots=True, kw_only=True)
class Owners:
    """A pool's workload, None where there is none, and all workloads of its namespace by uid, as known at ``now``."""

    workload: WorkloadFacts | None
    there: Mapping[str, WorkloadFacts]
    now: Instant


@dataclass(frozen=True, slots=True, kw_only=True)
class Parted:
    """A pool's pods: those that count, those that must go, and those that another workload asks for."""

    pods: tuple[PodFacts, ...]
    surplus: tuple[PodFacts, ...]
    others: tuple[PodFacts, ...]


def part(pods: Sequence[PodFacts], owners: Owners) -> Parted:
    """Part the pods that the pool's workload selects, or that wear the pool's label, by who asks for them."""
    own: list[PodFacts] = []
    others: list[PodFacts] = []
    gone: list[PodFacts] = []
    for pod in pods:
        kept = pod.phase is not Phase.DRAINED and _is_anothers(pod, owners)
        (own if _is_owned(pod, owners) else others if kept else gone).append(pod)
    going = (*gone, *_own_surplus(own, owners), *_surplus_of_others(others, owners))
    uids = {pod.uid for pod in going}
    return Parted(
        pods=tuple(pod for pod in own if pod.uid not in uids),
        surplus=going,
        others=tuple(pod for pod in others if pod.uid not in uids),
    )


def _own_surplus(own: Sequence[PodFacts], owners: Owners) -> list[PodFacts]:
    """Those of the workload's own pods that it has others for, or wants no more."""
    workload = owners.workload
    if workload is None:
        return []
    of_sets = [old for each in _outdated(workload, owners.there) for old in _too_many(own, each)]
    below = [pod for pod in own if _is_below(pod, workload)]
    above = [pod for pod in own if not _is_below(pod, workload)]
    return [*of_sets, *below, *_next_of(above, workload)]


def _surplus_of_others(others: Sequence[PodFacts], owners: Owners) -> list[PodFacts]:
    """Those of other workloads' pods that these have too many of."""
    makers = [owners.there[uid] for uid in {pod.owner for pod in others} & owners.there.keys()]
    return [pod for maker in makers for pod in _too_many(others, maker)]


def orders(pods: Iterable[PodFacts], heard: Mapping[PodUid, Report]) -> tuple[Order, ...]:
    """The next order for each of them, by the same protocol as any other's.

    One that is drained and says that it works all the same is believed to work, and is left alone.
    """
    said = ((pod, heard.get(pod.uid)) for pod in pods)
    return tuple(_order(pod, report) for pod, report in said if not (pod.phase is Phase.DRAINED and _works(report)))


def recalls(others: Iterable[PodFacts]) -> tuple[Order, ...]:
    """Drains to call back, of pods that nobody asks away any more."""
    return tuple(Order(Verb.CANCEL, pod.uid, (pod.epoch or 0) + 1) for pod in others if pod.phase is Phase.DRAINING)


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
    return report is not None and report.acked == epoch != NO_ACK and not _works(report)


def _works(report: Report | None) -> bool:
    """Whether it says that it runs a task or holds a session."""
    return report is not None and report.inflight + report.sessions > 0


def _is_owned(pod: PodFacts, owners: Owners) -> bool:
    """Whether the workload counts the pod. The ReplicaSet of a young one may not have been seen yet."""
    workload = owners.workload
    if workload is None or workload.leaving:
        return False
    if pod.owner == workload.uid:
        return True
    made_by = owners.there.get(pod.owner)
    if made_by is not None:
        return made_by.owner == workload.uid and not made_by.leaving
    return pod.owner_kind in MAKERS and _is_young(pod, owners)


def _is_anothers(pod: PodFacts, owners: Owners) -> bool:
    """Whether something else asks for the pod, for all that is known of who has made it."""
    if pod.owner_kind not in MAKERS:
        return bool(pod.owner)
    made_by = owners.there.get(pod.owner)
    above = made_by if made_by is None or made_by.owner_kind != "Deployment" else owners.there.get(made_by.owner)
    if made_by is None or above is None:
        return _is_young(pod, owners)
    return not (made_by.leaving or above.leaving)


def _is_young(pod: PodFacts, owners: Owners) -> bool:
    """Whether it is so young that what has made it may not have been seen yet."""
    return owners.now - pod.created_at < YOUNG


def _is_below(pod: PodFacts, workload: WorkloadFacts) -> bool:
    """Whether it is a StatefulSet's, of an ordinal that is lower than its first."""
    return NO_ORDINAL < pod.ordinal < workload.start


def _outdated(workload: WorkloadFacts, there: Mapping[str, WorkloadFacts]) -> list[WorkloadFacts]:
    """The workload's ReplicaSets but for its newest."""
    own = [each for each in there.values() if each.owner == workload.uid]
    newest = max((each.revision for each in own), default=0)
    return [each for each in own if each.revision < newest]


def _too_many(pods: Sequence[PodFacts], made_by: WorkloadFacts) -> list[PodFacts]:
    """As many of a ReplicaSet's pods as it has too many: those first that are on their way out already.

    Of a StatefulSet's those whose ordinals it does not ask for.
    """
    own = [pod for pod in pods if pod.owner == made_by.uid]
    if any(pod.ordinal != NO_ORDINAL for pod in own):
        wanted = range(made_by.start, made_by.start + made_by.replicas)
        return [pod for pod in own if pod.ordinal not in wanted]
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
