"""Hints: who may give them, how far they are bounded, how long they stand, and what the pool makes of them."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scaler.config.hints import HintsSection
from scaler.config.pool import PoolKey
from scaler.core.pods import Pods
from scaler.core.policy import Mode, Policy
from scaler.core.types import Announcement, Known, Seconds, Signal
from scaler.live.hinting import MOST_IN_POOL, Granted, HintDesk, HintError, Verdict, share
from scaler.live.hints import Wish
from scaler.live.loop import Loop
from scaler.live.registry import Registry
from scaler.live.ticker import Ticker
from tests.support.pools import NOON, PODS, QUEUE, REPLICAS, Diary, Oracle, Wall, settle, spec

CODER = PoolKey("agents", "coder")
WIDE = Policy(max_replicas=100)


@dataclass(frozen=True)
class Someone:
    """A caller who may give hints for one namespace."""

    name: str = "planner"
    namespace: str = "agents"

    def may_hint(self, namespace: str) -> bool:
        """Whether it is that one."""
        return namespace == self.namespace


PLANNER, OTHER = Someone(), Someone("other")
WISH = Wish(id="", pool=CODER, slots=4, duration=600.0, start=None, reason="fan-out")


def slots(count: int) -> Wish:
    """Ten minutes of so many."""
    return replace(WISH, slots=count)


@dataclass
class Counter:
    """A desk over a registry with one pool; ``prompted`` are the pools that were ticked at once."""

    policy: Policy = WIDE
    section: HintsSection = field(default_factory=HintsSection)
    registry: Registry = field(default_factory=Registry)
    prompted: list[PoolKey] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.registry.put(spec(policy=self.policy), NOON)
        self.desk = HintDesk(self.registry, self.prompted.append, lambda: self.section)
        self._ids = (f"hint-{i}" for i in range(1_000_000))

    def give(self, wish: Wish, caller: Someone = PLANNER, *, at: Seconds = 0.0) -> Granted:
        """Give a hint so long after noon; one without an id is given a new one."""
        named = wish if wish.id else replace(wish, id=next(self._ids))
        return self.desk.give(caller, named, NOON + at)

    def refusal(self, wish: Wish, caller: Someone = PLANNER, *, at: Seconds = 0.0) -> HintError:
        """Give one that is refused."""
        with pytest.raises(HintError) as caught:
            self.give(wish, caller, at=at)
        return caught.value

    def announced(self, at: Seconds = 0.0) -> tuple[Announcement, ...]:
        """What the pool sees so long after noon."""
        pool = self.registry.get(CODER)
        assert pool is not None
        return pool.observe(NOON + at).announced


def test_a_hint_is_announced_to_its_pool_until_it_ends() -> None:
    """In pods, by the slots of the pool's policy, as something that adds to the demand that stands."""
    counter = Counter(Policy(max_replicas=100, slots_per_pod=4))
    granted = counter.give(replace(WISH, slots=40, id="fan-out"))
    assert (granted.hint.slots, granted.hint.end, granted.bounds) == (40, NOON + 600, ())
    told = Announcement(name="planner/fan-out#1", pods=10.0, start=NOON, end=NOON + 600, added=True)
    assert counter.announced() == counter.announced(599.9) == (told,)
    assert counter.announced(600) == ()
    assert counter.prompted == [CODER]
    assert counter.desk.counts()["granted"] == 1


def test_slots_of_a_pod_are_counted_as_they_are_now() -> None:
    """A policy that changes while a hint stands changes what it asks for."""
    counter = Counter()
    counter.give(slots(8))
    counter.registry.put(spec(policy=Policy(max_replicas=100, slots_per_pod=2)), NOON)
    assert [a.pods for a in counter.announced()] == [4.0]


def test_hints_of_a_pool_share_what_its_policy_gives_them() -> None:
    """Half of ten pods is five slots: the first caller takes three, the next is cut to two, the third gets none."""
    counter = Counter(Policy(max_replicas=10))
    assert counter.give(slots(3)).bounds == ()
    cut = counter.give(replace(WISH, slots=40, duration=900.0), OTHER)
    assert cut.hint.slots == 2
    (bound,) = cut.bounds
    assert bound.startswith("slots: 2 of 40 are granted, because all hints of agents/coder together may ask for 0.5")
    assert counter.give(cut.hint.wish, OTHER) == cut  # whoever lost the answer asks again, and reads why it is less
    refused = counter.refusal(slots(1))
    assert (refused.verdict, refused.again) == (Verdict.SPENT, NOON + 600)
    assert counter.give(slots(3), at=600).hint.slots == 3
    nonzero = {verdict: count for verdict, count in counter.desk.counts().items() if count}
    assert nonzero == {"granted": 2, "cut": 1, "repeated": 1, "spent": 1}


