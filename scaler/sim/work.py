"""The queue and the slots that serve it: where tasks wait, run, end and are lost.

A task is its row in ``tasks``, a pod its row in the fleet, and slot ``k`` of pod ``p`` is ``p * slots + k``. Arrivals
come from the columns and ends from a heap of tuples, so a task costs no object, and ``run`` goes through both until
something else is due. What is rare (a session, a gate that closes, a pod that goes) leaves that path for a while.
"""

from __future__ import annotations

import math
import random
from array import array
from collections import deque
from collections.abc import Callable
from heapq import heapify, heappop, heappush, heapreplace
from typing import Final, TypeAlias

import numpy as np

from scaler.core.pods import Floats, Ints
from scaler.core.types import Instant
from scaler.sim.backend import Progress
from scaler.sim.dispatch import Serving, Slot, free_slots
from scaler.sim.events import Agenda
from scaler.sim.sessions import Away, Sessions
from scaler.sim.workload import NO_SESSION, Tasks, Waiting

Row: TypeAlias = int

FRESH: Final = -1  # in a slot's place: no task yet,
SPENT: Final = -2  # none any more,
HELD: Final = -3  # and none, but kept for its session


class Work:
    """The tasks of one run, and the slots that serve them.

    Attributes:
        queue: those that wait, oldest first; a run that was cut goes back to the head.
        began: when the last run of each task began, NaN while it has none, shape (n,); ``begun`` whose did, in order.
        places: what is in each slot: a task, or ``FRESH``, ``SPENT`` or ``HELD``; ``inside`` the same as a column.
        killed: runs that were cut and begin anew; ``lost`` the seconds of these.
        ended: the tasks whose runs ended, in that order.
        progress: how fast runs go on.
    """

    def __init__(
        self, agenda: Agenda, tasks: Tasks, serving: Serving, *, seed: int, freed: Callable[[Row], None]
    ) -> None:
        self.tasks, self.serving = tasks, serving
        self.queue: deque[Waiting] = deque()
        self.began = array("d", [math.nan]) * len(tasks)
        self.begun, self.places, self.inside = array("q"), array("q"), np.zeros(0, dtype=np.int64)
        self.killed, self.lost = 0, 0.0
        self.progress = Progress(agenda.now)
        self.ended = array("q")
        self._agenda, self._freed = agenda, freed
        self._free = free_slots(serving.dispatch, random.Random(seed))
        self._ends: list[tuple[Instant, int, Slot]] = [(math.inf, NO_SESSION, NO_SESSION)]
        self._timers = 0  # of sessions, in the same heap, as tasks below zero
        self._plain = bytearray()  # slots whose end is nothing but an end
        self._gates = bytearray()  # pods that take tasks
        self._coming = tasks.stream()
        self._next = next(self._coming)
        self._sessions: Sessions[Waiting] = Sessions(tasks.session)
        self._talks = (tasks.session != NO_SESSION).tobytes()  # by task, whether it belongs to a session

    @property
    def arrived(self) -> int:
        """How many have arrived so far: all rows before this one."""
        return self._next[0]

    @property
    def finished(self) -> int:
        """How many runs have ended so far."""
        return len(self.ended)

    @property
    def due(self) -> Instant:
        """When the next task arrives or ends; infinity where none does."""
        return min(self._next[1], self._ends[0][0])

    @property
    def running(self) -> int:
        """Tasks in flight."""
        return len(self._ends) - 1 - self._timers

    @property
    def behind(self) -> int:
        """Tasks that stand behind an earlier one of their session, outside the queue."""
        return self._sessions.behind

    @property
    def done(self) -> bool:
        """Whether every task of the trace has been finished."""
        return self.finished == len(self.tasks)

    def taken(self) -> Ints:
        """Tasks in each pod, by row."""
        taken: Ints = np.add.reduce(self.inside.reshape(-1, self.serving.slots) >= 0, axis=1)
        return taken

    def waits(self) -> Floats:
        """Seconds from arrival until the run that counts began, or until now, of each task that has arrived.

        Time that a run took which was cut is in vain, so it is part of the wait, and so is what a slow backend added.
        """
        tasks, now, count = self.tasks, self._agenda.now, self.arrived
        began = np.frombuffer(self.began, dtype=np.float64)[:count]
        waits: Floats = np.where(np.isnan(began), now, began) - tasks.arrived_at[:count]
        return waits + self.progress.delays(began, tasks.seconds[:count], now)

    def slow(self, pace: float) -> None:
        """From now on a second of a task takes so many. Sessions keep their slots by the clock."""
        now, ratio = self._agenda.now, pace / self.progress.pace
        self._ends[:] = [(now + (at - now) * ratio if was >= 0 else at, was, slot) for at, was, slot in self._ends]
        heapify(self._ends)
        self.progress.change(now, pace)

    def served(self, row: Row) -> bool:
        """Whether the pod has ever run a task."""
        return any(place != FRESH for place in self.places[self._slots(row).start : self._slots(row).stop])

    def at_rest(self, row: Row) -> bool:
        """Whether the pod runs nothing and holds no session."""
        slots = self._slots(row)
        return all(place < 0 and place != HELD for place in self.places[slots.start : slots.stop])

    def settle_in(self, row: Row) -> None:
        """A pod that has not served stands in this row from now on; its gate is closed until it is ready."""
        slots = self._slots(row)
        missing = slots.stop - len(self.places)
        if missing > 0:
            self.places = self.places + array("q", [FRESH]) * missing  # others: those that a column shows cannot grow
            self.inside = np.frombuffer(self.places, dtype=np.int64)
            self._plain.extend(bytes(missing))
            self._gates.extend(bytes(row + 1 - len(self._gates)))
        self.places[slots.start : slots.stop] = array("q", [FRESH]) * len(slots)

    def open(self, row: Row) -> None:
        """Let the pod take tasks, of those that wait first."""
        self._gates[row] = not self.serving.once
        for slot in self._slots(row):
            place = self.places[slot]
            if place in {FRESH, SPENT}:
                self._offer(slot)
            elif place != HELD:
                self._plain[slot] = self._gates[row] and self._sessions.of(place) == NO_SESSION

    def close(self, row: Row) -> None:
        """Let the pod take no more tasks, except those of sessions that it holds."""
        slots = self._slots(row)
        self._gates[row] = False
        self._plain[slots.start : slots.stop] = bytes(len(slots))
        self._free.drop(slots)

    def leave(self, row: Row) -> None:
        """Close the pod for good: what runs in it may end, and its sessions must go elsewhere."""
        self.close(row)
        slots = self._slots(row)
        self._sessions.forget(slots)
        for slot in slots:
            if self.places[slot] >= 0:
                self._sessions.enter(self.places[slot], Away.LEAVING)
            elif self.places[slot] == HELD:
                self.places[slot] = SPENT

    def lose(self, row: Row) -> None:
        """Cut every task in the pod. The work is lost, and each task goes back to the head of the queue."""
        slots = self._slots(row)
        lost = [self.places[slot] for slot in slots if self.places[slot] >= 0]
        self._timers -= sum(end[1] < NO_SESSION and end[2] in slots for end in self._ends)
        self._ends[:] = [end for end in self._ends if end[2] not in slots]
        heapify(self._ends)
        self.places[slots.start : slots.stop] = array("q", [SPENT]) * len(slots)
        for task in sorted(lost, reverse=True):
            self.killed += 1
            self.lost += self._agenda.now - self.began[task]
            self.began[task] = math.nan
            self._queue((task, float(self.tasks.arrived_at[task]), float(self.tasks.seconds[task])), first=True)
        while self.queue and self._free.slots:
            self._begin(self._free.take(), self.queue.popleft())

    def run(self, end: Instant) -> None:
        """Go on until ``end`` or until the agenda is due. At one instant ends come before arrivals, both before it."""
        queue, ends, places, plain, began = self.queue, self._ends, self.places, self._plain, self.began
        free, take, give, ends_at = self._free.slots, self._free.take, self._free.give, ends[0][0]
        talks, ended, begun, pace = self._talks, self.ended.append, self.begun.append, self.progress.pace
        (task, arrives, seconds), coming, bound = self._next, self._coming, min(end, self._agenda.due)
        while True:
            if ends_at <= arrives:
                if ends_at > bound:
                    break
                _, was, slot = ends[0]
                if was < 0 or not plain[slot] or (queue and talks[queue[0][0]]):
                    self._end(heappop(ends))
                    bound = min(end, self._agenda.due)
                else:
                    ended(was)
                    if queue:
                        now, _, length = queue.popleft()
                        began[now], places[slot] = ends_at, now
                        begun(now)
                        heapreplace(ends, (ends_at + length * pace, now, slot))
                    else:
                        heappop(ends)
                        places[slot] = SPENT
                        give(slot)
            elif arrives > bound:
                break
            else:
                if talks[task]:
                    self._join((task, arrives, seconds))
                elif free:
                    slot = take()
                    began[task], places[slot] = arrives, task
                    begun(task)
                    heappush(ends, (arrives + seconds * pace, task, slot))
                else:
                    queue.append((task, arrives, seconds))
                task, arrives, seconds = next(coming)
            ends_at = ends[0][0]
        self._next = task, arrives, seconds

    def _join(self, waiting: Waiting) -> None:
        """A session's task arrives: it goes to its session's slot, stands behind another, or takes any slot."""
        self._agenda.now = waiting[1]
        home = self._sessions.home(waiting[0])
        if home is None:
            self._queue(waiting)
        elif isinstance(home, Away) or self.places[home] != HELD:
            self._sessions.defer(waiting[0], waiting)
        else:
            self._begin(home, waiting)

    def _end(self, end: tuple[Instant, int, Slot]) -> None:
        """Not simply the end of a run: a session goes on in the slot or gives it up, or its pod takes no more."""
        self._agenda.now, task, slot = end
        if task < 0:
            self._timers -= 1
            if self._sessions.expire(slot, task):
                self._vacate(slot)
            return
        self.ended.append(task)
        if not self._talks[task] or not self._goes_on(task, slot):
            self._vacate(slot)

    def _goes_on(self, task: int, slot: Slot) -> bool:
        """Whether the session of a task that ended keeps its slot."""
        sessions, leaving = self._sessions, self._sessions.home(task) is Away.LEAVING
        later = sessions.next(task)
        if later is None and not leaving and self.serving.hold > 0:
            self.places[slot] = HELD
            self._timers += 1
            heappush(self._ends, (self._agenda.now + self.serving.hold, sessions.keep(task, slot), slot))
            return True
        if later is not None and not leaving:
            self._begin(slot, later)
            return True
        sessions.end(task)
        if later is not None:
            self._queue(later)
        return False

    def _vacate(self, slot: Slot) -> None:
        """Nothing is in the slot any more."""
        row = slot // self.serving.slots
        self.places[slot] = SPENT
        if self._gates[row]:
            self._offer(slot)
        else:
            self._freed(row)

    def _offer(self, slot: Slot) -> None:
        """Let a free slot pull a task, or wait for the next."""
        if self.queue:
            self._begin(slot, self.queue.popleft())
        else:
            self._plain[slot] = self._gates[slot // self.serving.slots]
            self._free.give(slot)

    def _begin(self, slot: Slot, waiting: Waiting) -> None:
        now, (task, _, seconds) = self._agenda.now, waiting
        self.began[task], self.places[slot] = now, task
        self.begun.append(task)
        heappush(self._ends, (now + seconds * self.progress.pace, task, slot))
        alone = not self._sessions.enter(task, slot)
        self._plain[slot] = alone and self._gates[slot // self.serving.slots]

    def _queue(self, waiting: Waiting, *, first: bool = False) -> None:
        """Let a task wait, or begin if there is a free slot."""
        if self._free.slots and not first:
            self._begin(self._free.take(), waiting)
            return
        self._sessions.enter(waiting[0], Away.QUEUED)
        (self.queue.appendleft if first else self.queue.append)(waiting)

    def _slots(self, row: Row) -> range:
        return range(row * self.serving.slots, (row + 1) * self.serving.slots)
