"""Every reason has its words, and a story that it is given in."""

from __future__ import annotations

import re
from dataclasses import replace
from types import MappingProxyType

import pytest

from scaler.core.pods import Phase
from scaler.core.policy import Guarantee, Mode, Policy, Workload
from scaler.core.reasons import RENDERINGS, Reason
from scaler.core.types import Hold, Seconds, Signal
from tests.properties.drawn import HASTY, START, Hint, Life, Pool
from tests.properties.laws import keeps_every_law
from tests.properties.stories import Story, Turn
from tests.properties.warm import STORIES as WARM_STORIES

BUSY, IDLE, LEAVING, GONE = Life(inflight=1), Life(), Life(phase=Phase.DRAINING), Life(phase=Phase.DRAINED)
OPEN, QUICK = Policy(), Policy(pace=HASTY)
HELD = replace(OPEN, pause_up=True)


def pool(*lives: Life, queue: float | None = 0.0) -> Pool:
    """These pods and so many tasks in the queue, unknown if None."""
    return Pool(lives=lives, signals=MappingProxyType({Signal.QUEUE: None if queue is None else (queue, 0.0)}))


def story(policy: Policy, *pools: Pool, every: Seconds = 30.0) -> Story:
    """One tick for each of these."""
    turns = [Turn(policy, seen, START + every * i) for i, seen in enumerate(pools)]
    return Story(tuple(turns[:-1]), turns[-1])


def foreseen() -> Story:
    """A load that beats while nothing may be added, until it may."""
    beats = story(replace(QUICK, pause_up=True), *(pool(queue=2.0 * (i % 2)) for i in range(60)), every=5.0)
    return Story(beats.past, replace(beats.present, policy=QUICK, pool=pool()))


STORIES: dict[Reason, Story] = {
    Reason.STEADY: story(OPEN, pool(BUSY)),
    Reason.DRAINED: story(OPEN, pool(BUSY, GONE)),
    Reason.STANDING: story(OPEN, pool(BUSY), pool(BUSY, BUSY)),
    Reason.DEMAND: story(OPEN, pool(queue=1.0)),
    Reason.ANNOUNCED: story(OPEN, replace(pool(), hints=(Hint(pods=2.0, start=0.0, length=60.0, added=True),))),
    Reason.FORECAST: foreseen(),
    Reason.TOLERANCE: story(OPEN, pool(*[BUSY] * 10, queue=1.0)),
    Reason.ACTIVATION: story(replace(OPEN, activation=2.0), pool(queue=2.0)),
    Reason.DRAINING: story(QUICK, *[pool(BUSY, IDLE)] * 4),
    Reason.UNDRAINED: story(OPEN, pool(BUSY, LEAVING, queue=1.0)),
    Reason.DISPLACED: story(OPEN, pool(replace(IDLE, displaced=True))),
    Reason.REPLACING: story(OPEN, pool(replace(BUSY, displaced=True))),
    Reason.WITHDRAWN: story(QUICK, pool(queue=1.0), *[pool()] * 3),
    Reason.IDLE: story(replace(QUICK, guarantee=Guarantee.BEST_EFFORT), *[pool(IDLE)] * 3),
    Reason.IDLE_TIMER: story(OPEN, pool(BUSY), *[pool(BUSY)] * 4, pool(IDLE), pool(IDLE), every=100.0),
    Reason.EMPTYING: story(replace(QUICK, slots_per_pod=2), *[pool(BUSY, BUSY)] * 3),
    Reason.BUSY: story(replace(QUICK, slots_per_pod=2, workload=Workload.STATEFUL_SET), *[pool(BUSY, BUSY)] * 3),
    Reason.ORDINAL: story(replace(QUICK, workload=Workload.STATEFUL_SET), *[pool(IDLE, BUSY)] * 3),
    Reason.RATE_LIMIT: story(OPEN, pool(queue=9.0)),
    Reason.FLAP_BUDGET: story(
        Policy(pace=replace(HASTY, flap_budget=0)), pool(queue=1.0), *[pool(IDLE)] * 4, every=5.0
    ),
    Reason.NEWCOMER: story(OPEN, pool(IDLE)),
    Reason.STALE: story(OPEN, pool(IDLE, queue=None)),
    Reason.NO_SIGNAL: story(OPEN, replace(pool(queue=None), seen=False)),
    Reason.NO_REPLICAS: story(replace(OPEN, mode=Mode.OFF), replace(pool(), surplus=None)),
    Reason.LAGGING: story(OPEN, pool(BUSY), replace(pool(BUSY, BUSY), surplus=1, read=7.0)),
    Reason.UNSEEN: story(OPEN, replace(pool(IDLE), seen=False)),
    Reason.UNGUARDED: story(OPEN, replace(pool(IDLE), unguarded=True)),
    Reason.PAUSED: story(HELD, pool(queue=1.0)),
    Reason.OFF: story(replace(OPEN, mode=Mode.OFF), pool(queue=1.0)),
    Reason.RECOMMEND: story(replace(OPEN, mode=Mode.RECOMMEND), pool(queue=1.0)),
    Reason.MINIMUM: story(replace(OPEN, min_replicas=1), pool()),
    Reason.MAXIMUM: story(replace(OPEN, max_replicas=1), pool(queue=2.0)),
    Reason.BUDGET: story(replace(OPEN, budget_per_hour=1.0, pod_price_per_hour=1.0), pool(queue=2.0)),
    Reason.FLOOR: story(replace(OPEN, max_replicas=1), pool(BUSY, BUSY)),
}


def test_every_reason_has_a_story_of_a_pool_or_of_a_warm_pool() -> None:
    """None is in the vocabulary that nothing says."""
    assert set(STORIES) | set(WARM_STORIES) == set(Reason)


@pytest.mark.parametrize("reason", STORIES)
def test_what_the_vocabulary_holds_is_said(reason: Reason) -> None:
    """In a tick of its story, which keeps every law."""
    t = STORIES[reason].moment.tick()
    decision = t.outcome.decision
    said = {step.reason for step in t.outcome.trail} | ({decision.reason} if isinstance(decision, Hold) else set())
    assert reason in said
    keeps_every_law(t)


def test_every_reason_has_words_of_its_own() -> None:
    """One Event reason in CamelCase and one sentence each, none used twice."""
    assert set(RENDERINGS) == set(Reason)
    assert all(re.fullmatch(r"([A-Z][a-z]+)+", rendering.event) for rendering in RENDERINGS.values())
    assert len({rendering.event for rendering in RENDERINGS.values()}) == len(Reason)
    assert len({rendering.sentence for rendering in RENDERINGS.values()}) == len(Reason)
