"""The agents of the cluster tests: what they say and do is what the other tests stand on."""

from __future__ import annotations

from collections import Counter
from itertools import count
from pathlib import Path

import pytest

from scaler.agent import Gate, Place
from scaler.live.clock import VirtualClock
from tests.cluster.harness.journal import Event, Journal, Line, lines, open_tasks
from tests.cluster.harness.load import Generator, Load, LoadError
from tests.cluster.harness.work import Agent, GateTime, Pool, Task
from tests.support.pools import NOON, Wall


class Scene:
    """A pool on a clock that stands still, and its journal."""

    def __init__(self, folder: Path) -> None:
        self.clock = VirtualClock(NOON)
        self.path = folder / "journal.jsonl"
        self.journal = Journal(self.path)
        self.pool = Pool("agents/coder", self.clock, self.journal)
        self._numbers = count(1)

    def agent(self, name: str, slots: int = 1) -> Agent:
        """An agent that is up."""
        gate = Gate(Place(f"uid-{name}", self.path.parent / name), slots=slots, clock=GateTime(self.clock))
        agent = Agent(f"uid-{name}", name, "127.64.0.1", slots, self.clock.now(), gate)
        self.pool.join(agent)
        return agent

    def task(self, seconds: float, *, pause: float = 0.0, then: Task | None = None) -> Task:
        """A task that has arrived."""
        task = Task(next(self._numbers), seconds, self.clock.now(), pause, then)
        self.pool.submit(task)
        return task

    def drain(self, agent: Agent, epoch: int) -> None:
        """Its gate is closed, and its pool has heard of it."""
        agent.gate.drain(epoch)
        self.pool.turned(agent.uid, is_open=False)

    async def after(self, seconds: float) -> None:
        """Let time pass."""
        await self.clock.advance_to(self.clock.now() + seconds)

    def story(self) -> list[tuple[Event, int, str]]:
        """What the journal says: event, task, pod."""
        return [(line.event, line.task, line.pod) for line in lines(self.path)]


@pytest.fixture
def scene(tmp_path: Path) -> Scene:
    """An empty pool."""
    return Scene(tmp_path)


async def test_a_free_slot_takes_the_oldest_task(scene: Scene) -> None:
    """Two slots run two tasks, the third waits, and starts the moment one of them ends."""
    scene.agent("a", slots=2)
    for _ in range(3):
        scene.task(10.0)
    assert (scene.pool.inflight, len(scene.pool.queue)) == (2, 1)
    await scene.after(9.0)
    assert scene.pool.oldest_wait == pytest.approx(9.0)
    await scene.after(1.0)
    assert (scene.pool.inflight, len(scene.pool.queue), scene.pool.tally.ended) == (1, 0, 2)


async def test_a_lost_agent_cuts_its_tasks_and_they_begin_anew_before_all_others(scene: Scene) -> None:
    """The journal has the kill with its task and its pod, and the task takes its whole time again, elsewhere."""
    scene.agent("a")
    scene.task(10.0)
    scene.task(10.0)
    await scene.after(9.0)
    scene.pool.lose("uid-a", "deleted")
    scene.agent("b")
    assert [task.number for task in scene.pool.queue] == [2]
    await scene.after(9.5)
    assert scene.pool.inflight == 1
    await scene.after(0.5)
    assert scene.pool.tally.killed == 1
    told = scene.story()
    assert (Event.KILL, 1, "a") in told
    assert told.index((Event.KILL, 1, "a")) < told.index((Event.START, 1, "b")) < told.index((Event.END, 1, "b"))


async def test_an_agent_that_is_told_to_go_finishes_and_takes_nothing_more(scene: Scene) -> None:
    """Between the deletion of a pod and its end, what runs may end, and nothing new starts there."""
    scene.agent("a")
    scene.task(5.0)
    scene.task(5.0)
    scene.pool.dismiss("uid-a")
    await scene.after(6.0)
    scene.pool.lose("uid-a", "deleted")
    assert (scene.pool.tally.ended, scene.pool.tally.killed, len(scene.pool.queue)) == (1, 0, 1)


