"""The laws of the world, whatever has happened in it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from scaler.core.pods import NO_ACK, Phase
from scaler.sim.replica import Replica
from scaler.sim.world import World


def broken(world: World) -> list[str]:
    """The laws that do not hold now."""
    return [law for law, holds in (*_conservation(world), *_protection(world)) if not holds]


def _conservation(world: World) -> Iterator[tuple[str, bool]]:
    work = world.work
    running = [task for pod in world.pods.values() for task in pod.running]
    places = Counter([*work.queue, *running, *work.ends])
    yield "each task that arrived waits, runs or is done, in one place", places == Counter(range(work.arrived))
    yield "tasks in flight are those in pods", work.running == len(running)
    yield "nobody waits a negative time", all(wait >= 0 for wait in work.waits())
    free = [pod for pod in world.pods.values() if pod.open and len(pod.running) < world.setting.slots]
    yield "no free slot stands beside a queue", not (work.queue and free)
    staying = sum(not pod.leaving for pod in world.pods.values())
    yield "the status counts the pods that are not leaving", world.status_replicas == staying
    yield "a pod that leaves has something to finish", all(pod.running for pod in world.pods.values() if pod.leaving)


def _protection(world: World) -> Iterator[tuple[str, bool]]:
    pods = world.pods.values()
    yield "no pod runs more than its slots", all(len(pod.running) <= world.setting.slots for pod in pods)
    yield "a pod that was never ready runs nothing", all(pod.ready_at is not None for pod in pods if pod.running)
    yield "what is drained is idle, and its gate is closed", all(map(_is_shut, pods))
    yield "nothing is cut behind the guard", not (world.setting.guarded and world.work.killed)


def _is_shut(pod: Replica) -> bool:
    shut = not pod.running and pod.acked == pod.closed_for == pod.epoch != NO_ACK
    return shut or pod.phase is not Phase.DRAINED
