"""One part of the cluster as a process: started, killed, frozen, restarted, and gone when we are."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from tests.cluster.harness.wait import until

LAUNCHER = Path(__file__).with_name("launcher.py")
TAIL = 4_000
SPAWNER = ThreadPoolExecutor(max_workers=1, thread_name_prefix="spawner")  # the thread the launcher speaks of


@dataclass(frozen=True, slots=True)
class Program:
    """What to run.

    Attributes:
        name: what it is called among the parts of the cluster.
        command: the program and its arguments.
        env: its environment, beside ``PATH``, ``HOME`` and no proxies.
        ready: whether it serves; asked once it runs.
        ports: those it listens on, which must be free again when it has ended.
    """

    name: str
    command: Sequence[str | Path]
    env: Mapping[str, str] = field(default_factory=dict)
    ready: Callable[[], bool] = lambda: True
    ports: Sequence[int] = ()


class Part:
    """A program that runs, or did.

    Attributes:
        program: what it runs.
        log: what it has said, in every one of its lives.
    """

    def __init__(self, program: Program, folder: Path) -> None:
        self.program = program
        self.log = folder / f"{program.name}.log"
        self._folder = folder
        self._lives: list[Future[subprocess.Popen[bytes]]] = []

    @property
    def name(self) -> str:
        """What it is called."""
        return self.program.name

    @property
    def sessions(self) -> set[int]:
        """The ids of the sessions that it led, one for each life."""
        return {life.result().pid for life in self._lives}

    @property
    def _process(self) -> subprocess.Popen[bytes] | None:
        """Its last life. Whoever is interrupted while it begins finds it here all the same, and can end it."""
        return self._lives[-1].result() if self._lives else None

    @property
    def pid(self) -> int:
        """Its process id.

        Raises:
            AssertionError: it does not run.
        """
        process = self._process
        assert process is not None, f"{self.name} has not been started"
        assert process.poll() is None, f"{self.name} has ended with {process.returncode}; its log is {self.log}"
        return process.pid

    @property
    def running(self) -> bool:
        """It has been started and has not ended; a frozen one counts."""
        return self._process is not None and self._process.poll() is None

    @property
    def frozen(self) -> bool:
        """It runs, but has been stopped in its tracks."""
        return self.running and Path(f"/proc/{self.pid}/stat").read_text().rpartition(") ")[2].startswith("T")

    def start(self) -> None:
        """Start it, and return at once."""
        assert not self.running, f"{self.name} runs already"
        self._lives.append(SPAWNER.submit(_spawn, self.program, self._folder, self.log))
        self._lives[-1].result()

    def await_ready(self, *, within: float = 120.0) -> None:
        """Return once it serves.

        Raises:
            AssertionError: it ended, or did not serve within so many seconds. Shows the end of its log.
        """

        def ready() -> bool | None:
            """The part serves."""
            assert self.running, f"{self.name} ended with {self.ended()}"
            return self.program.ready() or None

        try:
            until(ready, within=within)
        except AssertionError as error:
            error.add_note(f"{self.name}: {self.log}\n{self.said()}")
            raise

    def freeze(self) -> None:
        """Stop it in its tracks: its connections stay open, and nothing is answered."""
        os.kill(self.pid, signal.SIGSTOP)
        until(lambda: self.frozen or None)

    def thaw(self) -> None:
        """Let it go on."""
        os.kill(self.pid, signal.SIGCONT)

    def kill(self) -> None:
        """End it at once, without a word; frozen or not."""
        self.signal(signal.SIGKILL)
        self.ended()

    def stop(self, *, within: float = 10.0) -> int:
        """Ask it to end, and make it end after so many seconds. The value is its exit code."""
        self.signal(signal.SIGTERM)
        with suppress(subprocess.TimeoutExpired):
            return self.ended(within=within)
        self.kill()
        return self.ended()

    def restart(self) -> None:
        """Kill it if it runs, start it again with the same arguments, and return once it serves."""
        self.kill()
        self.start()
        self.await_ready()

    def signal(self, number: signal.Signals) -> None:
        """Send it a signal; without effect once it has ended."""
        if self._process is not None:
            self._process.send_signal(number)

    def ended(self, *, within: float = 10.0) -> int:
        """Its exit code, once it has ended; negative where a signal ended it, 0 if it was never started."""
        return 0 if self._process is None else self._process.wait(within)

    def said(self) -> str:
        """The end of its log."""
        return self.log.read_text(errors="replace")[-TAIL:] if self.log.exists() else ""

    def memory(self) -> float:
        """What it holds in memory now, in MiB."""
        status = Path(f"/proc/{self.pid}/status").read_text()
        return next(int(line.split()[1]) / 1024 for line in status.splitlines() if line.startswith("VmRSS"))


def _spawn(program: Program, folder: Path, said: Path) -> subprocess.Popen[bytes]:
    """Start it in a session of its own, so that an interrupt typed at the terminal reaches only us."""
    surroundings = {"PATH": os.environ.get("PATH", os.defpath), "HOME": str(folder), "NO_PROXY": "*", "no_proxy": "*"}
    with said.open("ab") as log:
        return subprocess.Popen(
            [sys.executable, "-I", "-S", LAUNCHER, str(os.getpid()), *program.command],
            env={**surroundings, **program.env},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
