"""Demand: what each signal asks for, and the means that keep a burst from vanishing and a lull from counting."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
import pytest

from scaler.core.pods import Activity, Pod
from scaler.core.policy import Policy
from scaler.core.tick import tick
from scaler.core.types import Demand, Instant, Known, Seconds, Signal, Unknown
from tests.core.pool import NOW, Levels, busy, draining, idle, observe, seasoned, starting, unheard

UNSEEN = Unknown("no pod source")
POLICY = Policy(max_replicas=1_000)
QUEUE, PENDING, INFLIGHT, TOKENS = Signal.QUEUE, Signal.PENDING, Signal.INFLIGHT, Signal.TOKENS
CARRIES_100 = Policy(tokens_per_pod=100.0)
FOUR_SLOTS = Policy(slots_per_pod=4)


def holding(uid: str, sessions: int) -> Pod:
    """A pod between the tasks of these sessions, whose state lives in it."""
    return replace(idle(uid), activity=Activity(inflight=0, sessions=sessions, at=NOW))


def demand(pods: Sequence[Pod] | Unknown, signals: Levels, policy: Policy = POLICY) -> Demand:
    """The demand of one instant, without a past."""
    return tick(policy, seasoned(), observe(pods, signals, replicas=0), NOW).evidence.demand


@pytest.mark.parametrize(
    ("pods", "signals", "policy", "asked"),
    [
        pytest.param(UNSEEN, {QUEUE: 3}, POLICY, (3, 3, "work"), id="QueuedTasksWantAPodEach"),
        pytest.param([busy("a"), idle("b")], {QUEUE: 3}, POLICY, (4, 4, "work"), id="RunningTasksAddToTheQueue"),
        pytest.param([busy("a", 3)], {}, FOUR_SLOTS, (0.75, 0.75, "work"), id="SlotsDivideTasks"),
        pytest.param([holding("a", 2)], {QUEUE: 1}, POLICY, (3, 3, "work"), id="AHeldSessionKeepsItsSlot"),
        pytest.param([draining(busy("a"))], {QUEUE: 1}, POLICY, (1, 1, "work"), id="ADrainingPodsTaskWantsNoOther"),
        pytest.param(UNSEEN, {QUEUE: 1, INFLIGHT: 6}, POLICY, (7, 7, "work"), id="ThePoolsOwnCountStandsForUnseenPods"),
        pytest.param([busy("a")], {INFLIGHT: 3}, POLICY, (3, 3, "work"), id="TheLargerCountOfRunningTasks"),
        pytest.param([busy("a", 5)], {INFLIGHT: 3}, POLICY, (5, 5, "work"), id="WhicheverItIs"),
        pytest.param([busy("a")], {QUEUE: 1, PENDING: 9}, POLICY, (9, 9, "pending"), id="UnfinishedTasksInAll"),
        pytest.param([busy("a")], {QUEUE: 1, PENDING: 2}, POLICY, (2, 2, "work"), id="AnEqualSignalDoesNotBind"),
        pytest.param(
            [busy("a")], {TOKENS: 850}, CARRIES_100, (10, 850 / 70, "tokens"), id="TokensKeepHeadroomBothWays"
        ),
        pytest.param(
            [busy(str(n)) for n in range(9)],
            {TOKENS: 850},
            CARRIES_100,
            (10, 850 / 70, "tokens"),
            id="TokensAreComparedWithTheirHeadroom",
        ),
        pytest.param([busy("a"), unheard("b")], {}, POLICY, (1, 2, "work"), id="AnUnheardPodIsIdleUpAndBusyDown"),
        pytest.param([busy("a"), starting("b")], {}, POLICY, (1, 1, "work"), id="AStartingPodHasNoWorkToHide"),
        pytest.param([], {QUEUE: Known(5, NOW - 100)}, POLICY, (5, 5, "work"), id="AStaleQueueIsStillDemand"),
        pytest.param([], {QUEUE: Known(5, NOW - 400)}, POLICY, (0, 0, "work"), id="ALostOneIsNot"),
    ],
)
def test_what_asks_for_pods(
    pods: Sequence[Pod] | Unknown, signals: Levels, policy: Policy, asked: tuple[float, float, str]
) -> None:
    """Each row: pods, signals and policy; then the demand for additions and removals, and the signal that bound."""
    found, (up, down, bound) = demand(pods, signals, policy), asked
    assert found.bound == bound
    assert (found.up, found.down) == pytest.approx((up, down))


def test_every_signal_is_shown_with_its_value_or_its_absence() -> None:
    """What did not bind is still evidence, and what is missing says why."""
    found = demand([busy("a"), holding("b", 2)], {QUEUE: 3, PENDING: Unknown("timeout")}, FOUR_SLOTS)
    assert found.by_signal == {
        "queue": Known(0.75, NOW),
        "inflight": Known(0.25, NOW),
        "sessions": Known(0.5, NOW),
        "work": Known(1.5, NOW),
        "pending": Unknown("timeout"),
        "tokens": Unknown("not configured"),
    }


def test_pods_that_cannot_be_seen_show_it() -> None:
    """With neither pods nor queue nothing is known, and no signal binds."""
    found = demand(UNSEEN, {QUEUE: Unknown("timeout")})
    assert found.by_signal["queue"] == Unknown("timeout")
    assert found.by_signal["inflight"] == Unknown("not configured")
    assert found.by_signal["sessions"] == UNSEEN
    assert found.by_signal["work"] == Unknown("neither the queue nor the pods are seen")
    assert found.bound == Unknown("no signal says anything about demand")
    assert (found.need_up, found.need_down) == (0, 0)


# --- means over time --------------------------------------------------------------------------------------------------


def watched(queue: Callable[[Instant], float], instants: Sequence[Seconds]) -> Demand:
    """The demand at the last of these instants (seconds from now), having ticked at each."""
    memory = seasoned()
    for at in (NOW + seconds for seconds in instants):
        outcome = tick(POLICY, memory, observe(UNSEEN, {QUEUE: queue(at)}, at=at, replicas=0), at)
        memory = outcome.memory
    return outcome.evidence.demand


def mean_by_looking(values: Sequence[float], instants: Sequence[Seconds], window: Seconds) -> float:
    """The mean over the window of values that hold until the next, by sampling each twentieth of a second."""
    begin = max(instants[0], instants[-1] - window)
    grid = np.arange(begin + 0.025, instants[-1], 0.05)
    return float(np.mean(np.array(values)[np.searchsorted(instants, grid, side="right") - 1]))


@pytest.mark.parametrize("seed", range(8))
def test_means_are_weighted_by_time(seed: int) -> None:
    """Ticks at uneven distances: each value counts for as long as it stood, in six seconds and in sixty."""
    random = np.random.default_rng(seed)
    instants = np.cumsum(random.integers(2, 18, 30) / 2).tolist()
    values = dict(zip(instants, random.integers(0, 20, 30).astype(float).tolist(), strict=True))
    fast, slow = (mean_by_looking(list(values.values()), instants, window) for window in (6.0, 60.0))
    found = watched(lambda at: values[at - NOW], instants)
    assert found.up == pytest.approx(max(values[instants[-1]], fast))
    assert found.down == pytest.approx(max(fast, slow))


def ended(at: Instant) -> float:
    """Ten tasks until half a minute from now, then none."""
    return 10.0 if at < NOW + 30.0 else 0.0


@pytest.mark.parametrize(
    "instants",
    [
        pytest.param([*range(61)], id="EverySecond"),
        pytest.param([*range(0, 61, 5)], id="EveryFiveSeconds"),
        pytest.param([0, 30, 60], id="WithMostTicksMissed"),
        pytest.param([0, 1, 2, 29, 30, 31, 60], id="InClusters"),
    ],
)
def test_missed_ticks_do_not_distort_the_means(instants: list[Seconds]) -> None:
    """Ten pods for half of the last minute are five in the mean, however often somebody looked."""
    assert watched(ended, instants).down == pytest.approx(5.0)


def test_a_burst_counts_at_once_and_a_lull_only_after_a_minute() -> None:
    """Additions follow this instant; removals wait until the whole minute needed less."""
    up = watched(lambda at: 20.0 if at >= NOW + 60.0 else 2.0, range(0, 61, 5))
    down = watched(lambda at: 2.0 if at >= NOW + 60.0 else 20.0, range(0, 116, 5))
    assert (up.need_up, up.need_down) == (20, 2)
    assert (down.need_up, down.need_down) == (2, 4)
    assert watched(lambda at: 2.0 if at >= NOW + 60.0 else 20.0, range(0, 121, 5)).need_down == 2


def test_a_burst_between_two_ticks_of_one_second_is_not_lost() -> None:
    """Rising edges tick at once, twenty times a second if they must: their readings become one, at its highest."""
    instants = [0.0, *(1.0 + n / 20 for n in range(20)), 2.5]
    found = watched(lambda at: 9.0 if at == NOW + 1.5 else 1.0, instants)
    assert found.up == found.down == pytest.approx((1.0 * 1.0 + 9.0 * 1.5) / 2.5, rel=0.05)


def test_what_is_remembered_of_demand_is_one_minute() -> None:
    """However long a pool is watched: the reading that the minute began with, and those since."""
    memory = seasoned()
    for at in (NOW + seconds for seconds in range(0, 601, 5)):
        memory = tick(POLICY, memory, observe([], {QUEUE: 1}, at=at), at).memory
    assert [reading.at - NOW for reading in memory.readings] == [*range(540, 601, 5)]


def test_a_blind_tick_reads_no_lower_than_the_one_before() -> None:
    """While the queue cannot be read, what it asked for last keeps standing against removal."""
    memory = tick(POLICY, seasoned(), observe([], {QUEUE: 8}), NOW).memory
    for seconds in range(5, 200, 5):
        blind = observe([], {QUEUE: Unknown("timeout")}, at=NOW + seconds)
        outcome = tick(POLICY, memory, blind, NOW + seconds)
        memory = outcome.memory
    assert (outcome.evidence.demand.need_up, outcome.evidence.demand.need_down) == (0, 8)


# --- how long somebody has waited -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("queues", "oldest", "waiting"),
    [
        pytest.param([0, 1, 2, 1], None, 10.0, id="AsLongAsTheQueueHasNotBeenEmpty"),
        pytest.param([1, 1, 0, 1], None, 0.0, id="AnEmptyQueueBeginsAnew"),
        pytest.param([1, Unknown("timeout"), 1, 1], None, 15.0, id="ABlindTickDoesNotEmptyIt"),
        pytest.param([1, 1, 1, 1], 4.0, 4.0, id="WhatIsMeasuredIsBelieved"),
        pytest.param([1, 1, 1, 1], Unknown("timeout"), 0.0, id="AFailedMeasureWaivesNothing"),
        pytest.param([0, 0, 0, 0], None, 0.0, id="NobodyWaitsInAnEmptyQueue"),
    ],
)
def test_how_long_the_oldest_task_has_waited(
    queues: list[float | Unknown], oldest: float | Unknown | None, waiting: Seconds
) -> None:
    """Each row: the queue at four ticks of five seconds, the measured wait where there is one, and what is believed."""
    memory = seasoned()
    for n, queue in enumerate(queues):
        signals: Levels = {QUEUE: queue} | ({} if oldest is None else {Signal.OLDEST_WAIT: oldest})
        outcome = tick(POLICY, memory, observe([], signals, at=NOW + 5.0 * n), NOW + 5.0 * n)
        memory = outcome.memory
    assert outcome.evidence.demand.waiting == waiting


BUSY = [busy("a"), busy("b")]


@pytest.mark.parametrize(
    ("pods", "signals", "waiting"),
    [
        pytest.param(BUSY, {PENDING: 3}, 15.0, id="MoreIsPendingThanRuns"),
        pytest.param(BUSY, {PENDING: 2}, 0.0, id="AllThatIsPendingRuns"),
        pytest.param(UNSEEN, {PENDING: 3, INFLIGHT: 2}, 15.0, id="ThePoolsOwnCountOfWhatRuns"),
        pytest.param(UNSEEN, {PENDING: 3, INFLIGHT: 3}, 0.0, id="WhichMayBeAllOfIt"),
        pytest.param(BUSY, {PENDING: 3, QUEUE: 0}, 0.0, id="AQueueThatIsReadKnowsBetter"),
        pytest.param(BUSY, {PENDING: 3, QUEUE: Unknown("timeout")}, 0.0, id="AQueueThatIsNotReadIsNotGuessed"),
    ],
)
def test_without_a_queue_what_is_pending_and_does_not_run_waits(
    pods: Sequence[Pod] | Unknown, signals: Levels, waiting: Seconds
) -> None:
    """Each row: pods and signals that stood for four ticks of five seconds, and how long somebody has waited."""
    memory = seasoned()
    for at in (NOW, NOW + 5.0, NOW + 10.0, NOW + 15.0):
        outcome = tick(POLICY, memory, observe(pods, signals, at=at, replicas=2), at)
        memory = outcome.memory
    assert outcome.evidence.demand.waiting == waiting
