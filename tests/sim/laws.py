"""The laws of the world, whatever has happened in it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

import numpy as np

from scaler.core.pods import NO_ACK, Phase
from scaler.sim.work import HELD
from scaler.sim.world import World


def broken(world: World) -> list[str]:
    """The laws that do not hold now."""
    return [law for law, holds in (*_conservation(world), *_protection(world)) if not holds]


def running(world: World) -> dict[int, list[int]]:
    """The tasks in each pod, by row."""
    slots, places = world.setting.serving.slots, world.work.places
    rows = range(len(places) // slots)
    return {row: [place for place in places[row * slots : (row + 1) * slots] if place >= 0] for row in rows}


def _conservation(world: World) -> Iterator[tuple[str, bool]]:
    work, fleet = world.work, world.fleet
    in_flight = [task for tasks in running(world).values() for task in tasks]
    places = Counter([*(task for task, *_ in work.queue), *in_flight])
    yield "no task is in two places", max(places.values(), default=1) == 1
    elsewhere = work.finished + work.behind + len(places)
    yield "each task that arrived waits, runs or is done, and nothing else is", elsewhere == work.arrived
    yield "tasks in flight are those in pods", work.running == len(in_flight)
    yield "nobody waits a negative time", bool((work.waits() >= 0).all())
    yield "no free slot stands beside a queue", not (work.queue and _free(world))
    yield "the status counts the pods that are not leaving", world.status_replicas == len(fleet.stays())
    leaving = [row for row in fleet.rows().tolist() if fleet.leaving[row]]
    yield "a pod that leaves has something to finish", all(running(world)[row] for row in leaving)
    gone = [row for row, tasks in running(world).items() if tasks and row not in fleet.rows()]
    yield "no task runs in a pod that is gone", not gone


def _free(world: World) -> list[int]:
    """Pods that would take a task."""
    fleet, slots = world.fleet, world.setting.serving.slots
    ready = fleet.stays()[fleet.ready()]
    taken = {row: sum(p >= 0 or p == HELD for p in world.work.places[row * slots :][:slots]) for row in ready.tolist()}
    return [row for row, busy in taken.items() if fleet.closed_for[row] == NO_ACK and busy < slots]


def _protection(world: World) -> Iterator[tuple[str, bool]]:
    fleet, inside = world.fleet, running(world)
    rows = fleet.rows().tolist()
    slots = world.setting.serving.slots
    yield "no pod runs more than its slots", all(len(inside[row]) <= slots for row in rows)
    never = [row for row in rows if np.isnan(fleet.ready_at[row])]
    yield "a pod that was never ready runs nothing", not any(inside[row] for row in never)
    drained = [row for row in rows if fleet.phase[row] == Phase.DRAINED]
    yield "what is drained is idle", not any(inside[row] for row in drained)
    acked = all(fleet.acked[row] == fleet.closed_for[row] == fleet.epoch[row] != NO_ACK for row in drained)
    yield "what is drained has acknowledged, and its gate is closed", acked
    yield (
        "nothing is cut behind the guard",
        not (world.setting.guarded and world.work.killed and not world.pool.evicted),
    )