def test_hints_that_never_stand_together_do_not_share() -> None:
    """The share is for any one time: what begins when another ends may ask for as much."""
    counter = Counter(Policy(max_replicas=10))
    counter.give(slots(5))
    assert counter.give(replace(WISH, slots=5, start=NOON + 600)).hint.slots == 5
    assert counter.refusal(replace(WISH, slots=1, start=NOON + 599)).verdict is Verdict.SPENT


@pytest.mark.parametrize(
    ("policy", "most"),
    [
        (Policy(max_replicas=20), 10),
        (Policy(max_replicas=20, slots_per_pod=4), 40),
        (Policy(max_replicas=9), 4),
        (Policy(max_replicas=1), 1),
        (Policy(max_replicas=100, budget_per_hour=30.0, pod_price_per_hour=1.0), 15),
    ],
    ids=["half", "in slots", "rounded down", "never none", "money binds"],
)
def test_the_share_is_half_of_what_the_pool_may_have(policy: Policy, most: int) -> None:
    """Of the most pods by number and by money, whichever is less."""
    assert share(policy) == most


CALLS = st.lists(
    st.tuples(
        st.integers(1, 60),
        st.sampled_from([PLANNER, OTHER]),
        st.integers(0, 3_000),
        st.integers(1, 5_000),
        st.integers(0, 2_000),
    ),
    max_size=40,
)


@given(CALLS, st.integers(1, 60), st.integers(1, 5))
def test_no_calls_buy_more_than_the_share(
    calls: list[tuple[int, Someone, int, int, int]], most: int, slots_per_pod: int
) -> None:
    """Whoever calls, however often, whenever and for whenever: at no time do the hints ask for more."""
    policy = Policy(max_replicas=most, slots_per_pod=slots_per_pod)
    counter = Counter(policy)
    for count, caller, at, lasts, ahead in sorted(calls, key=lambda call: call[2]):
        try:
            counter.give(replace(WISH, slots=count, duration=float(lasts), start=NOON + at + ahead), caller, at=at)
        except HintError as error:
            assert error.verdict in {Verdict.SPENT, Verdict.CROWDED}  # noqa: PT017 (most calls are not refused)
        hints = counter.announced(at)
        for instant in {a.start for a in hints}:
            there = sum(a.pods for a in hints if a.start <= instant < a.end)
            assert there <= max(1, share(policy)) / slots_per_pod + 1e-9
        assert all(a.end - a.start <= counter.section.longest for a in hints)


def test_a_long_hint_is_cut_to_what_the_operator_allows() -> None:
    """Whoever wants it longer gives it again."""
    counter = Counter(section=HintsSection(longest=300.0))
    granted = counter.give(WISH)
    assert granted.hint.end == NOON + 300
    assert granted.bounds == ("duration: 300 s of 600 s are granted, because no hint may stand longer",)


def test_a_hint_may_begin_later_and_not_before_now() -> None:
    """Up to a day ahead; what should have begun already begins now and lasts as long."""
    counter = Counter()
    assert counter.give(replace(WISH, start=NOON + 60)).hint.end == NOON + 660
    assert counter.give(replace(WISH, start=NOON - 60)).hint.end == NOON + 600
    assert counter.refusal(replace(WISH, start=NOON + 86_401)).verdict is Verdict.FAR


def test_a_pool_that_is_not_followed_takes_hints_and_says_that_they_change_nothing() -> None:
    """The caller learns it at once, not by waiting for pods."""
    counter = Counter(Policy(max_replicas=100, mode=Mode.RECOMMEND))
    assert counter.give(WISH).bounds == ("mode: it is recommend, so the replicas of agents/coder stay as they are",)


