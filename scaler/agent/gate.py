"""The gate of one pod: what may begin, what is open, and the orders that close and open it.

    gate = Gate(Place.from_environment())

    with gate.task():        # or async with; GateClosedError where this pod takes nothing more
        reason()

Tasks are counted and the gate is closed under one lock. What an order did is on disk before it is acknowledged, so a
process that is restarted has the gate that the one before it had. A state that cannot be read is a closed gate.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from scaler.agent.book import NO_EPOCH, Activity, Book, Standing
from scaler.agent.clock import Clock, SystemClock
from scaler.agent.deadline import Deadline, call
from scaler.agent.durable import Absent, Folder, Json, Unreadable
from scaler.agent.handles import Claim, Session, Task, current
from scaler.agent.place import Place
from scaler.agent.waiting import come, until

FILE: Final = "gate.json"
MOST_EPOCH: Final = 1_000_000  # what those who read the activity believe at the most
LOG: Final = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Done:
    """An order that was carried out: how the gate stands now."""

    activity: Activity


@dataclass(frozen=True, slots=True)
class Stale:
    """An order older than the last one, which changed nothing."""

    known: int


@dataclass(frozen=True, slots=True)
class NotKept:
    """An order that could not be written down, and so is not acknowledged. A gate that was to close is closed."""

    why: str


class Gate:
    """The gate of one pod. Safe to use from threads and from tasks of event loops.

    Attributes:
        place: where it stands.
        slots: how many tasks the pod can run at once.
        trouble: why the state could not be read, until an order has told where the gate stands.
        unknown: what whoever holds the gate for others does not know of them; the sidecar says so here.
    """

    def __init__(self, place: Place, *, slots: int = 1, clock: Clock | None = None) -> None:
        """Take the gate of this pod, as the process before this one left it.

        Raises:
            TakenError: another process has it.
            OSError: the state cannot be kept there.
        """
        if slots < 1:
            raise ValueError(f"slots is {slots}; it must be 1 or more")
        self.place = place
        self.slots = slots
        self.unknown = ""
        self.folder = Folder(place.folder)
        self._clock = SystemClock() if clock is None else clock
        standing, self.trouble = _recall(self.folder.read(FILE), place.uid)
        if self.trouble:
            LOG.error("the gate stays closed, for its state cannot be read", extra={"why": self.trouble})
        else:
            try:
                self._write(standing)
            except OSError:
                self.folder.close()  # else this process would bar itself from trying again
                raise
        self.book = Book(standing, self._clock)
        self._orders = threading.Lock()
        self._deadline = Deadline(self._clock)
        self._turning: list[Callable[[bool], None]] = []

    # ------------------------------------------------------------------------------------------- for the agent

    def task(self, *, seconds: float | None = None) -> Task:
        """A piece of reasoning, for ``with`` or ``async with``; ``seconds`` is how long it should take, if known.

        Inside of another one, or of a request that a middleware let in, it belongs to that and begins in any case.
        """
        return Task(self.book, within=current(self.book), seconds=seconds)

    def claim(self) -> Claim:
        """The right to fetch, for consumers of queues: ``with gate.claim() as claim``, then ``claim.task()``."""
        return Claim(self.book)

    def session(self, ttl: float) -> Session:
        """A conversation that holds the pod for ``ttl`` seconds after each of its tasks."""
        return Session(self.book, ttl, within=current(self.book))

    def earlier_task(self) -> Task:
        """A task that an earlier process began and that is open still. Only before anybody can ask for a drain."""
        return Task(self.book, earlier=True)

    def add_tokens(self, *, tokens_in: int = 0, tokens_out: int = 0) -> None:
        """Count tokens that went to a model and that came from it."""
        self.book.add_tokens(tokens_in, tokens_out)

    def on_deadline(self, callback: Callable[[float], None]) -> None:
        """Have this called with the seconds that remain when the pod must go all the same, to save what can be saved.

        It is called once for each notice that leaves less time than those before, in the thread that brought it; at
        once where there was a notice already. What it raises is logged.
        """
        self._deadline.tell(callback)

    def must_go(self, seconds: float) -> None:
        """The pod goes in so many seconds, whatever runs: SIGTERM came, or the node is taken away.

        Nothing more begins in this process. The order is nobody's, so a process after it does not remember it.
        """
        self.leave()
        self._deadline.notice(seconds)

    def leave(self) -> None:
        """Take nothing more, for the process is about to end, nobody knows when."""
        self.book.leave()
        self._turn()

    def on_turn(self, callback: Callable[[bool], None]) -> None:
        """Have this called with whether the gate is open, after each order and notice: to pause what pushes work here.

        It is called in the thread that brought the order, before that is answered. What it raises is logged.
        """
        self._turning.append(callback)

    async def finished(self) -> None:
        """Return when the gate is closed and nothing is open."""
        await come(self.book, self.book.done)

    def wait_finished(self) -> None:
        """``finished`` for threads."""
        until(self.book, self.book.done)

    async def opened(self) -> bool:
        """Return when a task may begin: True; or when none ever will, for the pod has to go: False."""
        await come(self.book, self._settled)
        return self.activity().accepting

    def wait_open(self) -> bool:
        """``opened`` for threads."""
        until(self.book, self._settled)
        return self.activity().accepting

    # ------------------------------------------------------------------------------------------- for the doors

    def activity(self) -> Activity:
        """How it stands."""
        return self.book.activity()

    def now(self) -> float:
        """Seconds since the epoch."""
        return self._clock.now()

    def steady(self) -> float:
        """Seconds of the clock by which lengths of time are measured."""
        return self._clock.steady()

    def drain(self, epoch: int) -> Done | Stale | NotKept:
        """Close for this epoch. It is closed when this returns, and on disk unless it is ``NotKept``. May block."""
        with self._orders:
            standing = self.book.shut(epoch)
            return Stale(self.activity().epoch) if standing is None else self._keep(standing)

    def resume(self, epoch: int) -> Done | Stale | NotKept:
        """Open for this epoch. May block."""
        with self._orders:
            standing = self.book.reopens(epoch)
            return Stale(self.activity().epoch) if standing is None else self._keep(standing)

    def close(self) -> None:
        """Let another process have the gate."""
        self.folder.close()

    def _keep(self, standing: Standing) -> Done | NotKept:
        try:
            self._write(standing)
        except OSError as error:
            LOG.exception("the gate cannot be kept, so the order is not acknowledged")
            return NotKept(str(error))
        self.book.kept(standing)
        self.trouble = ""
        self._turn()
        return Done(self.activity())

    def _turn(self) -> None:
        accepting = self.activity().accepting
        for callback in self._turning:
            call(callback, accepting)

    def _settled(self) -> bool:
        seen = self.activity()
        return seen.accepting or seen.leaving

    def _write(self, standing: Standing) -> None:
        self.folder.write(FILE, {"uid": self.place.uid, "open": standing.open, "epoch": standing.epoch})


def _recall(said: dict[str, Json] | Absent | Unreadable, uid: str) -> tuple[Standing, str]:
    """How the gate stood, and why that is not known, if it is not. What another pod has left is none of ours."""
    match said:
        case Absent():
            return Standing(open=True, epoch=0), ""
        case Unreadable(why):
            return Standing(open=False, epoch=NO_EPOCH), why
        case {"uid": str(other)} if other != uid:
            return Standing(open=True, epoch=0), ""
        case {"uid": str(), "open": bool(is_open), "epoch": int(epoch)} if _is_epoch(epoch):
            return Standing(open=is_open, epoch=epoch), ""
        case _:
            return Standing(
                open=False, epoch=NO_EPOCH
            ), f"{FILE} has no uid, no open or no epoch from 0 to {MOST_EPOCH}"


def _is_epoch(value: int) -> bool:
    return not isinstance(value, bool) and 0 <= value <= MOST_EPOCH
