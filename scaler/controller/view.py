"""Pods as the decision sees them: what the API server has of each, joined with what its agent says of itself."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from scaler.controller.facts import PodFacts
from scaler.core.pods import NO_ACK, NO_ORDINAL, Ints, Pods, Stage
from scaler.core.types import Instant, PodUid
from scaler.sources.activity_answer import Report


@dataclass(frozen=True, slots=True, kw_only=True)
class Beside:
    """What is known of pods beside what they say of themselves.

    Attributes:
        once_ready: those that have been ready before.
        displaced: those that their nodes ask away.
        first: the ordinal at which their StatefulSet starts.
    """

    once_ready: Collection[PodUid] = ()
    displaced: Collection[PodUid] = ()
    first: int = 0


def columns(pods: Sequence[PodFacts], heard: Mapping[PodUid, Report], beside: Beside, now: Instant) -> Pods:
    """The pods' columns. One that is not in ``heard`` has not been heard, and counts as busy.

    Ordinals are counted from the first, so that they go from 0 wherever their StatefulSet starts.

    Phase, epoch and who asked are the pod's labels and annotations alone, for an agent may have missed some; what it
    acknowledged and whether it is idle are its own word alone.
    """
    said = [heard.get(pod.uid) for pod in pods]
    stages = [stage(pod, report, was=pod.uid in beside.once_ready) for pod, report in zip(pods, said, strict=True)]
    return Pods(
        uids=tuple(pod.uid for pod in pods),
        created_at=np.array([pod.created_at for pod in pods], dtype=np.float64),
        since=np.array([pod.created_at if pod.ready is None else pod.ready for pod in pods], dtype=np.float64),
        stage=np.array(stages, dtype=np.int64),
        phase=np.array([pod.phase for pod in pods], dtype=np.int64),
        inflight=np.array([0 if r is None else r.inflight for r in said], dtype=np.int64),
        sessions=np.array([0 if r is None else r.sessions for r in said], dtype=np.int64),
        seen_at=np.array([math.nan if r is None else now for r in said], dtype=np.float64),
        ordinal=np.array([_place(pod, beside.first) for pod in pods], dtype=np.int64),
        epoch=np.array([pod.epoch or 0 for pod in pods], dtype=np.int64),
        acked=np.array([NO_ACK if r is None else r.acked for r in said], dtype=np.int64),
        displaced=np.array([pod.uid in beside.displaced for pod in pods], dtype=np.bool_),
        for_node=np.array([pod.for_node for pod in pods], dtype=np.bool_),
        zone=_zones([pod.zone for pod in pods]),
    )


def _place(pod: PodFacts, first: int) -> int:
    return NO_ORDINAL if pod.ordinal == NO_ORDINAL else pod.ordinal - first


def _zones(names: Sequence[str]) -> Ints:
    """A number for each zone, in the order of their names."""
    numbers = {name: number for number, name in enumerate(sorted({"", *names}))}
    return np.array([numbers[name] for name in names], dtype=np.int64)


def stage(pod: PodFacts, report: Report | None, *, was: bool) -> Stage:
    """Where a pod stands in its life. An agent may say that it is not ready yet; that it is, only the kubelet says."""
    if pod.ready is not None and (report is None or report.ready):
        return Stage.READY
    if was:
        return Stage.UNREADY
    return Stage.STARTING if pod.node else Stage.PENDING
