"""What is open and whether more may begin, under one lock: after the book says idle and closed, nothing begins.

Nothing here waits for a disk or a network, so whoever takes the lock has it for microseconds.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

from scaler.agent.clock import Clock
from scaler.agent.ledger import Held, Ledger, Running

NO_EPOCH: Final = -1  # the state was unreadable, so which order was the last is not known


class GateClosedError(RuntimeError):
    """The gate is closed: this pod takes nothing more, and whoever asked must try another."""


class ForkedError(RuntimeError):
    """A forked process asks a gate that counts in another one."""


@dataclass(frozen=True, slots=True)
class Standing:
    """Whether the gate is open, and by which order: the one thing that must outlive the process."""

    open: bool
    epoch: int


@dataclass(frozen=True, slots=True)
class Activity:
    """What a gate says of itself.

    Attributes:
        inflight: tasks running now; once nothing may begin, what consumers are fetching is among them.
        sessions: held between their tasks.
        accepting: whether a task may begin.
        known: whether the state could be read when the process began.
        epoch: of the last order that was carried out; ``NO_EPOCH`` where that is not known.
        acked: the gate is closed for this epoch, on disk, and nothing is open.
        idle_since: seconds since the epoch, None while something is open.
        oldest_task: for how many seconds the oldest task has run; None where none does.
        eta: in how many seconds the running tasks should have ended, where all of them have said.
    """

    inflight: int
    sessions: int
    accepting: bool
    known: bool
    leaving: bool
    open: bool
    epoch: int
    acked: bool
    idle_since: float | None
    oldest_task: float | None
    eta: float | None
    tokens_in: int
    tokens_out: int

    @property
    def phase(self) -> str:
        """The pod's phase, as far as the gate has a say in it."""
        return "active" if self.open else "drained" if self.acked else "draining"


