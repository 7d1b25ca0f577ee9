"""``scaler simulate`` as a planner uses it, and as a script does."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest
from rich.console import Console
from rich.table import Table

from scaler.cli.simulate_run import print_whole
from scaler.sim.optimum import program
from tests.cli.conftest import Scaler

SCENARIO = """
question: How many pods?
rate: [[0, 2], [1200, 2]]
durations: lognormal:4,0.8
max: 20
policies: [ours, hpa]
seeds: 1
"""
ALONE = ("--no-limits", "--jobs", "1")
COMMANDS = ("run", "compare", "report", "sweep", "tune")


@pytest.fixture
def scenario(tmp_path: Path) -> Path:
    """A file with a small question."""
    file = tmp_path / "small.yaml"
    file.write_text(SCENARIO)
    return file


def test_run_is_ours_and_writes_its_figures(scaler: Scaler, scenario: Path, tmp_path: Path) -> None:
    """A table for the reader and JSON for the script, from one scenario."""
    ran = scaler("simulate", "run", scenario, *ALONE, "--json", tmp_path / "out.json")
    assert ran.exit_code == 0, ran.output
    assert "How many pods?" in ran.stdout
    figures = json.loads((tmp_path / "out.json").read_text())
    assert list(figures) == ["rows", "summary"]
    assert [row["policy"] for row in figures["rows"]] == ["ours"]
    assert figures["rows"][0]["killed"] == 0
    assert figures["rows"][0]["opt_w"] is None
    assert figures["rows"][0]["unfinished"] == 0


def test_compare_says_what_ours_is_beside_each_peer(scaler: Scaler, scenario: Path, tmp_path: Path) -> None:
    """With the limits, which no price is below; and an option stands instead of the file's key."""
    asked = ("--seeds", "2", "--policies", "ours,job", "--jobs", "1", "--json", tmp_path / "out.json")
    ran = scaler("simulate", "compare", scenario, *asked)
    assert ran.exit_code == 0, ran.output
    assert "ours beside job: price" in ran.stdout
    figures = json.loads((tmp_path / "out.json").read_text())
    assert [(row["policy"], row["seed"]) for row in figures["rows"]] == [
        ("ours", 1), ("ours", 2), ("job", 1), ("job", 2),
    ]  # fmt: skip
    assert all(row["price_over_opt_w"] >= 1.0 for row in figures["rows"])
    assert list(figures["summary"]["paired"]) == ["job"]


def test_a_table_is_whole_however_narrow_the_terminal_is() -> None:
    """What is cut off is no figure; the terminal breaks the line, and what comes after is as wide as ever."""
    console, table = Console(width=20, file=io.StringIO()), Table(box=None)
    for number in range(9):
        table.add_column(f"heading {number}", justify="right", no_wrap=True)
    table.add_row(*(f"{number:,}" for number in range(10**9, 10**9 + 9)))
    print_whole(console, table)
    assert isinstance(console.file, io.StringIO)
    heading, figures = console.file.getvalue().splitlines()
    assert "heading 8" in heading
    assert figures.split() == [f"{number:,}" for number in range(10**9, 10**9 + 9)]
    assert console.width == 20


def test_a_trace_needs_no_scenario(scaler: Scaler, tmp_path: Path) -> None:
    """Arrivals from one file, lengths from another or from a distribution."""
    (tmp_path / "trace.csv").write_text("arrival_s\n" + "\n".join(str(10 * n) for n in range(30)))
    (tmp_path / "lengths.csv").write_text("duration_s\n30\n60\n")
    for lengths in (str(tmp_path / "lengths.csv"), "lognormal:3.5,0.5"):
        asked = ("--trace", tmp_path / "trace.csv", "--durations", lengths, "--seeds", "1", "--startup", "5s")
        ran = scaler("simulate", "run", *asked, *ALONE)
        assert ran.exit_code == 0, ran.output
        assert "ours" in ran.stdout


