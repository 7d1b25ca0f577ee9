"""A pool's past and its present, as Hypothesis draws them: of every kind, and of those in which something happens."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import accumulate
from types import MappingProxyType

from hypothesis import strategies as st
from hypothesis.vendor.pretty import RepresentationPrinter

from scaler.core.memory import Memory
from scaler.core.pods import Phase
from scaler.core.policy import Policy
from scaler.core.types import Instant, Seconds, Signal
from tests.properties.drawn import (
    BUSY,
    LEVELS,
    ODD,
    START,
    Life,
    Pool,
    aged,
    changes,
    pools,
    queue,
    without,
)
from tests.properties.effort import told
from tests.properties.ticked import Moment

SPANS: tuple[Seconds, ...] = (5.0, 5.0, 15.0, 60.0, 400.0)


@dataclass(frozen=True, slots=True)
class Turn:
    """What one tick is given but for the memory."""

    policy: Policy
    pool: Pool
    now: Instant

    def moment(self, memory: Memory) -> Moment:
        """With the memory."""
        return Moment(self.policy, memory, self.pool.observe(self.policy, self.now), self.now)


@dataclass(frozen=True, slots=True)
class Story:
    """A pool's past, turn by turn, and the present that is to be decided on."""

    past: tuple[Turn, ...]
    present: Turn

    def _repr_pretty_(self, printer: RepresentationPrinter, cycle: bool) -> None:
        printer.text("\n".join(told(turn) for turn in (*self.past, self.present)))

    @property
    def memory(self) -> Memory:
        """What the past has left."""
        first = (*self.past, self.present)[0]
        memory = Memory.fresh(first.now, first.policy.pace)
        for turn in self.past:
            memory = turn.moment(memory).tick().outcome.memory
        return memory

    @property
    def moment(self) -> Moment:
        """What the next tick is given."""
        return self.present.moment(self.memory)


@st.composite
def stories(
    draw: st.DrawFn, kinds: st.SearchStrategy[Policy], spans: tuple[Seconds, ...] = SPANS, *, reload: bool = False
) -> Story:
    """A pool after up to nine ticks; with ``reload`` the policy changes now and then."""
    turns = [Turn(draw(kinds), draw(pools()), START)]
    for span in draw(st.lists(st.sampled_from(spans), max_size=9)):
        policy, pool = turns[-1].policy, turns[-1].pool
        policy = draw(kinds) if reload and draw(st.booleans()) else policy
        pool = draw(changes(pool)) if draw(st.booleans()) else pool
        turns.append(Turn(policy, pool, turns[-1].now + span))
    return Story(tuple(turns[:-1]), turns[-1])


@st.composite
def calm(draw: st.DrawFn, kinds: st.SearchStrategy[Policy]) -> Story:
    """A pool with little to do that stays as it is, so that pods leave; then it may change, or there is much to do.

    Often one pod at most is odd: what another of them holds back for all is no test of it.
    """
    mixed = st.just(Life()) | ODD
    lives = draw(st.lists(mixed if draw(st.booleans()) else st.just(Life()), min_size=1, max_size=4))
    pool = Pool(
        lives=tuple(draw(st.permutations([*lives, draw(mixed)]))),
        signals=queue(draw(st.sampled_from([0.0, 0.0, 2.0]))),
    )
    spans = [400.0, *draw(st.lists(st.sampled_from([5.0, 30.0]), min_size=2, max_size=4))]
    story = lasting(draw(kinds), [pool] * (len(spans) + 1), spans)
    other = draw(st.sampled_from([pool, pool, replace(pool, signals=queue(9.0))]) | changes(pool))
    return replace(story, present=replace(story.present, pool=other))


@st.composite
def dim(draw: st.DrawFn, kinds: st.SearchStrategy[Policy]) -> Story:
    """A calm pool of which something is out of sight now."""
    story = draw(calm(kinds))
    pool = story.present.pool
    unheard, unseen = without(pool, Signal.QUEUE), replace(pool, seen=False)
    leaving = replace(unheard, lives=(*pool.lives, Life(phase=Phase.DRAINING, epoch=1, acked=0)))
    unread = replace(pool, lives=(None, *pool.lives[1:]), surplus=None)  # with a pod that is being replaced
    more = replace(unread, lives=(*pool.lives, Life()))  # or with one that nobody asked for
    dark = [unheard, aged(pool), unseen, replace(unheard, seen=False), leaving, unread, unread, more]
    return replace(story, present=replace(story.present, pool=draw(st.sampled_from(dark))))


