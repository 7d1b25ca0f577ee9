"""Laws that compare two ticks from one memory: one sees more work, or less of everything, than the other."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import assume, given
from hypothesis import strategies as st

from tests.properties.drawn import AUTO, LEVELS, Pool, busier, clear, without
from tests.properties.effort import tries
from tests.properties.laws import holds_on_ignorance
from tests.properties.stories import Story, calm, crowded, pressed, saturated, stories
from tests.properties.ticked import Ticked

OPEN = AUTO.map(lambda policy: replace(policy, pause_up=False, pause_down=False))


def seeing(story: Story, pool: Pool) -> Ticked:
    """The story's next tick, had it seen this pool."""
    return replace(story, present=replace(story.present, pool=pool)).moment.tick()


@tries(300)
@given(stories(OPEN, (5.0, 30.0, 60.0, 400.0)) | saturated(OPEN) | crowded(OPEN) | pressed(OPEN), st.data())
def test_more_work_never_means_fewer_replicas(story: Story, data: st.DataObject) -> None:
    """More queued, pending or in flight, or more tokens, from the same memory: the target is not lower."""
    more = data.draw(busier(story.present.pool))
    assert seeing(story, more).target >= story.moment.tick().target


@tries(300)
@given(stories(OPEN) | calm(OPEN) | crowded(OPEN) | crowded(OPEN), st.data())
def test_what_is_not_known_moves_nothing(story: Story, data: st.DataObject) -> None:
    """One signal gone, or the pods: nothing falls or leaves, and nothing rises that did not rise with it known."""
    known = clear(story.present.pool)
    lost = data.draw(st.sampled_from([None, *known.signals]))
    t = seeing(story, without(known, lost) if lost else replace(known, seen=False))
    holds_on_ignorance(t)
    assert t.target <= max(t.stays, seeing(story, known).target)


@tries(100)
@given(stories(OPEN) | pressed(OPEN))
def test_nothing_known_is_nothing_done(story: Story) -> None:
    """With every signal gone, and the pods, the target stays; only what the operator orders raises it."""
    t = seeing(story, replace(without(story.present.pool, *LEVELS), seen=False, hints=()))
    assume(isinstance(t.last, int))
    assert t.was <= t.target <= max(t.stays, min(t.cap, t.given.policy.min_replicas))
    assert t.outcome.orders == ()
