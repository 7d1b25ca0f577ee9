"""The steward of warm pools: what it writes, when, and when it keeps its hands off."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import pytest

from scaler.config.hints import HintsSection
from scaler.config.pool import PoolKey
from scaler.config.warm import WarmLayer, WarmPoolLayer, WarmSection
from scaler.controller.api import ApiError
from scaler.controller.feed import Change, Listed, Lost, Put
from scaler.controller.sandboxes.digest import Digest
from scaler.controller.sandboxes.facts import Object, WarmPool
from scaler.controller.sandboxes.kinds import Kind
from scaler.controller.sandboxes.steward import Config, Steward
from scaler.controller.sandboxes.ways import Ways
from scaler.controller.sandboxes.writer import Refused, Result, Written
from scaler.core.policy import Mode
from scaler.core.types import Instant, Unknown
from scaler.core.warmpool_types import WarmOutcome
from scaler.live.clock import VirtualClock
from scaler.live.hinting import HintDesk
from scaler.live.hints import Wish
from scaler.live.office import ALONE, Office
from scaler.live.warm import Block, Blocked, WarmHinted, WarmStanding
from tests.controller.sandboxed import BORN, claim, sandbox, warm_pool, wrote
from tests.support.office import FIRST, Chair

KEY = PoolKey("agents", "python")
AT: Instant = BORN + 3600


def bounded(least: int, most: int) -> WarmSection:
    """The pool alone, with these bounds."""
    return WarmSection(defaults=WarmLayer(max=most), pools={str(KEY): WarmPoolLayer(min=least)})


@dataclass
class Feeds:
    """Changes that a test makes."""

    queues: dict[Kind, asyncio.Queue[Change]] = field(default_factory=lambda: {kind: asyncio.Queue() for kind in Kind})

    async def follow(self, kind: Kind) -> AsyncIterator[Change]:
        """Whatever is put in."""
        while True:
            yield await self.queues[kind].get()

    def put(self, kind: Kind, *objects: Object) -> None:
        """These are so now."""
        for each in objects:
            self.queues[kind].put_nowait(Put(each))


@dataclass
class Sizes:
    """A pool that takes each size, unless it is told to fail or to refuse."""

    written: list[int] = field(default_factory=list)
    fails: bool = False
    refuses: bool = False

    async def write(self, pool: WarmPool, seen: int, size: int) -> Result:
        """Note the size."""
        if self.fails:
            raise ApiError("the API server did not answer within 5.0 s")
        if self.refuses:
            return Refused("conflict with argocd")
        self.written.append(size)
        return Written(size)


@dataclass
class Told:
    """What people are told."""

    sizes: list[int | Unknown] = field(default_factory=list)
    blocks: list[Block] = field(default_factory=list)
    digests: list[Digest] = field(default_factory=list)

    def sized(self, pool: WarmPool, outcome: WarmOutcome) -> None:
        """Note the size."""
        self.sizes.append(outcome.report)

    def left_alone(self, pool: WarmPool, blocked: Blocked) -> None:
        """Note why."""
        self.blocks.append(blocked.block)

    def summed_up(self, pool: WarmPool, digest: Digest) -> None:
        """Note what was said."""
        self.digests.append(digest)


@dataclass
class Stage:
    """A steward of the pool ``python``, and everything around it."""

    clock: VirtualClock = field(default_factory=lambda: VirtualClock(AT))
    feeds: Feeds = field(default_factory=Feeds)
    sizes: Sizes = field(default_factory=Sizes)
    section: WarmSection = field(default_factory=lambda: bounded(3, 3))
    told: Told = field(default_factory=Told)
    switch: Mode = Mode.AUTO
    office: Office = ALONE
    steward: Steward = field(init=False)

    def __post_init__(self) -> None:
        """Make the steward."""
        ways = Ways(self.feeds.follow, self.sizes, self.told)
        self.steward = Steward(ways, lambda: Config(self.section, self.switch), self.clock, self.office)

    async def pass_by(self, seconds: float = 10.0) -> None:
        """Let time pass, and everything that is due happen."""
        for _ in range(int(seconds * 4)):
            await self.clock.advance_to(self.clock.now() + 0.25)
            for _ in range(8):
                await asyncio.sleep(0)

    @property
    def standing(self) -> WarmStanding:
        """How the pool stands."""
        return next(iter(self.steward.standings()))

    def listed(self) -> None:
        """Every kind has been listed."""
        for kind in Kind:
            self.feeds.queues[kind].put_nowait(Listed(frozenset({"uid-python"})))


@asynccontextmanager
async def running(stage: Stage) -> AsyncIterator[Stage]:
    """The steward at work."""
    task = asyncio.create_task(stage.steward.run())
    try:
        yield stage
    finally:
        task.cancel()
        await asyncio.wait([task])


class Planner:
    """Somebody who gives hints."""

    name = "planner"

    def may_hint(self, namespace: str) -> bool:
        """For every pool."""
        return True


@dataclass
class Hinted:
    """The warm pools of a steward."""

    steward: Steward

    def get(self, key: PoolKey) -> WarmHinted | None:
        """The pool of this name."""
        return self.steward.hintable(key)


async def settled(stage: Stage, pool: Object | None = None) -> None:
    """There is the pool, and everything was listed."""
    stage.feeds.put(Kind.POOL, warm_pool(0) if pool is None else pool)
    stage.listed()
    await stage.pass_by()


async def test_the_minimum_of_a_pool_is_written_once() -> None:
    """Once it stands, and while the watch has not seen it yet, nothing is written again."""
    async with running(Stage()) as stage:
        await settled(stage)
        assert stage.sizes.written[:1] == [3]
        assert stage.told.sizes[:1] == [3]
        stage.feeds.put(Kind.POOL, warm_pool(3))
        await stage.pass_by(60)
        assert set(stage.sizes.written) == {3}
        assert len(stage.sizes.written) <= 2


async def test_nothing_is_written_before_everything_was_seen() -> None:
    """What is not listed yet may be an HPA that owns the size."""
    async with running(Stage()) as stage:
        stage.feeds.put(Kind.POOL, warm_pool(0))
        for kind in set(Kind) - {Kind.HPA}:
            stage.feeds.queues[kind].put_nowait(Listed(frozenset({"uid-python"})))
        await stage.pass_by(30)
        assert stage.sizes.written == []
        blocked = stage.standing.blocked
        assert blocked is not None
        assert (blocked.block, "horizontalpodautoscalers" in blocked.why) == (Block.UNSEEN, True)


async def test_claims_that_arrive_raise_the_size_above_the_minimum() -> None:
    """Two a second, of which half a hundred fall into one lead time as long as none was measured."""
    async with running(Stage(section=bounded(1, 500))) as stage:
        await settled(stage)
        for round_ in range(20):
            stage.feeds.put(Kind.CLAIM, *(claim(f"c{round_}-{i}", stage.clock.now()) for i in range(4)))
            await stage.pass_by(2)
        assert max(stage.sizes.written) > 40


@pytest.mark.parametrize("kind", [Kind.HPA, Kind.SCALED_OBJECT])
async def test_a_pool_that_somebody_else_scales_is_left_alone(kind: Kind) -> None:
    """And said so, with the way out."""
    word = "HorizontalPodAutoscaler" if kind is Kind.HPA else "ScaledObject"
    rival: Object = {"kind": word, "metadata": {"namespace": "agents", "name": "r", "uid": "uid-python"}}
    rival = {**rival, "spec": {"scaleTargetRef": TARGET}}
    async with running(Stage()) as stage:
        stage.feeds.put(kind, rival)
        await settled(stage)
        assert stage.sizes.written == []
        blocked = stage.standing.blocked
        assert blocked is not None
        assert (blocked.block, word in blocked.why) == (Block.RIVAL, True)
        assert stage.told.blocks == [Block.RIVAL]
        stage.feeds.queues[kind].put_nowait(Listed(frozenset()))
        await stage.pass_by()
        assert stage.sizes.written[:1] == [3]


TARGET: Object = {
    "apiVersion": "extensions.agents.x-k8s.io/v1beta1",
    "kind": "SandboxWarmPool",
    "name": "python",
}


def scaled(*, pool: str = "python") -> Object:
    """A ScaledObject that asks for a warm pool's size."""
    trigger: Object = {"type": "external", "metadata": {"scalerAddress": "scaler:6000", "warmPool": pool}}
    metadata: Object = {"namespace": "agents", "name": "by-keda", "uid": "uid-python"}
    spec: Object = {"scaleTargetRef": TARGET, "triggers": [{"type": "cron"}, trigger]}
    return {"kind": "ScaledObject", "metadata": metadata, "spec": spec}


