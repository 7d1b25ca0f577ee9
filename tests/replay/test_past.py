"""``scaler simulate --journal``: the work of a running pool's past, under this policy and others."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import pytest

from scaler.cli.simulate_past import look
from scaler.config.pool import PoolKey
from scaler.core.memory import Memory
from scaler.core.pods import Pods
from scaler.core.policy import Policy
from scaler.core.types import Known, Observation, Signal, Unknown
from scaler.live.segments import segments
from scaler.sim.past import Look
from tests.cli.conftest import Scaler, scaler
from tests.core.pool import NOW, busy, observe, unheard
from tests.replay.test_demo import journal
from tests.support.journals import decided, write

__all__ = ["journal", "scaler"]  # fixtures
ALONE = ("--no-limits", "--jobs", "1", "--seeds", "1")


def test_the_work_of_a_demo_is_found_in_its_journal(scaler: Scaler, journal: Path, tmp_path: Path) -> None:
    """Nearly all tasks that came, and the pool as it was; and the HPA of then cuts runs again, where ours cuts none."""
    file = tmp_path / "out.json"
    ran = scaler("simulate", "compare", "--journal", journal, "--policies", "ours,hpa", *ALONE, "--json", file)
    assert ran.exit_code == 0, ran.output
    assert "tasks in 0.3 hours of the journal" in ran.stderr
    ours, hpa = json.loads(file.read_text())["rows"]
    scaler("demo", "--seconds", "1200", "--no-table", "--json", file)
    came = json.loads(file.read_text())["ours"]["tasks"]
    assert 0.8 * came <= ours["tasks"] <= came
    assert ours["killed"] == 0 < hpa["killed"]


def test_options_stand_instead_of_what_the_journal_says_of_the_pool(
    scaler: Scaler, journal: Path, tmp_path: Path
) -> None:
    """With a maximum of two everybody waits."""
    waits = []
    for options in ((), ("--max", "2")):
        ran = scaler("simulate", "run", "--journal", journal, *options, *ALONE, "--json", tmp_path / "out.json")
        assert ran.exit_code == 0, ran.output
        waits.append(json.loads((tmp_path / "out.json").read_text())["rows"][0]["wait_p95_s"])
    assert waits[1] > 10 * waits[0]


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (("--pool", "agents/nobody"), "which has agents/coder; name one of these"),
        (("--rate", "rate.csv"), "--journal and --rate both say what comes"),
        (("--trace", "trace.csv"), "--journal and --trace both say what comes"),
    ],
)
def test_what_cannot_be_meant_is_refused(scaler: Scaler, journal: Path, options: tuple[str, ...], told: str) -> None:
    """Each row: options beside the journal, and what is wrong with them."""
    ran = scaler("simulate", "run", "--journal", journal, *options)
    assert (ran.exit_code, told in " ".join(ran.stderr.split())) == (2, True), ran.output


def test_of_several_pools_one_is_asked_for(scaler: Scaler, tmp_path: Path) -> None:
    """By its name; and one that had nothing to do is nothing to simulate."""
    ticks = [
        (PoolKey("agents", name), decided(Policy(), Memory.fresh(at), observe([busy("a", running)], at=at), at))
        for turn in range(3)
        for name, running, at in (("idle", 0, NOW + 5 * turn), ("seen", turn % 2, NOW + 5 * turn))
    ]
    write(tmp_path, ticks)
    asked = ("simulate", "run", "--journal", tmp_path, *ALONE)
    ran = scaler(*asked)
    assert (ran.exit_code, "agents/idle and agents/seen among them" in ran.stderr) == (2, True), ran.output
    ran = scaler(*asked, "--pool", "agents/idle")
    assert (ran.exit_code, "has no task of agents/idle" in ran.stderr) == (2, True), ran.output
    ran = scaler(*asked, "--pool", "agents/seen")
    assert (ran.exit_code, "agents/seen: 1 task in 0.0 hours" in ran.stderr) == (0, True), ran.output


def test_what_is_no_journal_or_has_no_task_is_refused(scaler: Scaler, tmp_path: Path) -> None:
    """It names the file, and a pool without a journal its way out."""
    (tmp_path / "no.jsonl").write_text("nothing\n")
    (tmp_path / "empty").mkdir()
    for options, told in (
        (("--journal", tmp_path / "empty"), "has no tick of any pool"),
        (("--journal", tmp_path / "no.jsonl"), "cannot be read"),
        (("--journal", tmp_path / "none.jsonl"), "cannot be read"),
        (("--pool", "agents/coder"), "is of no use without --journal"),
    ):
        ran = scaler("simulate", "run", *options)
        assert (ran.exit_code, told in " ".join(ran.stderr.split())) == (2, True), ran.output


def test_what_the_journal_lacks_is_told_with_it(scaler: Scaler, tmp_path: Path) -> None:
    """Its last line was cut, and its only task still ran then."""
    memory, ticks = Memory.fresh(NOW), []
    for turn in range(4):
        at = NOW + 5 * turn
        ticks.append((PoolKey("agents", "seen"), decided(Policy(), memory, observe([busy("a")], at=at), at)))
        memory = ticks[-1][1].outcome.memory
    write(tmp_path, ticks)
    (path,) = segments(tmp_path)
    path.write_bytes(path.read_bytes() + b'{"n":0,')
    ran = scaler("simulate", "run", "--journal", tmp_path, *ALONE)
    assert ran.exit_code == 0, ran.output
    assert "1 task in 0.0 hours of the journal; 1 still ran at its end" in " ".join(ran.stderr.split())
    assert "left out: 1 line cut short at the end of a file" in ran.stderr


UNSEEN, GONE = Unknown("no access"), Unknown("HTTP 500")
PODS = Pods.of([busy("a", 2), busy("b", 0), unheard("c")])
RUNNING = {"a": 2, "b": 0, "c": None}


@pytest.mark.parametrize(
    ("pods", "signals", "seen"),
    [
        pytest.param(PODS, {Signal.QUEUE: 3.0}, (3, RUNNING), id="PodsAndQueue"),
        pytest.param(PODS, {}, (0, RUNNING), id="NothingSaysWhatWaits"),
        pytest.param(PODS, {Signal.PENDING: 5.0}, (3, RUNNING), id="WhatIsPendingLessWhatRuns"),
        pytest.param(PODS, {Signal.PENDING: 1.0}, (0, RUNNING), id="AndNeverLessThanNobody"),
        pytest.param(PODS, {Signal.QUEUE: GONE}, None, id="TheQueueIsNotKnown"),
        pytest.param(UNSEEN, {Signal.QUEUE: 3.0, Signal.INFLIGHT: 4.0}, (3, {"": 4}), id="AllPodsTogether"),
        pytest.param(UNSEEN, {Signal.QUEUE: 3.0, Signal.INFLIGHT: GONE}, None, id="OrNotEvenThat"),
        pytest.param(UNSEEN, {Signal.QUEUE: 3.0}, None, id="NobodySaysWhatRuns"),
    ],
)
def test_a_tick_tells_what_waited_and_what_ran_or_nothing(
    pods: Pods | Unknown, signals: Mapping[Signal, float | Unknown], seen: tuple[int, dict[str, int | None]] | None
) -> None:
    """Each row: what the tick was given."""
    samples = {name: Known(value, NOW) if isinstance(value, float) else value for name, value in signals.items()}
    found = look(Observation(replicas=Known(3.0, NOW), pods=pods, signals=samples), NOW)
    assert found == (None if seen is None else Look(at=NOW, waiting=seen[0], running=seen[1]))


def test_two_days_in_one_journal_are_not_laid_over_each_other(scaler: Scaler, tmp_path: Path) -> None:
    """The last one is played and brings its own lengths, and that the clock ran back is told; and so is a gap."""
    ticks = []
    for begin, lengths in ((NOW, 8), (NOW - 3600, 3)):
        memory = Memory.fresh(begin)
        for turn in (*range(12), 60, 61):
            at = begin + 5 * turn
            outcome = decided(Policy(), memory, observe([busy("a", int(turn <= lengths or turn == 60))], at=at), at)
            ticks.append((PoolKey("agents", "seen"), outcome))
            memory = outcome.outcome.memory
    write(tmp_path / "journal", ticks)
    (tmp_path / "asked.yaml").write_text("{question: How long?, rate: [[0, 9], [60, 9]], durations: 'lognormal:9,0'}")
    ran = scaler("simulate", "run", tmp_path / "asked.yaml", "--journal", tmp_path / "journal", *ALONE)
    assert ran.exit_code == 0, ran.output
    told = " ".join(ran.stderr.split())
    assert "agents/seen: 2 tasks in 0.1 hours of the journal" in told
    assert "the clock ran back from " in told
    assert "nothing is known of 0.1 hours, in 1 gap; 0 ran when these began" in told
    assert "says what comes, and not rate, durations of" in told
    assert "How long?" not in ran.stdout
