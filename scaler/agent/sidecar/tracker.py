"""What an agent behind the sidecar has open, in a file: its A2A tasks, and whether any request was under way.

A request's connection is lost with the sidecar, and the agent may work on. So a process that begins and finds that
requests were under way does not know what runs: it counts one task that nobody has ended, for ``longest`` seconds, or
until the pod goes where no length is given. A2A tasks have names, so of those one can ask.
"""

from __future__ import annotations

import asyncio
import logging
import math
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass
from typing import Final

from scaler.agent.durable import Absent, Json, Unreadable
from scaler.agent.gate import Gate
from scaler.agent.handles import Task
from scaler.agent.sidecar.a2a import Sighting

FILE: Final = "tasks.json"
LOG: Final = logging.getLogger(__name__)
BEFORE: Final = "what ran when this sidecar began is not known, so one task counts as running"
LOST: Final = (
    "what an agent was asked for is not known to be over, for its answer broke off, cannot be read or named no task; "
    "one task counts as running"
)
HIDDEN: Final = (
    'the agent says "no such task" of a task that it began, which counts as running until its client hears of its end; '
    "give the sidecar credentials that may see it, with --token-file"
)


class NotKeptError(Exception):
    """What must be on disk before work may begin is not."""


@dataclass(frozen=True, slots=True)
class Where:
    """Where a task is asked for: the agent's path, the method, and the version of the protocol if one was named."""

    path: str
    method: str
    version: str = ""


@dataclass(slots=True)
class _Open:
    where: Where
    task: Task
    seen: float
    shown: bool = False  # to us, when we asked
    hidden: float | None = None  # since when the agent denies it to us


