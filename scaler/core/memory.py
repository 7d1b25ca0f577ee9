"""What one tick hands to the next. Nothing is kept anywhere else, so restart, replay and a new leader are one thing."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from scaler.core.fleet import PodMemory
from scaler.core.forecast import ForecastMemory
from scaler.core.idle import Gaps
from scaler.core.policy import Pace
from scaler.core.startup import Startups
from scaler.core.types import SPARSE, Instant, Known, Seconds
from scaler.core.watch import Watch


@dataclass(frozen=True, slots=True)
class Reading:
    """Demand at one instant, in pods: what additions and removals must respect."""

    at: Instant
    up: float
    down: float


@dataclass(frozen=True, slots=True)
class Rise:
    """The target rose by ``added`` replicas."""

    at: Instant
    added: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Moves:
    """How the target has moved.

    Attributes:
        rises: those of the last rate-limit window.
        last_rise: the last rise that no fall has followed yet.
        turns: quick reversals of the last hour, a rise and a fall within two startups.
    """

    rises: tuple[Rise, ...] = ()
    last_rise: Instant | None = None
    turns: tuple[Instant, ...] = ()


@dataclass(frozen=True, slots=True)
class Crowd:
    """The most pods that stood of late, as the number of replicas that would have kept them all.

    ``since`` is when they came to be so many, None once the live replicas are known from after that.
    """

    since: Instant | None = None
    stand: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Spare:
    """Since when more was asked for than needed, in how many ticks running, and the least it was in any of them.

    ``uneven`` is since when pods that are there and spare have been those without whom a zone falls behind the others.
    """

    since: Instant | None = None
    named: int = 0
    least: int = 0
    uneven: Instant | None = field(default=None, metadata=SPARSE)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Lessons:
    """What a pool has taught, and would be missed most after a restart.

    Attributes:
        tokens: averaged tokens per second.
        capacity: tokens per second and pod, measured while every slot was taken, oldest first.
        wait_price, priced_at: price of waiting in pod-seconds a second, and when it last moved.
    """

    startups: Startups
    gaps: Gaps
    tokens: Known | None = None
    capacity: tuple[Known, ...] = ()
    wait_price: float
    priced_at: Instant


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Memory:
    """One pool's memory.

    Attributes:
        at: the last tick.
        born: when this process first saw the pool; falls wait one idle timer from then.
        target: the last target, None before the first and once we are not followed.
        told_at: when it was last told.
        live: the live replicas when they were last known.
        readings: demand over the slow window, oldest first.
        queue_since: since when the queue has not been empty.
        hints: those in force, in the order in which they came, by name, and the demand in pods that stood then.
        spare: for pods that were ordered and not seen, and for pools whose pods cannot be seen.
        crowd: for pods that came and that the live replicas may not know of yet.
        left_at: when pods last began to leave with their nodes.
        watch: how many pods were wanted lately.
    """

    at: Instant
    born: Instant
    pods: PodMemory
    lessons: Lessons
    forecast: ForecastMemory
    target: int | None = None
    told_at: Instant | None = None
    live: int | None = None
    readings: tuple[Reading, ...] = ()
    queue_since: Instant | None = None
    hints: tuple[tuple[str, float], ...] = ()
    moves: Moves = Moves()
    spare: Spare = Spare()
    crowd: Crowd = Crowd()
    left_at: Instant | None = field(default=None, metadata=SPARSE)
    watch: Watch = field(default=Watch(), metadata=SPARSE)

    @classmethod
    def fresh(cls, now: Instant, pace: Pace | None = None) -> Memory:
        """The memory of a pool never seen before."""
        pace = pace or Pace()
        return cls(
            at=now,
            born=now,
            pods=PodMemory.none(),
            lessons=Lessons(
                startups=Startups.none(pace), gaps=Gaps.none(now, pace), wait_price=pace.wait_price, priced_at=now
            ),
            forecast=ForecastMemory.none(),
        )

    def at_or_before(self, now: Instant) -> Memory:
        """This memory, with every instant moved back as far as the clock was, so that no age is negative."""
        return self if now >= self.at else _moved(self, now - self.at)


def _moved(memory: Memory, by: Seconds) -> Memory:
    """Move each instant by the same length; lengths stay."""

    def at(instant: Instant | None) -> Instant | None:
        return None if instant is None else instant + by

    moves, forecast = memory.moves, memory.forecast
    return replace(
        memory,
        at=memory.at + by,
        born=memory.born + by,
        told_at=at(memory.told_at),
        queue_since=at(memory.queue_since),
        pods=replace(memory.pods, idle_since=memory.pods.idle_since + by, heard=memory.pods.heard + by),
        lessons=_moved_lessons(memory.lessons, by),
        readings=tuple(replace(r, at=r.at + by) for r in memory.readings),
        moves=Moves(
            rises=tuple(replace(r, at=r.at + by) for r in moves.rises),
            last_rise=at(moves.last_rise),
            turns=tuple(t + by for t in moves.turns),
        ),
        spare=replace(memory.spare, since=at(memory.spare.since), uneven=at(memory.spare.uneven)),
        crowd=replace(memory.crowd, since=at(memory.crowd.since)),
        left_at=at(memory.left_at),
        watch=memory.watch.moved(by),
        forecast=replace(
            forecast,
            bid_at=at(forecast.bid_at),
            bids=tuple(replace(b, due=b.due + by) for b in forecast.bids),
        ),
    )


def _moved_lessons(lessons: Lessons, by: Seconds) -> Lessons:
    gaps, tokens = lessons.gaps, lessons.tokens
    return replace(
        lessons,
        gaps=replace(gaps, at=gaps.at + by, timer_at=gaps.timer_at + by),
        tokens=tokens and replace(tokens, at=tokens.at + by),
        capacity=tuple(replace(c, at=c.at + by) for c in lessons.capacity),
        priced_at=lessons.priced_at + by,
    )
