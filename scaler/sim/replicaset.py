"""Whom a ReplicaSet deletes when it has too many pods.

The order is that of Kubernetes' ``ActivePodsWithRanks`` (pkg/controller/controller_utils.go, 1.31 and later), where
the first difference decides. It knows nothing of what a pod is doing: whether a busy pod goes is luck.
"""

from __future__ import annotations

import enum
import functools
import itertools
import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from scaler.core.types import Instant, PodUid, Seconds

NANOSECONDS = 1e9
NEW = -1  # the bucket of what has no age yet


class PodPhase(enum.IntEnum):
    """Kubernetes' phase of a pod, in the order in which the controller gives them up."""

    PENDING = 0
    UNKNOWN = 1
    RUNNING = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """All that the controller looks at.

    Attributes:
        assigned: whether it has a node.
        deletion_cost: the annotation ``controller.kubernetes.io/pod-deletion-cost``.
        neighbours: active pods of the same owner on its node, itself included.
        ready_since, created_at: None where the API server has no such time.
        restarts: of the container that restarted most.
    """

    uid: PodUid
    assigned: bool = True
    phase: PodPhase = PodPhase.RUNNING
    ready: bool = True
    deletion_cost: int = 0
    neighbours: int = 1
    ready_since: Instant | None
    restarts: int = 0
    created_at: Instant | None


def victims(pods: Iterable[Standing], count: int, now: Instant) -> list[PodUid]:
    """The ``count`` pods that go, first to last."""
    by_age = functools.cmp_to_key(functools.partial(compare, now=now))
    gone: list[PodUid] = []
    for _, alike in itertools.groupby(sorted(pods, key=_plainly), key=_plainly):
        if len(gone) >= count:
            break
        gone += [pod.uid for pod in sorted(alike, key=by_age)]
    return gone[:count]


def _plainly(pod: Standing) -> tuple[bool, PodPhase, bool, int, int]:
    """The criteria that need no comparison of two: of a thousand pods few are left to compare one by one."""
    return pod.assigned, pod.phase, pod.ready, pod.deletion_cost, -pod.neighbours


def compare(a: Standing, b: Standing, now: Instant) -> int:
    """Negative where ``a`` goes before ``b``, positive where it goes after, zero where nothing tells them apart."""
    for criterion in CRITERIA:
        difference = criterion(a, b, now)
        if difference:
            return difference
    return 0


def _unassigned(a: Standing, b: Standing, _: Instant) -> int:
    return a.assigned - b.assigned


def _phase(a: Standing, b: Standing, _: Instant) -> int:
    return a.phase - b.phase


def _not_ready(a: Standing, b: Standing, _: Instant) -> int:
    return a.ready - b.ready


def _cheap(a: Standing, b: Standing, _: Instant) -> int:
    return a.deletion_cost - b.deletion_cost


def _crowded(a: Standing, b: Standing, _: Instant) -> int:
    return b.neighbours - a.neighbours


def _ready_lately(a: Standing, b: Standing, now: Instant) -> int:
    return _younger(a, b, (a.ready_since, b.ready_since), now) if a.ready and b.ready else 0


def _restarted(a: Standing, b: Standing, _: Instant) -> int:
    return b.restarts - a.restarts


def _new(a: Standing, b: Standing, now: Instant) -> int:
    return _younger(a, b, (a.created_at, b.created_at), now)


def _younger(a: Standing, b: Standing, since: tuple[Instant | None, Instant | None], now: Instant) -> int:
    """By the power of two that the age falls into; inside one by uid, which is chance, and that settles it."""
    first, second = since
    if first == second:
        return 0
    if first is None or second is None:
        return -1 if first is None else 1
    return _bucket(now - first) - _bucket(now - second) or (-1 if a.uid < b.uid else 1)


def _bucket(age: Seconds) -> int:
    return int(math.log2(age * NANOSECONDS)) if age > 0 else NEW


CRITERIA: tuple[Callable[[Standing, Standing, Instant], int], ...] = (
    _unassigned,  # no node yet
    _phase,  # pending, then unknown, then running
    _not_ready,  # outranks every deletion cost
    _cheap,  # compared only inside one ReplicaSet
    _crowded,  # more of its kind on the same node
    _ready_lately,  # in powers of two
    _restarted,  # more often
    _new,  # in powers of two
)
