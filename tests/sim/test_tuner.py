"""The search: the same for everybody, repeatable on any number of processes, and resumable."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import pytest

from scaler.sim.peers.catalogue import PEERS
from scaler.sim.peers.sight import Range
from scaler.sim.tuner import Paid, Search, TunerError, knobs_of, tune


@dataclass(frozen=True, slots=True, kw_only=True)
class Bowl:
    """Two knobs, and one thing that is none."""

    name: str = "bowl"
    depth: Annotated[float, Range(0.01, 100.0, log=True)] = 50.0
    width: Annotated[int, Range(0, 40)] = 0


def price(bowl: Bowl) -> Paid:
    """Least at a depth of 1 and a width of 20."""
    return Paid(math.log(bowl.depth) ** 2 + ((bowl.width - 20) / 10) ** 2, bowl.depth, bowl.width)


def refuse(_: Bowl) -> Paid:
    """Nothing is left to be tried."""
    raise AssertionError


def test_the_first_trial_is_what_is_shipped_and_the_budget_is_kept() -> None:
    """A tuned autoscaler is never dearer on the training days than as it comes."""
    tuned = tune(Bowl(), price, Search(budget=41))
    assert len(tuned.trials) == 41
    assert tuned.trials[0].knobs == Bowl()
    assert tuned.best.price == min(trial.price for trial in tuned.trials) <= price(Bowl()).price


@pytest.mark.parametrize("seed", range(5))
def test_it_finds_the_bottom_of_a_bowl(seed: int) -> None:
    """Forty trials come close, and the second half does better than the first."""
    trials = tune(Bowl(), price, Search(seed=seed)).trials
    assert min(trial.price for trial in trials) < 0.2
    assert min(trial.price for trial in trials[20:]) <= min(trial.price for trial in trials[:20])


def test_every_value_is_in_its_range_and_of_its_kind() -> None:
    """A whole knob stays whole, and what has no range is left alone."""
    for trial in tune(Bowl(), price, Search(seed=3)).trials[1:]:
        assert 0.01 <= trial.knobs.depth <= 100.0
        assert isinstance(trial.knobs.width, int)
        assert 0 <= trial.knobs.width <= 40
        assert trial.knobs.name == "bowl"


def test_the_number_of_processes_changes_nothing() -> None:
    """The same seed is the same search; another is another."""
    assert tune(Bowl(), price, Search(budget=12, jobs=2)) == tune(Bowl(), price, Search(budget=12))
    assert tune(Bowl(), price, Search(budget=12, seed=1)) != tune(Bowl(), price, Search(budget=12))


def test_a_search_that_was_cut_goes_on_from_its_journal(tmp_path: Path) -> None:
    """Nothing is tried twice, and a line that was cut in two does not count."""
    journal = tmp_path / "trials.jsonl"
    whole = tune(Bowl(), price, Search(budget=12, journal=journal))
    assert tune(Bowl(), refuse, Search(budget=12, journal=journal)) == whole
    lines = journal.read_text(encoding="utf-8").splitlines(keepends=True)
    journal.write_text("".join(lines[:6]), encoding="utf-8")
    assert tune(Bowl(), price, Search(budget=12, journal=journal)) == whole
    journal.write_text("".join(lines[:11]) + lines[11][:9], encoding="utf-8")
    assert tune(Bowl(), price, Search(budget=12, journal=journal)) == whole
    assert journal.read_text(encoding="utf-8") == "".join(lines)


def test_the_journal_of_another_search_is_refused(tmp_path: Path) -> None:
    """Another seed would mix two searches."""
    journal = tmp_path / "trials.jsonl"
    tune(Bowl(), price, Search(budget=6, journal=journal))
    with pytest.raises(TunerError, match=r"trials\.jsonl is the journal of another search"):
        tune(Bowl(), price, Search(budget=6, seed=1, journal=journal))


def test_an_empty_budget_is_refused() -> None:
    """One trial at least: what is shipped."""
    with pytest.raises(TunerError, match="budget = 0"):
        tune(Bowl(), price, Search(budget=0))


@pytest.mark.parametrize("name", PEERS)
def test_what_a_peer_ships_lies_in_the_ranges_that_are_searched(name: str) -> None:
    """And each has something to tune."""
    knobs = knobs_of(PEERS[name])
    assert knobs
    for knob in knobs:
        assert knob.range.low <= getattr(PEERS[name], knob.name) <= knob.range.high


def test_each_trial_is_told_as_it_is_done() -> None:
    """So that whoever waits sees how far it is."""
    done: list[None] = []
    tune(Bowl(), price, Search(budget=9), told=lambda: done.append(None))
    assert len(done) == 9


def test_who_leaves_tasks_undone_is_not_the_best_however_cheap() -> None:
    """Nor is looked around; where everybody does, the fewest count."""

    def idle(bowl: Bowl) -> Paid:
        """The narrower the cheaper, and below 30 tasks stay undone."""
        return Paid(bowl.width, 1.0, 1.0, unfinished=max(0.0, 30.0 - bowl.width))

    best = tune(Bowl(), idle, Search(budget=41)).best
    assert (best.paid.unfinished, best.knobs.width) == (0.0, 30)