class Book:
    """The one lock, and what it is about."""

    def __init__(self, standing: Standing, clock: Clock) -> None:
        self._lock = threading.Lock()
        self._clock = clock
        self._ledger = Ledger(clock.now())
        self._standing = self._kept = standing
        self._leaving = False
        self._watchers: list[Callable[[], None]] = []
        self._process = os.getpid()

    # ------------------------------------------------------------------------------------------------ what is open

    def begin_task(self, *, within: int | None, seconds: float | None, earlier: bool = False) -> int:
        """A task begins. ``within`` is what is open already and has begun it, which no closed gate forbids.

        ``earlier`` is a task that has begun in an earlier process and is open still.

        Raises:
            GateClosedError: the gate is closed.
        """
        with self._opened() as ledger:
            if not earlier:
                self._admit(within)
            held = ledger.sessions.get(within or 0)
            if held is not None:
                held.turns += 1
            number, began = ledger.number, self._clock.steady()
            ledger.tasks[number] = Running(began, None if seconds is None else began + seconds)
            return number

    def end_task(self, number: int, *, within: int | None) -> None:
        """A task has ended; without effect when it has before."""
        with self._opened() as ledger:
            ended = ledger.tasks.pop(number, None)
            held = ledger.sessions.get(within or 0)
            if ended is not None and held is not None:
                held.turns -= 1
                held.until = self._clock.steady() + held.ttl
        self._ring()

    def claim(self) -> int:
        """A consumer is about to fetch.

        Raises:
            GateClosedError: the gate is closed.
        """
        with self._opened() as ledger:
            self._admit(None)
            number = ledger.number
            ledger.claims.add(number)
            return number

    def release(self, number: int) -> None:
        """The consumer has fetched, or found nothing; without effect when it has said so before."""
        with self._opened() as ledger:
            ledger.claims.discard(number)
        self._ring()

    def begin_session(self, ttl: float, within: int | None) -> int:
        """A session begins.

        Raises:
            GateClosedError: the gate is closed.
        """
        with self._opened() as ledger:
            self._admit(within)
            number = ledger.number
            ledger.sessions[number] = Held(ttl, self._clock.steady() + ttl)
            return number

    def renew(self, number: int, ttl: float | None) -> bool:
        """The session lasts for its time from now on. False when it is over already."""
        with self._opened() as ledger:
            held = ledger.sessions.get(number)
            if held is None:
                return False
            held.ttl = held.ttl if ttl is None else ttl
            held.until = self._clock.steady() + held.ttl
        self._ring()  # it may be over sooner than before
        return True

    def end_session(self, number: int) -> None:
        """The session is over; tasks of it that run end by themselves."""
        with self._opened() as ledger:
            ledger.sessions.pop(number, None)
        self._ring()

    def add_tokens(self, tokens_in: int, tokens_out: int) -> None:
        """Count tokens that went to a model and came from it."""
        with self._lock:
            self._ledger.tokens_in += tokens_in
            self._ledger.tokens_out += tokens_out

    # ------------------------------------------------------------------------------------------------- the gate

    def shut(self, epoch: int) -> Standing | None:
        """From here on nothing begins. Returns what must be kept before that is told; None when the order is too old.

        What was opened again under an epoch is not closed under the same.
        """
        with self._opened():
            standing = self._standing
            if epoch < standing.epoch or (standing.open and epoch == standing.epoch):
                return None
            self._standing = Standing(open=False, epoch=epoch)
            return self._standing

    def reopens(self, epoch: int) -> Standing | None:
        """What must be kept before the gate opens under this epoch; None when the order is too old.

        A gate that does not know its last order does not open: the order may be older than that.
        """
        with self._opened():
            standing = self._standing
            newer = epoch > standing.epoch and standing.epoch != NO_EPOCH
            same = standing.open and epoch == standing.epoch
            return Standing(open=True, epoch=epoch) if newer or same else None

    def kept(self, standing: Standing) -> None:
        """This is on disk now, and holds."""
        with self._opened():
            self._standing = self._kept = standing
        self._ring()

    def leave(self) -> None:
        """Take nothing more, for the process is about to end. A process that comes after it is not bound by this."""
        with self._opened():
            self._leaving = True
        self._ring()

    def activity(self) -> Activity:
        """How it stands."""
        with self._opened() as ledger:
            standing, steady = self._standing, self._clock.steady()
            known = standing.epoch != NO_EPOCH
            oldest, eta = ledger.oldest(steady), ledger.eta(steady)
            return Activity(
                inflight=len(ledger.tasks) + (0 if self._accepting else len(ledger.claims)),
                sessions=ledger.waiting,
                accepting=self._accepting,
                known=known,
                leaving=self._leaving,
                open=standing.open,
                epoch=standing.epoch,
                acked=known and not standing.open and standing == self._kept and ledger.idle,
                idle_since=ledger.idle_since,
                oldest_task=oldest,
                eta=None if ledger.claims or ledger.sessions else eta,
                tokens_in=ledger.tokens_in,
                tokens_out=ledger.tokens_out,
            )

    # ------------------------------------------------------------------------------------------------- waiting

    def done(self) -> bool:
        """Nothing is open, and nothing can begin."""
        with self._opened() as ledger:
            return ledger.idle and not self._accepting

    def next_expiry(self) -> float | None:
        """In how many seconds the next session is over; None where none will be."""
        with self._opened() as ledger:
            soonest = ledger.soonest()
            return None if soonest is None else max(0.0, soonest - self._clock.steady())

    @contextmanager
    def watched(self, ring: Callable[[], None]) -> Iterator[None]:
        """Call ``ring`` whenever something ends or the gate moves, from whichever thread that happens in."""
        with self._lock:
            self._watchers.append(ring)
        try:
            yield
        finally:
            with self._lock:
                self._watchers.remove(ring)

    def _ring(self) -> None:
        with self._lock:
            watchers = tuple(self._watchers)
        for ring in watchers:
            ring()

    @property
    def _accepting(self) -> bool:
        return self._standing.open and not self._leaving

    def _admit(self, within: int | None) -> None:
        ledger = self._ledger
        inside = within in ledger.tasks or within in ledger.claims or within in ledger.sessions
        if not (self._accepting or inside):
            raise GateClosedError("this pod takes no more tasks; give the task to another one")

    @contextmanager
    def _opened(self) -> Iterator[Ledger]:
        """The ledger as it is now, to be changed."""
        if os.getpid() != self._process:
            raise ForkedError(
                f"the gate counts in process {self._process}, and this one was forked from it: take the gate there"
            )
        with self._lock:
            self._ledger.expire(self._clock.steady(), self._clock.now())
            try:
                yield self._ledger
            finally:
                self._ledger.settle(self._clock.now())
