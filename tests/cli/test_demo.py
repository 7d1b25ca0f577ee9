"""``scaler demo``: the main job in one command, without a cluster."""

from __future__ import annotations

import io
import json
import math
from contextlib import aclosing
from pathlib import Path

import pytest
from rich.console import Console

from scaler.cli.demo_view import reading, viewing
from scaler.cli.lockstep import LockstepError, Moment, play
from scaler.core.types import Unknown
from scaler.sim.pool import Setting
from scaler.sim.score import Score
from scaler.sim.workload import Workload, generate
from scaler.sim.world import World
from tests.cli.conftest import Scaler

T0 = 1_767_600_000.0
FIGURES = ["tasks", "wait_p50_s", "wait_p95_s", "pod_hours", "quick_reversals_per_hour", "removals", "killed"]


def world(seconds: float, seed: int = 1) -> World:
    """The demo's world."""
    return World(Setting(guarded=True), generate(Workload(), start=T0, seconds=seconds, seed=seed), start=T0, seed=seed)


async def moments(stage: World, seconds: float) -> list[Moment]:
    """Every moment of a run; the world in them is the one at the end."""
    async with aclosing(play(stage, T0 + seconds)) as played:
        return [moment async for moment in played]


def test_the_figures_are_a_contract(scaler: Scaler, tmp_path: Path) -> None:
    """Exactly these keys for both, and ours cuts nothing."""
    ran = scaler("demo", "--seconds", "1200", "--seed", "2", "--no-table", "--json", tmp_path / "figures.json")
    assert ran.exit_code == 0, ran.output
    figures = json.loads((tmp_path / "figures.json").read_text())
    assert {name: list(run) for name, run in figures.items()} == {"ours": FIGURES, "hpa": FIGURES}
    assert figures["ours"]["tasks"] == figures["hpa"]["tasks"] > 0
    assert figures["ours"]["killed"] == 0
    assert all(math.isfinite(figure) and figure >= 0 for run in figures.values() for figure in run.values())


