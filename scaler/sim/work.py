"""The queue and those who pull from it: where tasks wait, run, end and are lost.

Dispatch is what a cluster has: whoever has a free slot asks the queue, and of several that wait the one that has waited
longest is served, as a Redis or RabbitMQ consumer is. Nobody chooses a pod cleverly.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable

from scaler.core.types import Instant, Seconds
from scaler.sim.events import Agenda
from scaler.sim.replica import Replica
from scaler.sim.workload import Tasks

NEVER = math.nan


class Work:
    """Tasks by their row in ``tasks``.

    Attributes:
        arrived: how many have arrived so far.
        queue: those that wait, oldest first.
        waited: seconds in the queue so far, each stay of it, but for the stay that goes on.
        started_at: when the current or last run began, NaN before and after one that was cut.
        starts, ends: tasks in the order in which runs began, and in which they were finished.
        killed: runs that were cut, and begin anew.
        freed: called with a pod that takes no more tasks, when one in it ends.
    """

    def __init__(self, agenda: Agenda, tasks: Tasks, *, slots: int, freed: Callable[[Replica], None]) -> None:
        self.tasks = tasks
        self.arrived = 0
        self.queue: deque[int] = deque()
        self.waited: list[Seconds] = [0.0] * len(tasks)
        self.started_at: list[Instant] = [NEVER] * len(tasks)
        self.starts: list[int] = []
        self.ends: list[int] = []
        self.killed = 0
        self._agenda, self._slots, self._freed, self._coming = agenda, slots, freed, len(tasks)
        self._queued_at = list(tasks.arrived_at)
        self._ends_at: list[Instant] = [NEVER] * len(tasks)
        self._where: list[Replica | None] = [None] * len(tasks)
        self._consumers: deque[Replica] = deque()
        if self._coming:
            agenda.at(tasks.arrived_at[0], self._arrive, 0)

    @property
    def running(self) -> int:
        """Tasks in flight."""
        return len(self.starts) - len(self.ends) - self.killed

    def waits(self) -> list[Seconds]:
        """Seconds in the queue so far, of each task that has arrived."""
        waits = self.waited[: self.arrived]
        for task in self.queue:
            waits[task] += self._agenda.now - self._queued_at[task]
        return waits

    def offer(self, pod: Replica) -> None:
        """Let the pod pull tasks until its slots or the queue are used up; then it waits for the next."""
        while pod.open and len(pod.running) < self._slots:
            if not self.queue:
                if not pod.waiting:
                    pod.waiting = True
                    self._consumers.append(pod)
                return
            self._start(pod, self.queue.popleft())

    def lose(self, pod: Replica) -> None:
        """Cut every task in the pod: the work is lost, and each goes back to the head of the queue."""
        lost, pod.running = pod.running, []
        self.killed += len(lost)
        for task in reversed(lost):
            self.started_at[task] = self._ends_at[task] = NEVER
            self._queued_at[task] = self._agenda.now
            self._where[task] = None
            self.queue.appendleft(task)
        self._serve()

    def _arrive(self, task: int) -> None:
        self.arrived = task + 1
        self.queue.append(task)
        self._serve()
        if self.arrived < self._coming:
            self._agenda.at(self.tasks.arrived_at[self.arrived], self._arrive, self.arrived)

    def _serve(self) -> None:
        """Hand what waits to those who wait; one whose gate has closed meanwhile drops out of the row."""
        while self.queue and self._consumers:
            pod = self._consumers.popleft()
            pod.waiting = False
            if pod.open:
                self._start(pod, self.queue.popleft())
                self.offer(pod)

    def _start(self, pod: Replica, task: int) -> None:
        now = self._agenda.now
        self.starts.append(task)
        self.started_at[task] = now
        self.waited[task] += now - self._queued_at[task]
        self._where[task] = pod
        pod.running.append(task)
        ends_at = self._ends_at[task] = now + self.tasks.seconds[task]
        self._agenda.at(ends_at, self._end, task)

    def _end(self, task: int) -> None:
        pod = self._where[task]
        if pod is None or self._ends_at[task] != self._agenda.now:
            return  # the end of a run that was cut
        self._where[task] = None
        self.ends.append(task)
        pod.running.remove(task)
        if pod.open:
            self.offer(pod)
        else:
            self._freed(pod)
