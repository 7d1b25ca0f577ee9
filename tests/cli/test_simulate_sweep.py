"""``scaler simulate sweep``: what it goes over, what it keeps, and what it tells."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from scaler.cli import simulate_kept
from tests.cli.conftest import Scaler
from tests.cli.simulating import ALONE

TRACE = "arrival_s,duration_s\n0,30\n60,40\n"


@pytest.fixture
def trace(tmp_path: Path) -> Path:
    """A file with two tasks."""
    file = tmp_path / "trace.csv"
    file.write_text(TRACE)
    return file


def test_every_run_is_a_row_with_what_was_set_for_it(scaler: Scaler, scenario: Path, tmp_path: Path) -> None:
    """And every point has its summary, as those of the other commands are."""
    out = tmp_path / "out.json"
    asked = ("--over", "slots=1,2", "--over", "startup=18s,93s", "--seeds", "2", "--json", out)
    assert scaler("simulate", "sweep", scenario, *ALONE, *asked).exit_code == 0
    told = json.loads(out.read_text())
    assert list(told) == ["rows", "summary"]
    points = [(1, "18s"), (1, "93s"), (2, "18s"), (2, "93s")]
    assert [(row["slots"], row["startup"], row["policy"], row["seed"]) for row in told["rows"]] == [
        (*point, policy, seed) for point in points for policy in ("ours", "hpa") for seed in (1, 2)
    ]
    assert [(each["settings"]["slots"], each["settings"]["startup"]) for each in told["summary"]["points"]] == points
    assert all(set(each["policies"]) == {"ours", "hpa"} for each in told["summary"]["points"])


def _written(file: Path) -> tuple[int, int]:
    """Which file it is and when it was written; when it was read last is another matter."""
    return file.stat().st_ino, file.stat().st_mtime_ns


def test_a_sweep_goes_on_where_it_was_stopped(scaler: Scaler, scenario: Path, tmp_path: Path) -> None:
    """What is kept is not written again, and is said to be from before."""
    kept = tmp_path / "kept"
    asked = ("simulate", "sweep", scenario, *ALONE, "--policies", "job", "--out", kept)
    first = scaler(*asked, "--over", "slots=1,2")
    assert (first.exit_code, first.stderr) == (0, "")
    before = {file: _written(file) for file in kept.iterdir()}
    second = scaler(*asked, "--over", "slots=1,2,3")
    assert second.stderr == f"2 of 3 points are taken from {kept}, as they were found before\n"
    assert {file: _written(file) for file in before} == before
    assert len(list(kept.iterdir())) == 3


def test_what_is_kept_is_of_the_same_work(
    scaler: Scaler, trace: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By what files hold, not by how they are called or from where; and of the same program."""
    asked = ("simulate", "sweep", *ALONE, "--seeds", "1", "--policies", "job", "--over", "slots=1")

    def swept(file: str | Path) -> bool:
        ran = scaler(*asked, "--trace", file, "--out", tmp_path / "kept")
        assert ran.exit_code == 0, ran.output
        return "taken from" in ran.stderr

    assert not swept(trace)
    monkeypatch.chdir(tmp_path)
    assert swept(trace.name)
    trace.write_text(TRACE.replace("40", "50"))
    assert not swept(trace)
    trace.write_text(TRACE)
    assert swept(trace)
    monkeypatch.setattr(simulate_kept, "own_version", lambda: "another")
    assert not swept(trace)


@pytest.mark.parametrize("damaged", ["5", "{}", "[]", '{"rows":[],"summary":{}}', "", None])
def test_what_is_damaged_is_worked_out_anew(scaler: Scaler, trace: Path, tmp_path: Path, damaged: str | None) -> None:
    """And replaced; a figure that was changed there is damage, too."""
    out, kept = tmp_path / "out.json", tmp_path / "kept"
    asked = ("simulate", "sweep", *ALONE, "--trace", trace, "--seeds", "1", "--policies", "job", "--over", "slots=1,2")
    assert scaler(*asked, "--out", kept, "--json", out).exit_code == 0
    whole, told = {file: file.read_text() for file in kept.iterdir()}, out.read_text()
    for file, text in whole.items():
        file.write_text(text.replace('"killed": 0', '"killed": 7') if damaged is None else damaged)
    ran = scaler(*asked, "--out", kept, "--json", out)
    assert (ran.exit_code, ran.stderr) == (0, "")
    assert out.read_text() == told
    assert {file: file.read_text() for file in kept.iterdir()} == whole


