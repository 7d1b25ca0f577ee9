"""A small cluster that follows the target: agents that work, their controller, and whoever carries the drain orders.

Time moves in steps. In each, agents become ready, tasks end, start and queue up to the load, the pool is observed and
ticked, its orders are carried out and the controller makes the pods match the replicas. The controller takes drained
pods first; whom else it takes while they are not drained is written down in ``killed``.
"""

from __future__ import annotations

import contextlib
import json
import random
from dataclasses import dataclass, field, replace

from hypothesis.vendor.pretty import RepresentationPrinter

from scaler.core import drain, record
from scaler.core.memory import Memory
from scaler.core.pods import NO_ORDINAL, Activity, Phase, Pod, Pods, Stage
from scaler.core.policy import Guarantee, Policy, Workload
from scaler.core.types import (
    Announcement,
    Instant,
    Known,
    Observation,
    Order,
    PodUid,
    Sample,
    Seconds,
    Signal,
    Verb,
)
from tests.properties.drawn import SILENT, START
from tests.properties.effort import told
from tests.properties.ticked import Moment, Ticked


@dataclass(slots=True, kw_only=True)
class Agent:
    """A pod and the agent in it, ready after ``startup`` more seconds; ``shut`` is the epoch its gate is closed for."""

    pod: Pod
    startup: Seconds
    tasks: int = 0
    shut: int | None = None

    @property
    def ready(self) -> bool:
        """Whether it is up."""
        return self.pod.stage is Stage.READY

    def grow(self, seconds: Seconds, clock: Instant) -> None:
        """Come closer to being ready."""
        self.startup -= seconds
        if self.startup <= 0 and not self.ready:
            self.pod = replace(self.pod, stage=Stage.READY, since=clock)