def test_a_rate_is_a_curve_in_a_file(scaler: Scaler, tmp_path: Path) -> None:
    """Which stands instead of the scenario's work."""
    (tmp_path / "rate.csv").write_text("arrival_s,rate_per_min\n0,3\n900,3\n")
    asked = ("--rate", tmp_path / "rate.csv", "--durations", "lognormal:3,0.5", "--seeds", "1")
    assert scaler("simulate", "run", *asked, *ALONE).exit_code == 0


def test_a_report_is_one_file(scaler: Scaler, scenario: Path, tmp_path: Path) -> None:
    """And its figures are those of the comparison."""
    page, figures = tmp_path / "page.html", tmp_path / "out.json"
    ran = scaler("simulate", "report", scenario, *ALONE, "--html", page, "--json", figures)
    assert ran.exit_code == 0, ran.output
    assert f"the report is in {page}" in ran.stdout.replace("\n", "")
    assert page.read_text().startswith("<!doctype html>")
    assert json.loads(figures.read_text())["rows"]


def test_a_sweep_goes_on_where_it_was_stopped(scaler: Scaler, scenario: Path, tmp_path: Path) -> None:
    """What is kept is not run again: a figure that was changed there comes out as it stands."""
    out, kept = tmp_path / "out.json", tmp_path / "kept"
    asked = ("simulate", "sweep", scenario, *ALONE, "--policies", "job", "--out", kept, "--json", out)
    first = scaler(*asked, "--over", "slots=1,2", "--over", "startup=18s,93s")
    assert first.exit_code == 0, first.output
    points = json.loads(out.read_text())["points"]
    settings = [(point["settings"]["slots"], point["settings"]["startup"]) for point in points]
    assert settings == [(1, "18s"), (1, "93s"), (2, "18s"), (2, "93s")]
    for file in kept.iterdir():
        file.write_text(file.read_text().replace('"policy": "job"', '"policy": "kept"'))
    assert scaler(*asked, "--over", "slots=1,2", "--over", "startup=18s,30s,93s").exit_code == 0
    who = [point["rows"][0]["policy"] for point in json.loads(out.read_text())["points"]]
    assert who == ["kept", "job", "kept"] * 2


def test_a_sweep_without_limits_is_not_taken_for_one_with_them(scaler: Scaler, scenario: Path, tmp_path: Path) -> None:
    """Their figures are kept side by side."""
    out, kept = tmp_path / "out.json", tmp_path / "kept"
    asked = ("simulate", "sweep", scenario, "--jobs", "1", "--policies", "job", "--out", kept, "--json", out)
    for limits, known in ((["--no-limits"], False), ([], True)):
        assert scaler(*asked, "--over", "slots=1", *limits).exit_code == 0
        (point,) = json.loads(out.read_text())["points"]
        assert (point["rows"][0]["opt_w"] is not None) == known
    assert len(list(kept.iterdir())) == 2


def test_what_cannot_be_written_in_the_end_is_said(scaler: Scaler, scenario: Path) -> None:
    """A full disk is no bug of ours: one line, and no traceback."""
    for command, option in (("run", "--json"), ("report", "--html")):
        ran = scaler("simulate", command, scenario, "--policies", "job", *ALONE, option, "/dev/full")
        assert ran.exit_code == 1
        assert ran.stderr == "/dev/full cannot be written: No space left on device\n"


def test_tuning_never_ends_dearer_than_what_is_shipped(scaler: Scaler, scenario: Path, tmp_path: Path) -> None:
    """The shipped knobs are the first trial, and the cheapest wins."""
    asked = ("--policy", "hpa", "--budget", "4", "--jobs", "1", "--json", tmp_path / "out.json")
    ran = scaler("simulate", "tune", scenario, *asked)
    assert ran.exit_code == 0, ran.output
    found = json.loads((tmp_path / "out.json").read_text())
    assert len(found["trials"]) == 4
    assert found["price"] == min(trial["price"] for trial in found["trials"])


