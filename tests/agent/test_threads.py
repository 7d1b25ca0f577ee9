"""Threads that begin and end tasks while others drain, resume and read: the count is right, and the laws hold."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from scaler.agent.book import GateClosedError
from scaler.agent.gate import Done, Gate
from tests.agent.material import Hands, Site

WORKERS, TASKS, DRAINS = 8, 1500, 60
LET_IN = 2  # the reading of the clock at which a task was let in and does not count yet
OFTEN = 1e-6  # seconds between two switches of threads, so that they meet everywhere


class Witness:
    """What really runs, counted by those who run it."""

    def __init__(self, gate: Gate) -> None:
        self.gate = gate
        self.lock = threading.Lock()
        self.running = 0
        self.done = 0
        self.refused = 0
        self.acked = False
        self.wrong: list[str] = []

    def work(self) -> None:
        """Begin and end tasks. One that runs after an acknowledgement is wrong."""
        for _ in range(TASKS):
            try:
                with self.gate.task():
                    self.step(1)
                    self.step(-1)
            except GateClosedError:
                self.refused += 1

    def step(self, by: int) -> None:
        """A task is at work, between its beginning and its end."""
        with self.lock:
            self.running += by
            self.done += by > 0
            if self.acked:
                self.wrong.append("a task ran after the acknowledgement")

    def drain(self) -> None:
        """Drain until it is acknowledged, look, and resume, again and again."""
        for turn in range(DRAINS):
            epoch = 2 * turn + 1
            while not (isinstance(told := self.gate.drain(epoch), Done) and told.activity.acked):
                pass
            with self.lock:
                self.acked = True
                if self.running:
                    self.wrong.append(f"acknowledged with {self.running} at work")
            with self.lock:
                self.acked = False
            self.gate.resume(epoch + 1)


def test_no_task_runs_between_an_acknowledgement_and_the_next_resumption(site: Site) -> None:
    """However the threads interleave, and nothing is lost from the count or left in it."""
    witness = Witness(site.gate(slots=WORKERS))
    before = sys.getswitchinterval()
    sys.setswitchinterval(OFTEN)
    jobs: list[Callable[[], None]] = [witness.work] * WORKERS + [witness.drain]
    try:
        with ThreadPoolExecutor(len(jobs)) as pool:
            for job in [pool.submit(job) for job in jobs]:
                job.result()
    finally:
        sys.setswitchinterval(before)
    assert witness.wrong == []
    assert witness.gate.activity().inflight == 0
    assert witness.done + witness.refused == WORKERS * TASKS
    assert witness.done > 0


class Meddler(Hands):
    """A clock that is read in the middle of a task's beginning, and lets a drain come just then."""

    def __init__(self) -> None:
        super().__init__()
        self.meddle: Callable[[], None] | None = None
        self.reads = 0
        self.drain = threading.Thread()

    def steady(self) -> float:
        """The time, once the drain has come as far as it can."""
        self.reads += 1
        if self.meddle is not None and self.reads == LET_IN:
            self.drain = threading.Thread(target=self.meddle)
            self.drain.start()
            self.drain.join(0.2)  # it cannot end while the task begins; where it can, it has by then
        return super().steady()


def test_a_drain_comes_before_a_task_begins_or_after_it(site: Site) -> None:
    """Never in the middle: the task was let in, so the drain that came meanwhile finds it in flight."""
    clock, told = Meddler(), list[Done]()
    gate = Gate(site.place, clock=clock)
    site.gates.append(gate)

    def drain() -> None:
        outcome = gate.drain(1)
        assert isinstance(outcome, Done)
        told.append(outcome)

    clock.meddle, clock.reads = drain, 0
    gate.task().begin()
    clock.drain.join()
    assert (told[0].activity.acked, told[0].activity.inflight) == (False, 1)