async def test_a_session_comes_back_to_its_own_agent_and_holds_it_meanwhile(scene: Scene) -> None:
    """The next task of a session runs where the last one ran, though another agent is free."""
    first = scene.agent("a")
    scene.task(1.0, pause=5.0, then=Task(99, 1.0, NOON))
    scene.agent("b")
    await scene.after(2.0)
    assert (first.sessions, scene.pool.inflight) == (1, 0)
    await scene.after(4.0)
    assert [task.number for task in first.running] == [99]
    assert first.sessions == 0


async def test_a_session_waits_for_a_slot_of_its_agent(scene: Scene) -> None:
    """Where the agent is at work when the pause ends, the session goes on before anything from the queue."""
    first = scene.agent("a")
    scene.task(1.0, pause=1.0, then=Task(99, 1.0, NOON))
    scene.task(10.0)
    scene.task(10.0)
    await scene.after(5.0)
    assert (first.sessions, len(first.due)) == (1, 1)
    await scene.after(6.0)
    assert [task.number for task in first.running] == [99]


async def test_a_session_of_a_leaving_agent_is_anybodys(scene: Scene) -> None:
    """Its next task is not lost: it waits in the queue, and runs elsewhere."""
    scene.agent("a")
    scene.task(1.0, pause=50.0, then=Task(99, 1.0, NOON))
    await scene.after(2.0)
    scene.pool.dismiss("uid-a")
    other = scene.agent("b")
    assert [task.number for task in other.running] == [99]


async def test_the_journal_knows_every_task_that_has_not_ended(scene: Scene) -> None:
    """Whoever comes after a killed fleet finds what waited, what ran and what a session held, and nothing else."""
    scene.agent("a", slots=2)
    scene.task(1.0)
    scene.task(1.0, pause=50.0, then=Task(99, 7.0, NOON))
    scene.task(20.0)
    scene.task(20.0)
    scene.task(20.0)
    await scene.after(2.0)
    left = open_tasks(scene.path)
    assert {line.task: line.event for line in left} == {
        3: Event.START,
        4: Event.START,
        5: Event.QUEUED,
        99: Event.HELD,
    }
    scene.journal.close()
    again = Scene(scene.path.parent)
    for line in left:
        again.pool.recover(line)
    assert [task.number for task in again.pool.queue] == [3, 4, 5, 99]
    assert again.pool.tally.killed == 2
    assert Counter(line.why for line in lines(scene.path) if line.event is Event.KILL) == {"the fleet ended": 2}


async def test_the_load_is_the_same_for_the_same_seed(tmp_path: Path) -> None:
    """Arrivals and durations follow from the seed, and their rate is the one that was asked for."""
    told: list[list[Line]] = []
    for turn in ("first", "second"):
        tmp_path.joinpath(turn).mkdir()
        scene = Scene(tmp_path / turn)
        generator = Generator(scene.pool, scene.clock, count(1), seed=7)
        generator.turn(Load(rate=5.0))
        await scene.after(200.0)
        told.append(list(lines(scene.path)))
    assert told[0] == told[1]
    assert len(told[0]) == pytest.approx(1000, rel=0.1)


async def test_the_load_can_be_turned_at_any_time(scene: Scene) -> None:
    """A rate of zero ends arrivals at once, a burst comes at once, and another rate holds at once."""
    generator = Generator(scene.pool, scene.clock, count(1), seed=7)
    generator.turn(Load(rate=100.0))
    await scene.after(1.0)
    generator.turn(generator.load.changed({"rate": "0"}))
    seen = len(scene.pool.queue)
    assert seen > 50
    await scene.after(100.0)
    assert len(scene.pool.queue) == seen
    generator.burst(20)
    assert len(scene.pool.queue) == seen + 20


@pytest.mark.parametrize(("pause", "tasks"), [(5.0, 500), (36_000.0, 1000)])
async def test_arrivals_that_nobody_noticed_in_time_come_all_the_same(tmp_path: Path, pause: float, tasks: int) -> None:
    """A busy machine makes none fewer; one that slept for hours is not flooded with all that would have come."""
    clock = Wall()
    pool = Pool("agents/coder", clock, Journal(tmp_path / "journal.jsonl"))
    Generator(pool, clock, count(1), seed=7).turn(Load(rate=100.0))
    clock.moved = pause
    await clock.pass_time(0.125)
    assert len(pool.queue) == pytest.approx(tasks, rel=0.15)


