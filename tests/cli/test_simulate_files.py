"""What ``scaler simulate`` promises of every command: its examples, its files, and word of how far it is."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from scaler.cli import simulate_progress
from tests.cli.conftest import Scaler

SCENARIO = """
rate: [[0, 2], [600, 2]]
durations: lognormal:4,0.8
max: 20
policies: [ours, hpa]
seeds: 1
"""
EXTRA = {"tune": ("--budget", "2"), "warm": ("--no-equal",)}
COMMANDS = ("run", "compare", "report", "sweep", "tune", "warm")
SMALL = ("--seeds", "1", "--jobs", "1")


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with what the examples name, but small."""
    (tmp_path / "simulations").mkdir()
    (tmp_path / "simulations" / "monday-morning.yaml").write_text(SCENARIO)
    (tmp_path / "claims.csv.gz").write_text("arrival_s,duration_s\n0,30\n60,40\n300,40\n")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def asked(command: str) -> tuple[str, ...]:
    """The smallest that each can be asked."""
    work = ("--trace", "claims.csv.gz", *SMALL, *EXTRA.get(command, ()))
    return ("simulate", command, *work, *(("--over", "slots=1,2") if command == "sweep" else ()))


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.usefixtures("here")
def test_the_example_in_the_help_runs(scaler: Scaler, command: str) -> None:
    """As it stands, for it is what is tried first."""
    told = " ".join(scaler("simulate", command, "--help").stdout.split())
    example = shlex.split(told.partition("Example: scaler ")[2])
    assert example[:2] == ["simulate", command]
    ran = scaler(*example, "--jobs", "1", *EXTRA.get(command, ()))
    assert ran.exit_code == 0, ran.output


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.usefixtures("here")
def test_stdout_is_for_the_program_that_asks_for_it(scaler: Scaler, here: Path, command: str) -> None:
    """Rows and a summary and nothing else, and no file that is called like that."""
    ran = scaler(*asked(command), "--json", "-")
    assert ran.exit_code == 0, ran.output
    assert list(json.loads(ran.stdout))[:2] == ["rows", "summary"]
    assert not (here / "-").exists()


@pytest.mark.parametrize("command", COMMANDS)
def test_figures_are_written_before_they_are_printed(here: Path, command: str) -> None:
    """So they are there when whoever reads what is printed has gone away."""
    away, closed = os.pipe()
    os.close(away)
    arguments = [sys.executable, "-m", "scaler", *asked(command), "--json", "out.json"]
    subprocess.run(arguments, cwd=here, stdout=closed, stderr=subprocess.DEVNULL, check=False)
    os.close(closed)
    assert json.loads((here / "out.json").read_text())["rows"]


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.usefixtures("here")
def test_a_file_that_cannot_be_written_is_refused_before_anything_runs(scaler: Scaler, command: str) -> None:
    """A folder that is there is not enough."""
    ran = scaler(*asked(command), "--json", "/proc/x.json")
    assert (ran.exit_code, ran.stdout) == (2, "")
    assert "--json /proc/x.json is no file that can be written: " in ran.stderr


@pytest.mark.usefixtures("here")
def test_work_that_fails_leaves_no_file_and_spoils_none(scaler: Scaler, here: Path) -> None:
    """Whether it can be written is asked without a trace."""
    (here / "old.json").write_text("{}")
    for file in ("new.json", "old.json"):
        ran = scaler("simulate", "run", "--trace", "claims.csv.gz", "--begins", "2h", *SMALL, "--json", file)
        assert ran.exit_code == 2
    assert not (here / "new.json").exists()
    assert (here / "old.json").read_text() == "{}"


@pytest.mark.parametrize("option", ["--trace", "--rate", "--durations"])
@pytest.mark.usefixtures("here")
def test_a_pipe_is_no_file_to_read(scaler: Scaler, here: Path, option: str) -> None:
    """Every process reads it anew, and there is nothing left for the second; so it is refused for one, too."""
    os.mkfifo(here / "pipe")
    ran = scaler("simulate", "run", option, "pipe", *SMALL)
    assert (ran.exit_code, ran.stdout) == (2, "")
    assert "pipe is no regular file" in ran.stderr


@pytest.mark.parametrize(
    ("command", "lines"),
    [
        ("compare", ["1 of 2 runs and limits done", "2 of 2 runs and limits done"]),
        ("sweep", [f"{n} of 4 runs and limits done" for n in (1, 2, 3, 4)]),
        ("tune", ["1 of 2 trials done", "2 of 2 trials done"]),
    ],
)
@pytest.mark.usefixtures("here")
def test_a_log_is_told_how_far_it_is(
    scaler: Scaler, monkeypatch: pytest.MonkeyPatch, command: str, lines: list[str]
) -> None:
    """On stderr, by runs or trials, and not until it takes long."""
    arguments = (*asked(command), *(() if command == "tune" else ("--policies", "ours")))
    assert scaler(*arguments).stderr == ""
    monkeypatch.setattr(simulate_progress, "FIRST", 0.0)
    monkeypatch.setattr(simulate_progress, "EVERY", 0.0)
    assert scaler(*arguments).stderr.splitlines() == lines


def test_a_log_hears_of_a_single_run_that_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    """Now and then, though nothing is done yet."""
    monkeypatch.setattr(simulate_progress, "SILENT", 0.01)
    read, written = os.pipe()
    with open(read) as log, open(written, "w", buffering=1) as stderr:  # noqa: PTH123 - no path
        monkeypatch.setattr(sys, "stderr", stderr)
        with simulate_progress.progress(1):
            said = log.readline()
        monkeypatch.undo()
    assert said.startswith("0 of 1 runs and limits done in ")
    assert said.endswith(" s; --no-limits leaves the limits out\n")
