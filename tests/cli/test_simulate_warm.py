"""``scaler simulate warm`` as a planner uses it, and as a script does."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from tests.cli.conftest import Scaler

COLUMNS = ["policy", "seed", "claims", "misses", "miss_rate", "wait_p95_s", "idle_sandbox_hours", "max_size"]
ALONE = ("--jobs", "1", "--seeds", "1")


@pytest.fixture
def trace(tmp_path: Path) -> Path:
    """Claims every seven seconds, for ten minutes."""
    file = tmp_path / "claims.csv"
    file.write_text("arrival_s\n" + "\n".join(str(7 * n) for n in range(86)))
    return file


def test_a_trace_is_answered_with_a_row_for_every_policy_and_seed(scaler: Scaler, trace: Path, tmp_path: Path) -> None:
    """A table for the reader, and JSON for the script."""
    out = tmp_path / "out.json"
    asked = ("--trace", trace, "--lead-time", "3.22,0.3", "--miss-target", "0.02", "--policies", "ours,fixed,rate=30")
    ran = scaler("simulate", "warm", *asked, "--seeds", "2", "--jobs", "1", "--json", out)
    assert ran.exit_code == 0, ran.output
    assert "where as few miss: ours has" in ran.stdout
    figures = json.loads(out.read_text())
    assert list(figures) == ["rows", "summary"]
    rows = figures["rows"]
    assert all(list(row)[: len(COLUMNS)] == COLUMNS for row in rows)
    assert [(row["policy"], row["seed"]) for row in rows] == [
        (name, seed) for name in ("ours", "fixed", "rate=30") for seed in (1, 2)
    ]
    assert {row["claims"] for row in rows} == {86}
    assert figures["summary"]["miss_target"] == 0.02
    assert figures["summary"]["lead_time"] == {"mu": 3.22, "sigma": 0.3}
    assert set(figures["summary"]["policies"]) == {"ours", "fixed", "rate=30"}


def test_figures_do_not_depend_on_the_processes(scaler: Scaler, trace: Path, tmp_path: Path) -> None:
    """Two find what one finds."""
    told = []
    for jobs in ("1", "2"):
        out = tmp_path / f"{jobs}.json"
        asked = ("--trace", trace, "--policies", "ours,histogram", "--no-equal", "--seeds", "1", "--jobs", jobs)
        assert scaler("simulate", "warm", *asked, "--json", out).exit_code == 0
        told.append(json.loads(out.read_text()))
    assert told[0] == told[1]


def test_a_curve_and_a_median_do_as_well(scaler: Scaler, tmp_path: Path) -> None:
    """By their own options; and every policy has its name."""
    (tmp_path / "rate.csv").write_text("arrival_s,rate_per_min\n0,6\n600,6\n")
    ran = scaler("simulate", "warm", "--rate", tmp_path / "rate.csv", "--lead-time", "10s", "--lasts", "5m", *ALONE)
    assert ran.exit_code == 0, ran.output
    assert all(name in ran.stdout for name in ("ours", "fixed", "rate", "hpa", "buffer", "histogram"))


def test_a_small_pool_is_asked_of_everybody(scaler: Scaler, trace: Path, tmp_path: Path) -> None:
    """A maximum below what a peer ships with bounds it as it bounds all others."""
    out = tmp_path / "out.json"
    ran = scaler("simulate", "warm", "--trace", trace, "--max", "1", "--no-equal", *ALONE, "--json", out)
    assert ran.exit_code == 0, ran.output
    assert {row["max_size"] for row in json.loads(out.read_text())["rows"]} == {1}


def test_its_help_teaches(scaler: Scaler) -> None:
    """What happens to a claim, who can be asked, and an example."""
    told = " ".join(scaler("simulate", "warm", "--help").stdout.split())
    assert "A claim takes a ready sandbox and the pool makes another one" in told
    assert "Example: scaler simulate warm --trace claims.csv.gz --lead-time 3.22,0.3 --miss-target 0.01" in told
    assert "buffer=10%" in told


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "give either a trace of claims (--trace) or a curve of their rate (--rate)"),
        (["--trace", "absent.csv"], "absent.csv cannot be read: No such file"),
        (["--trace", "T", "--lead-time", "soon"], "--lead-time soon is none: write MU,SIGMA like 3.22,0.3"),
        (["--trace", "T", "--lasts", "never"], "--lasts never is no length of time: write 30s, 5m or 1h30m"),
        (["--trace", "T", "--miss-target", "1"], "--miss-target 1 is out of range: must be >= 1e-09 and below 1"),
        (["--trace", "T", "--miss-target", "1e-17"], "--miss-target 1e-17 is out of range: must be >= 1e-09"),
        (["--trace", "T", "--wait-price", "1e300"], "--wait-price 1e+300 is out of range: from 0.001 to 1e+09"),
        (["--trace", "T", "--max", "0"], "--max 0 is out of range: must be >= 1 and >= --min"),
        (["--trace", "T", "--seeds", "0"], "--seeds 0 is out of range: from 1 on"),
        (["--trace", "T", "--start", "-1"], "--start -1 is out of range: from 0 on"),
        (["--trace", "T", "--thin", "0"], "--thin 0 is out of range: above 0"),
        (["--trace", "T", "--jobs", "0"], "--jobs 0 is out of range: from 1 on"),
        (["--trace", "T", "--policies", "ours,hpb"], "policies: hpb is none; there are ours, fixed, rate"),
        (["--trace", "T", "--policies", "fixed=x"], "policies: fixed=x: 'x' is no number"),
        (["--trace", "T", "--policies", "fixed=3.7"], "policies: fixed=3.7: 3.7 is no whole number"),
        (["--trace", "T", "--policies", "buffer=3.7"], "policies: buffer=3.7: 3.7 is no whole number"),
        (["--trace", "T", "--policies", ","], "--policies ',' names nobody; there are ours, fixed, rate"),
        (["/nowhere.yaml"], "/nowhere.yaml: the file: cannot be read: No such file or directory; name a scenario"),
        (["--trace", "T", "--json", "T"], "claims.csv is the file of --trace too, and would be written over it"),
        (["--trace", "T", "--thin", "5"], "thin = 5 is no share of a trace's arrivals"),
        (["--trace", "T", "--bursts", "20"], "bursts = 20 is for a curve"),
        (["--trace", "T", "--start", "2000", "--max", "10"], "start = 2000 is more than max = 10"),
        (["--trace", "T", "--json", "/nowhere/out.json"], "--json /nowhere/out.json is no file that can be written"),
    ],
    ids=lambda value: " ".join(value) or "nothing" if isinstance(value, list) else "",
)
def test_what_cannot_be_run_says_what_to_do(scaler: Scaler, trace: Path, arguments: list[str], said: str) -> None:
    """Exit code 2, and nothing on stdout."""
    given = [str(trace) if argument == "T" else argument for argument in arguments]
    ran = scaler("simulate", "warm", *given)
    assert (ran.exit_code, ran.stdout) == (2, "")
    assert said in ran.stderr


WARM = """\
question: How many?
rate: [[0, 6], [600, 6]]
lead_time: 10s
policies: [ours, fixed]
seeds: 1
"""


def test_a_scenario_says_all_of_it(scaler: Scaler, tmp_path: Path) -> None:
    """As the options would."""
    file, told = tmp_path / "question.yaml", []
    file.write_text(WARM)
    (tmp_path / "rate.csv").write_text("arrival_s,rate_per_min\n0,6\n600,6\n")
    by_options = ("--rate", tmp_path / "rate.csv", "--lead-time", "10s", "--policies", "ours,fixed", "--seeds", "1")
    for asked in ((file,), by_options):
        out = tmp_path / "out.json"
        ran = scaler("simulate", "warm", *asked, "--jobs", "1", "--json", out)
        assert ran.exit_code == 0, ran.output
        told.append(json.loads(out.read_text()))
    assert told[0] == told[1]


@pytest.mark.parametrize(
    ("text", "options", "told"),
    [
        (WARM, ("--max", "5"), "--max is read beside no scenario"),
        (WARM, ("--seeds", "3"), "--seeds is read beside no scenario"),
        (WARM + "stretch: 2\n", (), "stretch = 2 is for a trace"),
        (WARM + "start: 2000\n", (), "start = 2000 is more than max = 1000"),
        (WARM + "size: 5\n", (), "size"),
        (WARM + "min: 2000\n", (), "max 1000 is out of range: must be >= 1 and >= min"),
        (WARM + "trace: claims.csv\n", (), "give either a trace of claims (trace) or a curve of their rate (rate)"),
        (WARM.replace("10s", "soon"), (), "lead_time"),
        (WARM.replace("fixed", "guess"), (), "guess is none"),
    ],
)
def test_a_scenario_that_cannot_be_asked_is_refused(
    scaler: Scaler, tmp_path: Path, text: str, options: tuple[str, ...], told: str
) -> None:
    """By the key, and with the way out."""
    file = tmp_path / "question.yaml"
    file.write_text(text)
    ran = scaler("simulate", "warm", file, *options)
    assert ran.exit_code == 2
    assert told in " ".join(ran.output.split())


def test_who_stands_idle_for_no_time_is_not_said_to_miss_more(scaler: Scaler, tmp_path: Path) -> None:
    """Of no idle time there is no share; that others miss as few holds all the same."""
    (tmp_path / "claims.csv").write_text("arrival_s\n0\n")
    out = tmp_path / "out.json"
    ran = scaler("simulate", "warm", "--trace", tmp_path / "claims.csv", *ALONE, "--json", out)
    assert ran.exit_code == 0, ran.output
    assert "no fixed misses as few as ours" not in ran.stdout
    assert "where as few miss: nothing stands idle under fixed = 1, so it has no share" in ran.stdout
    assert json.loads(out.read_text())["summary"]["at_equal_misses"]["fixed"]["knob"] == 1


@pytest.mark.parametrize(
    ("policies", "said"),
    [
        ("fixed=1", "fixed=1 misses the miss target of 1 %: at most 1 sandbox, "),
        ("fixed=50", "fixed=50 keeps the miss target of 1 %: at most 50 sandboxes, "),
        ("fixed=40,fixed=50,rate=1", "fixed=40 stands idle for the least of the 2 that keep the miss target of 1 %: "),
        ("rate=1,fixed=1", "nobody keeps the miss target of 1 %; fewest miss with "),
    ],
)
def test_who_is_to_be_taken_is_said_first(scaler: Scaler, trace: Path, policies: str, said: str) -> None:
    """Who keeps the target while the least stands idle; with a price of waiting there is another aim."""
    asked = ("simulate", "warm", "--trace", trace, "--policies", policies, "--no-equal", *ALONE)
    assert scaler(*asked).stdout.startswith(said)
    assert scaler(*asked, "--wait-price", "50").stdout.startswith("One run")


def test_what_saves_nothing_costs(scaler: Scaler, tmp_path: Path) -> None:
    """Nobody reads minus nine percent less; and limits are told by what they are."""
    (tmp_path / "rate.csv").write_text("arrival_s,rate_per_min\n0,5\n3600,5\n")
    ran = scaler("simulate", "warm", "--rate", tmp_path / "rate.csv", *ALONE)
    assert re.search(r"ours has \d+ % more idle time than fixed = \d", ran.stdout)
    assert not re.search(r"ours has -", ran.stdout)
    assert " idle time than the limit, which knows the rate, knowing = " in " ".join(ran.stdout.split())
