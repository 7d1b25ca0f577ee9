"""Agents that break the contract, each in one way."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import TypeAlias

from scaler.agent.book import GateClosedError
from scaler.agent.conformance.subject import Ended, Subject
from scaler.agent.desk import Desk, Question, Reply
from scaler.agent.doors.alone import Door
from scaler.agent.gate import Gate
from tests.agent.material import Site
from tests.agent.running import CLOCK

Fault: TypeAlias = Callable[[Question, Reply], Reply]


class FaultyDesk(Desk):
    """Answers as it should, but for one fault."""

    def __init__(self, gate: Gate, fault: Fault) -> None:
        super().__init__(gate)
        self._fault = fault

    def answer(self, question: Question) -> Reply:
        """With the fault."""
        return self._fault(question, super().answer(question))


class Agent:
    """An agent in this process, which can be given work and be restarted, and may be careless about both.

    Attributes:
        forgets: its state does not outlive a restart.
        careless: its work does not ask the gate.
    """

    def __init__(self, site: Site, fault: Fault, *, forgets: bool = False, careless: bool = False) -> None:
        self.site, self.fault = site, fault
        self.forgets, self.careless = forgets, careless
        self.start(0)

    def start(self, port: int) -> None:
        """Listen there."""
        self.gate = Gate(self.site.place)
        self.door = Door(FaultyDesk(self.gate, self.fault), "127.0.0.1", port)

    def close(self) -> None:
        """Stop listening."""
        self.door.close()
        self.gate.close()

    def restart(self) -> None:
        """Come back at the same place."""
        port = self.door.port
        self.close()
        if self.forgets:
            self.site.file.unlink()
        self.start(port)

    def work(self) -> Ended:
        """A task that lasts until its end is waited for."""
        task = self.gate.earlier_task() if self.careless else self.gate.task()
        try:
            task.begin()
        except GateClosedError:
            return lambda: False

        def ended() -> bool:
            task.end()
            return True

        return ended


def none(_: Question, reply: Reply) -> Reply:
    """No fault."""
    return reply


def lies(**changes: object) -> Fault:
    """Activity tells something else."""

    def fault(question: Question, reply: Reply) -> Reply:
        return _changed(reply, **changes) if question.path == "/activity" else reply

    return fault


def shrugs(status: int) -> Fault:
    """Answers 200 where it must answer this."""

    def fault(_: Question, reply: Reply) -> Reply:
        return replace(reply, status=200) if reply.status == status else reply

    return fault


def hurries(question: Question, reply: Reply) -> Reply:
    """Says that it has drained while it is busy."""
    return _changed(reply, state="drained") if question.path == "/drain" and reply.status == 200 else reply


def breaks(_: Question, reply: Reply) -> Reply:
    """Fails whatever it is asked."""
    return replace(reply, status=500)


@contextlib.contextmanager
def examined(site: Site, fault: Fault, *, forgets: bool = False, careless: bool = False) -> Iterator[Subject]:
    """Such an agent, to be examined."""
    agent = Agent(site, fault, forgets=forgets, careless=careless)
    try:
        yield Subject(f"http://127.0.0.1:{agent.door.port}", site.signer.sign, CLOCK.now, agent.work, agent.restart)
    finally:
        agent.close()


def _changed(reply: Reply, **changes: object) -> Reply:
    return replace(reply, body=json.dumps({**json.loads(reply.body), **changes}).encode())
