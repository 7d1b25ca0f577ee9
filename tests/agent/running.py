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
from tests.support.process import free_port

CLOCK = SystemClock()


@dataclass(slots=True)
class Program:
    """An agent's process.

    Attributes:
        url: where its gate answers.
        ways: where work is given to it.
    """

    command: list[str]
    environment: dict[str, str]
    url: str
    ways: str
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
            return ask(self.url, "GET", "/activity") == 200
        return False

    def kill(self) -> None:
        """End it as a power cut would."""
        assert self.process is not None
        self.process.kill()
        self.process.wait()

    def restart(self) -> None:
        """Kill it, and start it again."""
        self.kill()
        self.start()

    def work(self) -> Ended:
        """Give it a task that is let go when somebody waits for its end."""
        return let_go_later(self.ways)


def let_go_later(ways: str) -> Ended:
    """Ask for work, and let it go when its end is waited for. What is refused is over at once."""
    name, statuses = f"/{uuid.uuid4()}", list[int]()
    asking = threading.Thread(target=lambda: statuses.append(ask(ways, "GET", f"/work{name}")))
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
    """An agent of one of the kinds of ``tests.agent.programs``."""
    port, ways = free_port(), free_port()
    command = [sys.executable, "-m", "tests.agent.programs", kind, str(port), str(ways)]
    url = f"http://127.0.0.1:{port}"
    program = Program(command, environment(site), url, f"http://127.0.0.1:{ways}" if kind == "alone" else url)
    try:
        program.start()
        yield program
    finally:
        program.kill()


def environment(site: Site) -> dict[str, str]:
    """What the pod's template sets."""
    return {"POD_UID": UID, "AGENT_SCALER_STATE": str(site.place.folder), "AGENT_SCALER_KEYS": str(site.keys)}


def subject(site: Site, program: Program) -> Subject:
    """The program, to be examined."""
    return Subject(program.url, site.signer.sign, CLOCK.now, program.work, program.restart)
