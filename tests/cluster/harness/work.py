"""Tasks that wait, agents that work on them, and what is written down of it.

Agents pull: whoever has a free slot takes the oldest task. A task that was cut is put back in front and begins anew. A
session holds its agent for a pause after a task, and its next task runs there and nowhere else.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Iterator
from dataclasses import dataclass, field

from scaler.core.types import Instant, Seconds
from scaler.live.clock import Alarm, Clock
from tests.cluster.harness.journal import Event, Journal, Line


@dataclass(frozen=True, slots=True, eq=False)
class Task:
    """A piece of work. ``pause`` is how long its session waits for the next task, which is ``then``; None ends it."""

    number: int
    seconds: Seconds
    queued_at: Instant
    pause: Seconds = 0.0
    then: Task | None = None


@dataclass(slots=True, eq=False)
class Agent:
    """One pod's agent.

    Attributes:
        leaving: it was told to go: it finishes what it has and takes nothing more.
        closed: its gate was closed: it finishes what it has and takes nothing more until the gate is opened again.
        epoch: of the last order to its gate.
        running: what it works on, and the alarm that will end it.
        held: sessions between two tasks, and the alarm that ends the pause.
        due: tasks of its own sessions that wait for a free slot here.
    """

    uid: str
    name: str
    ip: str
    slots: int
    started_at: Instant
    leaving: bool = False
    closed: bool = False
    epoch: int = 0
    running: dict[Task, Alarm] = field(default_factory=dict)
    held: dict[Task, Alarm] = field(default_factory=dict)
    due: deque[Task] = field(default_factory=deque)

    @property
    def sessions(self) -> int:
        """Sessions held between their tasks."""
        return len(self.held) + len(self.due)

    @property
    def free(self) -> bool:
        """It takes another task."""
        return not (self.leaving or self.closed) and len(self.running) < self.slots

    @property
    def idle(self) -> bool:
        """Nothing runs here, and no session is held."""
        return not self.running and not self.sessions


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
            self._free.pop(uid, None)
            self._note(Event.LEAVING, agent=agent)
            self._put_back(self._sessions_of(agent))

    def close(self, uid: str, epoch: int) -> None:
        """An agent's gate is closed: what comes next of its sessions is anybody's."""
        agent = self.agents[uid]
        agent.closed, agent.epoch = True, epoch
        self._free.pop(uid, None)
        self._put_back(self._sessions_of(agent))

    def open(self, uid: str, epoch: int) -> None:
        """An agent's gate is opened again."""
        agent = self.agents[uid]
        agent.closed, agent.epoch = False, epoch
        self._offer(agent)

    def lose(self, uid: str, why: str) -> None:
        """An agent is gone: what it worked on is cut and queued again."""
        agent = self.agents.pop(uid)
        agent.leaving = True
        self._free.pop(uid, None)
        for task, alarm in agent.running.items():
            alarm.cancel()
            self.tally.killed += 1
            self._note(Event.KILL, task, agent, why)
        self._put_back([*agent.running, *self._sessions_of(agent)])
        self._note(Event.GONE, agent=agent, why=why)

    def _sessions_of(self, agent: Agent) -> list[Task]:
        """The tasks its sessions would have continued with."""
        for alarm in agent.held.values():
            alarm.cancel()
        left = [*agent.held, *agent.due]
        agent.held.clear()
        agent.due.clear()
        return left

    def _put_back(self, tasks: list[Task]) -> None:
        self.queue.extendleft(reversed(tasks))
        self._hand_out()

    def _hand_out(self) -> None:
        """Give waiting tasks to free agents, in turn."""
        while self.queue and self._free:
            self._start(self.queue.popleft(), next(iter(self._free.values())))

    def _offer(self, agent: Agent) -> None:
        """The agent has a slot more: for its own sessions first, and then for anybody's task."""
        if agent.due and agent.free:
            self._start(agent.due.popleft(), agent)
        elif agent.free:
            self._free[agent.uid] = agent
            self._hand_out()

    def _start(self, task: Task, agent: Agent) -> None:
        self.tally.started += 1
        self._note(Event.START, task, agent)
        agent.running[task] = self._clock.alarm(self._clock.now() + task.seconds, lambda: self._end(task, agent))
        self._free.pop(agent.uid, None)
        if agent.free:
            self._free[agent.uid] = agent

    def _end(self, task: Task, agent: Agent) -> None:
        del agent.running[task]
        self.tally.ended += 1
        self._note(Event.END, task, agent)
        if task.then is not None:
            self._hold(task.then, task.pause, agent)
        self._offer(agent)

    def _hold(self, task: Task, pause: Seconds, agent: Agent) -> None:
        """A session pauses, unless its agent has to go: then its next task is anybody's."""
        self._note(Event.HELD, task, agent)
        if agent.leaving or agent.closed:
            self._put_back([task])
            return
        agent.held[task] = self._clock.alarm(self._clock.now() + pause, lambda: self._continue(task, agent))

    def _continue(self, task: Task, agent: Agent) -> None:
        """A session goes on, as soon as its agent has a free slot."""
        del agent.held[task]
        if agent.free:
            self._start(task, agent)
        else:
            agent.due.append(task)

    def _note(self, event: Event, task: Task | None = None, agent: Agent | None = None, why: str = "") -> None:
        self._journal.write(event, self._clock.now(), self.key, _fields(task, agent, why))


def _fields(task: Task | None, agent: Agent | None, why: str) -> Iterator[tuple[str, str | int | float]]:
    if task is not None:
        yield from (("task", task.number), ("seconds", round(task.seconds, 3)))
    if agent is not None:
        yield from (("uid", agent.uid), ("pod", agent.name))
    if why:
        yield "why", why
