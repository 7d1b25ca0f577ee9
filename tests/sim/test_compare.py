"""Policies side by side: the same figures on any number of cores, and intervals that say what they say."""

from __future__ import annotations

import math
import multiprocessing
import os
import re
import signal
from dataclasses import asdict, replace
from multiprocessing.process import BaseProcess
from pathlib import Path
from threading import Event

import numpy as np
import pytest

from scaler.config.problems import ConfigError
from scaler.config.reading import read_yaml
from scaler.sim import report_plots as plots
from scaler.sim import stage
from scaler.sim.compare import NoLimit, cores, histories, interval, jobs, lies, rows, summary, work_out
from scaler.sim.match import Match, Played, Row, limits_of, play
from scaler.sim.optimum import program
from scaler.sim.peers.catalogue import PEERS
from scaler.sim.report import page
from scaler.sim.scenario import Scenario, changed, parsed

SMALL = """
rate: [[0, 2], [1800, 2]]
durations: lognormal:4,0.8
max: 20
policies: [ours, hpa, job]
seeds: 2
"""
ISSUED = [  # the columns that scripts rely on
    *("policy", "seed", "tasks", "killed", "wait_p50_s", "wait_p95_s", "wait_p99_s", "pod_hours", "price"),
    *("quick_reversals_per_hour", "wasted_starts"),
    *("opt_zero_wait", "opt_w", "opt_blind", "price_over_opt_w", "price_over_opt_blind"),
]


PANEL = (
    *("minutes since the start", "pods", "demand", "ready", "starting", "draining or ending"),
    *("queue", "tasks that wait", "change", "more replicas", "fewer replicas", "runs cut"),
)
LABELS = (  # what a reader finds in each plot of the report
    ("ours", "hpa", "job", "pod hours", "95 % of tasks waited at most", "target 30 s"),
    ("ours", "hpa", "job", "waited at most", "share of tasks", "target 30 s", "95 %"),
    *(PANEL, PANEL, PANEL),
)


def small() -> Scenario:
    """Half an hour of a small pool."""
    return parsed(read_yaml(SMALL))


def compared(scenario: Scenario, processes: int, *, limits: bool = False) -> list[Row]:
    """All rows, worked out on so many processes."""
    todo = jobs(scenario, limits=limits)
    with cores(processes) as executor:
        return rows(todo, work_out(todo, executor, told=lambda: None))


def test_the_figures_are_the_same_on_any_number_of_cores() -> None:
    """Bit for bit, and in the same order."""
    alone, together = compared(small(), 1), compared(small(), 2)
    assert alone == together
    assert [(row.policy, row.seed) for row in alone] == [(p, s) for p in ("ours", "hpa", "job") for s in (1, 2)]


def test_everybody_meets_the_same_tasks_and_no_price_is_below_the_best_possible() -> None:
    """Who cuts pays for it; the limits are of the seed, so the same beside each policy."""
    found = compared(changed(small(), {"seeds": 1}), 1, limits=True)
    assert len({row.tasks for row in found}) == len({row.opt_w for row in found}) == 1
    for row in found:
        assert row.opt_w is not None
        assert row.opt_blind is not None
        assert 0 < row.opt_w <= row.opt_blind * 1.001
        assert row.price_over_opt_w == pytest.approx(row.price / row.opt_w, abs=1e-3)
        assert row.unfinished == 0


def test_a_row_has_what_scripts_rely_on() -> None:
    """Every one of them, by these names."""
    (row,) = compared(changed(small(), {"seeds": 1, "policies": ["ours"]}), 1)
    assert [name for name in asdict(row) if name != "unfinished"][: len(ISSUED)] == ISSUED


def test_hours_count_where_the_best_without_foresight_is_at_target() -> None:
    """All of them at a target that nobody misses, and none that says anything at one that nobody meets."""
    scenario = changed(small(), {"seeds": 1, "policies": ["ours", "job"], "rate": [[0, 2], [7200, 2]]})
    easy, hard = (compared(changed(scenario, {"target_wait": s}), 1, limits=True) for s in ("5m", "20s"))
    assert [row.hours_at_target for row in easy] == [1.0, 1.0]
    assert hard[1].hours_at_target == 0.0  # each Job waits for its own pod
    assert compared(scenario, 1)[0].hours_at_target is None


def test_a_limit_is_worked_out_once() -> None:
    """However the pool is scaled and judged; other work is another question."""
    once = limits_of(small(), 1)
    assert limits_of(changed(small(), {"target_wait": "2m", "dispatch": "random", "policies": ["job"]}), 1) is once
    assert limits_of(small(), 2) is not once
    assert limits_of(changed(small(), {"thin": 0.5}), 1).priced < once.priced


