"""Tasks that wait, agents that work on them, and what is written down of it.

Agents pull: whoever has a free slot takes the oldest task. A task that was cut is put back in front and begins anew. A
session holds its agent for a pause after a task, and its next task runs there and nowhere else.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

from scaler.agent import Gate, GateClosedError, Session
from scaler.agent import Task as Hold
from scaler.core.types import Instant, Seconds
from scaler.live.clock import Alarm, Clock
from tests.cluster.harness.journal import Event, Journal, Line

SPARE: Final[Seconds] = 3600.0  # that a session lasts beyond its pause, for its next task may wait for a slot


@dataclass(frozen=True, slots=True, eq=False)
class Task:
    """A piece of work. ``pause`` is how long its session waits for the next task, which is ``then``; None ends it."""

    number: int
    seconds: Seconds
    queued_at: Instant
    pause: Seconds = 0.0
    then: Task | None = None


@dataclass(slots=True)
class Run:
    """A task at work: the alarm that will end it, what holds the gate for it, and the session that it is a turn of."""

    alarm: Alarm
    hold: Hold
    session: Session | None


@dataclass(slots=True)
class Pause:
    """A session between two tasks: the alarm that ends the pause, and what holds the gate meanwhile."""

    alarm: Alarm
    session: Session


@dataclass(slots=True, eq=False)
class Agent:
    """One pod's agent.

    Attributes:
        gate: what lets its tasks begin, and holds its pod.
        leaving: it was told to go: it finishes what it has and takes nothing more.
        running: what it works on.
        held: sessions between two tasks.
        due: tasks of its own sessions that wait for a free slot here.
    """

    uid: str
    name: str
    ip: str
    slots: int
    started_at: Instant
    gate: Gate
    leaving: bool = False
    running: dict[Task, Run] = field(default_factory=dict)
    held: dict[Task, Pause] = field(default_factory=dict)
    due: deque[tuple[Task, Session]] = field(default_factory=deque)

    @property
    def sessions(self) -> int:
        """Sessions held between their tasks."""
        return len(self.held) + len(self.due)

    @property
    def free(self) -> bool:
        """It has a slot for another task, if its gate lets one in."""
        return not self.leaving and len(self.running) < self.slots


@dataclass(frozen=True, slots=True)
class GateTime:
    """The clock of the tests, as gates read it."""

    clock: Clock

    def now(self) -> Instant:
        """Seconds since the epoch."""
        return self.clock.now()

    def steady(self) -> Seconds:
        """The same: nobody sets this clock."""
        return self.clock.now()


@dataclass(slots=True)
class Tally:
    """What has happened since the start."""

    queued: int = 0
    started: int = 0
    ended: int = 0
    killed: int = 0


class Pool:
    """The tasks and the agents of one pool. Belongs to one event loop.

    Attributes:
        queue: tasks that wait, the next one first.
        agents: by uid, those that are up.
        starting: pods that are not ready yet; whoever follows the pods says so.
    """

    def __init__(self, key: str, clock: Clock, journal: Journal) -> None:
        self.key = key
        self.queue: deque[Task] = deque()
        self.agents: dict[str, Agent] = {}
        self.starting: set[str] = set()
        self.tally = Tally()
        self._free: OrderedDict[str, Agent] = OrderedDict()  # by uid, whoever has waited longest first
        self._clock = clock
        self._journal = journal

    @property
    def inflight(self) -> int:
        """Tasks running now."""
        return sum(len(agent.running) for agent in self.agents.values())

    @property
    def sessions(self) -> int:
        """Sessions held between their tasks."""
        return sum(agent.sessions for agent in self.agents.values())

    @property
    def oldest_wait(self) -> Seconds:
        """How long the oldest task of the queue has waited."""
        return max(0.0, self._clock.now() - min((task.queued_at for task in self.queue), default=self._clock.now()))

    def submit(self, task: Task) -> None:
        """A task arrives."""
        self.tally.queued += 1
        self._note(Event.QUEUED, task)
        self.queue.append(task)
        self._hand_out()

    def recover(self, line: Line) -> None:
        """A task that an earlier process left open waits again; if it ran, it was cut when that process ended."""
        if line.event is Event.START:
            self.tally.killed += 1
            cut = (("task", line.task), ("seconds", line.seconds), ("uid", line.uid), ("pod", line.pod))
            self._journal.write(Event.KILL, self._clock.now(), self.key, (*cut, ("why", "the fleet ended")))
        self.queue.append(Task(line.task, line.seconds, line.at))

    def join(self, agent: Agent) -> None:
        """An agent is up."""
        self.agents[agent.uid] = agent
        self._note(Event.UP, agent=agent)
        self._offer(agent)

    def dismiss(self, uid: str) -> None:
        """An agent is told to go: it takes nothing more, and its sessions end at once."""
        agent = self.agents[uid]
        if not agent.leaving:
            agent.leaving = True
            agent.gate.leave()
            self._free.pop(uid, None)
            self._note(Event.LEAVING, agent=agent)
            self._put_back(self._sessions_of(agent))

    def turned(self, uid: str, *, is_open: bool) -> None:
        """An agent's gate was closed, or opened."""
        agent = self.agents.get(uid)
        if agent is None or not is_open:
            self._free.pop(uid, None)
        else:
            self._offer(agent)
        if agent is not None and not is_open:
            self._note(Event.CLOSED, agent=agent)

    def lose(self, uid: str, why: str) -> None:
        """An agent is gone: what it worked on is cut and queued again."""
        agent = self.agents.pop(uid)
        agent.leaving = True
        self._free.pop(uid, None)
        for task, run in agent.running.items():
            run.alarm.cancel()
            self.tally.killed += 1
            self._note(Event.KILL, task, agent, why)
        self._put_back([*agent.running, *self._sessions_of(agent)])
        self._note(Event.GONE, agent=agent, why=why)

    def _sessions_of(self, agent: Agent) -> list[Task]:
        """The tasks its sessions would have continued with; the sessions end."""
        for pause in agent.held.values():
            pause.alarm.cancel()
        for session in [*(pause.session for pause in agent.held.values()), *(session for _, session in agent.due)]:
            session.end()
        left = [*agent.held, *(task for task, _ in agent.due)]
        agent.held.clear()
        agent.due.clear()
        return left

    def _put_back(self, tasks: list[Task]) -> None:
        self.queue.extendleft(reversed(tasks))
        self._hand_out()

    def _hand_out(self) -> None:
        """Give waiting tasks to free agents, in turn. One whose gate has closed is free again when that opens."""
        while self.queue and self._free:
            agent = next(iter(self._free.values()))
            task = self.queue.popleft()
            if not self._start(task, agent):
                self._free.pop(agent.uid, None)
                self.queue.appendleft(task)

    def _offer(self, agent: Agent) -> None:
        """The agent has a slot more: for its own sessions first, and then for anybody's task."""
        if agent.due and agent.free:
            self._go_on(*agent.due.popleft(), agent)
        elif agent.free:
            self._free[agent.uid] = agent
            self._hand_out()

    def _start(self, task: Task, agent: Agent, session: Session | None = None) -> bool:
        """Begin a task. False where the agent's gate does not let it in."""
        hold = agent.gate.task() if session is None else session.task()
        try:
            hold.begin()
        except GateClosedError:
            return False
        self.tally.started += 1
        self._note(Event.START, task, agent)
        alarm = self._clock.alarm(self._clock.now() + task.seconds, lambda: self._end(task, agent))
        agent.running[task] = Run(alarm, hold, session)
        self._free.pop(agent.uid, None)
        if agent.free:
            self._free[agent.uid] = agent
        return True

    def _end(self, task: Task, agent: Agent) -> None:
        """A task is done, and is so in the journal before the gate hears of it."""
        run = agent.running.pop(task)
        self.tally.ended += 1
        self._note(Event.END, task, agent)
        if task.then is not None:
            self._hold(task.then, task.pause, agent, run.session)
        elif run.session is not None:
            run.session.end()
        run.hold.end()
        self._offer(agent)

    def _hold(self, task: Task, pause: Seconds, agent: Agent, session: Session | None) -> None:
        """A session pauses, unless its agent has to go, or takes no more: then its next task is anybody's."""
        self._note(Event.HELD, task, agent)
        session = session or _begun(agent.gate.session(pause + SPARE))
        if session is None or agent.leaving or not session.renew(pause + SPARE):
            self._put_back([task])
            return
        alarm = self._clock.alarm(self._clock.now() + pause, lambda: self._continue(task, agent))
        agent.held[task] = Pause(alarm, session)

    def _continue(self, task: Task, agent: Agent) -> None:
        """A session goes on, as soon as its agent has a free slot."""
        session = agent.held.pop(task).session
        if agent.free:
            self._go_on(task, session, agent)
        else:
            agent.due.append((task, session))

    def _go_on(self, task: Task, session: Session, agent: Agent) -> None:
        """The next task of a session, here; or anywhere, where its time is over."""
        if not self._start(task, agent, session):
            self._put_back([task])

    def _note(self, event: Event, task: Task | None = None, agent: Agent | None = None, why: str = "") -> None:
        self._journal.write(event, self._clock.now(), self.key, _fields(task, agent, why))


def _begun(session: Session) -> Session | None:
    """The session, if the gate lets it in."""
    try:
        return session.begin()
    except GateClosedError:
        return None


def _fields(task: Task | None, agent: Agent | None, why: str) -> Iterator[tuple[str, str | int | float]]:
    if task is not None:
        yield from (("task", task.number), ("seconds", round(task.seconds, 3)))
    if agent is not None:
        yield from (("uid", agent.uid), ("pod", agent.name))
    if why:
        yield "why", why
