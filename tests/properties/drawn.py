"""Pools as Hypothesis draws them: policies, pods and signals of every kind, and a past that led to a memory."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType

from hypothesis import strategies as st

from scaler.core.pods import NO_ACK, NO_ORDINAL, Activity, Phase, Pod, Pods, Stage
from scaler.core.policy import Guarantee, Mode, Pace, Policy, Workload
from scaler.core.types import Announcement, Instant, Known, Observation, Sample, Seconds, Signal, Unknown

START: Instant = 1_800_000_000.0
SILENT = Unknown("the source does not answer")
LEVELS: Mapping[Signal, tuple[float, ...]] = {
    Signal.QUEUE: (0.0, 1.0, 3.0, 9.0, 40.0),
    Signal.PENDING: (0.0, 2.0, 7.0, 25.0),
    Signal.INFLIGHT: (0.0, 1.0, 5.0, 12.0),
    Signal.TOKENS: (0.0, 90.0, 700.0, 5000.0),
    Signal.OLDEST_WAIT: (0.0, 5.0, 60.0),
    Signal.WAIT_P95: (1.0, 20.0, 90.0),
    Signal.ARRIVALS: (0.0, 0.1, 2.0),
    Signal.SERVICE: (1.0, 30.0),
    Signal.COMPLETIONS: (10.0, 5000.0),
}
HASTY = Pace(  # learns from a handful of events what others learn in a day
    fast_window=2.0,
    slow_window=10.0,
    namings=2,
    lost_after=60.0,
    startup_prior=10.0,
    startup_samples=1,
    drain_overhead=1.0,
    gaps_enough=2,
    timer_prior=0.5,
    wait_price_every=30.0,
    forecast_trials=2,
)


@st.composite
def policies(draw: st.DrawFn) -> Policy:
    """Any policy that is allowed."""
    least, most = draw(st.sampled_from([(0, 20), (0, 20), (2, 6), (0, 5), (0, 1)]))
    money = draw(st.none() | st.none() | st.integers(max(1, least), most))
    return Policy(
        mode=draw(st.sampled_from([Mode.AUTO, Mode.AUTO, Mode.AUTO, Mode.RECOMMEND, Mode.OFF])),
        min_replicas=least,
        max_replicas=most,
        budget_per_hour=None if money is None else money * 0.1,
        pod_price_per_hour=None if money is None else 0.1,
        slots_per_pod=draw(st.sampled_from([1, 1, 3])),
        tokens_per_pod=draw(st.sampled_from([None, 100.0])),
        activation=draw(st.sampled_from([0.0, 0.0, 2.0])),
        pause_up=draw(st.sampled_from([False, False, False, True])),
        pause_down=draw(st.sampled_from([False, False, False, True])),
        guarantee=draw(st.sampled_from([Guarantee.PROTECTED, Guarantee.PROTECTED, Guarantee.BEST_EFFORT])),
        workload=draw(st.sampled_from(Workload)),
        ordinals_start=draw(st.sampled_from([0, 0, 3])),
        scrape_interval=draw(st.sampled_from([5.0, 1.0, 200.0])),
        pace=draw(st.sampled_from([Pace(), HASTY, replace(HASTY, namings=1, flap_budget=1)])),
    )


AUTO = policies().map(lambda policy: replace(policy, mode=Mode.AUTO))


@dataclass(frozen=True, slots=True, kw_only=True)
class Life:
    """One pod as drawn; ``heard`` seconds ago, ``acked`` so many epochs before its own."""

    stage: Stage = Stage.READY
    phase: Phase = Phase.ACTIVE
    inflight: int = 0
    sessions: int = 0
    heard: Seconds | None = 0.0
    epoch: int = 0
    acked: int | None = None
    displaced: bool = False
    for_node: bool = False

    def pod(self, place: int, policy: Policy, now: Instant) -> Pod:
        """The pod at this place of the pool, seen now."""
        stateful = policy.workload is Workload.STATEFUL_SET
        created = START - 1000.0 + 50.0 * place
        return Pod(
            uid=f"agent-{place}",
            created_at=created,
            since=created + 20.0 * self.stage,
            stage=self.stage,
            phase=self.phase,
            activity=SILENT if self.heard is None else self._activity(now - self.heard),
            ordinal=policy.ordinals_start + place if stateful else NO_ORDINAL,
            epoch=self.epoch,
            acked=NO_ACK if self.acked is None else self.epoch - self.acked,
            displaced=self.displaced,
            for_node=self.for_node,
        )

    def _activity(self, at: Instant) -> Activity:
        return Activity(inflight=self.inflight, sessions=self.sessions, at=at)


BUSY = st.builds(Life, inflight=st.integers(1, 3))
ANY = st.builds(
    Life,
    stage=st.sampled_from([Stage.READY, *Stage]),
    phase=st.sampled_from([Phase.ACTIVE, *Phase]),
    inflight=st.integers(0, 2),
    sessions=st.sampled_from([0, 0, 1]),
    heard=st.sampled_from([0.0, 0.0, 2.0, 20.0, 1000.0, -1000.0, None]),
    epoch=st.integers(1, 3),
    acked=st.sampled_from([None, 0, 1]),
    displaced=st.sampled_from([False, False, True]),
    for_node=st.sampled_from([False, False, True]),
)
ODD = st.sampled_from(  # each is unlike an idle pod in one way
    [
        Life(inflight=1),
        Life(sessions=1),
        Life(heard=None),
        Life(heard=20.0),
        Life(heard=-1000.0),
        Life(stage=Stage.STARTING),
        Life(stage=Stage.UNREADY),
        Life(phase=Phase.DRAINING, epoch=1),
        Life(phase=Phase.DRAINING, epoch=1, acked=0),
        Life(phase=Phase.DRAINING, epoch=1, for_node=True),
        Life(phase=Phase.DRAINED, epoch=1, acked=0),
        Life(displaced=True),
    ]
)
LIVES = st.just(Life()) | BUSY | ODD | ANY


@dataclass(frozen=True, slots=True, kw_only=True)
class Hint:
    """An announcement as drawn, with its times from ``START``."""

    pods: float
    start: Seconds
    length: Seconds
    added: bool

    def announcement(self, name: str) -> Announcement:
        """What the core is told."""
        start = START + self.start
        return Announcement(name=name, pods=self.pods, start=start, end=start + self.length, added=self.added)


HINTS = st.builds(
    Hint,
    pods=st.sampled_from([1.0, 4.0, 50.0]),
    start=st.sampled_from([0.0, 60.0, 500.0]),
    length=st.sampled_from([30.0, 900.0]),
    added=st.booleans(),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Pool:
    """A pool as drawn: its pods by place, None where there is none, its signals with their ages, and what is known."""

    lives: tuple[Life | None, ...]
    signals: Mapping[Signal, tuple[float, Seconds] | None]
    surplus: int | None = 0
    read: Seconds = 0.0
    seen: bool = True
    unguarded: bool = False
    hints: tuple[Hint, ...] = ()

    def observe(self, policy: Policy, now: Instant) -> Observation:
        """What is known of it now."""
        pods = [life.pod(i, policy, now) for i, life in enumerate(self.lives) if life]
        live = None if self.surplus is None else max(0, len(pods) - self.surplus)
        return Observation(
            replicas=SILENT if live is None else Known(float(live), now - self.read),
            pods=Pods.of(pods) if self.seen else SILENT,
            signals={name: sampled(read, now) for name, read in self.signals.items()},
            announced=tuple(hint.announcement(f"hint-{i}") for i, hint in enumerate(self.hints)),
            unguarded=Unknown("a pod that is not drained could be deleted") if self.unguarded else None,
        )


def sampled(read: tuple[float, Seconds] | None, now: Instant) -> Sample:
    """A value and its age as a sample."""
    return SILENT if read is None else Known(read[0], now - read[1])


def reads(signal: Signal) -> st.SearchStrategy[tuple[float, Seconds] | None]:
    """A reading of this signal: mostly a fresh one."""
    fresh = st.tuples(st.sampled_from(LEVELS[signal]), st.just(1.0))
    aged = st.tuples(st.sampled_from(LEVELS[signal]), st.sampled_from([0.0, 20.0, 100.0, 1000.0, -1000.0]))
    return fresh | fresh | aged | st.none()


@st.composite
def pools(draw: st.DrawFn) -> Pool:
    """Any pool of up to seven pods."""
    names = draw(st.sets(st.sampled_from([*LEVELS, Signal.QUEUE, Signal.TOKENS]), max_size=4))
    return Pool(
        lives=tuple(draw(st.lists(LIVES, max_size=7))),
        signals=MappingProxyType({name: draw(reads(name)) for name in sorted(names)}),
        hints=tuple(draw(st.lists(HINTS, max_size=2))),
    )


@st.composite
def changes(draw: st.DrawFn, pool: Pool) -> Pool:
    """The pool a little later: a pod or two are different, a signal or two moved, something is out of sight."""
    lives, signals = list(pool.lives), dict(pool.signals)
    for place, life in draw(st.lists(st.tuples(st.integers(0, 7), LIVES | st.none()), max_size=2)):
        lives[place : place + 1] = [life]
    for name in draw(st.lists(st.sampled_from(sorted(signals)), max_size=2)) if signals else ():
        signals[name] = draw(reads(name))
    return replace(
        pool,
        lives=tuple(lives),
        signals=MappingProxyType(signals),
        surplus=draw(st.sampled_from([0, 0, 0, 1, -2, None])),
        read=draw(st.sampled_from([0.0, 0.0, 0.0, 7.0, 40.0])),
        seen=draw(st.sampled_from([True, True, True, True, False])),
    )


@st.composite
def busier(draw: st.DrawFn, pool: Pool) -> Pool:
    """The same pool with more work in it, by whatever measure."""
    more = st.sampled_from([0, 0, 1, 10])
    part = {Signal.QUEUE: 1, Signal.PENDING: 1, Signal.INFLIGHT: 1, Signal.TOKENS: 100}
    signals = {
        name: read and (read[0] + draw(more) * part.get(name, 0), read[1]) for name, read in pool.signals.items()
    }
    lives = [replace(life, inflight=life.inflight + draw(more)) if life else None for life in pool.lives]
    return replace(pool, lives=tuple(lives), signals=MappingProxyType(signals))


def clear(pool: Pool) -> Pool:
    """The same pool with nothing out of sight: every signal known and fresh, and every pod heard."""
    signals = {name: (read[0] if read else LEVELS[name][0], 0.0) for name, read in pool.signals.items()}
    lives = tuple(life and replace(life, heard=0.0) for life in pool.lives)
    return replace(pool, lives=lives, signals=MappingProxyType(signals), surplus=pool.surplus or 0, seen=True)


def without(pool: Pool, *lost: Signal) -> Pool:
    """The same pool with these signals unknown."""
    signals = {name: None if name in lost else read for name, read in pool.signals.items()}
    return replace(pool, signals=MappingProxyType(signals))


def queue(tasks: float) -> Mapping[Signal, tuple[float, Seconds] | None]:
    """So many tasks in the queue, read just now."""
    return MappingProxyType({Signal.QUEUE: (tasks, 0.0)})


def aged(pool: Pool) -> Pool:
    """The same pool with its signals read long ago."""
    signals = {name: read and (read[0], 1000.0) for name, read in pool.signals.items()}
    return replace(pool, signals=MappingProxyType(signals))
