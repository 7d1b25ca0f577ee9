"""Agents that run as programs: started, given work, killed without a word, and started again."""

from __future__ import annotations

import contextlib
import http.client
import os
import subprocess
import sys
import threading
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from urllib.parse import urlsplit

from scaler.agent.conformance.subject import Ended, Subject, until
from scaler.live.clock import SystemClock
from tests.agent.material import UID, Site
from tests.house.source import ROOT
from tests.support.process import free_port, program

CLOCK = SystemClock()


@dataclass(slots=True)
class Program:
    """An agent's process.

    Attributes:
        url: where its gate answers.
        worked: where work is given to it.
        ways: where work is let go.
        probed: what answers 200 once it is up.
    """

    command: list[str]
    environment: dict[str, str]
    url: str
    worked: str
    ways: str
    probed: str = "/activity"
    process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it, and return when its gate answers."""
        self.process = subprocess.Popen(self.command, env=os.environ | self.environment, cwd=ROOT)
        until(self.answers, "the agent answers", now=CLOCK.now)

    def answers(self) -> bool:
        """Whether its gate answers; it must not end before."""
        assert self.process is not None
        assert self.process.poll() is None, f"it ended with {self.process.returncode}"
        with contextlib.suppress(ConnectionError):
            return ask(self.url, "GET", self.probed) == 200
        return False

    def work(self) -> Ended:
        """Give it a task that is let go when somebody waits for its end."""
        return let_go_later(self.worked, self.ways)

    def kill(self) -> None:
        """End it as a power cut would."""
        assert self.process is not None
        self.process.kill()
        self.process.wait()

    def restart(self) -> None:
        """Kill it, and start it again."""
        self.kill()
        self.start()


def let_go_later(worked: str, ways: str) -> Ended:
    """Ask for work, and let it go when its end is waited for. What is refused is over at once."""
    name, statuses = f"/{uuid.uuid4()}", list[int]()
    asking = threading.Thread(target=lambda: statuses.append(ask(worked, "GET", f"/work{name}")))
    asking.start()

    def ended() -> bool:
        ask(ways, "POST", f"/go{name}")
        asking.join()
        return statuses == [200]

    return ended


def ask(url: str, method: str, path: str) -> int:
    """The status that is answered, after all of the answer."""
    connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=60)
    try:
        connection.request(method, path)
        answer = connection.getresponse()
        answer.read()
        return answer.status
    finally:
        connection.close()


@contextlib.contextmanager
def running(site: Site, kind: str) -> Iterator[Program]:
    """An agent of one of the kinds of ``tests.agent.programs``, one in another language, or a sidecar before one."""
    with sidecar(site) if kind == "sidecar" else started(_agent(site, kind)) as agent:
        yield agent


@contextlib.contextmanager
def sidecar(site: Site, *options: str) -> Iterator[Program]:
    """``scaler gate`` before a plain agent, which outlives it."""
    with started(_agent(site, "plain")) as agent:
        port = free_port()
        gate = ["gate", "--upstream", agent.url, "--listen", f"127.0.0.1:{port}", *options]
        url = f"http://127.0.0.1:{port}"
        command = [sys.executable, "-m", "scaler", *gate]
        with started(Program(command, environment(site), url, worked=url, ways=agent.url)) as beside:
            yield beside


@contextlib.contextmanager
def started(agent: Program) -> Iterator[Program]:
    """The agent, until the end of the block."""
    try:
        agent.start()
        yield agent
    finally:
        agent.kill()


def _agent(site: Site, kind: str) -> Program:
    port, ways = free_port(), free_port()
    command = [sys.executable, "-m", "tests.agent.programs", kind, str(port), str(ways)]
    if kind == "node":
        command = [program("node", "nodejs"), "tests/agent/agent.mjs", str(port)]
    url = f"http://127.0.0.1:{port}"
    there = f"http://127.0.0.1:{ways}" if kind == "alone" else url
    probed = "/healthz" if kind == "plain" else "/activity"
    return Program(command, environment(site), url, worked=there, ways=there, probed=probed)


def environment(site: Site) -> dict[str, str]:
    """What the pod's template sets."""
    return {"POD_UID": UID, "AGENT_SCALER_STATE": str(site.place.folder), "AGENT_SCALER_KEYS": str(site.keys)}


def subject(site: Site, agent: Program) -> Subject:
    """The agent, to be examined."""
    return Subject(agent.url, site.signer.sign, CLOCK.now, agent.work, agent.restart)