def test_the_price_is_pods_and_waiting() -> None:
    """A pod-second costs one, and a second of waiting its price."""
    cheap, dear = (
        play(Match(scenario=changed(small(), {"wait_price": price}), policy="job", seed=1)).row for price in (1.0, 11.0)
    )
    assert cheap.pod_hours == dear.pod_hours
    waited = (dear.price - cheap.price) / 10.0
    assert cheap.price == pytest.approx(3600.0 * cheap.pod_hours + waited, abs=1.0)
    assert waited > cheap.tasks * 5.0  # each job has its own startup


def test_pairs_are_of_one_seed() -> None:
    """Ours beside a peer: as a share of the peer's figure, over the seeds."""
    found = compared(small(), 1)
    told = summary(small(), found)["paired"]
    assert isinstance(told, dict)
    by = {(row.policy, row.seed): row for row in found}
    shares = [by["ours", seed].price / by["hpa", seed].price - 1.0 for seed in (1, 2)]
    assert told["hpa"]["price"]["mean"] == pytest.approx(sum(shares) / 2, abs=1e-3)
    assert list(told) == ["hpa", "job"]


def test_an_interval_is_student_s() -> None:
    """1, 2 and 3: mean 2, and 4.303 standard errors to each side; a single value bounds nothing."""
    half = 4.302653 / math.sqrt(3)
    assert interval([1.0, 2.0, 3.0]) == {"mean": 2.0, "low": round(2 - half, 4), "high": round(2 + half, 4)}
    assert interval([5.0]) == {"mean": 5.0, "low": None, "high": None}


def test_a_report_is_whole_and_fetches_nothing() -> None:
    """Every policy and plot is in it, and nothing that a browser would load or send; titles are escaped."""
    scenario = changed(small(), {"seeds": 1, "question": "<b>How many?</b>"})
    todo = jobs(scenario, limits=False, drawn=True)
    given = work_out(todo, None, told=lambda: None)
    found = rows(todo, given)
    text = page(scenario, found, summary(scenario, found), histories(given))
    body = text[text.index("<body>") :]
    assert "&lt;b&gt;How many?" in body
    assert re.findall(r'<th scope="row">.*?</span> (\w+)</th>', body) == [*scenario.policies]
    assert body.count("Plotly.newPlot") == len(LABELS)
    for plot, labels in zip(body.split("Plotly.newPlot")[1:], LABELS, strict=True):
        assert [label for label in labels if f'"{label}"' not in plot] == []
    assert body.count('"showSendToCloud": false') == len(LABELS)  # no plot has a button that uploads it
    assert "<script src" not in text
    assert "<link" not in text
    assert "http" not in body
    assert (
        "over best" not in body[body.index("<table>") : body.index("</table>")]
    )  # what was not asked for has no column
    assert body.index('class="answer') < body.index("<table>")  # a planner reads the answer first


def test_a_note_on_a_logarithmic_axis_stands_where_its_line_does() -> None:
    """The axis would else reach to ten to the thirtieth second, for a target of thirty."""
    scenario = changed(small(), {"seeds": 1, "target_wait": "100s"})
    todo = jobs(scenario, limits=False, drawn=True)
    given = work_out(todo, None, told=lambda: None)
    found = rows(todo, given)
    text = page(scenario, found, summary(scenario, found), histories(given))
    across, along = re.findall(r'"text":"target 100 s","x":([0-9.]+),.*?"y":([0-9.]+)', text)
    assert (float(across[1]), float(along[0])) == (2.0, 2.0)