def test_stdout_is_for_the_program_that_asks_for_it(
    scaler: Scaler, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As with simulate: the figures and nothing else, and no file that is called like that."""
    monkeypatch.chdir(tmp_path)
    ran = scaler("demo", "--seconds", "60", "--json", "-")
    assert ran.exit_code == 0, ran.output
    assert list(json.loads(ran.stdout)) == ["ours", "hpa"]
    assert not list(tmp_path.iterdir())


def test_the_same_seed_gives_the_same_figures(scaler: Scaler, tmp_path: Path) -> None:
    """Byte for byte, over a real gRPC connection; another seed gives others."""
    said = []
    for name, seed in (("a", "3"), ("b", "3"), ("c", "4")):
        scaler("demo", "--seconds", "1200", "--seed", seed, "--no-table", "--json", tmp_path / name)
        said.append((tmp_path / name).read_bytes())
    assert said[0] == said[1]
    assert said[0] != said[2]


def test_two_hours_show_what_it_is_for(scaler: Scaler, tmp_path: Path) -> None:
    """As it is called: at least 200 tasks and 20 removals, none of ours cut, some of the HPA's."""
    ran = scaler("demo", "--json", tmp_path / "figures.json")
    assert ran.exit_code == 0, ran.output
    figures = json.loads((tmp_path / "figures.json").read_text())
    assert figures["ours"]["tasks"] >= 200
    assert figures["ours"]["removals"] >= 20
    assert figures["ours"]["killed"] == 0 < figures["hpa"]["killed"]


def test_without_a_terminal_it_tells_lines(scaler: Scaler) -> None:
    """Columns first, then a line each five minutes with the sentence that explains it, then the comparison."""
    told = scaler("demo", "--seconds", "900").stdout.splitlines()
    columns = "time demand target ready starting draining in flight queue why"
    assert told[0].split() == columns.split()
    assert [line.split()[0] for line in told[1:4]] == ["0:00:07", "0:05:07", "0:10:07"]
    assert told[1].endswith("stay at 0: nothing asks for a change (0 needed, 0 there)")
    assert any("KEDA + HPA on queue depth" in line for line in told)


def test_without_a_table_it_tells_only_how_it_ended(scaler: Scaler) -> None:
    """The comparison and its reading."""
    told = scaler("demo", "--seconds", "60", "--no-table").stdout
    assert told.split()[:3] == ["The", "same", "arrivals"]


def test_it_can_be_watched(scaler: Scaler) -> None:
    """With a speed it waits for the wall's clock, and comes to the same end."""
    slow, fast = (scaler("demo", "--seconds", "60", *speed).stdout for speed in (("--speed", "600"), ()))
    assert slow == fast


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--seed", "-1"], "--seed -1 is out of range: any whole number from 0 on"),
        (["--seconds", "59"], "--seconds 59 is out of range: from 60 to 86400"),
        (["--seconds", "86401"], "--seconds 86401 is out of range: from 60 to 86400"),
        (["--speed", "0"], "--speed 0 is out of range: above 0; leave it out"),
        (["--speed", "nan"], "--speed nan is out of range: above 0; leave it out"),
        (["--json", "/nowhere/figures.json"], "--json /nowhere/figures.json is no file that can be written: No such"),
        (["--json", "/"], "--json / is no file that can be written: Is a directory; name one"),
        (["--json", "/proc/figures.json"], "--json /proc/figures.json is no file that can be written: No such"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_what_cannot_be_run_is_refused_before_it_runs(scaler: Scaler, arguments: list[str], said: str) -> None:
    """Exit code 2, with the key, the value, the range and the way out."""
    ran = scaler("demo", *arguments)
    assert (ran.exit_code, ran.stdout) == (2, "")
    assert ran.stderr.startswith(said)


async def test_each_poll_of_keda_is_a_moment() -> None:
    """Every 30 s of virtual time, with a target that is known and nobody cut at any of them."""
    stage = world(600.0)
    seen = []
    async with aclosing(play(stage, T0 + 600.0)) as played:
        async for moment in played:
            seen.append(moment.elapsed)
            assert not isinstance(moment.outcome.report, Unknown)
            assert moment.outcome.at > stage.now - 5.1
            assert stage.work.killed == 0
    assert seen == [7.0 + 30.0 * i for i in range(20)]
    assert stage.now == T0 + 600.0


async def test_a_tick_that_fails_is_no_figure() -> None:
    """What the loop survives in production spoils a comparison, so the demo says so and ends."""

    def explode(_: World) -> None:
        raise RuntimeError("this world has come apart")

    stage = world(300.0)
    stage.agenda.at(T0 + 100.5, explode, stage)
    with pytest.raises(LockstepError, match="readings that failed: 1;"):
        await moments(stage, 300.0)


async def test_in_a_terminal_it_is_a_table_that_moves() -> None:
    """Rows with every figure, and how far the run is."""
    shown = io.StringIO()
    with viewing(Console(file=shown, force_terminal=True, width=200), 120.0, table=True) as show:
        async with aclosing(play(world(120.0), T0 + 120.0)) as played:
            async for moment in played:
                show(moment)
    told = shown.getvalue()
    assert all(name in told for name in ("demand", "target", "ready", "starting", "draining", "in flight", "queue"))
    assert "0:01:37 of 0:02:00" in told


def test_the_reading_says_what_speaks_against_us_too() -> None:
    """Who waits longer, who costs more and who turns back is told with its sign, whoever it is."""
    good = Score(
        tasks=9, wait_p50_s=0.0, wait_p95_s=10.0, pod_hours=50.0, quick_reversals_per_hour=0.0, removals=9, killed=0
    )
    bad = Score(
        tasks=9, wait_p50_s=0.0, wait_p95_s=40.0, pod_hours=75.0, quick_reversals_per_hour=4.0, removals=9, killed=3
    )
    assert "50.0 (HPA 75.0, ours is 33 % less) pod hours" in reading(good, bad)
    assert "40.0 (HPA 10.0, ours is 300 % more) s" in reading(bad, good)
    assert "cut 3 runs" in reading(bad, good)
    idle = Score(
        tasks=0, wait_p50_s=0.0, wait_p95_s=0.0, pod_hours=0.0, quick_reversals_per_hour=0.0, removals=0, killed=0
    )
    assert "0.0 (HPA 0.0) pod hours" in reading(idle, idle)