async def test_tasks_are_as_long_as_real_ones_shortened(scene: Scene) -> None:
    """The median of whole tasks is that of the fit, and nothing exceeds an hour before it is shortened."""
    generator = Generator(scene.pool, scene.clock, count(1), seed=7)
    generator.turn(Load(shorten=60.0, subagents=0.0))
    generator.burst(2000)
    seconds = sorted(task.seconds for task in scene.pool.queue)
    assert seconds[1000] == pytest.approx(242.0 / 60.0, rel=0.1)
    assert seconds[-1] <= 60.0


@pytest.mark.parametrize(
    ("key", "value", "told"),
    [
        ("rate", "-1", "rate is '-1'; it must be a number from 0 to 10000"),
        ("rate", "nan", "rate is 'nan'; it must be a number from 0 to 10000"),
        ("follows", "1", "follows is '1'; it must be a number from 0 to 0.95"),
        ("speed", "1", "speed is no figure of a load; there are rate, shorten, subagents, follows"),
    ],
)
def test_a_load_that_cannot_be_is_refused(key: str, value: str, told: str) -> None:
    """The message has the key, the value and the range."""
    with pytest.raises(LoadError) as refused:
        Load().changed({key: value})
    assert str(refused.value) == told


async def test_many_agents_come_and_go_and_no_task_is_lost(scene: Scene) -> None:
    """Whatever happens to the agents, every task ends once, and what was started was ended, killed or still runs."""
    generator = Generator(scene.pool, scene.clock, count(1), seed=3)
    generator.turn(Load(rate=20.0, follows=0.5))
    for turn in range(60):
        scene.agent(f"a{turn}", slots=1 + turn % 3)
        await scene.after(1.0)
        if turn % 3 == 2:
            scene.pool.dismiss(f"uid-a{turn - 1}")
            scene.pool.lose(f"uid-a{turn - 2}", "deleted")
    generator.turn(Load())
    for turn in range(100):
        scene.agent(f"b{turn}", slots=4)
    await scene.after(4000.0)
    assert (scene.pool.inflight, scene.pool.sessions, len(scene.pool.queue)) == (0, 0, 0)
    tally = scene.pool.tally
    assert tally.killed > 10
    assert tally.started == tally.ended + tally.killed
    ended = Counter(line.task for line in lines(scene.path) if line.event is Event.END)
    assert set(ended.values()) == {1}
    assert open_tasks(scene.path) == []


async def test_an_agent_whose_gate_is_closed_finishes_and_takes_nothing_more(scene: Scene) -> None:
    """What waits stays in the queue; opened again, the agent takes the oldest of it."""
    agent = scene.agent("a", slots=2)
    scene.task(5.0)
    scene.drain(agent, 1)
    scene.task(5.0)
    assert (scene.pool.inflight, len(scene.pool.queue), agent.gate.activity().acked) == (1, 1, False)
    await scene.after(6.0)
    assert (scene.pool.inflight, len(scene.pool.queue), agent.gate.activity().acked) == (0, 1, True)
    agent.gate.resume(2)
    scene.pool.turned(agent.uid, is_open=True)
    assert (scene.pool.inflight, len(scene.pool.queue)) == (1, 0)


async def test_a_gate_that_closes_before_its_pool_has_heard_of_it_lets_nothing_in(scene: Scene) -> None:
    """The task that came between them goes to another agent, and is started once."""
    agent = scene.agent("a")
    agent.gate.drain(1)
    scene.agent("b")
    scene.task(5.0)
    assert scene.story()[-1] == (Event.START, 1, "b")
    assert agent.gate.activity().acked


async def test_a_session_holds_a_closed_gate_until_it_has_ended(scene: Scene) -> None:
    """Its next task runs here, for its state is here; one that would begin now is anybody's."""
    agent = scene.agent("a", slots=2)
    scene.task(1.0, pause=5.0, then=Task(99, 1.0, NOON))
    await scene.after(2.0)
    scene.task(5.0, pause=50.0, then=Task(98, 1.0, NOON))
    scene.drain(agent, 1)
    await scene.after(4.5)
    assert [task.number for task in agent.running] == [2, 99]
    await scene.after(1.0)
    assert (agent.sessions, [task.number for task in scene.pool.queue], agent.gate.activity().acked) == (0, [98], True)