def test_a_history_is_what_happened() -> None:
    """Looks at even times; the pods that are there are those that the run paid for."""
    played = play(Match(scenario=small(), policy="ours", seed=1, drawn=True))
    assert isinstance(played, Played)
    history = played.history
    assert history is not None
    pods = [sum(each) for each in zip(history.ready, history.starting, history.draining, strict=True)]
    hours = sum(pods) * (history.at[1] - history.at[0])
    assert hours == pytest.approx(played.row.pod_hours, rel=0.05)
    assert history.waits == sorted(history.waits)
    assert max(history.demand) > 0


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("slots: 0", "line 1: slots = 0: must be >= 1"),
        ("rate: [[0, 1]]\nsolts: 3", 'line 2: solts = 3: unknown key; did you mean "slots"?'),
        ("startup: quick", "startup = 'quick': must be a startup; 'quick' is no startup: write its median like 18s"),
        ("policies: [ours, theirs]", "theirs is none; there are ours, hpa, kpa"),
        ("expect: [ours is best]", "expect[0] = 'ours is best': must be a claim"),
        ("dispatch: clever", "must be pull, random, latest or lowest"),
        ("seeds: many", "seeds = 'many': must be a whole number"),
        ("slots: 2\nmin: 10\nmax: 5", "line 3: max = 5: must be >= min = 10; raise max, or lower min"),
        ("min: 200", "max = 100: must be >= min = 200"),
        ("rate: []", "line 1: rate = []: must have two points at least"),
        ("rate: [[0, 1]]", "rate = [[0, 1]]: must have two points at least"),
        ("rate: [[0, -5], [3600, -1]]", "must have two numbers from 0 on in each item: seconds, tasks per minute"),
        ("rate: [[0, 1], [5, 1], [5, 2]]", "must ascend in seconds; put item 2, at 5 s, where it belongs"),
        ("rate: 5", "rate = 5: must be a file or a list; name a file, or write points like [[0, 2], [3600, 5]]"),
        ("trace: []", "trace = []: must have a task; write [seconds until it comes, seconds that it runs]"),
        ("trace: [[10, 20], [-100, 50]]", "trace = [[10, 20], [-100, 50]]: must have two numbers from 0 on"),
        ("trace: [[0, 60], [10]]", "correct item 1, [10]"),
        ("trace: [[0, true]]", "correct item 0, [0, True]"),
    ],
)
def test_a_scenario_that_cannot_be_is_refused(text: str, said: str) -> None:
    """With the line, the key, the value and the way out."""
    with pytest.raises(ConfigError) as error:
        parsed(read_yaml(text))
    assert said in str(error.value)


def test_a_key_inside_a_section_can_be_changed() -> None:
    """By its path, as a sweep does; what stands beside it stays."""
    talking = changed(small(), {"sessions.follows": 0.5, "sessions.hold": 30})
    assert talking.sessions is not None
    again = changed(talking, {"sessions.hold": 60}).sessions
    assert again is not None
    assert (again.follows, again.hold) == (0.5, 60.0)
    with pytest.raises(ConfigError, match="unknown key"):
        changed(small(), {"sessions.hodl": 1, "sessions.follows": 0.5})


@pytest.mark.parametrize("work", ["{}", "{rate: [[0, 1], [60, 1]], trace: a.csv}"])
def test_work_comes_from_one_place(work: str) -> None:
    """Neither from nowhere nor from two."""
    scenario = parsed(read_yaml(f"{work[:-1]}}}"))
    with pytest.raises(ValueError, match="give a trace of arrivals"):
        play(Match(scenario=scenario, policy="ours", seed=1))


def test_a_task_that_is_written_to_take_no_time_takes_a_millisecond() -> None:
    """As in a file, and tasks may stand in any order."""
    work = stage.tasks(parsed(read_yaml("trace: [[5, 2], [0, 0]]")), 1)
    assert (work.seconds.tolist(), np.diff(work.arrived_at).tolist()) == ([0.001, 2.0], [5.0])


@pytest.mark.parametrize("policy", ["ours", *(name for name in PEERS if name != "job")])
def test_a_pool_begins_with_its_fewest_replicas(policy: str) -> None:
    """Whoever scales it, so that the first tasks find them; and it keeps them."""
    scenario = parsed(read_yaml("{trace: [[60, 5], [61, 5], [1800, 5]], min: 2, startup: 'lognormal:2.3,0'}"))
    row = play(Match(scenario=scenario, policy=policy, seed=1)).row
    assert (row.wait_p99_s, row.unfinished) == (0.0, 0)
    assert row.pod_hours >= 0.99


def test_who_never_had_a_pod_has_no_share() -> None:
    """Nothing is so and so much above zero: that seed does not count, and where none does nothing is told."""
    found = compared(small(), 1)
    gone = [replace(row, pod_hours=0.0) if (row.policy, row.seed) == ("hpa", 1) else row for row in found]
    told = summary(small(), gone)["paired"]
    assert isinstance(told, dict)
    by = {(row.policy, row.seed): row for row in found}
    share = by["ours", 2].pod_hours / by["hpa", 2].pod_hours - 1.0
    assert told["hpa"]["pod_hours"]["mean"] == pytest.approx(share, abs=1e-4)
    assert interval([]) == {"mean": None, "low": None, "high": None}


