"""Zones: whoever may leave is taken where most are left, so that drains keep a pool as even as they can."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import replace
from itertools import combinations
from typing import TypeAlias

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scaler.core.choice import Choice, Terms, choose
from scaler.core.fleet import Fleet
from scaler.core.pods import NO_ZONE, Phase, Pod, Stage
from scaler.core.policy import Guarantee, Policy, Workload
from scaler.core.types import Seconds, Signal
from tests.core.pool import NOW, Story, busy, draining, idle, numbered, observe
from tests.core.pool import given as at_hand

ZONES = (1, 2, 3)
AT_ONCE = replace(Policy(), pace=replace(Policy().pace, namings=1))
EVEN = replace(AT_ONCE, even_zones=True)
TIMER: Seconds = 100.0
TIMERS = 75  # steps of five seconds in the idle timer of a pool that has learnt nothing
FRESH, RIPE = TIMER / 2, 1.5 * TIMER  # seconds idle: not long enough, and enough


def inside(pod: Pod, zone: int) -> Pod:
    """The pod, in this zone."""
    return replace(pod, zone=zone)


def leaving(pods: Sequence[Pod], surplus: int, *, policy: Policy = AT_ONCE) -> tuple[int, ...]:
    """Rows of those that leave, where each has been idle for as many seconds as its place is low."""
    seen = at_hand(policy, observe(pods)).fleet
    assert isinstance(seen, Fleet)
    since = [NOW - 1_000.0 + i if known else float("nan") for i, known in enumerate(seen.idle)]
    fleet = replace(seen, idle_since=seen.idle_since * 0 + since)
    return choose(fleet, policy, Terms(surplus=surplus, spare=surplus, timer=0.0)).chosen


def skew(left: Counter[int], zones: Iterable[int] = ZONES) -> int:
    """Pods in the fullest of these zones beyond those in the emptiest."""
    return max(left[zone] for zone in zones) - min(left[zone] for zone in zones)


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


# --- where a pool is spread over zones, pods wait for their turn ------------------------------------------------------


Lives: TypeAlias = Sequence[tuple[int, Seconds | None]]  # pods' zones, and for how long each is idle; None: it works


def in_turn(
    lives: Lives, surplus: int, policy: Policy = EVEN, *, oldest: int = 0, waited: Seconds | None = None
) -> Choice:
    """The choice among these, where some have waited for so long."""
    pods = [inside(busy(str(i)) if age is None else idle(str(i)), zone) for i, (zone, age) in enumerate(lives)]
    seen = at_hand(policy, observe(pods)).fleet
    assert isinstance(seen, Fleet)
    since = [float("nan") if age is None else NOW - age for _, age in lives]
    fleet = replace(seen, idle_since=seen.idle_since * 0 + since)
    uneven = None if waited is None else NOW - waited
    return choose(fleet, policy, Terms(surplus=surplus, timer=TIMER, oldest=oldest, uneven=uneven))


@pytest.mark.parametrize(
    ("lives", "surplus", "chosen", "uneven"),
    [
        pytest.param([(1, RIPE), (2, FRESH), (2, None)], 1, (), 1, id="TheFullerZoneGivesFirst"),
        pytest.param([(1, RIPE), (2, RIPE), (2, FRESH)], 1, (1,), 0, id="AsSoonAsOneOfItsMay"),
        pytest.param([(1, RIPE), (1, RIPE), (2, FRESH), (2, None)], 2, (0,), 1, id="OneOfTwoAlike"),
        pytest.param([(1, RIPE), (1, RIPE), (2, FRESH), (2, None)], 1, (0,), 0, id="WhoIsNotSpareWaitsForNobody"),
        pytest.param([(NO_ZONE, RIPE), (2, None), (2, None)], 1, (0,), 0, id="NorWhoseZoneIsNotKnown"),
        pytest.param([(1, RIPE), (NO_ZONE, None), (NO_ZONE, None)], 1, (0,), 0, id="NorForThoseWhoseZoneIsNot"),
        pytest.param([(1, FRESH), (2, FRESH)], 1, (), 0, id="NobodyWaitsBeforeHisTime"),
    ],
)
def test_who_waits_for_his_turn(lives: Lives, surplus: int, chosen: tuple[int, ...], uneven: int) -> None:
    """Each row: pods, how many are spare, who leaves, and how many wait."""
    found = in_turn(lives, surplus)
    assert (found.chosen, found.uneven) == (chosen, uneven)


def test_who_has_waited_for_long_leaves_after_those_whose_turn_it_is() -> None:
    """And is counted still, so that the next one need not wait again."""
    found = in_turn([(1, RIPE), (2, RIPE), (2, None), (2, None)], 2, waited=TIMER)
    assert (found.chosen, found.uneven) == ((1, 0), 1)


@pytest.mark.parametrize(
    ("lives", "waited", "chosen"),
    [
        pytest.param([(1, RIPE), (2, FRESH), (2, None)], TIMER, (), id="ItWasIdleWhenTheWaitWasOver"),
        pytest.param([(1, RIPE), (2, FRESH), (2, None)], TIMER + FRESH / 2, (), id="AndIsStill"),
        pytest.param([(1, RIPE), (2, FRESH), (2, None)], TIMER + FRESH, (0,), id="ItWasNot"),
        pytest.param([(1, RIPE), (1, FRESH), (2, None), (2, None), (2, None)], TIMER, (0,), id="ItsZoneIsNotFuller"),
        pytest.param([(1, RIPE), (NO_ZONE, FRESH), (2, None), (2, None)], TIMER, (0,), id="NorIsOneNotKnown"),
    ],
)
def test_a_pod_of_the_fullest_zone_that_is_idle_by_then_has_its_own_timer_first(
    lives: Lives, waited: Seconds, chosen: tuple[int, ...]
) -> None:
    """Each row: pods, since when one has waited for the second zone, and whether it leaves before its turn."""
    assert in_turn(lives, 1, waited=waited).chosen == chosen


def test_a_zone_of_which_all_are_on_their_way_out_keeps_nobody() -> None:
    """It is the last one, and empty: whoever waits for the second zone waits on."""
    pods = [inside(idle("a"), 1), inside(idle("b"), 2), inside(busy("c"), 2), inside(draining(busy("d")), 3)]
    seen = at_hand(EVEN, observe(pods)).fleet
    assert isinstance(seen, Fleet)
    fleet = replace(seen, idle_since=np.array([NOW - RIPE, NOW - FRESH, np.nan, np.nan]))
    choice = choose(fleet, EVEN, Terms(surplus=1, timer=TIMER, uneven=NOW - TIMER))
    assert (choice.chosen, choice.uneven) == ((), 1)


def test_nobody_waits_in_a_pool_that_is_not_spread_nor_in_a_rollout() -> None:
    """Nobody asked for even zones; and who is old is due, wherever it stands."""
    lives = [(1, RIPE), (2, FRESH), (2, None)]
    assert in_turn(lives, 1, AT_ONCE).chosen == (0,)
    assert in_turn(lives, 1, oldest=1).chosen == (0,)


@pytest.mark.parametrize(
    "policy",
    [
        pytest.param(replace(EVEN, workload=Workload.STATEFUL_SET), id="AStatefulSetsHighestGoes"),
        pytest.param(replace(EVEN, guarantee=Guarantee.BEST_EFFORT), id="WithoutGatesItsReplicaSetChooses"),
    ],
)
def test_nobody_waits_where_it_is_not_ours_to_choose(policy: Policy) -> None:
    """Each row: who else says which pod leaves, so that waiting would keep no zone even."""
    pods = numbered([inside(busy("a"), 2), inside(busy("b"), 2), inside(idle("c"), 1)])
    assert leaving(pods, 1, policy=policy) == (2,)


def test_a_pod_that_its_node_asks_away_is_no_part_of_its_zone() -> None:
    """Two of the second zone leave with their node, so the first has more."""
    pods = [inside(idle(str(i)), zone) for i, zone in enumerate((1, 1, 2, 2, 2))]
    pods[3:] = [replace(pod, displaced=True) for pod in pods[3:]]
    assert leaving(pods, 1, policy=EVEN) == (0,)


def test_a_pod_waits_for_a_fuller_zone_for_one_idle_timer_at_the_most() -> None:
    """Those of the other zone work for hours: it leaves three namings after that, and why it stays is told."""
    story = Story.of(replace(Policy(), even_zones=True), inside(idle("a"), 1), *(inside(busy(i), 2) for i in "bc"))
    notes: list[str] = []
    while story.pods.keys() == set("abc") and len(notes) < 1_000:
        notes.append(story.tick().trail[-1].note)
    waits = "1 spare, 1 idle, timer 375 s; 1 wait for a fuller zone's"
    assert notes.count(waits) == TIMERS + story.policy.pace.namings - 1
    assert notes.index(waits) == TIMERS
    assert story.pods.keys() == set("bc")


def test_the_emptiest_of_the_fullest_zone_empties_first() -> None:
    """Where pods take several tasks, and none is idle."""
    policy = replace(EVEN, slots_per_pod=4)
    pods = [inside(busy("a", 1), 1), inside(busy("b", 3), 2), inside(busy("c", 2), 2)]
    assert leaving(pods, 1, policy=policy) == (2,)
    assert leaving(pods, 1, policy=replace(policy, even_zones=False)) == (0,)


AGES = st.sampled_from([None, FRESH, RIPE])


@given(st.lists(st.tuples(st.sampled_from(ZONES), AGES), min_size=1, max_size=10), st.integers(1, 10))
def test_no_drain_makes_zones_less_even_and_none_that_would_not_waits(lives: Lives, surplus: int) -> None:
    """Whoever could leave and waits has his turn in a zone that has fewer than the fullest, which would fall behind."""
    gone = in_turn(lives, surplus).chosen
    there, left = (Counter(zone for i, (zone, _) in enumerate(lives) if i not in rows) for rows in ((), gone))
    assert all(lives[i][1] == RIPE for i in gone)
    assert skew(left, there) <= max(1, skew(there, there))
    if len(gone) < surplus:
        waiting = [zone for i, (zone, age) in enumerate(lives) if age == RIPE and i not in gone]
        assert all(left[zone] < max(left.values()) for zone in waiting)


@settings(max_examples=20, deadline=None, derandomize=True, database=None)
@given(st.lists(st.integers(0, 2 * TIMERS - 1), min_size=12, max_size=12))
def test_zones_stay_even_however_far_apart_pods_fell_idle(ends: list[int]) -> None:
    """Twelve in three zones end their tasks within two idle timers, five seconds a step; three are to be left."""
    policy = replace(Policy(), even_zones=True, min_replicas=3)
    story = Story.of(policy, *(inside(busy(str(i)), 1 + i % 3) for i in range(12)))
    for step in range(5 * TIMERS):
        for i, end in enumerate(ends):
            if step == end:
                story.runs(str(i), 0)
        story.tick()
        assert skew(Counter(pod.zone for pod in story.pods.values() if pod.phase is Phase.ACTIVE)) <= 1
    assert len(story.pods) == 3


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
