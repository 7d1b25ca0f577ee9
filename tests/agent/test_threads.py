"""Threads that begin and end tasks while others drain, resume and read: the count is right, and the laws hold."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from scaler.agent.book import GateClosedError
from scaler.agent.gate import Done, Gate
from tests.agent.material import Site

WORKERS, TASKS, DRAINS = 8, 1500, 60
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