def hpa_of(owner: str) -> Object:
    """The HPA that KEDA keeps for the ScaledObject of this uid."""
    owners: list[Object] = [{"kind": "ScaledObject", "uid": owner, "controller": True}]
    metadata: Object = {"namespace": "agents", "name": "keda-hpa", "uid": "uid-python", "ownerReferences": owners}
    return {"kind": "HorizontalPodAutoscaler", "metadata": metadata, "spec": {"scaleTargetRef": TARGET}}


async def test_a_pool_whose_scaled_object_asks_us_gets_its_size_by_keda() -> None:
    """The size is decided and told, and not written here; the HPA that KEDA keeps for it is no rival either."""
    async with running(Stage()) as stage:
        stage.feeds.put(Kind.HPA, hpa_of("uid-python"))
        stage.feeds.put(Kind.SCALED_OBJECT, scaled())
        await settled(stage, warm_pool(0, managedFields=[wrote("kube-controller-manager", BORN + 60)]))
        assert stage.standing.blocked is None
        assert stage.standing.through == "by-keda"
        answer = stage.steward.answer(KEY)
        assert answer is not None
        assert answer.size == 3
        assert stage.sizes.written == []
        stage.feeds.put(Kind.POOL, warm_pool(3, managedFields=[wrote("kube-controller-manager", BORN + 60)]))
        stage.section = bounded(5, 5)
        await stage.pass_by()
        assert stage.told.sizes[-1:] == [5]  # people read the Event of the pool, whoever writes


