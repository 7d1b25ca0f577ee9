"""Ours when it does not count the pods that start, as a scaler that is told of ready replicas alone.

They are taken out wherever they show: of the pods, of the replicas, and of what was asked for last. So whatever is
missing is asked for anew at each look until it is ready. That a start was seen, and how long it took, is still learnt.
"""

from __future__ import annotations

from dataclasses import fields, replace

import numpy as np

from scaler.core.fleet import PodMemory
from scaler.core.memory import Memory
from scaler.core.pods import Mask, Phase, Pods, Stage
from scaler.core.policy import Policy
from scaler.core.tick import tick
from scaler.core.types import Hold, Instant, Known, Observation, Outcome, PodUid, ScaleTo, Unknown


def unaware(policy: Policy, memory: Memory, observation: Observation, now: Instant) -> Outcome:
    """What ``tick`` decides where nobody tells it of pods that start. Arguments and outcome speak of all pods."""
    pods = observation.pods
    if isinstance(pods, Unknown):
        return tick(policy, memory, observation, now)
    starts = (pods.phase == int(Phase.ACTIVE)) & (pods.stage < int(Stage.READY))
    count = int(np.count_nonzero(starts))
    shown = replace(observation, replicas=_less(observation.replicas, count), pods=_only(pods, ~starts))
    outcome = tick(policy, _shifted(memory, -count), shown, now)
    known = _shifted(outcome.memory, count)
    known = replace(known, pods=_beside(known.pods, _only(pods, starts).uids))
    return replace(outcome, decision=_more(outcome.decision, count), report=_sum(outcome.report, count), memory=known)


def _only(pods: Pods, which: Mask) -> Pods:
    columns = {f.name: getattr(pods, f.name)[which] for f in fields(pods) if f.name != "uids"}
    return Pods(uids=tuple(uid for uid, kept in zip(pods.uids, which.tolist(), strict=True) if kept), **columns)


def _beside(known: PodMemory, starting: tuple[PodUid, ...]) -> PodMemory:
    """The memory of these pods and of some that were seen to start."""
    count = len(starting)
    unknown, nought = np.full(count, np.nan), np.zeros(count, dtype=np.int64)
    return PodMemory(
        uids=known.uids + starting,
        idle_since=np.concatenate((known.idle_since, unknown)),
        named=np.concatenate((known.named, nought)),
        stage=np.concatenate((known.stage, nought + int(Stage.STARTING))),
        heard=np.concatenate((known.heard, unknown)),
        settled=np.concatenate((known.settled, nought > 0)),
        coming=known.coming + count,
    )


def _shifted(memory: Memory, by: int) -> Memory:
    """With so many more replicas asked for, and so many more that live."""
    target, live = memory.target, memory.live
    return replace(memory, target=None if target is None else target + by, live=None if live is None else live + by)


def _less(replicas: Known | Unknown, count: int) -> Known | Unknown:
    return Known(replicas.value - count, replicas.at) if isinstance(replicas, Known) else replicas


def _sum(replicas: int | Unknown, count: int) -> int | Unknown:
    return replicas if isinstance(replicas, Unknown) else replicas + count


def _more(decision: ScaleTo | Hold, count: int) -> ScaleTo | Hold:
    return replace(decision, replicas=_sum(decision.replicas, count))  # type: ignore[arg-type] # of ScaleTo it is known
