"""Zones: whoever may leave is taken where most are left, so that drains keep a pool as even as they can."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from itertools import combinations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scaler.core import drain
from scaler.core.fleet import Fleet
from scaler.core.pods import NO_ZONE, Phase, Pod, Stage
from scaler.core.policy import Policy, Workload
from scaler.core.types import Signal
from tests.core.pool import NOW, Story, busy, draining, idle, numbered, observe
from tests.core.pool import given as at_hand

ZONES = (1, 2, 3)
AT_ONCE = replace(Policy(), pace=replace(Policy().pace, namings=1))


def inside(pod: Pod, zone: int) -> Pod:
    """The pod, in this zone."""
    return replace(pod, zone=zone)


def leaving(pods: Sequence[Pod], surplus: int, *, policy: Policy = AT_ONCE) -> tuple[int, ...]:
    """Rows of those that leave, where each has been idle for as many seconds as its place is low."""
    seen = at_hand(policy, observe(pods)).fleet
    assert isinstance(seen, Fleet)
    since = [NOW - 1_000.0 + i if known else float("nan") for i, known in enumerate(seen.idle)]
    fleet = replace(seen, idle_since=seen.idle_since * 0 + since)
    return drain.choose(fleet, policy, surplus=surplus, idle_before=NOW).chosen


def skew(zones: Counter[int]) -> int:
    """Pods in the fullest zone beyond those in the emptiest."""
    return max(zones[zone] for zone in ZONES) - min(zones[zone] for zone in ZONES)


def test_the_fullest_zone_gives_first() -> None:
    """Three in one and one in each of the others; the longest idle stands in one of those, and stays."""
    pods = [inside(idle(str(i)), zone) for i, zone in enumerate((2, 1, 1, 1, 3))]
    assert leaving(pods, 2) == (1, 2)
    assert leaving(pods, 3) == (1, 2, 0)


def test_pods_that_drain_are_no_part_of_their_zone() -> None:
    """They are on their way out, so their zone has given already."""
    pods = [inside(idle("a"), 1), inside(draining(busy("b")), 1), inside(draining(busy("c")), 1)]
    assert leaving([*pods, inside(idle("d"), 2), inside(busy("e"), 2)], 1) == (3,)


@pytest.mark.parametrize("zone", [NO_ZONE, 1], ids=["NoZoneIsKnown", "AllAreInOne"])
def test_where_zones_say_nothing_the_longest_idle_goes(zone: int) -> None:
    """As it was before there were zones."""
    pods = [inside(idle(str(i)), zone) for i in range(5)]
    assert leaving(pods, 3) == (0, 1, 2)


def test_a_stateful_set_gives_up_its_highest_whatever_its_zone() -> None:
    """Nobody else can leave it."""
    pods = numbered([inside(idle(str(i)), 1 + i % 2) for i in range(4)] + [inside(idle("4"), 2)])
    assert leaving(pods, 2, policy=replace(AT_ONCE, workload=Workload.STATEFUL_SET)) == (4, 3)


LIVES = st.tuples(st.sampled_from(ZONES), st.booleans())


@given(st.lists(LIVES, min_size=1, max_size=9), st.integers(1, 9))
def test_no_drain_leaves_zones_less_even_than_it_must(lives: list[tuple[int, bool]], surplus: int) -> None:
    """Held against every other choice of as many idle pods."""
    pods = [inside(idle(str(i)) if free else busy(str(i)), zone) for i, (zone, free) in enumerate(lives)]
    candidates = [i for i, (_, free) in enumerate(lives) if free]
    gone = leaving(pods, surplus)
    assert len(gone) == min(surplus, len(candidates))

    def left(rows: Sequence[int]) -> int:
        """How even the zones are without these."""
        return skew(Counter(zone for i, (zone, _) in enumerate(lives) if i not in rows))

    assert left(gone) == min(left(rows) for rows in combinations(candidates, len(gone)))


def test_a_zone_is_lost_and_comes_back() -> None:
    """Its pods start again in the other two; when it is back new ones go there, and the next drains even all out."""
    story = Story.of(replace(AT_ONCE, max_replicas=40), *(inside(busy(str(i)), 1 + i % 3) for i in range(12)))
    story.replicas = story.memory.target or 0

    def follow(zones: Sequence[int], ticks: int, *, tasks: int = 1) -> None:
        """Pods that are new are placed in the emptiest of these zones, as a scheduler that spreads places them."""
        for _ in range(ticks):
            story.tick()
            for uid, pod in story.pods.items():
                if pod.stage is Stage.READY and pod.phase is Phase.ACTIVE:
                    story.runs(uid, tasks)
                if pod.zone == NO_ZONE:
                    there = Counter(each.zone for each in story.pods.values())
                    story.pods[uid] = inside(story.pods[uid], min(zones, key=lambda zone: there[zone]))

    def counted() -> Counter[int]:
        """Pods that stay, by zone."""
        return Counter(pod.zone for pod in story.pods.values() if pod.phase is Phase.ACTIVE)

    story.pods = {uid: pod for uid, pod in story.pods.items() if pod.zone != 3}
    story.signals[Signal.QUEUE] = 4.0
    follow((1, 2), 2)
    story.signals[Signal.QUEUE] = 0.0
    follow((1, 2), 12)
    assert counted() == {1: 6, 2: 6}
    story.signals[Signal.QUEUE] = 6.0
    follow(ZONES, 2)
    story.signals[Signal.QUEUE] = 0.0
    follow(ZONES, 12)
    assert counted() == {1: 6, 2: 6, 3: 6}
    story.policy = replace(story.policy, min_replicas=8)
    follow(ZONES, 120, tasks=0)
    assert skew(counted()) == 1
    assert sum(counted().values()) == 8
