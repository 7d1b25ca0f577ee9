"""What is printed and finds no place: a full disk is told in one line, a reader who has gone in none."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.journals import lived, write

FULL = Path("/dev/full")
FILE = """\
pools:
  agents/coder:
    replicas: {query: q, url: "http://prometheus.test"}
    signals: {queue: {query: q, url: "http://prometheus.test"}}
"""


def command(folder: Path, *arguments: str) -> list[str]:
    """The program with these arguments; FILE is a good file, and JOURNAL a journal."""
    (folder / "pools.yaml").write_text(FILE)
    write(folder / "journal", lived(3))
    places = {"FILE": str(folder / "pools.yaml"), "JOURNAL": str(folder / "journal")}
    return [sys.executable, "-m", "scaler", *(places.get(argument, argument) for argument in arguments)]


@pytest.mark.skipif(not FULL.exists(), reason="a device of Linux")
@pytest.mark.parametrize(
    "arguments",
    [
        ["--help"],
        ["config", "example"],
        ["config", "check", "FILE"],
        ["config", "check", "FILE", "--json"],
        ["config", "explain", "FILE", "agents/coder", "--trigger", "guarantee=best-effort"],
        ["replay", "JOURNAL"],
        ["gate", "keys"],
    ],
    ids=" ".join,
)
def test_a_full_disk_is_told_in_one_line(tmp_path: Path, arguments: list[str]) -> None:
    """Whatever the command, and with the exit code of what did not work."""
    with FULL.open("w") as full:
        ran = subprocess.run(command(tmp_path, *arguments), stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    why = "the output cannot be written: No space left on device; make room, or send it elsewhere\n"
    assert (ran.returncode, ran.stderr) == (1, why)


def test_a_reader_who_has_gone_is_told_nothing(tmp_path: Path) -> None:
    """As with any program before `head`."""
    with subprocess.Popen(
        command(tmp_path, "config", "schema"), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as ran:
        assert ran.stdout is not None
        assert ran.stderr is not None
        ran.stdout.close()
        assert ran.stderr.read() == ""
