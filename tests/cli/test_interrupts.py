"""Ctrl-C: it ends quietly whenever it comes, with the exit code that shells have for it, and says what is left."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from asyncio.subprocess import PIPE, Process
from pathlib import Path

import pytest

from tests.cli.conftest import Scaler
from tests.cli.simulating import ALONE
from tests.support.wait import eventually

INTERRUPTED = 130
WHEN_LOADED = """
import os, signal, sys
from scaler.cli import main

class Interrupt:
    def find_spec(self, name, path=None, target=None):
        if name == "{module}":
            os.kill(os.getpid(), signal.SIGINT)

sys.meta_path.insert(0, Interrupt())
main()
"""


async def interrupted(running: Process) -> tuple[int | None, str, str]:
    """Its exit code and what it says, interrupted as by a terminal: all its processes hear of it."""
    os.killpg(running.pid, signal.SIGINT)
    stdout, stderr = await running.communicate()
    return running.returncode, (stdout or b"").decode(), stderr.decode()


@pytest.mark.parametrize(
    ("module", "said"),
    [
        ("scaler.cli.app", "interrupted: nothing was begun"),
        ("typer._adapters", "interrupted: nothing was begun"),
        ("scaler.cli.simulate_run", "interrupted: what is in no file by now is lost"),
        ("scaler.sim.compare", "interrupted: what is in no file by now is lost"),
    ],
)
def test_a_command_that_still_loads_ends_quietly(scenario: Path, module: str, said: str) -> None:
    """Without a traceback of whatever was being imported."""
    command = [sys.executable, "-c", WHEN_LOADED.format(module=module), "simulate", "compare", str(scenario), *ALONE]
    ran = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (ran.returncode, ran.stdout, ran.stderr) == (INTERRUPTED, "", f"{said}\n")


@pytest.mark.parametrize("jobs", ["1", "2"])
async def test_an_interrupted_sweep_says_that_it_goes_on_from_what_is_kept(
    scaler: Scaler, scenario: Path, tmp_path: Path, jobs: str
) -> None:
    """Which is true: the point that was done is not run again."""
    kept = tmp_path / "kept"
    asked = ("simulate", "sweep", scenario, "--no-limits", "--jobs", jobs, "--policies", "job", "--out", kept)
    longest = ("--over", "lasts=10m,20m", "--over", f"seeds=1,{10_000}")
    command = [sys.executable, "-m", "scaler", *map(str, (*asked, *longest))]
    running = await asyncio.create_subprocess_exec(*command, stderr=PIPE, start_new_session=True)

    async def one_is_done() -> bool | None:
        """A point is kept."""
        return True if kept.is_dir() and any(kept.glob("[!.]*.json")) else None

    await eventually(one_is_done)
    code, _, said = await interrupted(running)
    assert code == INTERRUPTED
    *_, last = said.splitlines()
    assert last.endswith(f"done, and every point that was done is kept in {kept}: the same command goes on from there")
    assert "Traceback" not in said
    again = scaler(*asked, "--over", "lasts=10m", "--over", "seeds=1,2")
    assert again.stderr == f"1 of 2 points are taken from {kept}, as they were found before\n"


async def test_an_interrupted_demo_keeps_what_it_has_written_down(scaler: Scaler, tmp_path: Path) -> None:
    """And says where it is; the same is decided again on it."""
    journal = tmp_path / "journal"
    command = [sys.executable, "-m", "scaler", "demo", "--speed", "60", "--journal", str(journal)]
    running = await asyncio.create_subprocess_exec(*command, stdout=PIPE, stderr=PIPE, start_new_session=True)
    assert running.stdout is not None
    assert b"0:00:07" in await running.stdout.readuntil(b"there)\n")
    code, _, said = await interrupted(running)
    told = f"interrupted: there are no figures of half a demo; the ticks until then are in {journal}\n"
    assert (code, said) == (INTERRUPTED, told)
    replayed = scaler("replay", journal)
    assert replayed.exit_code == 0, replayed.output
    assert "every outcome is the same" in replayed.stdout
