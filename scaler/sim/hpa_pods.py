"""The HPA's arithmetic for metrics of single pods, and for metrics whose target is a value rather than an average.

From pkg/controller/podautoscaler/replica_calculator.go (``GetResourceReplicas``, ``GetMetricReplicas``,
``GetObjectMetricReplicas``, ``GetExternalMetricReplicas``), Kubernetes 1.33 and later. Here readiness plays its part:
what a pod that is not ready, or says nothing, would change is assumed to the disadvantage of any change.
"""

from __future__ import annotations

import enum
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from scaler.core.types import Unknown
from scaler.sim.hpa import DEFAULT_TOLERANCE

ALL = 100  # per cent of what was requested


class Stand(enum.Enum):
    """What the calculator takes a pod for."""

    READY = "ready"
    UNREADY = "unready"  # pending; or, where the processor is measured, never ready so far or within its first minutes
    GONE = "gone"  # failed, or on its way out


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """A pod: what it uses and what it requests, in thousandths, None where nothing was measured."""

    use: int | None
    request: int = 1000
    stand: Stand = Stand.READY


@dataclass(frozen=True, slots=True, kw_only=True)
class Aim:
    """A target: per cent of requests, or the average use itself; and the tolerance around it."""

    target: int
    of_requests: bool = True
    tolerance: float = DEFAULT_TOLERANCE

    def ratio(self, pods: Sequence[Measured]) -> float:
        """Use over target, whole per cent or thousandths as the calculator has them."""
        used = sum(pod.use or 0 for pod in pods)
        if self.of_requests:
            return (used * ALL // sum(pod.request for pod in pods)) / self.target
        return (used // len(pods)) / self.target

    def met(self, ratio: float) -> bool:
        """Whether this is near enough."""
        return 1.0 - self.tolerance <= ratio <= 1.0 + self.tolerance


def by_pods(pods: Iterable[Measured], aim: Aim, replicas: int) -> int | Unknown:
    """Replicas that the pods' own metrics ask for."""
    there = [pod for pod in pods if pod.stand is not Stand.GONE]
    unready = [pod for pod in there if pod.stand is Stand.UNREADY]
    missing = [pod for pod in there if pod.stand is Stand.READY and pod.use is None]
    told = [pod for pod in there if pod.stand is Stand.READY and pod.use is not None]
    if not told:
        return Unknown("no pod that is ready has a metric")
    ratio = aim.ratio(told)
    rising_past_unready = bool(unready) and ratio > 1.0
    if not rising_past_unready and not missing:
        return replicas if aim.met(ratio) else math.ceil(ratio * len(told))
    assumed = [*told, *_assume(missing, aim, ratio)]
    if rising_past_unready:
        assumed += [Measured(use=0, request=pod.request) for pod in unready]
    return _cautious(aim, ratio, assumed, replicas)


def by_value(value: int, target: int, *, ready: int, replicas: int, tolerance: float = DEFAULT_TOLERANCE) -> int:
    """Replicas that an object's or an external metric of type Value asks for: in proportion to the ready pods."""
    ratio = value / target
    if replicas == 0:
        return math.ceil(ratio)
    if 1.0 - tolerance <= ratio <= 1.0 + tolerance:
        return replicas
    return math.ceil(ratio * ready)


def _assume(missing: Iterable[Measured], aim: Aim, ratio: float) -> list[Measured]:
    """Pods that say nothing: as busy as can be where it would fall, idle where it would rise, and else left out."""
    if ratio == 1.0:
        return []
    if ratio > 1.0:
        return [Measured(use=0, request=pod.request) for pod in missing]
    if not aim.of_requests:
        return [Measured(use=aim.target, request=pod.request) for pod in missing]
    busy = max(ALL, aim.target)
    return [Measured(use=pod.request * busy // ALL, request=pod.request) for pod in missing]


def _cautious(aim: Aim, ratio: float, assumed: Sequence[Measured], replicas: int) -> int:
    """What the assumptions leave of a change: nothing where they turn it round."""
    after = aim.ratio(assumed)
    if aim.met(after) or (ratio < 1.0 < after) or (after < 1.0 < ratio):
        return replicas
    want = math.ceil(after * len(assumed))
    turned = (after < 1.0 and want > replicas) or (after > 1.0 and want < replicas)
    return replicas if turned else want
