"""Whom the real ReplicaSet controller deleted, and whom the simulator's would have."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from scaler.core.types import PodUid
from scaler.sim.replicaset import PodPhase, Standing, compare, victims


@dataclass(frozen=True, slots=True, kw_only=True)
class Pod:
    """A pod when its owner was scaled down.

    Attributes:
        node: empty where it has none.
        age, ready_age: seconds since it was created, and since it was last ready; the latter None where it is not.
        gone: whether the controller deleted it.
    """

    uid: PodUid
    node: str = ""
    phase: PodPhase = PodPhase.RUNNING
    cost: int = 0
    restarts: int = 0
    age: float
    ready_age: float | None = None
    gone: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Story:
    """One scaling down."""

    name: str
    pods: tuple[Pod, ...]


def disagreements(story: Story) -> Iterator[str]:
    """Pods that the model would have deleted and the controller has not; whom nothing tells apart may stand in."""
    beside = Counter(pod.node for pod in story.pods)
    seen = {pod.uid: _standing(pod, beside[pod.node]) for pod in story.pods}
    gone = {pod.uid for pod in story.pods if pod.gone}
    chosen = {*victims(seen.values(), len(gone), now=0.0)}
    spared, instead = chosen - gone, gone - chosen
    for uid in spared:
        if all(_told_apart(seen[uid], seen[other], [*seen.values()]) for other in instead):
            yield f"{story.name}: the model deletes {seen[uid]} and the controller has deleted {sorted(instead)}"


def _told_apart(a: Standing, b: Standing, pods: Sequence[Standing]) -> bool:
    """Whether the controller's sort must put one before the other.

    Equal times make a tie, and unequal ones in the same power of two are settled by uid. Where a third pod ties with
    one of two that the uid settles, the comparison goes round in circles, and the order of the list decides.
    """
    order = compare(a, b, now=0.0)
    by_uid = compare(replace(a, uid=b.uid), replace(b, uid=a.uid), now=0.0) == -order
    ties = any(compare(one, pod, now=0.0) == 0 for one in (a, b) for pod in pods if pod.uid not in {a.uid, b.uid})
    return bool(order) and not (by_uid and ties)


def _standing(pod: Pod, neighbours: int) -> Standing:
    return Standing(
        uid=pod.uid,
        assigned=bool(pod.node),
        phase=pod.phase,
        ready=pod.ready_age is not None,
        deletion_cost=pod.cost,
        neighbours=neighbours,
        ready_since=None if pod.ready_age is None else -pod.ready_age,
        restarts=pod.restarts,
        created_at=-pod.age,
    )