@st.composite
def pressed(draw: st.DrawFn, kinds: st.SearchStrategy[Policy]) -> Story:
    """A pool with more to do than it may start pods for at once."""
    lives = tuple(draw(st.lists(BUSY, max_size=3)))
    pool = Pool(lives=lives, signals=queue(draw(st.sampled_from([2.0, 5.0, 40.0]))))
    spans = draw(st.lists(st.sampled_from([5.0, 16.0]), max_size=3))
    return lasting(draw(kinds), [pool] * (len(spans) + 1), spans)


@st.composite
def returning(draw: st.DrawFn, kinds: st.SearchStrategy[Policy]) -> Story:
    """A pool in which pods drain when work comes back."""
    draining = st.builds(Life, phase=st.just(Phase.DRAINING), epoch=st.just(1), acked=st.sampled_from([None, 0]))
    lives = tuple(draw(st.lists(st.just(Life()) | BUSY | draining, min_size=1, max_size=5)))
    tasks = draw(st.sampled_from([1.0, 3.0, 9.0]))
    return lasting(draw(kinds), [Pool(lives=lives, signals=queue(n)) for n in (0.0, tasks)], [5.0])


@st.composite
def emptied(draw: st.DrawFn, kinds: st.SearchStrategy[Policy]) -> Story:
    """A pool at work, most of whose pods stand on nodes that ask them away, some of them on their way already."""
    phases = [
        Life(),
        Life(inflight=1),
        Life(phase=Phase.DRAINING, epoch=1, acked=0),
        Life(phase=Phase.DRAINED, epoch=1),
    ]
    lives = draw(st.lists(st.sampled_from(phases) | BUSY | ODD, min_size=1, max_size=6))
    asked = tuple(replace(life, displaced=draw(st.sampled_from([True, True, False]))) for life in lives)
    pool = Pool(lives=asked, signals=queue(draw(st.sampled_from([0.0, 0.0, 2.0, 9.0]))))
    other = replace(pool, lives=tuple(replace(life, displaced=False) for life in asked))
    spans = draw(st.lists(st.sampled_from([5.0, 30.0]), min_size=1, max_size=3))
    return lasting(draw(kinds), [pool] * len(spans) + [draw(st.sampled_from([pool, pool, other]))], spans)


@st.composite
def crowded(draw: st.DrawFn, kinds: st.SearchStrategy[Policy]) -> Story:
    """Many busy pods and a few tasks that wait, which the tolerance keeps waiting for a while."""
    policy = replace(draw(kinds), max_replicas=100, budget_per_hour=None, pod_price_per_hour=None, slots_per_pod=1)
    waits = {Signal.OLDEST_WAIT: (draw(st.sampled_from(LEVELS[Signal.OLDEST_WAIT])), 0.0)}
    tasks = draw(st.sampled_from([1.0, 2.0]))
    pool = Pool(
        lives=(Life(inflight=1),) * draw(st.integers(10, 24)),
        signals=MappingProxyType({**queue(tasks), **draw(st.sampled_from([{}, waits]))}),
    )
    return lasting(policy, [pool] * 3, [60.0, 60.0])


@st.composite
def saturated(draw: st.DrawFn, kinds: st.SearchStrategy[Policy]) -> Story:
    """Full pods and a token rate that falls from its height just as what one pod carries becomes known."""
    policy = replace(draw(kinds), max_replicas=500, budget_per_hour=None, pod_price_per_hour=None, slots_per_pod=1)
    policy = replace(policy, tokens_per_pod=None, pace=replace(policy.pace, rise_pods=1000))
    low, high = st.sampled_from([90.0, 300.0]), st.sampled_from([700.0, 5000.0])
    tokens = [draw(low), draw(low), *draw(st.lists(high, min_size=1, max_size=3)), draw(low)]
    full = Pool(lives=(Life(inflight=1),) * draw(st.integers(1, 4)), signals=queue(1.0))
    pools = [
        replace(full, signals=MappingProxyType({**queue(float(rate <= 300.0)), Signal.TOKENS: (rate, 0.0)}))
        for rate in tokens
    ]
    return lasting(policy, pools, [40.0] * (len(pools) - 1))


def lasting(policy: Policy, pools: Sequence[Pool], spans: Sequence[Seconds]) -> Story:
    """These pools one after the other, with these seconds between."""
    turns = [Turn(policy, pool, now) for pool, now in zip(pools, accumulate(spans, initial=START), strict=True)]
    return Story(tuple(turns[:-1]), turns[-1])
