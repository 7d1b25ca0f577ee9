"""What docs/gate.md shows does what it says: its code is taken from the page and run.

RabbitMQ and Celery are fakes at their boundary, which have of the real ones no more than the page uses.
"""

from __future__ import annotations

import asyncio
import os
import re
import signal
import sys
import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any, TypeAlias

import pytest
import yaml

from scaler.agent.book import GateClosedError
from scaler.agent.doors.alone import Door
from scaler.agent.gate import Gate
from tests.agent.material import Site
from tests.agent.running import Program, ask, environment, started
from tests.house.source import ROOT
from tests.support.process import free_port

PAGE = (ROOT / "docs/gate.md").read_text()
Names: TypeAlias = dict[str, Any]


def snippet(name: str) -> str:
    """The code of that name."""
    found = re.search(f"<!-- {name} -->\n```python\n(.*?)```\n<!-- end -->", PAGE, re.DOTALL)
    assert found is not None, f"the page shows no {name}"
    return found[1]


def run(name: str, names: Names) -> Names:
    """Run the code of that name with these names."""
    exec(snippet(name), names)  # noqa: S102 (that is the test)
    return names


@dataclass(slots=True)
class Consumer:
    """A consumer of the page on a thread of its own, whose work lasts until it is let go."""

    done: list[str] = field(default_factory=list)
    begun: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(0))
    go: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(0))

    def work(self, message: str) -> None:
        """Work on a message."""
        self.begun.release()
        self.go.acquire()
        self.done.append(message)


@dataclass(slots=True)
class Broker:
    """Messages that wait, those that are out, and whoever comes in vain is told by ``looked``."""

    waiting: deque[str] = field(default_factory=deque)
    out: list[str] = field(default_factory=list)
    looked: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(0))

    def take(self) -> str | None:
        """The next message."""
        if not self.waiting:
            self.looked.release()
            return None
        self.out.append(self.waiting.popleft())
        return self.out[-1]

    def settle(self) -> None:
        """The oldest one that is out is done."""
        self.out.pop(0)


def plain(gate: Gate, broker: Broker, consumer: Consumer) -> Callable[[], None]:
    """The plain loop, on a queue whose ``fetch`` waits no time."""
    names = run("plain loop", {"GateClosedError": GateClosedError})
    queue = SimpleNamespace(fetch=lambda timeout: broker.take(), acknowledge=lambda _: broker.settle())
    return lambda: names["consume"](gate, queue, consumer.work)


def pika(gate: Gate, broker: Broker, consumer: Consumer) -> Callable[[], None]:
    """The loop for RabbitMQ."""
    names = run("pika", {"GateClosedError": GateClosedError})

    def basic_get(queue: str) -> tuple[Any, None, str | None]:
        body = broker.take()
        return (None if body is None else SimpleNamespace(delivery_tag=1)), None, body

    connection = SimpleNamespace(process_data_events=lambda time_limit: None)
    channel = SimpleNamespace(basic_get=basic_get, basic_ack=lambda _: broker.settle(), connection=connection)
    return lambda: names["consume"](gate, channel, "tasks", consumer.work)


@pytest.mark.parametrize("loop", [plain, pika])
def test_a_consumer_takes_the_gate_before_it_fetches(
    site: Site, loop: Callable[[Gate, Broker, Consumer], Callable[[], None]]
) -> None:
    """An idle one is idle; a drain lets it finish and fetches nothing more; called back it goes on; SIGTERM ends it."""
    gate, broker, consumer = site.gate(), Broker(), Consumer()
    running = threading.Thread(target=loop(gate, broker, consumer))
    running.start()
    broker.looked.acquire()
    assert gate.activity().inflight == 0
    broker.waiting.extend(["a", "b"])
    consumer.begun.acquire()
    gate.drain(1)
    assert not gate.activity().acked
    consumer.go.release()
    gate.wait_finished()
    assert (gate.activity().acked, consumer.done, list(broker.waiting), broker.out) == (True, ["a"], ["b"], [])
    gate.resume(2)
    consumer.begun.acquire()
    gate.must_go(30)
    consumer.go.release()
    running.join()
    assert (consumer.done, list(broker.waiting), broker.out) == (["a", "b"], [], [])


class Reject(Exception):  # noqa: N818 (Celery's name for it)
    """What Celery is told to put a message back."""

    def __init__(self, reason: str, *, requeue: bool) -> None:
        super().__init__(reason)
        self.requeue = requeue


