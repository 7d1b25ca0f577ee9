"""An election in memory: a server, candidates whose clocks run wrong, and a network that delays and loses.

What real time it is, only the world knows. A candidate knows the reading of its own clock, which started anywhere and
runs up to a fifth too fast or too slow.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field, replace

from scaler.controller.lease import Candidate, Record, Wish
from scaler.core.types import Seconds


@dataclass
class Server:
    """The one Lease, and what compare-and-swap is: a write over another version than the one that stands is refused."""

    record: Record | None = None
    versions: itertools.count[int] = field(default_factory=lambda: itertools.count(1))

    def write(self, wish: Wish) -> Record | None:
        """The record as it is afterwards, None for a write that is refused."""
        if (wish.over and wish.over.version) != (self.record and self.record.version):
            return None
        self.record = Record(version=str(next(self.versions)), holder=wish.holder, epoch=wish.epoch, lasts=15.0)
        return self.record

    def touch(self) -> None:
        """Somebody sets an annotation."""
        if self.record is not None:
            self.record = replace(self.record, version=str(next(self.versions)))


@dataclass
class Call:
    """One call of a process: a look where it has no wish. ``answer`` once the server has dealt with it."""

    wish: Wish | None
    sent: Seconds
    arrived: bool = False
    record: Record | None = None
    refused: bool = False


@dataclass
class Process:
    """A candidate, its clock, and the call that it waits for."""

    candidate: Candidate
    offset: Seconds
    rate: float
    call: Call | None = None
    ended: bool = False

    def clock(self, real: Seconds) -> Seconds:
        """What its own clock shows."""
        return self.offset + self.rate * real

    def leads(self, real: Seconds) -> bool:
        """Whether it would answer as the leader at this real instant."""
        return self.candidate.leads(self.clock(real))

    def ask(self, real: Seconds) -> Call | None:
        """Begin the call that is due, if any."""
        now = self.clock(real)
        wish = self.candidate.wish(now)
        if wish is None and self.candidate.sure and self.candidate.leads(now):
            return None
        self.call = Call(wish, now)
        return self.call

    def hear(self, call: Call, real: Seconds) -> None:
        """Take the answer to a call in, unless it was given up."""
        if call is not self.call:
            return
        self.call, now = None, self.clock(real)
        if call.wish is None:
            self.candidate = self.candidate.read(call.record, now)
        elif call.refused or call.record is None:
            self.candidate = self.candidate.doubt()
        else:
            self.candidate = self.candidate.wrote(call.wish, call.record, sent=call.sent, now=now)

    def give_up(self) -> None:
        """Wait no longer. Whether the call reaches the server all the same, nobody knows."""
        self.call = None
        self.candidate = self.candidate.doubt()


@dataclass
class Election:
    """Processes before one server. ``mail`` are calls on their way to it, or answers on their way back."""

    processes: list[Process]
    server: Server = field(default_factory=Server)
    real: Seconds = 0.0
    mail: list[tuple[Process, Call]] = field(default_factory=list)

    def leaders(self) -> list[Process]:
        """Those who would answer now."""
        return [process for process in self.processes if process.leads(self.real)]

    def begin(self, process: Process) -> None:
        """Let a process begin its next call."""
        if process.call is None and not process.ended:
            call = process.ask(self.real)
            if call is not None:
                self.mail.append((process, call))

    def deliver(self, place: int) -> None:
        """Bring a message to where it goes: a call to the server, an answer to its process."""
        process, call = self.mail.pop(place)
        if call.arrived:
            process.hear(call, self.real)
            return
        call.arrived = True
        call.record = self.server.record if call.wish is None else self.server.write(call.wish)
        call.refused = call.wish is not None and call.record is None
        self.mail.append((process, call))

    def round(self, process: Process) -> None:
        """A call and its answer, over a network that works, until nothing is due."""
        for _ in range(3):
            self.begin(process)
            while any(sender is process for sender, _ in self.mail):
                self.deliver(next(i for i, (sender, _) in enumerate(self.mail) if sender is process))
