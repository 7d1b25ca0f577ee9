"""The words the decision is made of: samples, pods, observations, decisions and outcomes.

Everything here is an immutable value. Times are in seconds: an ``Instant`` counts from the epoch, ``Seconds`` a length.
Absence is a type: what is not known is ``Unknown(why)``, never 0, NaN or None.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from scaler.core.memory import Memory
    from scaler.core.pods import Pods
    from scaler.core.reasons import Reason

Instant: TypeAlias = float
Seconds: TypeAlias = float
PodUid: TypeAlias = str
SPARSE = MappingProxyType({"sparse": True})  # of a field: a record has it only where it is not its default


@dataclass(frozen=True, slots=True)
class Known:
    """A measured value and the instant it was true, in the unit of its signal."""

    value: float
    at: Instant


@dataclass(frozen=True, slots=True)
class Unknown:
    """The absence of a value, and the sentence that says why."""

    why: str


Sample: TypeAlias = Known | Unknown


class Signal(enum.StrEnum):
    """What a pool may be measured by. A pool lists the ones it has; the rest do not exist for it.

    The first four carry demand; the others inform the rules about waiting, arrivals and service.
    """

    QUEUE = "queue"  # tasks waiting that no pod has taken
    PENDING = "pending"  # unfinished tasks, waiting and running together
    INFLIGHT = "inflight"  # tasks running now, for pools whose pods cannot be asked one by one
    TOKENS = "tokens"  # tokens per second that the work asks for
    OLDEST_WAIT = "oldest_wait"  # seconds the oldest queued task has waited
    WAIT_P95 = "wait_p95"  # seconds, measured over the last half hour or so
    ARRIVALS = "arrivals"  # tasks per second
    SERVICE = "service"  # mean seconds a task runs
    COMPLETIONS = "completions"  # tasks finished so far, a counter


@dataclass(frozen=True, slots=True, kw_only=True)
class Announcement:
    """Work known before it arrives: a hint from a caller, or a window of the pool's schedule.

    A hint adds ``pods`` to the demand that stood when it was first seen; a schedule asks for ``pods`` in all.
    """

    name: str
    pods: float
    start: Instant
    end: Instant
    added: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Observation:
    """All that is known of one pool at one instant.

    Attributes:
        replicas: the workload's live ``spec.replicas``.
        pods: the pods one by one, or why they cannot be seen.
        signals: one sample for each signal the pool is measured by.
        announced: hints and schedule windows that have not ended.
        unguarded: why the guards before the pods are not known to hold; None where they hold, or there are none to ask.
    """

    replicas: Sample
    pods: Pods | Unknown
    signals: Mapping[Signal, Sample] = field(default_factory=lambda: MappingProxyType({}))
    announced: tuple[Announcement, ...] = ()
    unguarded: Unknown | None = None


@dataclass(frozen=True, slots=True)
class Step:
    """One rule's effect on the target: ``before`` and ``after`` in replicas, ``note`` with the figures it used."""

    reason: Reason
    before: int
    after: int
    note: str = ""


@dataclass(frozen=True, slots=True)
class ScaleTo:
    """Ask for this many replicas."""

    replicas: int


@dataclass(frozen=True, slots=True)
class Hold:
    """Keep what there is, because ``reason``; ``replicas`` is Unknown while nobody has said how many there are."""

    replicas: int | Unknown
    reason: Reason
    why: str


Decision: TypeAlias = ScaleTo | Hold


class Verb(enum.StrEnum):
    """The orders of the drain protocol, each carried by whoever acts on the cluster (see ``drain``)."""

    MARK = "mark"  # label the pod draining, with this epoch
    CLOSE = "close"  # ask the agent to close its gate for this epoch
    COMMIT = "commit"  # label it drained, testing uid, phase and epoch
    CANCEL = "cancel"  # label it active again and open its gate, under a new epoch
    DELETE = "delete"  # delete the drained pod, by uid


@dataclass(frozen=True, slots=True)
class Order:
    """One step of the drain protocol for one pod."""

    verb: Verb
    uid: PodUid
    epoch: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Supply:
    """The pool's pods by what they are to the decision, in pods.

    ``ordered`` pods are asked for and not yet seen; ``overdue`` ones have been starting for longer than twice the
    p99 startup; ``displaced`` ones take work and leave with their nodes; ``wanted`` is what counts against demand.
    """

    ready: int
    starting: int
    ordered: int
    overdue: int
    draining: int
    drained: int
    idle: int
    unknown: int
    displaced: int
    wanted: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Demand:
    """Pods the work itself asks for.

    Attributes:
        by_signal: pods asked for by each signal, for additions.
        bound: the signal that asked for the most, or why none could.
        now: this instant; ``up`` and ``down`` after dampening, in whole pods of capacity before headroom.
        need_up: whole pods needed to take the work on; ``need_down`` whole pods that must stay.
        waiting: seconds the oldest task has waited, an upper bound where only the queue is known.
    """

    by_signal: Mapping[str, Sample]
    bound: str | Unknown
    now: float
    up: float
    down: float
    need_up: int
    need_down: int
    waiting: Seconds


@dataclass(frozen=True, slots=True, kw_only=True)
class Forecast:
    """Demand expected at most, at quantile ``quantile``, within ``horizon`` seconds.

    ``skill`` is the loss of ``candidate`` over that of persistence: below 1 is better. ``pods`` is Unknown until it
    has earned its use, but while nothing is proven and demand rises step by step.
    """

    pods: float | Unknown
    horizon: Seconds
    quantile: float
    candidate: str
    skill: float | Unknown


@dataclass(frozen=True, slots=True, kw_only=True)
class Learnt:
    """What the pool has taught us, shown and never set: seconds, and tokens per second for one pod."""

    startup_p90: Seconds
    startup_p99: Seconds
    startups: int
    idle_timer: Seconds
    gaps: int
    tokens_per_pod: float | Unknown
    wait_price: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """The figures a decision was made from, for every surface that explains it."""

    ages: Mapping[Signal, Seconds | Unknown]
    supply: Supply
    demand: Demand
    forecast: Forecast
    learnt: Learnt
    announced: float
    reversals: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """One tick's answer.

    Attributes:
        decision: what we would have the pool be.
        report: what the KEDA door answers: the decision in ``auto``, the live replicas otherwise.
        trail: the steps from the last target to this one; each starts where the one before it ended.
        orders: what to carry out on pods, in this order.
        memory: what the next tick must be given.
    """

    at: Instant
    decision: Decision
    report: int | Unknown
    trail: tuple[Step, ...]
    orders: tuple[Order, ...]
    evidence: Evidence
    memory: Memory

    @property
    def active(self) -> bool | Unknown:
        """Whether KEDA may not take the pool to zero. The target is never below the pods that still hold work."""
        return self.report if isinstance(self.report, Unknown) else self.report > 0
