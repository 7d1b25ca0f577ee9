"""Laws of announced work: hints and the schedule ask for pods ahead, in measure, and no longer than they say."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from hypothesis import example, given
from hypothesis import strategies as st

from scaler.core.memory import Memory
from scaler.core.policy import Pace, Policy
from scaler.core.tick import tick
from scaler.core.types import Announcement, Instant, Known, Observation, Outcome, Signal
from tests.properties.drawn import HINTS, SILENT, START, Hint
from tests.properties.effort import tries

SOON = st.lists(HINTS, min_size=1, max_size=5)
OPEN = Policy(max_replicas=40, pace=Pace(rise_pods=100))


def at(memory: Memory, now: Instant, tasks: float, announced: Sequence[Announcement]) -> Outcome:
    """One tick of a pool that is known by its queue alone."""
    queue = Known(tasks, now)
    seen = Observation(
        replicas=SILENT,
        pods=SILENT,
        signals={Signal.QUEUE: queue},
        announced=tuple(announced),
    )
    return tick(OPEN, replace(memory, target=memory.target or 0), seen, now)


def named(hints: Sequence[Hint]) -> list[Announcement]:
    """As the core is told of them."""
    return [hint.announcement(f"hint-{i}") for i, hint in enumerate(hints)]


@tries(100)
@given(st.lists(HINTS.map(lambda hint: replace(hint, added=True)), max_size=5), st.sampled_from([0.0, 3.0]))
def test_hints_together_stay_within_their_share(hints: Sequence[Hint], tasks: float) -> None:
    """However many call out, beside the work that is there they add half the maximum at most."""
    memory = Memory.fresh(START)
    for i in range(len(hints) + 1):
        outcome = at(memory, START + i, tasks, named(hints[:i]))
        assert outcome.evidence.announced <= tasks + OPEN.pace.hint_share * OPEN.max_replicas
        memory = outcome.memory


@tries(100)
@example(
    [Hint(pods=1.0, start=0.0, length=30.0, added=True), Hint(pods=1.0, start=0.0, length=900.0, added=True)], 200.0
)
@given(SOON, st.sampled_from([0.0, 200.0, 450.0, 950.0, 2000.0]))
def test_what_is_announced_counts_only_in_its_time(hints: Sequence[Hint], later: float) -> None:
    """From one startup before its beginning to its end, and not a second longer, each asks for its pods and no more."""
    announced, now = named(hints), START + later
    first = at(Memory.fresh(START), START, 0.0, announced)
    outcome = at(first.memory, now, 0.0, announced)
    live = [a for a in announced if a.start - outcome.evidence.forecast.horizon <= now < a.end]
    added = min(sum(a.pods for a in live if a.added), OPEN.pace.hint_share * OPEN.max_replicas)
    assert outcome.evidence.announced <= max([added, *(a.pods for a in live if not a.added)])
    assert outcome.evidence.announced >= max((a.pods for a in live if not a.added), default=0.0)
    assert bool(outcome.evidence.announced) == bool(live)


@tries(60)
@given(st.integers(0, 10), st.integers(1, 15), st.data())
def test_tasks_that_were_announced_do_not_count_twice(tasks: int, pods: int, data: st.DataObject) -> None:
    """As they arrive, in whatever portions, the target is what stood when they were announced and they themselves."""
    hint = Announcement(name="fan-out", pods=pods, start=START, end=START + 900.0, added=True)
    outcome = at(Memory.fresh(START), START, tasks, [hint])
    for i, arrived in enumerate(sorted(data.draw(st.lists(st.integers(0, pods), max_size=5)))):
        outcome = at(outcome.memory, START + 5.0 * i + 5.0, tasks + arrived, [hint])
        assert outcome.decision.replicas == tasks + pods


@tries(60)
@given(st.lists(st.integers(1, 6), min_size=2, max_size=3), st.integers(0, 5), st.data())
def test_hints_add_up_in_any_order(sizes: Sequence[int], tasks: int, data: st.DataObject) -> None:
    """Those that come one after the other ask for their sum, however they are listed."""
    hints = [Announcement(name=f"{i}", pods=n, start=START, end=START + 900.0, added=True) for i, n in enumerate(sizes)]
    memory = Memory.fresh(START)
    for i in range(1, len(hints) + 1):
        outcome = at(memory, START + i, tasks, data.draw(st.permutations(hints[:i])))
        memory = outcome.memory
        assert outcome.evidence.announced == tasks + sum(sizes[:i])