def test_a_celery_worker_sends_back_what_a_closed_gate_refuses(site: Site) -> None:
    """And consumes only while the gate is open."""
    gate, turns = site.gate(), list[tuple[str, str]]()
    connected: list[Callable[..., None]] = []
    app = SimpleNamespace(conf=SimpleNamespace(), amqp=SimpleNamespace(queues={"celery": None}))
    celery = SimpleNamespace(
        Task=type("Task", (), {}),
        Celery=lambda task_cls: app,
        exceptions=SimpleNamespace(Reject=Reject),
        signals=SimpleNamespace(worker_ready=SimpleNamespace(connect=connected.append)),
    )
    names = run("celery", {"celery": celery, "gate": gate, "GateClosedError": GateClosedError})
    worker = SimpleNamespace(
        add_task_queue=lambda queue: turns.append(("add", queue)),
        cancel_task_queue=lambda queue: turns.append(("cancel", queue)),
        call_soon=lambda act, queue: act(queue),
    )
    connected[0](worker)
    task = type("Work", (names["GatedTask"],), {"run": lambda self, n: n + gate.activity().inflight})()
    assert task(1) == 2
    gate.drain(1)
    with pytest.raises(Reject) as rejected:
        task(1)
    assert rejected.value.requeue
    gate.resume(2)
    assert turns == [("add", "celery"), ("cancel", "celery"), ("add", "celery")]
    assert names["GatedTask"].acks_late


def test_the_first_example_is_what_it_seems(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """As it stands on the page, with the pod's environment; the port alone is another."""
    for name, value in environment(site).items():
        monkeypatch.setenv(name, value)
    done: list[str] = []
    doors: list[Door] = []
    code = snippet("python").replace("serve(gate)", "serve(gate, 0)").replace("serve(", "keep(serve)(")
    names: Names = {
        "keep": lambda serve: lambda gate, port: doors.append(serve(gate, port, host="127.0.0.1")),
        "reason": lambda: done.append("reasoned"),
        "give_it_to_another_pod": lambda: done.append("refused"),
    }
    exec(code, names)  # noqa: S102 (that is the test)
    gate: Gate = names["gate"]
    site.gates.append(gate)
    assert (done, gate.slots) == (["reasoned"], 4)
    doors[0].close()


async def test_a_loop_finishes_and_then_leaves(site: Site) -> None:
    """SIGTERM closes the gate, and the program goes on when nothing is open."""
    gate, loop = site.gate(), asyncio.get_running_loop()
    task = gate.task().begin()
    gate.on_turn(lambda _: task.end())
    code = "async def leave():\n" + "".join(f"    {line}\n" for line in snippet("asyncio").splitlines())
    names: Names = {"gate": gate, "loop": loop, "signal": signal}
    exec(code, names)  # noqa: S102 (that is the test)
    leaving = asyncio.create_task(names["leave"]())
    await asyncio.sleep(0)
    os.kill(os.getpid(), signal.SIGTERM)
    await leaving
    loop.remove_signal_handler(signal.SIGTERM)
    assert gate.activity().leaving


def test_the_sidecar_of_the_page_starts_and_answers(site: Site) -> None:
    """With the environment and the arguments that stand there; the kubelet's part is to say where the folders are."""
    found = re.search("<!-- sidecar -->\n```yaml\n(.*?)```\n<!-- end -->", PAGE, re.DOTALL)
    assert found is not None
    spec = yaml.safe_load(found[1])["spec"]
    [gate] = spec["initContainers"]
    volumes = {volume["name"]: volume for volume in spec["volumes"]}
    mounts = {mount["mountPath"]: volumes[mount["name"]] for mount in gate["volumeMounts"]}
    assert "emptyDir" in mounts["/run/agent-scaler"]
    assert mounts["/etc/agent-scaler"]["configMap"] == {"name": "agent-scaler-keys"}
    assert float(gate["args"][gate["args"].index("--grace") + 1]) == spec["terminationGracePeriodSeconds"]
    port, here = free_port(), environment(site)
    told = {each["name"]: each.get("value", here["POD_UID"]) for each in gate["env"]}
    places = {"/run/agent-scaler": site.place.folder, "/etc/agent-scaler/keys.json": site.keys}
    told |= {name: str(places[value]) for name, value in told.items() if value.startswith("/")}
    command = [sys.executable, "-m", "scaler", *gate["args"], "--listen", f"127.0.0.1:{port}"]
    url = f"http://127.0.0.1:{port}"
    with started(Program(command, told, url, worked=url, ways=url)):
        assert ask(url, "GET", "/activity") == 200
    assert told == here
