"""The frame that benchmarks hang in, on benchmarks whose figures are known."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks import Goal, Result
from tests.house.source import ROOT

FAST = """
from benchmarks import Goal, Result

def run():
    yield Result(name="fast", figure=90.0, unit="calls/s", reference=100.0, goal=Goal("ratio", ">=", 0.8))
"""
SLOW = FAST.replace("fast", "slow").replace("90.0", "70.0")
LASTING = """
from benchmarks import Goal, Result

def run(minutes=3.0, pools=2):
    yield Result(name="lasting", figure=minutes * pools, unit="min", reference=1.0, goal=Goal("figure", ">=", 1))
"""
ABSENT = """
from benchmarks import CannotMeasureError

def run():
    raise CannotMeasureError("install a load generator")
"""


@pytest.fixture
def bench(tmp_path: Path) -> Path:
    """The frame with one benchmark that meets its goal and one that misses it."""
    folder = tmp_path / "benchmarks"
    folder.mkdir()
    for part in ("__init__.py", "__main__.py"):
        shutil.copy(ROOT / "benchmarks" / part, folder)
    folder.joinpath("bench_fast.py").write_text(FAST)
    folder.joinpath("bench_slow.py").write_text(SLOW)
    return tmp_path


def run(bench: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """``python -m benchmarks`` there."""
    command = [sys.executable, "-m", "benchmarks", *arguments]
    return subprocess.run(command, cwd=bench, capture_output=True, text=True, check=False)


def test_each_figure_is_told_and_ends_in_one_json_line(bench: Path) -> None:
    """A reader gets a sentence, a program the line below it."""
    ran = run(bench, "fast")
    sentence, line = ran.stdout.splitlines()
    assert sentence == "fast: 90 calls/s beside 100 calls/s (x 0.9), goal ratio >= 0.8: holds"
    assert json.loads(line) == {
        "name": "fast",
        "figure": 90.0,
        "unit": "calls/s",
        "reference": 100.0,
        "ratio": 0.9,
        "goal": "ratio >= 0.8",
        "holds": True,
    }


def test_all_run_unless_named_and_json_is_all_that_json_prints(bench: Path) -> None:
    """Benchmarks are found by being there."""
    ran = run(bench, "--json")
    assert [json.loads(line)["name"] for line in ran.stdout.splitlines()] == ["fast", "slow"]
    assert run(bench, "--list").stdout.split() == ["fast", "slow"]


def test_a_missed_goal_is_told_and_fails_only_when_strict(bench: Path) -> None:
    """A slow machine is no broken build, unless somebody asks for one."""
    told, strict = run(bench, "slow"), run(bench, "slow", "--strict")
    assert "goal ratio >= 0.8: MISSED" in told.stdout
    assert (told.returncode, strict.returncode) == (0, 1)
    assert run(bench, "fast", "--strict").returncode == 0


def test_a_benchmark_that_lasts_is_told_for_how_long_and_with_how_much(bench: Path) -> None:
    """Those that take as long as they take are not told; without a word each has its own measure."""
    bench.joinpath("benchmarks/bench_lasting.py").write_text(LASTING)
    untold = run(bench, "lasting", "--json")
    told = run(bench, "fast", "lasting", "--json", "--minutes", "2.5", "--pools", "4")
    assert [json.loads(line)["figure"] for line in told.stdout.splitlines()] == [90.0, 10.0]
    assert json.loads(untold.stdout)["figure"] == 6.0


def test_what_cannot_be_measured_is_an_error_and_stops_nothing_else(bench: Path) -> None:
    """A missing program is named, and the other figures are still told."""
    bench.joinpath("benchmarks/bench_absent.py").write_text(ABSENT)
    ran = run(bench, "absent", "fast")
    assert ran.returncode == 2
    assert ran.stderr == "absent was not measured: install a load generator\n"
    assert ran.stdout.startswith("fast: 90 calls/s")


def test_an_unknown_name_is_an_error_that_lists_the_known(bench: Path) -> None:
    """A slip of the pen measures nothing and shows the way."""
    ran = run(bench, "fats")
    assert ran.returncode == 2
    assert ran.stderr == "no benchmark is called fats; there are: fast, slow\n"


@pytest.mark.parametrize(
    ("goal", "holds"),
    [
        (Goal("figure", "<=", 20.0), True),
        (Goal("figure", "<=", 19.0), False),
        (Goal("figure", ">=", 20.0), True),
        (Goal("ratio", "<=", 2.0), True),
        (Goal("ratio", ">=", 2.1), False),
    ],
    ids=str,
)
def test_a_goal_bounds_the_figure_or_its_ratio(goal: Goal, *, holds: bool) -> None:
    """The bound itself counts as met."""
    assert Result(name="n", figure=20.0, unit="s", reference=10.0, goal=goal).holds is holds
