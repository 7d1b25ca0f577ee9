"""Who of those with a free slot gets the next task.

A cluster knows two ways: consumers that wait in a row at a queue, and a pod drawn at random. The other two are what a
cleverer router would do, for comparison.
"""

from __future__ import annotations

import enum
import heapq
import random
from collections import deque
from collections.abc import Callable, Container, Sized
from dataclasses import dataclass
from functools import partial
from typing import TypeAlias

from scaler.core.types import Seconds

Slot: TypeAlias = int


class Dispatch(enum.StrEnum):
    """How a task finds its slot."""

    PULL = "pull"  # the consumer that has waited longest, as at a Redis or RabbitMQ queue
    RANDOM = "random"  # any free slot of a ready pod
    LATEST = "latest"  # the slot that became free last, so that the others can go
    LOWEST = "lowest"  # the lowest ordinal, so that a StatefulSet's top can go


@dataclass(frozen=True, slots=True, kw_only=True)
class Serving:
    """How tasks are served.

    Attributes:
        slots: tasks that a pod runs at once.
        once: each pod runs one task and takes no more.
        hold: seconds that a session keeps its slot after a task.
    """

    slots: int = 1
    dispatch: Dispatch = Dispatch.PULL
    once: bool = False
    hold: Seconds = 0.0


@dataclass(frozen=True, slots=True)
class Free:
    """The free slots. It is empty when ``slots`` is, the very object for the life of the row.

    Attributes:
        take, give: remove the slot that is next, and add one.
        drop: remove these, wherever they stand.
    """

    slots: Sized
    take: Callable[[], Slot]
    give: Callable[[Slot], None]
    drop: Callable[[Container[Slot]], None]


def free_slots(dispatch: Dispatch, chance: random.Random) -> Free:
    """A row in which nobody stands yet."""
    if dispatch is Dispatch.PULL:
        row: deque[Slot] = deque()
        return Free(row, row.popleft, row.append, partial(_drop_from_row, row))
    slots: list[Slot] = []
    if dispatch is Dispatch.LOWEST:
        return Free(
            slots, partial(heapq.heappop, slots), partial(heapq.heappush, slots), partial(_drop_from_heap, slots)
        )
    take = slots.pop if dispatch is Dispatch.LATEST else partial(_take_any, slots, chance.random)
    return Free(slots, take, slots.append, partial(_drop_from, slots))


def _take_any(slots: list[Slot], share: Callable[[], float]) -> Slot:
    i = int(share() * len(slots))
    slots[i], slots[-1] = slots[-1], slots[i]
    return slots.pop()


def _drop_from(slots: list[Slot], gone: Container[Slot]) -> None:
    slots[:] = [slot for slot in slots if slot not in gone]


def _drop_from_heap(slots: list[Slot], gone: Container[Slot]) -> None:
    _drop_from(slots, gone)
    heapq.heapify(slots)


def _drop_from_row(row: deque[Slot], gone: Container[Slot]) -> None:
    left = [slot for slot in row if slot not in gone]
    row.clear()
    row.extend(left)
