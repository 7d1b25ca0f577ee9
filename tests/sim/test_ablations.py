"""Ours without one part: each of them another policy, that plays by name."""

from __future__ import annotations

import functools
from dataclasses import replace

import pytest

from scaler.core.policy import Policy
from scaler.sim.ablations import ABLATIONS
from scaler.sim.match import Match, Row, play
from scaler.sim.scenario import OURS, Scenario, changed

SMALL = changed(
    Scenario(),
    {
        "rate": [[0, 2], [3600, 6], [7200, 1]],
        "bursts": 20.0,
        "durations": "lognormal:4.5,0.8",
        "dispatch": "random",
        "slots": 2,
    },
)


@functools.cache
def played(policy: str) -> Row:
    """The figures of one policy on this work."""
    return play(Match(scenario=SMALL, policy=policy, seed=1)).row


@pytest.mark.parametrize("name", ABLATIONS)
def test_each_is_another_run_of_the_same_work(name: str) -> None:
    """What is taken out makes a difference, and the tasks are the same to the last."""
    whole, less = played(OURS), played(name)
    assert less.tasks == whole.tasks
    assert not less.unfinished
    assert less.price != whole.price


def test_only_without_drains_is_work_lost() -> None:
    """Whoever is drained first loses nothing; of five minutes' idle pods the ReplicaSet takes busy ones instead."""
    assert {name for name in ABLATIONS if played(name).killed} == {"ours-no-drain"}


def test_the_timer_of_five_minutes_is_five_minutes_whatever_a_start_takes() -> None:
    """Its prior is a multiple of a startup and the drain after it."""
    for startup in (18.0, 93.0):
        pace = ABLATIONS["ours-timer-300s"].policy(Policy(), startup).pace
        assert pace.timer_prior * (startup + pace.drain_overhead) == pytest.approx(300.0)


def test_a_part_that_is_out_leaves_the_others_as_they_are() -> None:
    """The bounds and the target are still those of whoever asks."""
    asked = Policy(min_replicas=3, max_replicas=9, target_wait_p95=77.0)
    for ablation in ABLATIONS.values():
        less = ablation.policy(asked, 18.0)
        assert replace(less, pace=asked.pace, guarantee=asked.guarantee) == asked