@pytest.mark.parametrize("rival", [scaled(pool="another"), hpa_of("uid-stranger")], ids=["another pool", "another hpa"])
async def test_a_scaled_object_that_asks_for_something_else_is_a_rival(rival: Object) -> None:
    """Nothing is written, and KEDA is told the size that the pool has."""
    async with running(Stage()) as stage:
        kind = Kind.HPA if rival["kind"] == "HorizontalPodAutoscaler" else Kind.SCALED_OBJECT
        stage.feeds.put(kind, rival)
        await settled(stage, warm_pool(1))
        assert stage.sizes.written == []
        blocked = stage.standing.blocked
        assert blocked is not None
        assert blocked.block is Block.RIVAL
        answer = stage.steward.answer(KEY)
        assert answer is not None
        assert answer.size == 1


async def test_the_last_sandbox_that_an_hpa_keeps_does_not_wake_the_pool() -> None:
    """An HPA never goes below one: KEDA takes that one away once the pool has rested, so it must be told to rest."""
    async with running(Stage(section=bounded(0, 5))) as stage:
        stage.feeds.put(Kind.SCALED_OBJECT, scaled())
        await settled(stage, warm_pool(1))
        await stage.pass_by(3_600)
        for _ in range(20):
            answer = stage.steward.answer(KEY)
            assert answer is not None
            assert answer.size == 0
            await stage.pass_by(5)