class Tracker:
    """The open tasks. Belongs to one event loop, and writes in threads. Every write is on disk before it counts."""

    def __init__(self, gate: Gate) -> None:
        """Take up what the process before this one left. Before anybody can ask the gate."""
        self._gate = gate
        self._open: dict[str, _Open] = {}
        self._unknown: Task | None = None
        self._unknown_since = 0.0
        self._why = ""
        self._left = False
        self._requests = 0
        self._kept_busy: bool | None = False  # None where it is not known what the file says
        self._lock = asyncio.Lock()
        self._recall()

    # ------------------------------------------------------------------------------------------------- requests

    @asynccontextmanager
    async def request(self) -> AsyncIterator[None]:
        """A request is under way, and a process that comes after us will know.

        Raises:
            NotKeptError: that could not be written down, so nothing may begin.
        """
        self._requests += 1
        try:
            await self._settle(strictly=True)
            yield
        finally:
            self._requests -= 1
            if not self._gate.activity().open:  # else it waits, for another request may come at once
                await asyncio.shield(self.rest())

    async def rest(self) -> None:
        """Note that no request is under way, where that is so."""
        await self._settle()

    async def leave(self) -> None:
        """Write what is so, and nothing after that: this process ends, and what is under way then runs on elsewhere."""
        await self.rest()
        self._left = True

    # ------------------------------------------------------------------------------------------------- A2A tasks

    def holding(self, name: str) -> Task | None:
        """What holds the gate for this task, while it is open."""
        found = self._open.get(name)
        return None if found is None else found.task

    def steady(self) -> float:
        """Now, by the clock of ``overdue`` and ``told``."""
        return self._gate.steady()

    def overdue(self, seconds: float) -> list[tuple[str, Where]]:
        """Open tasks of which nobody has heard for so long, the longest unheard first."""
        late = self._gate.steady() - seconds
        unheard = sorted((each.seen, name) for name, each in self._open.items() if each.seen <= late)
        return [(name, self._open[name].where) for _, name in unheard]

    async def see(self, seen: Iterable[Sighting], where: Where, by: Task | None) -> None:
        """Take up what was said of tasks. ``by`` is the request that a new task belongs to; without one none is new."""
        for sighting in seen:
            known = self._open.get(sighting.task)
            if known is not None:
                known.seen, known.hidden = self._gate.steady(), None
            if sighting.open and known is None and by is not None:
                self._open[sighting.task] = _Open(where, by.another().begin(), self._gate.steady())
                await self._settle(anew=True)
            elif not sighting.open and known is not None:
                await self.end(sighting.task)

        self._tell()

    async def told(self, name: str, seen: Iterable[Sighting], *, gone: bool, since: float) -> None:
        """What the agent answered to our question, which we asked at ``since``. What was heard after that is newer.

        An agent has to deny a task to whoever may not see it. So "no such task" ends one that it has shown to us, and
        then forgotten; any other may run.
        """
        asked = self._open.get(name)
        if asked is None or asked.seen >= since:
            return
        if not gone:
            await self.see(seen, asked.where, None)
            asked.shown = asked.shown or asked.seen >= since
        elif asked.shown:
            await self.end(name)
        else:
            asked.hidden = since if asked.hidden is None else asked.hidden
            self._tell()

    async def end(self, name: str) -> None:
        """A task is over. It is so on disk before the gate counts it no more, unless whoever told it does not wait."""
        ended = self._open.pop(name, None)
        if ended is not None:
            try:
                await self._settle(anew=True)
            finally:
                ended.task.end()
                self._tell()

    # ------------------------------------------------------------------------------------------------- the unknown

    def lose(self, by: Task) -> None:
        """An answer could not be read, so what it began is not known."""
        LOG.warning("what an agent answered cannot be read, so its task counts as running")
        self._not_known(by.another(), LOST)

    async def forget_unknown(self, longest: float) -> None:
        """What is unknown is over, if nothing lasts longer than this."""
        late = self._gate.steady() - longest
        if self._unknown is not None and self._unknown_since <= late:
            self._unknown.end()
            self._unknown, self._why = None, ""
            self._tell()
        for name in [name for name, each in self._open.items() if each.hidden is not None and each.hidden <= late]:
            await self.end(name)

    def _not_known(self, task: Task, why: str) -> None:
        """One task stands for all that may run: from now on, for it may have begun just now."""
        self._unknown_since = self._gate.steady()
        if self._unknown is None:
            self._unknown, self._why = task.begin(), why
            self._tell()

    def _tell(self) -> None:
        hidden = any(each.hidden is not None for each in self._open.values())
        self._gate.unknown = "; ".join(filter(None, (self._why, HIDDEN if hidden else "")))

    # ------------------------------------------------------------------------------------------------- the file

    async def _settle(self, *, anew: bool = False, strictly: bool = False) -> None:
        """Bring the file to what is so. Whoever comes while it is written waits, and then looks again.

        What cannot be written matters at the beginning of a request alone. Later the file says that one is under way,
        so a process that reads it then does not know what runs, and holds. Whoever does not wait for a write ends none:
        there is one file, and one write at a time.
        """
        await asyncio.shield(self._write(anew=anew, strictly=strictly))

    async def _write(self, *, anew: bool, strictly: bool) -> None:
        async with self._lock:
            if self._left and strictly:
                raise NotKeptError("this sidecar ends")
            if self._left:
                return
            busy = self._requests > 0 or self._unknown is not None
            if not anew and busy == self._kept_busy:
                return
            try:
                await asyncio.to_thread(self._gate.folder.write, FILE, self._said(busy=busy))
                self._kept_busy = busy
            except OSError as error:
                self._kept_busy = None  # it may have been written all the same
                LOG.warning("what an agent has open cannot be written down", extra={"why": str(error)})
                if strictly:
                    raise NotKeptError(str(error)) from error

    def _said(self, *, busy: bool) -> dict[str, Json]:
        tasks: dict[str, Json] = {name: asdict(each.where) for name, each in self._open.items()}
        return {"uid": self._gate.place.uid, "busy": busy, "tasks": tasks}

    def _recall(self) -> None:
        said = self._gate.folder.read(FILE)
        if isinstance(said, Absent):
            return
        if isinstance(said, dict) and isinstance(uid := said.get("uid"), str) and uid != self._gate.place.uid:
            return
        tasks = None if isinstance(said, Unreadable) else _places(said.get("tasks"))
        busy = isinstance(said, Unreadable) or said.get("busy") is not False
        for name, where in (tasks or {}).items():
            self._open[name] = _Open(where, self._gate.earlier_task().begin(), -math.inf)
        if busy or tasks is None:
            LOG.warning("what ran when the sidecar began is not known, so one task counts as running")
            self._not_known(self._gate.earlier_task(), BEFORE)
        self._kept_busy = busy


def _places(said: Json) -> dict[str, Where] | None:
    """Where the tasks of a file are asked for; None where it does not say so."""
    try:
        return {name: Where(**where) for name, where in said.items()}  # type: ignore[union-attr, arg-type]  # tried
    except (AttributeError, TypeError):
        return None