def test_a_sweep_without_limits_is_not_taken_for_one_with_them(scaler: Scaler, scenario: Path, tmp_path: Path) -> None:
    """Their figures are kept side by side."""
    out, kept = tmp_path / "out.json", tmp_path / "kept"
    asked = ("simulate", "sweep", scenario, "--jobs", "1", "--policies", "job", "--out", kept, "--json", out)
    for limits, known in ((["--no-limits"], False), ([], True)):
        assert scaler(*asked, "--over", "slots=1", *limits).exit_code == 0
        (row,) = json.loads(out.read_text())["rows"]
        assert (row["opt_w"] is not None) == known
    assert len(list(kept.iterdir())) == 2


def test_a_sweep_shows_what_it_is_asked_for(scaler: Scaler, scenario: Path) -> None:
    """One figure as a map of the policies, several with a row for each; whole however narrow the terminal is."""
    asked = ("simulate", "sweep", scenario, *ALONE, "--over", "slots=1,2")
    figures = "killed,pod_hours,wait_p95_s,wait_p99_s,quick_reversals_per_hour,wasted_starts,price"
    one, several = scaler(*asked, "--show", "wait_p95_s,"), scaler(*asked, "--show", figures)
    assert "wait_p95_s" in one.stdout
    lines = [line.split() for line in several.stdout.splitlines() if line.strip()]
    assert lines[0] == ["slots", "policy", "killed", "pod", "h", "p95", "s", "p99", "s", "turns", "waste", "price"]
    assert [line[:2] for line in lines[1:]] == [["1", "ours"], ["1", "hpa"], ["2", "ours"], ["2", "hpa"]]
    assert all(len(line) == 9 for line in lines[1:])


@pytest.mark.parametrize("figures", ["price", "price,wait_p95_s"])
def test_figures_of_tasks_that_were_never_done_are_marked(scaler: Scaler, tmp_path: Path, figures: str) -> None:
    """As ``compare`` tells it: two pods are too few for what they would need two days for, and a hundred are not."""
    (tmp_path / "trace.csv").write_text("arrival_s,duration_s\n" + "\n".join(f"{n},7000" for n in range(60)))
    asked = ("--trace", tmp_path / "trace.csv", "--policies", "job", "--seeds", "1", "--show", figures)
    ran = scaler("simulate", "sweep", *ALONE, *asked, "--over", "max=2,100")
    assert ran.exit_code == 0, ran.output
    few, many = (line for line in ran.stdout.splitlines() if line.split()[:1] in (["2"], ["100"]))
    assert few.count("!") == len(figures.split(","))
    assert "!" not in many
    assert "! max=2, job: " in ran.stdout
    assert "tasks of a run were never done; its figures lie" in ran.stdout
    assert "max=100, job" not in ran.stdout


