"""However a session of tests ends, nothing of it goes on."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.cluster.conftest import required
from tests.cluster.harness.folders import session_folder
from tests.cluster.harness.wait import until

ROOT = Path(__file__).parents[2]
STORY = """\
import json, threading
from pathlib import Path

def test_a_story_without_end(cluster):
    told = {{"folder": str(cluster.folder), "pids": [part.pid for part in cluster.parts.values()]}}
    cluster.parts["kwok"].freeze()
    Path({told!r} + ".new").write_text(json.dumps(told))
    Path({told!r} + ".new").rename({told!r})
    threading.Event().wait()
"""


@dataclass(frozen=True)
class Session:
    """A session of tests in another process, in the middle of a story."""

    process: subprocess.Popen[bytes]
    folder: Path
    pids: list[int]

    def gone(self) -> bool | None:
        """No part of the cluster runs any more."""
        return not any(map(_runs, self.pids)) or None


@contextmanager
def session(folder: Path, *, processes: int = 0) -> Iterator[Session]:
    """Start one whose only test never ends, with one part of its cluster frozen, in so many processes of its own."""
    story, told = folder / "test_story.py", folder / "told.json"
    story.write_text(STORY.format(told=str(told)))
    command: list[str | Path] = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        f"--numprocesses={processes}",
        "-p",
        "tests.cluster.conftest",
        "-c",
        ROOT / "pyproject.toml",
        story,
    ]
    pids: list[int] = []
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL, start_new_session=True) as process:
        try:
            until(lambda: told.exists() or None, within=120.0)
            known = json.loads(told.read_text())
            pids = known["pids"]
            yield Session(process, Path(known["folder"]), pids)
        finally:
            process.kill()
            for pid in filter(_runs, pids):
                os.kill(pid, signal.SIGKILL)


def _runs(pid: int) -> bool:
    """A process with this id has not ended."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2][0] not in "ZX"
    except OSError:
        return False


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_session_ends_everything_and_tidies_up(tmp_path: Path, number: signal.Signals) -> None:
    """Ctrl-C, and what an init system sends: no process stays, and no data."""
    required("etcd", "kubernetes", "kwok")
    with session(tmp_path) as running:
        os.kill(running.process.pid, number)
        assert running.process.wait(30) == pytest.ExitCode.INTERRUPTED
        assert running.gone()
        assert not running.folder.exists()


@pytest.mark.parametrize(("processes", "number"), [(0, signal.SIGKILL), (1, signal.SIGKILL), (1, signal.SIGINT)])
def test_a_killed_session_takes_everything_with_it(tmp_path: Path, processes: int, number: signal.Signals) -> None:
    """It had no time to end its parts, so the kernel does; the next session removes its data."""
    required("etcd", "kubernetes", "kwok")
    with session(tmp_path, processes=processes) as running:
        os.kill(running.process.pid, number)
        running.process.wait(30)
        until(running.gone)
        until(lambda: swept(running.folder) or None)


def swept(folder: Path) -> bool:
    """Another session, which removes what killed ones have left, finds no such folder."""
    with session_folder():
        return not folder.exists()