async def test_people_are_told_once_an_hour_what_came_of_the_claims() -> None:
    """Of hours in which nobody claimed nothing is told."""
    async with running(Stage()) as stage:
        await settled(stage)
        stage.feeds.put(Kind.CLAIM, claim("a", stage.clock.now()))
        stage.feeds.put(Kind.SANDBOX, sandbox("a-1", owner=("SandboxClaim", "uid-a"), launch="cold"))
        await stage.pass_by(2 * 3_600)
        (told,) = stage.told.digests
        assert told.missed
        assert told.said.startswith("1 claims in 60 min: 0 hits, 0 took a sandbox that was starting, 1 started cold")


async def test_a_size_that_somebody_else_sets_is_not_fought() -> None:
    """Until a person says in the pool's annotation that we may take it over."""
    foreign = warm_pool(9, managedFields=[wrote("argocd", BORN + 60)])
    async with running(Stage()) as stage:
        await settled(stage, foreign)
        await stage.pass_by(120)
        assert stage.sizes.written == []
        blocked = stage.standing.blocked
        assert blocked is not None
        assert (blocked.block, "agent-scaler.io/take-over=argocd" in blocked.why) == (Block.FOREIGN, True)
        given = warm_pool(
            2, managedFields=[wrote("argocd", BORN + 60)], annotations={"agent-scaler.io/take-over": "argocd"}
        )
        stage.feeds.put(Kind.POOL, given)
        await stage.pass_by()
        assert stage.sizes.written[:1] == [3]


async def test_a_cluster_without_v1beta1_is_told_so_and_left_alone() -> None:
    """The other version has other fields by the same names."""
    async with running(Stage()) as stage:
        stage.steward.served = frozenset({"v1alpha1"})
        await settled(stage)
        assert stage.sizes.written == []
        blocked = stage.standing.blocked
        assert blocked is not None
        assert (blocked.block, "serves only v1alpha1" in blocked.why) == (Block.UNSERVED, True)


async def test_a_pool_that_is_not_there_is_waited_for() -> None:
    """It may be created later, and is sized then."""
    async with running(Stage()) as stage:
        stage.listed()
        await stage.pass_by()
        blocked = stage.standing.blocked
        assert blocked is not None
        assert blocked.block is Block.ABSENT
        stage.feeds.put(Kind.POOL, warm_pool(0))
        await stage.pass_by()
        assert stage.sizes.written[:1] == [3]


async def test_while_a_watch_is_broken_nothing_is_written() -> None:
    """Not knowing holds."""
    async with running(Stage()) as stage:
        await settled(stage, warm_pool(3))
        stage.feeds.queues[Kind.CLAIM].put_nowait(Lost("the connection broke"))
        before = list(stage.sizes.written)
        stage.feeds.put(Kind.POOL, warm_pool(1))
        await stage.pass_by(30)
        assert stage.sizes.written == before
        stage.feeds.queues[Kind.CLAIM].put_nowait(Listed(frozenset()))
        await stage.pass_by(30)
        assert len(stage.sizes.written) > len(before)


async def test_kinds_that_vanish_and_come_back_leave_the_pool_as_it_was() -> None:
    """The server denied them for a minute: nothing is written on that belief, and no claim counts twice."""
    async with running(Stage(section=bounded(3, 500))) as stage:
        await settled(stage, warm_pool(3))
        claims = [claim(f"c{i}", stage.clock.now()) for i in range(9)]
        stage.feeds.put(Kind.CLAIM, *claims)
        await stage.pass_by(30)
        stood, written = stage.sizes.written[-1], len(stage.sizes.written)
        stage.feeds.put(Kind.POOL, warm_pool(stood))
        gone = (Kind.POOL, Kind.CLAIM, Kind.SANDBOX)
        for kind in gone:
            stage.feeds.queues[kind].put_nowait(Lost("no such kind"))
        await stage.pass_by(60)
        for kind in gone:
            stage.feeds.queues[kind].put_nowait(Listed(frozenset()))
        await stage.pass_by(60)
        assert stage.standing.blocked is not None
        assert stage.standing.blocked.block is Block.ABSENT
        stage.feeds.put(Kind.CLAIM, *claims)
        stage.feeds.put(Kind.POOL, warm_pool(stood))
        await stage.pass_by(60)
        assert stage.standing.blocked is None
        assert max(stage.sizes.written[written:]) <= stood


