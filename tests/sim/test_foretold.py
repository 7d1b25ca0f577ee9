"""Ours when it is told what comes: what is known beforehand, and what is made of it."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scaler.core.policy import Policy
from scaler.core.types import Announcement, ScaleTo, Signal
from scaler.sim.ablations import ABLATIONS
from scaler.sim.foretold import foretold
from scaler.sim.match import Match, play
from scaler.sim.scenario import Scenario, changed
from scaler.sim.workload import Tasks
from tests.core.pool import NOW, busy, observe, seasoned

POLICY = ABLATIONS["ours-foretold"].policy(Policy(max_replicas=50), 18.0)
START = seasoned().lessons.startups.p90  # seconds a pod is thought to take until it serves
WHOLE = st.integers(1, 30).map(float)  # whole seconds, so that tasks come and end at the same moments


def asked(*tasks: tuple[float, float], slots: int = 1) -> int:
    """The target for a pool that runs one task now, when others come in so many seconds and take so many."""
    at, lasts = zip((-60.0, 3600.0), *tasks, strict=True)
    known = foretold(Tasks.of(NOW + np.array(at), lasts), slots)
    outcome = known(POLICY, seasoned(target=1), observe([busy("a")], {Signal.QUEUE: 0.0}), NOW)
    assert isinstance(outcome.decision, ScaleTo)
    return outcome.decision.replicas


@pytest.mark.parametrize(
    ("tasks", "slots", "pods"),
    [
        pytest.param([], 1, 1, id="NothingComes"),
        pytest.param([(1.0, 60.0), (2.0, 60.0)], 1, 3, id="TwoCome"),
        pytest.param([(START, 60.0)], 1, 2, id="JustWithinAStartup"),
        pytest.param([(START + 0.1, 60.0)], 1, 1, id="AfterIt"),
        pytest.param([(1.0, 2.0), (3.0, 2.0)], 1, 2, id="OneAfterTheOther"),
        pytest.param([(1.0, 60.0)] * 6, 4, 3, id="SixShareThePods"),
    ],
)
def test_pods_are_ordered_for_what_comes_before_they_could_serve(
    tasks: list[tuple[float, float]], slots: int, pods: int
) -> None:
    """Each row: tasks beside the one that runs, slots a pod, and the pods that are asked for."""
    assert asked(*tasks, slots=slots) == pods


def test_what_runs_already_is_announced_no_more() -> None:
    """A task that came a moment ago is in the queue, and one that waits there is no rise."""
    tasks = Tasks.of([NOW - 60.0, NOW - 1.0], [3600.0, 600.0])
    outcome = foretold(tasks, 1)(POLICY, seasoned(target=1), observe([busy("a")], {Signal.QUEUE: 1.0}), NOW)
    assert isinstance(outcome.decision, ScaleTo)
    assert outcome.decision.replicas == 2


def test_all_else_that_is_seen_is_seen_as_it_is() -> None:
    """The hint stands beside the signals and the pods, and beside nothing that anybody else announced."""
    other = Announcement(name="other", pods=9.0, start=NOW, end=NOW + 60.0, added=False)
    seen = observe([busy("a")], {Signal.QUEUE: 3.0}, announced=(other,))
    outcome = foretold(Tasks.of([NOW - 60.0], [3600.0]), 1)(POLICY, seasoned(target=1), seen, NOW)
    assert isinstance(outcome.decision, ScaleTo)
    assert outcome.decision.replicas == 4


@given(st.lists(st.tuples(WHOLE, WHOLE), max_size=12), st.integers(0, 61))
def test_as_many_stand_as_have_come_and_not_ended(tasks: list[tuple[float, float]], now: float) -> None:
    """At any moment, counted one by one."""
    at, lasts = ([task[i] for task in sorted(tasks)] for i in (0, 1))
    moments, standing = Tasks.of(at, lasts).standing()
    here = np.searchsorted(moments, now, side="right")
    stands = standing[here - 1] if here else 0
    assert stands == sum(came <= now < came + long for came, long in zip(at, lasts, strict=True))
    assert (standing >= 0).all()


def test_whoever_is_told_waits_for_nobody_and_pays_less() -> None:
    """Bursts with starts of a minute and a half: ours has to let them wait, or keep pods for them."""
    burst = changed(
        Scenario(),
        {"rate": [[0, 2], [7200, 2]], "bursts": 20.0, "durations": "lognormal:5.5,1", "startup": "93s"},
    )
    ours, told = (play(Match(scenario=burst, policy=name, seed=1)).row for name in ("ours", "ours-foretold"))
    assert told.killed == told.unfinished == 0
    assert told.wait_p95_s < ours.wait_p95_s / 4
    assert told.price < 0.8 * ours.price
