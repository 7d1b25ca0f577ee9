"""Laws of every single tick, whatever the policy, the pool and its past.

Each is written once, in ``laws``; the pools that follow a target and the pool in all weathers must keep them too.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from random import Random

from hypothesis import given
from hypothesis import strategies as st

from scaler.core.pods import Pods
from scaler.core.policy import Guarantee, Mode, Workload
from tests.properties import laws
from tests.properties.drawn import AUTO, HASTY, policies
from tests.properties.effort import tries
from tests.properties.stories import Story, calm, dim, emptied, pressed, returning, stories
from tests.properties.ticked import written

ANY = stories(policies())
FOLLOWED = stories(AUTO)
KEPT = AUTO.map(lambda p: replace(p, guarantee=Guarantee.PROTECTED, pause_up=False, pause_down=False))
PROTECTED = stories(KEPT, (5.0, 60.0, 400.0)) | calm(KEPT) | calm(KEPT.map(lambda p: replace(p, pace=HASTY)))
UP, DOWN = AUTO.map(lambda p: replace(p, pause_up=True)), AUTO.map(lambda p: replace(p, pause_down=True))
PAUSED = stories(UP | DOWN) | pressed(UP) | calm(DOWN)
STATEFUL = KEPT.map(lambda p: replace(p, workload=Workload.STATEFUL_SET))
DIM = dim(KEPT)
UNFOLLOWED = stories(policies().filter(lambda policy: policy.mode is not Mode.AUTO))


@tries(200)
@given(FOLLOWED | DIM | DIM | pressed(AUTO))
def test_the_target_stays_in_bounds(story: Story) -> None:
    """Floor <= target <= max(cap, floor), with the cap of pods and of money."""
    laws.stays_in_bounds(story.moment.tick())


@tries(60)
@given(ANY)
def test_the_trail_chains(story: Story) -> None:
    """trail[i].after == trail[i+1].before, from the last target to the decision."""
    laws.chains(story.moment.tick())


@tries(80)
@given(UNFOLLOWED)
def test_off_and_recommend_change_nothing(story: Story) -> None:
    """The report is the live replicas, and no pod gets an order."""
    laws.obeys_mode(story.moment.tick())


@tries(80)
@given(PAUSED)
def test_a_paused_direction_is_not_taken(story: Story) -> None:
    """Paused upwards nothing is added; paused downwards nothing falls and nobody is marked."""
    laws.obeys_pauses(story.moment.tick())


@tries(150)
@given(FOLLOWED | DIM | DIM)
def test_ignorance_holds(story: Story) -> None:
    """With a signal missing or stale nothing falls, and with no word of demand nothing rises."""
    laws.holds_on_ignorance(story.moment.tick())


@tries(150)
@given(PROTECTED)
def test_only_idle_pods_are_marked(story: Story) -> None:
    """Never one that works, holds a session, is unknown, stale, not ready or not active; of a StatefulSet the top."""
    laws.marks_only_who_can_go(story.moment.tick())


@tries(120)
@given(PROTECTED)
def test_every_order_is_legal(story: Story) -> None:
    """The drain protocol takes each order for the pod as it was seen, and no pod is given two."""
    laws.gives_legal_orders(story.moment.tick())


@tries(100)
@given(PROTECTED)
def test_no_deletion_brings_an_unwanted_pod(story: Story) -> None:
    """A drained pod is deleted once its place is given up, or to make room for one that is wanted."""
    laws.deletes_nothing_that_returns(story.moment.tick())


@tries(100)
@given(PROTECTED | returning(KEPT) | returning(KEPT))
def test_drains_are_called_back_before_pods_are_started(story: Story) -> None:
    """Work that comes back meets the pods that were about to leave."""
    laws.calls_back_first(story.moment.tick())


@tries(150)
@given(emptied(KEPT) | emptied(KEPT) | PROTECTED | emptied(policies()))
def test_pods_leave_with_their_nodes(story: Story) -> None:
    """Not all at once where they work, never called back for work, and not where nobody may leave."""
    laws.keeps_every_law(story.moment.tick())


@tries(60)
@given(FOLLOWED | pressed(AUTO))
def test_one_tick_rises_within_the_rate(story: Story) -> None:
    """By four pods or by as many as there are."""
    laws.rises_within_rate(story.moment.tick())


@tries(60)
@given(ANY)
def test_no_figure_is_negative(story: Story) -> None:
    """Ages, waits, lengths and counts of the evidence."""
    laws.has_no_negative_age(story.moment.tick())


@tries(60)
@given(ANY | DIM)
def test_every_outcome_can_be_told(story: Story) -> None:
    """It has a sentence, lines, labels and an Event."""
    laws.can_be_told(story.moment.tick())


@tries(60)
@given(ANY)
def test_outcome_and_memory_survive_json(story: Story) -> None:
    """What a record is read back as writes the same record, to the bit."""
    laws.survives_json(story.moment.tick())


@tries(100)
@given(ANY | calm(AUTO))
def test_a_tick_is_a_function(story: Story) -> None:
    """The same arguments give the same outcome, and are as they were afterwards."""
    moment = story.moment
    before = written(moment)
    first, second = moment.tick(), moment.tick()
    assert first.text == second.text
    assert written(moment) == before


@tries(100)
@given(FOLLOWED | calm(STATEFUL), st.randoms(use_true_random=False))
def test_pods_may_be_listed_in_any_order(story: Story, order: Random) -> None:
    """The same pods in another order get the same target, and as many orders of each kind."""
    listed = story.moment
    pods = list(listed.pods)
    order.shuffle(pods)
    shuffled = replace(listed, observation=replace(listed.observation, pods=Pods.of(pods))) if pods else listed
    one, other = listed.tick(), shuffled.tick()
    assert one.target == other.target
    assert Counter(o.verb for o in one.outcome.orders) == Counter(o.verb for o in other.outcome.orders)
