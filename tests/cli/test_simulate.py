"""``scaler simulate`` as a planner uses it, and as a script does."""

from __future__ import annotations

import io
import json
import re
from dataclasses import asdict
from pathlib import Path

import pytest
from rich.console import Console
from rich.table import Table

from scaler.cli.simulate_knobs import base
from scaler.cli.simulate_run import print_whole
from scaler.sim.optimum import program
from scaler.sim.scenario import Scenario
from tests.cli.conftest import Scaler
from tests.cli.simulating import ALONE, SCENARIO

COMMANDS = ("run", "compare", "report", "sweep", "tune")


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
    assert [(row["policy"], row["trial"]) for row in found["rows"]] == [("hpa", n) for n in (1, 2, 3, 4)]
    assert found["summary"]["shipped"] == found["trials"][0]
    assert found["summary"]["best"]["knobs"] == found["best"]
    assert found["price"] == min(trial["price"] for trial in found["trials"])


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


@pytest.mark.parametrize(
    ("best", "said"),
    [
        ("x", "utilization = 'x' is no number from 0.3 to 1"),
        (None, "utilization = None is no number from 0.3 to 1"),
        (-1, "utilization = -1 is no number from 0.3 to 1"),
    ],
)
def test_knobs_that_no_search_finds_are_refused(
    scaler: Scaler, scenario: Path, tmp_path: Path, best: object, said: str
) -> None:
    """By name, before anything runs."""
    found = tmp_path / "hpa.json"
    asked = ("simulate", "tune", scenario, "--policy", "hpa", "--budget", "1", "--jobs", "1", "--json", found)
    assert scaler(*asked).exit_code == 0
    told = json.loads(found.read_text())
    assert scaler("simulate", "compare", scenario, *ALONE, "--knobs", found).exit_code == 0
    found.write_text(json.dumps(told | {"best": dict.fromkeys(told["best"], best)}))
    ran = scaler("simulate", "compare", scenario, *ALONE, "--knobs", found)
    assert (ran.exit_code, ran.stdout) == (2, "")
    assert said in ran.stderr


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
        (
            ["run"],
            "nothing says what comes: name a scenario, as simulations/ has, or give a trace of arrivals (--trace)",
        ),
        (["run", "T"], "trace.csv is no scenario: give tasks by --trace"),
        (["run", "--rate", "R"], "nothing says how long a task takes: have a column duration_s in the trace, or give"),
        (["compare", "--slots", "0"], "slots = 0: must be >= 1; set it to a value >= 1"),
        (["compare", "--policies", "ours,hpb"], "hpb is none; there are ours, hpa"),
        (["run", "--wait-price", "1e308"], "wait_price = 1e+308: must be <= 1000000000"),
        (["run", "--wait-price", "5e-324"], "wait_price = 5e-324: must be >= 0.001"),
        (["run", "--pod-price-per-hour", "1e308"], "pod_price_per_hour = 1e+308: must be <= 1000000000"),
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
        (["run", "--trace", "T", "--thin", "5"], "thin = 5 is no share of a trace's arrivals: must be above 0 and"),
        (["run", "--trace", "T", "--bursts", "20"], "bursts = 20 is for a curve; a trace has the bursts that it has"),
        (["run", "--rate", "R", "--stretch", "8"], "stretch = 8 is for a trace: write the curve's times as they"),
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
        (["compare", "--knobs", "K", "--knobs", "K2"], "hpa2.json has those of hpa, and so has another before it"),
        (["compare", "--knobs", "B"], "give what scaler simulate tune --json wrote, for one of ours, hpa"),
        (["run", "--rate", "R", "--policies", ""], "policies = []: must not be empty"),
        (["run", "--trace", "T", "--json", "T"], "trace.csv is the file of --trace too, and would be written over it"),
        (["report", "--html", "x", "--json", "x"], "--html x is the file of --json too, and would be written over it"),
        (["compare", "--knobs", "K", "--json", "K"], "hpa.json is the file of --knobs too"),
        (["run", "S", "--json", "S"], "small.yaml is the file of SCENARIO too"),
        (
            ["run", "/nowhere.yaml"],
            "cannot be used:\nthe file: cannot be read: No such file or directory; name a scenario",
        ),
        (
            ["sweep", "--rate", "R", "--over", "lasts=10m,,20m"],
            "cannot be used: a value is empty; write one between two",
        ),
        (["compare", "--knobs", "O", "--equal"], "--equal asks the peers of --knobs, and those are of ours"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_what_cannot_be_run_says_what_to_do(scaler: Scaler, tmp_path: Path, arguments: list[str], said: str) -> None:
    """Exit code 2, and nothing on stdout."""
    (tmp_path / "rate.csv").write_text("arrival_s,rate_per_min\n0,3\n3600,3\n")
    (tmp_path / "trace.csv").write_text("arrival_s,duration_s\n0,3\n60,3\n")
    files = {"R": "rate.csv", "T": "trace.csv", "S": "small.yaml"}
    files |= {"K": "hpa.json", "K2": "hpa2.json", "O": "ours.json", "B": "bad.json"}
    (tmp_path / "small.yaml").write_text(SCENARIO)
    (tmp_path / "bad.json").write_text(json.dumps({"policy": "hpa", "trials": [5], "best": {}}))
    for policy in ("hpa", "ours"):
        found: dict[str, object] = {"policy": policy, "trials": [], "best": asdict(base(policy, Scenario()))}
        (tmp_path / f"{policy}.json").write_text(json.dumps(found))
        (tmp_path / f"{policy}2.json").write_text(json.dumps(found))
    given = [str(tmp_path / files[argument]) if argument in files else argument for argument in arguments]
    alone = [] if "--jobs" in arguments else ["--jobs", "1"]
    ran = scaler("simulate", *given, *alone, *([] if "warm" in arguments else ["--no-limits"]))
    assert (ran.exit_code, ran.stdout) == (2, "")
    assert said in ran.stderr


def test_a_trace_stands_instead_of_a_rate_and_its_bursts(scaler: Scaler, scenario: Path, tmp_path: Path) -> None:
    """What a file says of its curve is nothing that a trace could be read by."""
    scenario.write_text(SCENARIO + "bursts: 4\n")
    (tmp_path / "trace.csv").write_text("arrival_s,duration_s\n0,3\n60,3\n")
    ran = scaler("simulate", "run", scenario, "--trace", tmp_path / "trace.csv", *ALONE)
    assert ran.exit_code == 0, ran.output


def test_a_bare_number_is_one_of_seconds(scaler: Scaler, scenario: Path, tmp_path: Path) -> None:
    """In options as in a scenario, where errors say so."""
    told = []
    for length in ("600", "10m"):
        ran = scaler("simulate", "run", scenario, *ALONE, "--lasts", length, "--json", tmp_path / "out.json")
        assert ran.exit_code == 0, ran.output
        told.append(json.loads((tmp_path / "out.json").read_text()))
    assert told[0] == told[1]


def test_files_that_a_scenario_names_are_looked_for_beside_it(
    scaler: Scaler, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In its sections, too, and wherever it is asked from."""
    folder = tmp_path / "asked"
    folder.mkdir()
    (folder / "lengths.csv").write_text("duration_s\n30\n60\n")
    (folder / "small.yaml").write_text(
        SCENARIO + "fanout: {share: 0.5, children: 2, durations: lengths.csv}\n"
        "sessions: {follows: 0.5, pause: lengths.csv}\n"
    )
    monkeypatch.chdir(tmp_path)
    ran = scaler("simulate", "run", "asked/small.yaml", *ALONE)
    assert ran.exit_code == 0, ran.output


def test_a_report_says_what_was_asked_and_is_the_same_on_any_number_of_cores(
    scaler: Scaler, scenario: Path, tmp_path: Path
) -> None:
    """The work and the pool, whatever is not as usual and what has set it, and ours beside each."""
    pages = []
    for cores in ("1", "2"):
        page = tmp_path / f"{cores}.html"
        asked = ("--no-limits", "--seeds", "2", "--slots", "3", "--jobs", cores, "--html", page)
        assert scaler("simulate", "report", scenario, *asked).exit_code == 0
        pages.append(page.read_text())
    assert pages[0] == pages[1]
    lines = dict(re.findall(r"<tr><td>([a-z_]+)</td>(.*?)</tr>", pages[0]))
    assert "3" in lines["slots"]
    assert "--slots" in lines["slots"]
    assert "[0, 2], [1200, 2]" in lines["rate"]
    assert str(scenario) in lines["rate"]
    assert "default" in lines["startup"]
    assert {"durations", "min", "max", "policies", "seeds"} <= lines.keys()
    assert "longest" not in lines
    assert re.search(r"<th>ours beside</th>.*<td>hpa</td><td>[+-][0-9.]+ \([+-][0-9.]+ to [+-][0-9.]+\)</td>", pages[0])


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