async def test_a_replica_that_stands_by_writes_nothing_and_goes_on_when_it_leads() -> None:
    """It has seen all of it."""
    seat = Chair()
    async with running(Stage(office=seat)) as stage:
        await settled(stage)
        assert stage.sizes.written == []
        seat.give(FIRST)
        await stage.pass_by()
        assert stage.sizes.written[:1] == [3]


async def test_a_write_that_failed_is_made_again() -> None:
    """By the next tick."""
    async with running(Stage()) as stage:
        stage.sizes.fails = True
        await settled(stage)
        assert stage.sizes.written == []
        stage.sizes.fails = False
        await stage.pass_by()
        assert stage.sizes.written[:1] == [3]


async def test_the_kill_switch_stops_the_writing() -> None:
    """The file's mode goes before the pool's."""
    async with running(Stage(switch=Mode.RECOMMEND)) as stage:
        await settled(stage)
        assert stage.sizes.written == []
        outcome = stage.standing.outcome
        assert outcome is not None
        assert outcome.decision.replicas == 3


async def test_the_size_is_not_raised_while_a_sandbox_finds_no_node() -> None:
    """More of them would find none either."""
    async with running(Stage()) as stage:
        stage.feeds.put(Kind.SANDBOX, sandbox("a", stuck=True))
        stage.feeds.put(Kind.POOL, warm_pool(1))
        for kind in Kind:
            stage.feeds.queues[kind].put_nowait(Listed(frozenset({"uid-python", "uid-a"})))
        await stage.pass_by(30)
        assert stage.sizes.written == []
        assert stage.standing.stuck == 1


async def test_a_fan_out_that_is_announced_has_its_sandboxes_before_its_claims() -> None:
    """An orchestrator says that forty sub-agents are to come."""
    async with running(Stage(section=bounded(1, 500))) as stage:
        await settled(stage, warm_pool(1))
        before = stage.sizes.written[-1] if stage.sizes.written else 1
        desk = HintDesk(Hinted(stage.steward), stage.steward.prompt, HintsSection)
        now = stage.clock.now()
        granted = desk.give(Planner(), Wish(id="w", pool=KEY, slots=40, duration=300.0, start=None, reason=""), now)
        await stage.pass_by(1)
        assert granted.hint.slots == 40
        assert stage.sizes.written[-1] >= before + 40


async def test_pools_that_share_a_budget_have_no_more_than_it_together() -> None:
    """Each has its minimum, and the rest goes where it prevents the most misses."""
    section = bounded(3, 50)
    async with running(Stage(section=section.model_copy(update={"most": 5}))) as stage:
        await settled(stage)
        for round_ in range(20):
            stage.feeds.put(Kind.CLAIM, *(claim(f"c{round_}-{i}", stage.clock.now()) for i in range(4)))
            await stage.pass_by(2)
        assert stage.sizes.written[-1] == 5


async def test_a_pool_that_leaves_the_file_is_let_go() -> None:
    """Its size stays as it is."""
    async with running(Stage()) as stage:
        await settled(stage, warm_pool(3))
        stage.section = WarmSection()
        await stage.pass_by()
        assert list(stage.steward.standings()) == []


async def test_what_idles_is_counted_in_sandbox_seconds() -> None:
    """Every sandbox that stands in the pool costs, ready or not."""
    async with running(Stage()) as stage:
        await settled(stage, warm_pool(4))
        before = stage.standing.idle
        await stage.pass_by(100)
        assert stage.standing.idle - before == pytest.approx(400, abs=10)