@dataclass(slots=True, kw_only=True)
class Cluster:
    """One pool in its cluster.

    Attributes:
        load: tasks there are, running or queued; in each step ``turnover`` of them end and others come.
        spread: tasks start on any agent with a free slot, otherwise on the lowest ordinal, or the oldest.
        signals: what the pool is measured by.
        startup: seconds from creation to ready.
        clock: what every stamp is read from; it may be set.
        behind: the live replicas are read so many steps late.
        poll: the controller learns the target in every so many steps.
        late: orders are carried out one step late, and those that have become illegal not at all.
        slow: an agent that is idle with its gate closed says so every third time only.
        asked: agents whose nodes ask them away; with ``stuck`` no node takes a new one.
        deaf: agents that are not heard any more; ``mute`` agents never acknowledge; what ``hung`` ones run never ends.
        lost: signals that fail; ``blind``, the pods cannot be listed; ``unread``, nor the replicas.
        killed: pods that were taken before they were drained.
        drained: when those were drained that have been, gone ones among them.
    """

    policy: Policy
    signals: frozenset[Signal] = frozenset({Signal.QUEUE})
    startup: Seconds = 30.0
    seed: int = 0
    clock: Instant = START
    load: int = 0
    turnover: int = 0
    spread: bool = True
    tokens_per_task: float = 50.0
    replicas: int = 0
    behind: int = 0
    poll: int = 1
    late: bool = False
    slow: bool = False
    blind: bool = False
    unread: bool = False
    stuck: bool = False
    asked: set[PodUid] = field(default_factory=set)
    deaf: set[PodUid] = field(default_factory=set)
    mute: set[PodUid] = field(default_factory=set)
    hung: set[PodUid] = field(default_factory=set)
    lost: set[Signal] = field(default_factory=set)
    announced: tuple[Announcement, ...] = ()
    agents: dict[PodUid, Agent] = field(default_factory=dict, init=False)
    killed: list[PodUid] = field(default_factory=list, init=False)
    drained: dict[PodUid, Instant] = field(default_factory=dict, init=False)
    ticks: list[Ticked] = field(default_factory=list, init=False)
    memory: Memory = field(init=False)
    past: list[Known] = field(default_factory=list, init=False)
    mail: tuple[Order, ...] = field(default=(), init=False)
    born: int = field(default=0, init=False)
    random: random.Random = field(init=False)

    def __post_init__(self) -> None:
        """Begin with nothing remembered, and with the pods that the replicas ask for."""
        self.memory = Memory.fresh(self.clock, self.policy.pace)
        self.random = random.Random(self.seed)
        self.control()
        for agent in self.agents.values():
            agent.grow(self.startup, self.clock)

    def _repr_pretty_(self, printer: RepresentationPrinter, cycle: bool) -> None:
        printer.text(told(self))

    def run(self, steps: int, seconds: Seconds = 5.0) -> None:
        """Take steps of equal length."""
        for _ in range(steps):
            self.step(seconds)

    def step(self, seconds: Seconds = 5.0) -> Ticked:
        """One step, and its tick."""
        self.clock += seconds
        self.work(seconds)
        ticked = Moment(self.policy, self.memory, self.observe(), self.clock).tick()
        self.ticks.append(ticked)
        self.memory = ticked.outcome.memory
        self.post(ticked.outcome.orders)
        if len(self.ticks) % self.poll == 0 and isinstance(ticked.outcome.report, int):
            self.replicas = ticked.outcome.report
        self.control()
        return ticked

    def restart(self, *, remembered: bool = True) -> None:
        """Another process goes on, from the memory's JSON or from nothing."""
        text = json.dumps(record.to_json(self.memory))
        fresh = Memory.fresh(self.clock, self.policy.pace)
        self.memory = record.from_json(Memory, json.loads(text)) if remembered else fresh

    # the agents

    @property
    def running(self) -> int:
        """Tasks that run."""
        return sum(agent.tasks for agent in self.agents.values())

    @property
    def open(self) -> list[Agent]:
        """Agents that are ready and take work."""
        return [agent for agent in self.agents.values() if agent.ready and agent.shut is None]

    def work(self, seconds: Seconds) -> None:
        """End the tasks there are too many of, start others where there is room, and say who is idle."""
        agents, room = sorted(self.agents.values(), key=lambda a: a.pod.ordinal), self.policy.slots_per_pod
        for agent in agents:
            if not self.stuck:
                agent.grow(seconds, self.clock)
        ending = [agent for agent in agents if agent.pod.uid not in self.hung]
        over, taken = self.running - self.load, [agent for agent in ending for _ in range(agent.tasks)]
        for agent in self.random.sample(taken, min(len(taken), max(over, self.turnover))):
            agent.tasks -= 1
        free = [a for a in agents if a.ready and a.shut is None for _ in range(room - a.tasks)]
        if self.spread:
            self.random.shuffle(free)
        for agent in free[: max(0, self.load - self.running)]:
            agent.tasks += 1
        self.speak()

    def speak(self) -> None:
        """Have every agent say what it does, and acknowledge its drain once it is idle with its gate closed."""
        for uid, agent in self.agents.items():
            silent = uid in self.mute or (self.slow and self.random.random() < 2 / 3)
            if agent.shut is not None and not agent.tasks and not silent:
                agent.pod = drain.acknowledge(agent.pod, agent.shut)
            if agent.ready and uid not in self.deaf:
                agent.pod = replace(agent.pod, activity=Activity(inflight=agent.tasks, at=self.clock))

    # the watcher

    def observe(self) -> Observation:
        """The pool as it can be seen."""
        pods = Pods.of(replace(a.pod, displaced=uid in self.asked) for uid, a in self.agents.items())
        self.past.append(Known(float(self.replicas), self.clock))
        return Observation(
            replicas=SILENT if self.unread else self.past[max(0, len(self.past) - 1 - self.behind)],
            pods=SILENT if self.blind else pods,
            signals={signal: self._read(signal) for signal in sorted(self.signals)},
            announced=self.announced,
        )

    def _read(self, signal: Signal) -> Sample:
        values = {
            Signal.QUEUE: self.load - self.running,
            Signal.PENDING: self.load,
            Signal.INFLIGHT: self.running,
            Signal.TOKENS: self.load * self.tokens_per_task,
        }
        return SILENT if signal in self.lost else Known(float(values[signal]), self.clock)

    # the controller

    def post(self, orders: tuple[Order, ...]) -> None:
        """Have orders carried out: these, where an illegal one raises, or those of the last step."""
        due, self.mail = (self.mail, orders) if self.late else (orders, ())
        for order in due:
            if self.late:
                with contextlib.suppress(KeyError, drain.IllegalOrderError):
                    self.carry(order)
            else:
                self.carry(order)

    def carry(self, order: Order) -> None:
        """Carry one order out."""
        agent = self.agents[order.uid]
        pod = drain.carry(replace(agent.pod, displaced=order.uid in self.asked), order)
        if pod is None:
            del self.agents[order.uid]
            return
        agent.pod = pod
        if pod.phase is Phase.DRAINED:
            self.drained[pod.uid] = self.clock
        agent.shut = {Verb.CLOSE: order.epoch, Verb.CANCEL: None}.get(order.verb, agent.shut)

    def control(self) -> None:
        """Make the pods match the replicas."""
        stateful = self.policy.workload is Workload.STATEFUL_SET
        places = range(self.policy.ordinals_start, self.policy.ordinals_start + self.replicas)
        if stateful:
            for agent in [a for a in self.agents.values() if a.pod.ordinal not in places]:
                self._take(agent)
            taken = {agent.pod.ordinal for agent in self.agents.values()}
            for place in (p for p in places if p not in taken):
                self._start(place)
            return
        for agent in sorted(self.agents.values(), key=self._cost)[: max(0, len(self.agents) - self.replicas)]:
            self._take(agent)
        for _ in range(self.replicas - len(self.agents)):
            self._start(NO_ORDINAL)

    def _cost(self, agent: Agent) -> tuple[bool, bool]:
        return agent.pod.phase is not Phase.DRAINED, agent.tasks > 0

    def _start(self, ordinal: int) -> None:
        self.born += 1
        uid = f"agent-{self.born}"
        stamp = self.clock
        pod = Pod(uid=uid, created_at=stamp, since=stamp, stage=Stage.STARTING, activity=SILENT, ordinal=ordinal)
        self.agents[uid] = Agent(pod=pod, startup=self.startup)

    def _take(self, agent: Agent) -> None:
        safe = agent.pod.phase is Phase.DRAINED
        if self.policy.guarantee is Guarantee.BEST_EFFORT:
            safe = safe or not agent.tasks
        if not safe:
            self.killed.append(agent.pod.uid)
        del self.agents[agent.pod.uid]

    def crash(self, uid: PodUid) -> None:
        """A pod is gone; its tasks queue again, and the controller starts another."""
        del self.agents[uid]
        self.control()