def test_a_caller_keeps_to_its_namespaces() -> None:
    """Whether there is such a pool is not told to those who may not hint for it."""
    counter = Counter()
    stranger = Someone(namespace="billing")
    told = {str(counter.refusal(replace(WISH, pool=pool), stranger)) for pool in (CODER, PoolKey("agents", "ghost"))}
    assert told == {"planner may give no hints for pools of agents"}
    missing = counter.refusal(replace(WISH, pool=PoolKey("agents", "ghost")))
    assert (missing.verdict, str(missing).partition(":")[0]) == (Verdict.NO_POOL, "there is no pool agents/ghost")
    assert counter.prompted == []


def test_a_caller_has_so_many_hints_at_once() -> None:
    """The next one has its place when one ends, is withdrawn, or its pool goes."""
    counter = Counter(section=HintsSection(most=2))
    counter.give(replace(WISH, duration=60.0))
    counter.give(replace(WISH, id="two"))
    refused = counter.refusal(WISH)
    assert (refused.verdict, refused.again) == (Verdict.CROWDED, NOON + 60)
    counter.give(WISH, OTHER)
    counter.give(WISH, at=60)
    counter.desk.withdraw(PLANNER, "two", NOON + 60)
    counter.give(WISH, at=60)
    counter.registry.remove(CODER)
    counter.registry.put(spec(policy=WIDE), NOON)
    assert counter.announced(60) == ()
    counter.give(WISH, at=60)
    counter.give(WISH, at=60)


def test_a_pool_has_so_many_hints_at_once() -> None:
    """However many callers there are: every one of them is looked at on every tick."""
    counter = Counter(Policy(max_replicas=10_000))
    for i in range(MOST_IN_POOL):
        counter.give(slots(1), Someone(f"caller-{i}"))
    assert counter.refusal(slots(1)).verdict is Verdict.CROWDED


def test_the_same_again_changes_nothing() -> None:
    """A request whose answer was lost is sent again; another one under its id is refused."""
    counter = Counter()
    fan_out = replace(WISH, id="fan-out")
    first = counter.give(fan_out)
    assert counter.give(fan_out, at=5).hint == first.hint
    assert counter.prompted == [CODER]
    assert counter.refusal(replace(fan_out, slots=5)).verdict is Verdict.TAKEN
    assert counter.give(fan_out, OTHER).hint.caller == "other"
    assert len(counter.announced()) == 2


def test_only_its_owner_withdraws_a_hint() -> None:
    """A second withdrawal finds nothing, and the id is free again, as new work."""
    counter = Counter()
    counter.give(replace(WISH, id="fan-out"))
    for caller, id_ in ((OTHER, "fan-out"), (PLANNER, "fan-in")):
        with pytest.raises(HintError, match=f"no hint of {caller.name} stands under the id {id_}"):
            counter.desk.withdraw(caller, id_, NOON)
    counter.desk.withdraw(PLANNER, "fan-out", NOON)
    assert counter.announced() == ()
    with pytest.raises(HintError):
        counter.desk.withdraw(PLANNER, "fan-out", NOON)
    counter.give(replace(WISH, id="fan-out"))
    assert [a.name for a in counter.announced()] == ["planner/fan-out#2"]
    assert counter.desk.counts()["withdrawn"] == 1


async def test_a_hint_ticks_its_pool_at_once() -> None:
    """No time passes between the hint and the target that follows from it."""
    wall, diary, registry = Wall(), Diary(), Registry()
    oracle = Oracle({QUEUE: Known(0, NOON), REPLICAS: Known(0, NOON)}, pods_at={PODS: Pods.of([])})
    registry.put(spec(pods=PODS, policy=Policy(max_replicas=100, slots_per_pod=10)), NOON)
    loop = Loop(registry, oracle, Ticker(diary), wall)
    desk = HintDesk(registry, loop.prompt, HintsSection)
    running = asyncio.create_task(loop.run())
    desk.give(PLANNER, replace(WISH, id="fan-out", slots=40), NOON)
    assert diary.outcomes == {}  # nothing is read yet: the first tick will see it
    await settle()
    first = diary.outcomes[CODER][0]
    assert (first.at, first.report, first.evidence.demand.by_signal[Signal.QUEUE]) == (NOON, 4, Known(0.0, NOON))
    await wall.pass_time(10)
    before = len(diary.outcomes[CODER])
    desk.give(PLANNER, replace(WISH, id="more", slots=40), wall.now())
    assert [o.at for o in diary.outcomes[CODER][before:]] == [wall.now()]
    running.cancel()
    await asyncio.wait([running])
