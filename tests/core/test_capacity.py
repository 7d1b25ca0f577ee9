"""Tokens as demand: what one pod carries is learnt under full load only, and the rate is averaged by time."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest

from scaler.core.pods import Pod
from scaler.core.policy import Policy
from scaler.core.types import Known, Outcome, Seconds, Signal, Unknown
from tests.core.pool import Level, Story, busy, draining, idle, unheard

UNMEASURED = Unknown("measured 0 times under full load, 3 are needed")
PAIR = Policy(max_replicas=2)  # so nobody comes to help


def under_load(tokens: float, queue: Level = 5.0) -> Story:
    """Two full pods that produce so many tokens a second, while tasks queue."""
    story = Story.of(PAIR, busy("a"), busy("b"))
    story.signals |= {Signal.QUEUE: queue, Signal.TOKENS: tokens}
    return story


def repeat(story: Story, ticks: int, every: Seconds = 30.0) -> Outcome:
    """The last of so many ticks."""
    return [story.tick(every) for _ in range(ticks)][-1]


def asked(outcome: Outcome) -> float:
    """Pods that the averaged token rate asks for, before headroom."""
    tokens = outcome.evidence.demand.by_signal["tokens"]
    assert isinstance(tokens, Known)
    return tokens.value


def test_capacity_is_measured_three_times_before_it_is_used() -> None:
    """Until then tokens ask for one pod and no more: without a first pod nothing would ever be measured."""
    story = under_load(400.0)
    for measured in range(3):
        outcome = story.tick(30.0)
        why = f"measured {measured} times under full load, 3 are needed"
        assert outcome.evidence.learnt.tokens_per_pod == Unknown(why)
        assert outcome.evidence.demand.by_signal["tokens"] == Known(0.7, story.now)
    outcome = story.tick(30.0)
    assert outcome.evidence.learnt.tokens_per_pod == 200.0
    assert outcome.evidence.demand.by_signal["tokens"] == Known(2.0, story.now)


def test_tokens_wake_an_empty_pool() -> None:
    """A pool that is measured by nothing but tokens starts its first pod for them, and none without."""
    story = Story.of(PAIR)
    story.signals = {Signal.TOKENS: 0.0}
    assert story.tick().report == 0
    story.signals = {Signal.TOKENS: 150.0}
    assert story.tick().report == 1


def test_what_a_pod_carries_is_the_ninth_decile_of_what_it_did() -> None:
    """Ten samples are kept, and the odd slow spell does not make pods look weak."""
    story = under_load(0.0)
    for tokens in (999.0, *(200.0 + 20.0 * n for n in range(10))):
        story.signals[Signal.TOKENS] = tokens
        story.tick(30.0)
    assert story.tick(1.0).evidence.learnt.tokens_per_pod == (200.0 + 20.0 * 8) / 2


def test_next_to_no_tokens_are_no_measure() -> None:
    """However little a full pod was seen to carry, and however many tokens come, the maximum is what is asked for."""
    story = under_load(5e-324)
    repeat(story, 4, every=30.0)
    story.signals[Signal.TOKENS] = 1e15
    assert repeat(story, 20, every=30.0).report == story.policy.max_replicas


def test_samples_of_one_spell_are_not_ten_proofs() -> None:
    """However often the pool is looked at, half a minute passes between two samples."""
    story = under_load(400.0)
    assert repeat(story, 12, every=5.0).evidence.learnt.tokens_per_pod == Unknown(
        "measured 2 times under full load, 3 are needed"
    )


@pytest.mark.parametrize(
    "pod",
    [
        pytest.param(idle("b"), id="WhileASlotIsFree"),
        pytest.param(unheard("b"), id="WhileAPodIsNotHeard"),
        pytest.param(draining(busy("c")), id="WhileADrainingPodWorksToo"),
    ],
)
def test_nothing_is_measured_unless_every_slot_is_taken(pod: Pod) -> None:
    """Each row: one pod of several that makes 400 tokens a second over two say nothing of what one can carry."""
    story = under_load(400.0)
    story.pods[pod.uid] = pod
    assert repeat(story, 5).evidence.learnt.tokens_per_pod == UNMEASURED


def test_nothing_is_measured_without_a_queue() -> None:
    """Full pods and nobody waiting may be a coincidence, or all the work there is."""
    for queue in (0.0, Unknown("timeout")):
        assert repeat(under_load(400.0, queue), 5).evidence.learnt.tokens_per_pod == Unknown(
            "measured 0 times under full load, 3 are needed"
        )


def test_nothing_is_measured_of_pods_that_nobody_sees() -> None:
    """Tasks queue and tokens flow, and whether every slot is taken is not known."""
    story = under_load(400.0)
    story.unseen = Unknown("forbidden")
    assert repeat(story, 5).evidence.learnt.tokens_per_pod == UNMEASURED


def test_a_capacity_that_is_set_is_not_learnt() -> None:
    """The operator knows better, from the first tick on."""
    story = under_load(400.0)
    story.policy = replace(PAIR, tokens_per_pod=50.0)
    assert story.tick().evidence.demand.by_signal["tokens"] == Known(8.0, story.now)


@pytest.mark.parametrize("steps", [[60.0], [10.0, 50.0], [5.0] * 12], ids=["once", "twice", "often"])
def test_the_rate_is_averaged_by_time_and_not_by_tick(steps: list[Seconds]) -> None:
    """A minute after a jump from 100 to 1,100 the average has gone 1 - 1/e of the way, however often it was read."""
    story = Story.of(replace(PAIR, tokens_per_pod=1.0))
    story.signals = {Signal.TOKENS: 100.0}
    story.tick()
    story.signals = {Signal.TOKENS: 1_100.0}
    outcome = [story.tick(seconds) for seconds in steps][-1]
    assert asked(outcome) == pytest.approx(100.0 + 1_000.0 * (1 - math.exp(-1)))


def test_a_rate_that_is_not_read_keeps_its_average() -> None:
    """During an outage tokens ask for nothing; when it is over the average goes on from where it was."""
    story = Story.of(replace(PAIR, tokens_per_pod=1.0))
    story.signals = {Signal.TOKENS: 100.0}
    story.tick()
    story.signals = {Signal.TOKENS: Unknown("timeout")}
    assert story.tick().evidence.demand.by_signal["tokens"] == Unknown("timeout")
    story.signals = {Signal.TOKENS: 100.0}
    assert asked(story.tick()) == pytest.approx(100.0)