@pytest.mark.parametrize(
    ("over", "values"),
    [
        ("startup=lognormal:2.9,0.3;18s", ["lognormal:2.9,0.3", "18s"]),
        ("startup=lognormal:2.9,0.3", ["lognormal:2.9,0.3"]),
        ("startup='lognormal:2.9,0.3'", ["lognormal:2.9,0.3"]),
        ("durations=lognormal:4,0.5;lognormal:3,0.5", ["lognormal:4,0.5", "lognormal:3,0.5"]),
        ("rate=[[0,2],[600,2]];[[0,1],[600,1]]", [[[0, 2], [600, 2]], [[0, 1], [600, 1]]]),
        ("startup=18,93", ["18", "93"]),
        ("lasts=5m,", ["5m"]),
        ("target_wait=18,93", [18, 93]),
    ],
)
def test_values_may_have_commas_and_numbers_are_seconds(
    scaler: Scaler, scenario: Path, tmp_path: Path, over: str, values: list[object]
) -> None:
    """With ; between them; and what an option takes, a sweep takes."""
    out = tmp_path / "out.json"
    ran = scaler("simulate", "sweep", scenario, *ALONE, "--policies", "job", "--over", over, "--json", out)
    assert ran.exit_code == 0, ran.output
    key = over.partition("=")[0]
    assert [point["settings"][key] for point in json.loads(out.read_text())["summary"]["points"]] == values


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["startup=18s,lognormal:2.9,0.3"], "between values that have commas themselves write ; as in --over"),
        (["startup='18,93'"], "--over startup cannot be used: '18 is not YAML"),
        (["policies=ours,hpa"], "every point compares all policies; name them by --policies ours,hpa"),
        (["max=8", "max=9"], "--over max is given twice: write all its values in one"),
        (["slots=1,2", "--slots", "4"], "--slots 4 and --over slots both set slots: give one of them"),
        (["rate=r.csv", "--trace", "a.csv"], "--over rate and --trace both say what comes: give one of them"),
        (["trace=a.csv", "rate=r.csv"], "--over trace and --over rate both say what comes: give one of them"),
        (["slots=1", "--show", "opt_w"], "--show opt_w follows from the limits: leave out --no-limits"),
        (["slots=1,2,1"], "--over slots=1,2,1 cannot be used: 1 is given twice, and would be run twice; give it once"),
        (["slots=1", "--show", ","], "--show ',' names no figure; there are tasks"),
        (["slots=1", "--out", "/proc"], "--out /proc is no folder that can be written to"),
        (["trace=/dev/null"], "/dev/null is no regular file"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_contradictions_are_refused_by_name(scaler: Scaler, scenario: Path, arguments: list[str], said: str) -> None:
    """Whichever of the two would hold: exit code 2, and nothing on stdout."""
    given = [part for each in arguments for part in (["--over", each] if "=" in each else [each])]
    ran = scaler("simulate", "sweep", scenario, *ALONE, *given)
    assert (ran.exit_code, ran.stdout) == (2, "")
    assert said in ran.stderr


def test_a_file_that_is_not_there_is_told_before_the_first_point_is_run(scaler: Scaler, trace: Path) -> None:
    """Not hours later, by the point that needs it."""
    ran = scaler("simulate", "sweep", *ALONE, "--trace", trace, "--over", "durations=lognormal:3,0;absent.csv")
    assert (ran.exit_code, ran.stdout) == (2, "")
    assert ran.stderr == "absent.csv cannot be read: No such file or directory\n"


@pytest.mark.parametrize(
    ("over", "maps", "told"),
    [
        pytest.param(("slots=1,2", "startup=5s,9s"), 4, '"slots"', id="AMapForEachPolicyAndFigure"),
        pytest.param(("slots=1,2",), 2, '"policy"', id="OneForAllPoliciesWhereThereIsOneKey"),
    ],
)
def test_a_sweep_is_drawn_for_a_browser(
    scaler: Scaler, scenario: Path, tmp_path: Path, over: tuple[str, ...], maps: int, told: str
) -> None:
    """With every figure in its place, in colours that mean the same for everybody."""
    page, out = tmp_path / "page.html", tmp_path / "out.json"
    keys = [word for key in over for word in ("--over", key)]
    asked = (*keys, "--policies", "fixed,job", "--show", "price,pods_peak", "--html", page, "--json", out)
    ran = scaler("simulate", "sweep", scenario, *ALONE, *asked)
    assert ran.exit_code == 0, ran.output
    body = page.read_text()
    body = body[body.index("<body>") :]
    assert (body.count("Plotly.newPlot"), "http" in body, told in body) == (maps, False, True)
    points = json.loads(out.read_text())["summary"]["points"]
    prices = [of["price"] for point in points for of in point["policies"].values()]
    assert [price for price in prices if f'"{price:,.0f}"' not in body] == []
    first = body.split("Plotly.newPlot")[1]
    assert (f'"zmax":{max(prices)}' in first, f'"zmin":{min(prices)}' in first) == (True, True)
    about = re.sub(r"(<[^>]*>\s*)+", "|", body[body.index("What was asked") :])
    assert "|fixed, job|" in about
    for key, values in (each.split("=") for each in over):
        assert re.search(rf"\|{key}\|{values.replace(',', ', ')}\|[^|]+\|--over\|", about)


def test_a_map_says_how_it_is_read(scaler: Scaler, scenario: Path) -> None:
    """Which shade is less, and what the figure is."""
    ran = scaler("simulate", "sweep", scenario, *ALONE, "--policies", "job", "--over", "slots=1,2")
    assert "the darker, the less. price: pod-seconds, and each second of waiting at 10." in " ".join(ran.stdout.split())
