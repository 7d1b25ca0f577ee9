"""The playground as a person uses it: started, turned up and down, interrupted; and nothing is left of it."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
import urllib3

from tests.cluster.conftest import required
from tests.cluster.harness.rest import Api
from tests.cluster.harness.wait import until
from tests.cluster.playground.keys import BURST, HELP, QUIT, STEPS
from tests.cluster.playground.stage import NAME, NAMESPACE, POOL, TOOLS


class Player:
    """A playground that somebody has started, at a terminal or without one."""

    def __init__(self, *options: str, terminal: bool = False) -> None:
        self._ours, theirs = os.openpty() if terminal else os.pipe()
        self._process = subprocess.Popen(
            [sys.executable, "-u", "-m", "tests.cluster.playground", *options],
            stdin=theirs if terminal else subprocess.DEVNULL,
            stdout=theirs,
            stderr=theirs,
            env=os.environ | {"TERM": "xterm", "COLUMNS": "160"},
        )
        os.close(theirs)
        self._said = b""
        self._reading = threading.Thread(target=self._read)
        self._reading.start()

    def _read(self) -> None:
        with suppress(OSError):  # a terminal that nobody is at any more
            while heard := os.read(self._ours, 65_536):
                self._said += heard

    def kill(self) -> None:
        """End it without a word."""
        self._process.kill()
        self._process.wait()
        self._reading.join()

    def close(self) -> None:
        """End it, if the test has not."""
        self.kill()
        os.close(self._ours)

    def press(self, key: str) -> None:
        """Press a key."""
        os.write(self._ours, key.encode())

    @property
    def said(self) -> str:
        """All that it has said."""
        return self._said.decode(errors="replace").replace("\r", "")

    def says(self, pattern: str, *, within: float = 90.0) -> str:
        """What the group of the pattern matches in what it says, once it does."""

        def found() -> str | None:
            """It says so."""
            assert self._process.poll() is None, self.said
            match = re.search(pattern, self.said)
            return match and (match[1] if match.groups() else match[0])

        return until(found, within=within)

    def interrupt(self) -> int:
        """Press Ctrl-C. The value is its exit code."""
        self._process.send_signal(signal.SIGINT)
        return self.ended()

    def ended(self) -> int:
        """Its exit code, once it has ended."""
        code = self._process.wait(20.0)
        self._reading.join()
        return code

    def parts(self) -> set[int]:
        """The processes that it has started, and theirs."""
        return descendants(self._process.pid)


def descendants(pid: int) -> set[int]:
    """All processes below one."""
    found: set[int] = set()
    for listed in Path(f"/proc/{pid}/task").glob("*/children"):
        with suppress(OSError):  # it has ended
            for child in map(int, listed.read_text().split()):
                found |= {child} | descendants(child)
    return found


def alive(pids: set[int]) -> set[int]:
    """Those of the processes that still run."""
    return {pid for pid in pids if Path(f"/proc/{pid}").exists()}


@pytest.fixture
def playground() -> Iterator[Player]:
    """A playground without load."""
    required(*TOOLS)
    player = Player("--rate", "0", "--max", "20")
    yield player
    player.close()


def test_replicas_follow_the_load_up_and_down_and_nothing_is_left(playground: Player) -> None:
    """The whole of it: work comes, KEDA and the HPA raise the pool; it ends, they lower it to zero; Ctrl-C."""
    kubeconfig = Path(playground.says(r"KUBECONFIG=(\S+)"))
    load = playground.says(r"curl -d rate=\S+ (\S+)")
    pages = load.removesuffix("load")
    folder = kubeconfig.parents[1]
    with urllib3.PoolManager(timeout=5.0) as http:

        def ready() -> int:
            """The ready agents."""
            return int(json.loads(http.request("GET", f"{pages}pools/{POOL}").data)["agents"])

        http.request("POST", load, fields={"burst": "40"}, encode_multipart=False)
        until(lambda: ready() >= 6 or None, within=90.0)
        assert desired(kubeconfig) >= 6
        until(lambda: ready() <= 3 or None, within=240.0)
    assert "rises by no more than its rate limit" in playground.said
    parts = playground.parts()
    assert len(parts) >= 9
    assert playground.interrupt() == 0
    assert alive(parts) == set()
    assert not folder.exists()


def desired(kubeconfig: Path) -> int:
    """What the HPA that KEDA made wants."""
    api = Api(kubeconfig)
    try:
        path = f"/apis/autoscaling/v2/namespaces/{NAMESPACE}/horizontalpodautoscalers/keda-hpa-{NAME}"
        found = api.get(path) or {}
        status = found["status"]
        assert isinstance(status, dict)
        return int(str(status["desiredReplicas"]))
    finally:
        api.close()


@pytest.mark.parametrize("moment", ["control plane: up", "KEDA: up", "pool and agents: up"])
def test_an_interrupt_while_it_starts_leaves_nothing(playground: Player, moment: str) -> None:
    """However far it has come, Ctrl-C ends and removes all of it."""
    playground.says(moment)
    parts = playground.parts()
    assert parts
    assert playground.interrupt() == 0
    assert alive(parts) == set()
    assert "Traceback" not in playground.said
    assert "all of it is stopped and removed" in playground.said


def test_keys_turn_the_load() -> None:
    """At a terminal one key raises the rate, another sends a burst, and q is the end."""
    required(*TOOLS)
    player = Player("--rate", "0", terminal=True)
    try:
        pages = player.says(r"turn the load +(\S+)")
        player.says(re.escape(HELP))
        for key in ("+", "+", "-", "b"):
            player.press(key)
        with urllib3.PoolManager(timeout=5.0) as http:

            def turned() -> bool | None:
                """The load is as the keys say."""
                seen = json.loads(http.request("GET", f"{pages}pools/{POOL}").data)
                return (seen["rate"] == STEPS[1] and seen["queued"] >= BURST) or None

            until(turned)
        player.press(QUIT)
        assert player.ended() == 0
    finally:
        player.close()


def test_one_that_is_killed_takes_its_parts_along(playground: Player) -> None:
    """Killed without a word it cleans nothing up, and yet no process outlives it."""
    playground.says("KEDA: up")
    parts = playground.parts()
    playground.kill()
    until(lambda: not alive(parts) or None)


@pytest.mark.parametrize(
    ("option", "told"),
    [
        ("--rate=-1", "--rate is '-1'; it must be a number from 0 to 1000"),
        ("--max=501", "--max is '501'; it must be a number from 1 to 500"),
    ],
)
def test_an_option_that_cannot_be_is_refused_before_anything_starts(option: str, told: str) -> None:
    """The message has the option, the value and the range."""
    command = [sys.executable, "-m", "tests.cluster.playground", option]
    refused = subprocess.run(command, capture_output=True, text=True, check=False)
    assert refused.returncode == 2
    assert told in refused.stderr