def test_runs_stand_without_a_limit_that_is_not_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its figures are null, and why is among the answers."""
    monkeypatch.setattr(program, "MOST_ROUNDS", 0)
    todo = jobs(changed(small(), {"seeds": 1, "policies": ["job"], "thin": 0.71}), limits=True)
    given = work_out(todo, None, told=lambda: None)
    (row,) = rows(todo, given)
    assert (row.tasks > 0, row.opt_w, row.price_over_opt_w, row.hours_at_target) == (True, None, None, None)
    (none,) = (each for each in given if isinstance(each, NoLimit))
    assert (none.seed, "columns were still missing after 0 rounds" in none.why) == (1, True)


def test_a_report_says_whose_figures_lie() -> None:
    """Under its figures, as the terminal does."""
    scenario = changed(small(), {"seeds": 1, "policies": ["job"]})
    todo = jobs(scenario, limits=False, drawn=True)
    given = work_out(todo, None, told=lambda: None)
    found = [replace(row, unfinished=7) for row in rows(todo, given)]
    assert list(lies(found)) == ["job, seed 1: 7 tasks were never done; its figures lie"]
    body = page(scenario, found, summary(scenario, found), histories(given))
    assert "job, seed 1: 7 tasks were never done; its figures lie" in body
    assert "<th>never done</th>" in body


def test_where_runs_were_cut_there_is_a_plot_of_it() -> None:
    """And where none was, a line: an empty plot would make a reader look for what is not there."""
    scenario = changed(small(), {"seeds": 1, "policies": ["job"]})
    todo = jobs(scenario, limits=False, drawn=True)
    given = work_out(todo, None, told=lambda: None)
    kept, found = histories(given), rows(todo, given)
    whole = page(scenario, found, summary(scenario, found), kept)
    cut = {"job": replace(kept["job"], killed=[*kept["job"].killed[:-1], 2])}
    lossy = page(scenario, found, summary(scenario, found), cut)
    assert ("no run was cut" in whole, '"runs cut so far"' in whole) == (True, False)
    assert ("no run was cut" in lossy, '"runs cut so far"' in lossy, '"2 runs cut"' in lossy) == (False, True, True)


def test_plots_of_what_everybody_did_have_the_same_axes() -> None:
    """A pool of three pods beside one of twenty looks smaller; and the time is told in a unit that has few digits."""
    scenario = changed(small(), {"seeds": 1})
    given = work_out(jobs(scenario, limits=False, drawn=True), None, told=lambda: None)
    kept = histories(given)
    axes = [plots.panel(history, kept.values()).layout for history in kept.values()]
    ranges = {(of.xaxis3.range, of.yaxis.range, of.yaxis2.range, of.yaxis3.range) for of in axes}
    assert len(ranges) == 1
    assert {of.xaxis3.title.text for of in axes} == {"minutes since the start"}
    most = max(max(map(sum, zip(h.ready, h.starting, h.draining, strict=True))) for h in kept.values())
    assert axes[0].yaxis.range[1] >= most


def test_a_peak_is_the_most_of_any_run() -> None:
    """A quota has to hold all of them, and a mean is below it; it is what the pods really were."""
    played = [play(Match(scenario=small(), policy="ours", seed=seed, drawn=True)) for seed in (1, 2)]
    peaks = []
    for each in played:
        assert each.history is not None
        peaks.append(max(map(sum, zip(each.history.ready, each.history.starting, each.history.draining, strict=True))))
    rows_ = [replace(each.row, pods_peak=peak) for each, peak in zip(played, (3, 9), strict=True)]
    told = summary(changed(small(), {"policies": ["ours"]}), rows_)["policies"]
    assert isinstance(told, dict)
    assert told["ours"]["pods_peak"] == 9
    assert [each.row.pods_peak for each in played] == peaks


def test_money_is_what_pod_hours_cost() -> None:
    """Where something says what one costs, and else nothing is told."""
    free, paid = (
        play(Match(scenario=changed(small(), price), policy="job", seed=1)).row
        for price in ({}, {"pod_price_per_hour": 0.25})
    )
    assert free.money is None
    assert paid.money == pytest.approx(0.25 * paid.pod_hours, abs=1e-3)
    assert replace(paid, money=None) == free


def test_who_works_ends_at_once_where_it_is_broken_off(tmp_path: Path) -> None:
    """Not first what it has begun, which may take minutes; and no interrupt reaches it, not even while it starts."""
    begun, done, working = tmp_path / "begun", tmp_path / "done", list[BaseProcess]()
    os.mkfifo(begun)

    def broken_off() -> None:
        with cores(2) as executor:
            assert executor is not None
            asked = executor.submit(os.getpid)
            for starting in multiprocessing.active_children():
                os.kill(int(starting.pid or 0), signal.SIGINT)
                assert asked.result() == starting.pid
            executor.submit(_work, begun, done)
            begun.read_bytes()
            working.extend(multiprocessing.active_children())
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        broken_off()
    for process in working:
        process.join()
    assert working
    assert not done.exists()


def _work(begun: Path, done: Path) -> None:
    begun.write_bytes(b"")
    Event().wait(2.0)
    done.touch()