def test_a_sweep_shows_what_it_is_asked_for(scaler: Scaler, scenario: Path) -> None:
    """One figure as a map of the policies, several with a row for each; whole however narrow the terminal is."""
    asked = ("simulate", "sweep", scenario, *ALONE, "--over", "slots=1,2")
    figures = "killed,pod_hours,wait_p95_s,wait_p99_s,quick_reversals_per_hour,wasted_starts,price"
    one, several = scaler(*asked, "--show", "wait_p95_s"), scaler(*asked, "--show", figures)
    assert "wait_p95_s" in one.stdout
    lines = [line.split() for line in several.stdout.splitlines() if line.strip()]
    assert lines[0] == ["slots", "policy", "killed", "pod", "h", "p95", "s", "p99", "s", "turns", "waste", "price"]
    assert [line[:2] for line in lines[1:]] == [["1", "ours"], ["1", "hpa"], ["2", "ours"], ["2", "hpa"]]
    assert all(len(line) == 9 for line in lines[1:])


def test_tuned_peers_are_compared_on_other_days(scaler: Scaler, tmp_path: Path) -> None:
    """With the knobs that were found, and at the wait of ours with all that are worth asking."""
    (tmp_path / "rate.csv").write_text("arrival_s,rate_per_min\n0,3\n3600,3\n")
    work = ("--rate", tmp_path / "rate.csv", "--durations", "lognormal:4,0.8", "--seeds", "2", "--jobs", "1")
    found, out = tmp_path / "buffer.json", tmp_path / "out.json"
    tuned = scaler("simulate", "tune", *work, "--lasts", "20m", "--policy", "buffer", "--budget", "6", "--json", found)
    assert tuned.exit_code == 0, tuned.output
    assert {"price", "pod_hours", "wait_p95_s", "unfinished", "knobs"} == set(
        json.loads(found.read_text())["trials"][0]
    )
    judged = (*work, "--begins", "30m", "--policies", "ours,buffer", "--no-limits", "--json", out)
    plain = scaler("simulate", "compare", *judged)
    shipped = json.loads(out.read_text())["rows"]
    ran = scaler("simulate", "compare", *judged, "--knobs", found, "--equal")
    assert (plain.exit_code, ran.exit_code) == (0, 0), ran.output
    assert "at an equal p95 wait: " in ran.stdout
    figures = json.loads(out.read_text())
    assert set(figures["summary"]["at_equal_wait"]) == {"buffer"}
    assert figures["rows"][:2] == shipped[:2]
    assert figures["rows"][2:] != shipped[2:]


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_takes_the_same_work_and_pool(scaler: Scaler, command: str) -> None:
    """By the same names."""
    told = scaler("simulate", command, "--help").stdout
    names = ("trace", "rate", "durations", "slots", "startup", "max", "policies", "seeds", "wait-price", "jobs", "json")
    assert [name for name in names if f"--{name}" not in told] == []


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["run", "absent.yaml"], "absent.yaml cannot be used"),
        (["run", "--trace", "absent.csv", "--seeds", "1"], "absent.csv cannot be read: No such file"),
        (["run"], "give a trace of arrivals (--trace), a rate (--rate) or a journal (--journal)"),
        (["compare", "--slots", "0"], "slots = 0: must be >= 1; set it to a value >= 1"),
        (["compare", "--policies", "ours,hpb"], "hpb is none; there are ours, hpa"),
        (["run", "--startup", "soon"], "write its median like 18s or 1m33s"),
        (["run", "--jobs", "0"], "--jobs 0 is out of range: from 1 on"),
        (["sweep", "--jobs", "0", "--over", "slots=1"], "--jobs 0 is out of range: from 1 on"),
        (["tune", "--jobs", "0"], "--jobs 0 is out of range: from 1 on"),
        (
            ["sweep", "--rate", "R", "--over", "slots=1", "--out", "R"],
            "is no folder that can be written to: File exists",
        ),
        (["compare", "--rate", "R", "--equal"], "--equal asks the peers of --knobs: give what scaler simulate tune"),
        (["run", "--json", "/nowhere/out.json"], "--json /nowhere/out.json is no file that can be written"),
        (["sweep", "--over", "slots"], "--over slots cannot be used: write a key of the scenario and its values"),
        (["sweep", "--over", "solts=1"], 'did you mean "slots"?'),
        (["sweep", "--over", "slots=1", "--show", "prise"], "--show prise is no figure; there are tasks"),
        (["compare", "--knobs", "absent.json"], "give what scaler simulate tune --json wrote, for one of ours, hpa"),
        (["run", "--rate", "R", "--begins", "2h"], "begins = 7200 s leaves nothing of the arrivals: begin earlier"),
        (["tune", "--policy", "theirs"], "--policy theirs is none; there are ours"),
        (["tune", "--policies", "hpa"], "--policies hpa is of no use here: --policy names the one whose knobs"),
        (["tune", "--policy", "kpa", "--policies", "kpa,hpa"], "--policies kpa,hpa is of no use here"),
        (["run", "--policies", ","], "policies = []: must not be empty"),
        (["run", "--min", "10", "--max", "5"], "max = 5: must be >= min = 10"),
        (["run", "--startup", "lognormal:1000,0"], "with MU from -7 to 18 and SIGMA from 0 to 10"),
        (["run", "--rate", "R", "--durations", "lognormal:3,0", "--lasts", "6h"], "more than the curve has, 3600 s"),
        (["compare", "--rate", "R", "--durations", "lognormal:3,0", "--thin", "1e-9"], "nothing comes with seed 1: "),
        (["warm", "--rate", "R", "--thin", "1e-9"], "nothing comes with seed 1: "),
        (
            ["compare", "--policies", "hpa,kpa", "--knobs", "K", "--equal"],
            "--equal tells peers at the wait of ours, and only hpa, kpa are asked: name ours in --policies too",
        ),
        (
            ["compare", "--policies", "ours", "--knobs", "K", "--equal"],
            "--knobs has those of hpa, and only ours is asked: name hpa in --policies too",
        ),
        (["compare", "--policies", "kpa", "--knobs", "K"], "--knobs has those of hpa, and only kpa is asked"),
        (["compare", "--knobs", "K", "--equal"], "--knobs of hpa has no trial in which all tasks were done"),
        (["compare", "--knobs", "O", "--equal"], "--equal asks the peers of --knobs, and those are of ours"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_what_cannot_be_run_says_what_to_do(scaler: Scaler, tmp_path: Path, arguments: list[str], said: str) -> None:
    """Exit code 2, and nothing on stdout."""
    (tmp_path / "rate.csv").write_text("arrival_s,rate_per_min\n0,3\n3600,3\n")
    files = {"R": "rate.csv", "K": "hpa.json", "O": "ours.json"}
    for policy in ("hpa", "ours"):
        (tmp_path / f"{policy}.json").write_text(json.dumps({"policy": policy, "trials": [], "best": {}}))
    given = [str(tmp_path / files[argument]) if argument in files else argument for argument in arguments]
    alone = [] if "--jobs" in arguments else ["--jobs", "1"]
    ran = scaler("simulate", *given, *alone, *([] if "warm" in arguments else ["--no-limits"]))
    assert (ran.exit_code, ran.stdout) == (2, "")
    assert said in ran.stderr


@pytest.mark.parametrize(
    ("columns", "options", "own", "waits"),
    [
        pytest.param("arrival_s,duration_s", (), "rate, bursts, thin, durations, fanout", 40.0, id="ItsOwnDurations"),
        pytest.param("arrival_s,duration_s", ("--durations", "lognormal:2,0"), "rate, bursts, thin, fanout", 7.4,
                     id="UnlessTheyAreGivenToo"),
        pytest.param("arrival_s,pods", (), "rate, bursts, thin, fanout", 20.1, id="OrItHasNone"),
    ],
)  # fmt: skip
def test_a_trace_brings_its_own_work(
    scaler: Scaler, tmp_path: Path, columns: str, options: tuple[str, ...], own: str, waits: float
) -> None:
    """Two tasks after each other in one pod: how long the second waits is how long the first took.

    What of the scenario's work no longer holds is told, and its question is asked no more.
    """
    (tmp_path / "trace.csv").write_text(f"{columns}\n0,40\n0,40\n")
    (tmp_path / "asked.yaml").write_text(
        "{question: How many pods?, rate: [[0, 2], [1200, 2]], bursts: 4, thin: 0.5, durations: 'lognormal:3,0', "
        "fanout: {share: 1, children: 3}, startup: 'lognormal:0,0', min: 1, max: 1, seeds: 1, policies: [fixed]}"
    )
    asked = ("simulate", "run", tmp_path / "asked.yaml", "--policies", "fixed", *ALONE, "--json", tmp_path / "out.json")
    ran = scaler(*asked, "--trace", tmp_path / "trace.csv", *options)
    assert ran.exit_code == 0, ran.output
    assert f"{tmp_path}/trace.csv says what comes, and not {own} of {tmp_path}/asked.yaml" in ran.stderr
    assert "How many pods?" not in ran.stdout
    assert "in the place of the work of" in ran.stdout
    (row,) = json.loads((tmp_path / "out.json").read_text())["rows"]
    assert row["tasks"] == 2
    assert row["wait_p99_s"] == pytest.approx(1.1 + waits, abs=1.0)
    plain = scaler(*asked)
    assert (plain.stderr, "How many pods?" in plain.stdout) == ("", True)


def test_a_curve_says_only_when_tasks_come(scaler: Scaler, scenario: Path, tmp_path: Path) -> None:
    """How long they take the scenario says still; and names may end with a comma."""
    (tmp_path / "rate.csv").write_text("arrival_s,rate_per_min\n1767571200,3\n1767572100,3\n")
    ran = scaler("simulate", "run", scenario, "--rate", tmp_path / "rate.csv", "--policies", "job,", *ALONE)
    assert ran.exit_code == 0, ran.output
    assert ran.stderr == f"{tmp_path}/rate.csv says what comes, and not rate of {scenario}\n"


def test_ours_is_tuned_from_what_is_asked_for(scaler: Scaler, scenario: Path, tmp_path: Path) -> None:
    """Its shipped knobs aim at the target that was given; and found ones that aim elsewhere are told."""
    found = tmp_path / "ours.json"
    ran = scaler("simulate", "tune", scenario, "--target-wait", "300s", "--budget", "1", "--jobs", "1", "--json", found)
    assert ran.exit_code == 0, ran.output
    assert [trial["knobs"]["target_wait"] for trial in json.loads(found.read_text())["trials"]] == [300.0]
    for target, told in (
        ("300s", ""),
        ("60s", "ours aims at 300.0 s, as --knobs says; hours are told for target_wait = 60 s\n"),
    ):
        ran = scaler("simulate", "compare", scenario, "--target-wait", target, "--knobs", found, *ALONE)
        assert (ran.exit_code, ran.stderr) == (0, told)


def test_a_limit_that_is_not_found_is_told(scaler: Scaler, scenario: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """And the rows stand without it."""
    monkeypatch.setattr(program, "MOST_ROUNDS", 0)
    ran = scaler("simulate", "run", scenario, "--policies", "job", "--thin", "0.73", "--jobs", "1")
    assert ran.exit_code == 0, ran.output
    assert "seed 1 has no limit, so its figures beside one are null: columns were still missing" in ran.stderr
    assert "job" in ran.stdout
