"""The HorizontalPodAutoscaler's arithmetic for External metrics of type AverageValue, Kubernetes 1.33 and later.

From pkg/controller/podautoscaler: ``replica_calculator.go`` (proposals) and ``horizontal.go`` (stabilisation and
rates). Replicas asked for are whole; a proposal is absolute, not a change. Pods and their readiness play no part.
"""

from __future__ import annotations

import enum
import functools
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from scaler.core.types import Instant, Seconds, Unknown

SYNC: Seconds = 15.0
DEFAULT_TOLERANCE = 0.1
DEFAULT_WINDOW: Seconds = 300.0
MOST = 2**31 - 1


class Kind(enum.Enum):
    """What a policy's value counts."""

    PODS = "Pods"
    PERCENT = "Percent"


class Select(enum.Enum):
    """Which of several policies decides: the one that allows the larger change, the smaller one, or none does."""

    MAX = "Max"
    MIN = "Min"
    DISABLED = "Disabled"


@dataclass(frozen=True, slots=True)
class ScalingPolicy:
    """At most ``value`` pods or per cent within ``period`` seconds."""

    kind: Kind
    value: int
    period: Seconds


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """One direction of ``spec.behavior``."""

    window: Seconds = 0.0
    policies: tuple[ScalingPolicy, ...] = (ScalingPolicy(Kind.PERCENT, 100, 15.0),)
    select: Select = Select.MAX
    tolerance: float = DEFAULT_TOLERANCE


@dataclass(frozen=True, slots=True, kw_only=True)
class Behavior:
    """``spec.behavior``, both directions with the defaults that the API server fills in."""

    up: Rules = Rules(policies=(ScalingPolicy(Kind.PODS, 4, 15.0), ScalingPolicy(Kind.PERCENT, 100, 15.0)))
    down: Rules = Rules(window=DEFAULT_WINDOW)


# What we ship: all damping is on our side of the door, so the HPA follows our number at once and exactly.
FOLLOW = Behavior(
    up=Rules(policies=(ScalingPolicy(Kind.PERCENT, 10_000, 15.0), ScalingPolicy(Kind.PODS, 1000, 15.0)), tolerance=0.0),
    down=Rules(tolerance=0.0),
)


@dataclass(frozen=True, slots=True)
class Metric:
    """An external metric's value, or why it could not be read, and the target per replica."""

    value: float | Unknown
    target: float


@dataclass(frozen=True, slots=True)
class Dated:
    """A recommendation, or the size of a change, in replicas."""

    at: Instant
    replicas: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Hpa:
    """One HPA's spec: ``minReplicas``, ``maxReplicas`` and ``behavior``.

    No behavior is not the same as the defaults of one that is set.
    """

    low: int
    high: int
    behavior: Behavior | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class HpaMemory:
    """What the controller remembers of an HPA: its recommendations, and by how much it rose and fell."""

    past: tuple[Dated, ...] = ()
    ups: tuple[Dated, ...] = ()
    downs: tuple[Dated, ...] = ()


@dataclass(frozen=True, slots=True)
class Scale:
    """A workload's ``spec.replicas`` and ``status.replicas``."""

    spec: int
    status: int


def sync(
    hpa: Hpa, memory: HpaMemory, metrics: Iterable[Metric], *, scale: Scale, now: Instant
) -> tuple[int, HpaMemory]:
    """What the HPA writes to ``spec.replicas`` now, the same again where it holds; and its memory after that."""
    proposals = [propose(metric, scale.status, hpa.behavior) for metric in metrics]
    return follow(hpa, memory, proposals, spec=scale.spec, now=now)


def follow(
    hpa: Hpa, memory: HpaMemory, proposals: Iterable[int | Unknown], *, spec: int, now: Instant
) -> tuple[int, HpaMemory]:
    """As ``sync``, with what the metrics ask for, of whatever kind they are.

    What the workload has when the controller first sees it counts as its first recommendation.
    """
    memory = memory if memory.past else replace(memory, past=(Dated(now, spec),))
    if spec == 0 and hpa.low != 0:
        return 0, memory  # scaled to zero by somebody else, who alone may wake it
    if not hpa.low <= spec <= hpa.high:
        after = min(max(spec, hpa.low), hpa.high)
        return after, changed(memory, hpa.behavior, after - spec, now)
    want = combine(proposals, spec)
    if isinstance(want, Unknown):
        return spec, memory
    after = limit(hpa, memory, want, spec=spec, now=now)
    return after, changed(advised(memory, hpa.behavior, want, now), hpa.behavior, after - spec, now)


def limit(hpa: Hpa, memory: HpaMemory, want: int, *, spec: int, now: Instant) -> int:
    """How much of a wish is followed now: stabilised, and within rates and bounds."""
    behavior = hpa.behavior
    if behavior is None:  # the highest of five minutes, and at most twice the replicas, or four, at once
        recent = (r.replicas for r in memory.past if r.at > now - DEFAULT_WINDOW)
        return min(max(want, hpa.low, *recent), hpa.high, max(2 * spec, 4))
    calm = stabilise(want, spec, memory.past, behavior, now)
    if calm > spec:
        return min(calm, hpa.high, max(spec, ceiling(spec, memory, behavior.up, now)))
    if calm < spec:
        return max(calm, hpa.low, min(spec, bottom(spec, memory, behavior.down, now)))
    return spec


@functools.lru_cache(maxsize=1024)
def milli(value: float) -> int:
    """The value as KEDA writes it and the HPA reads it: thousandths; what is no quantity is zero."""
    return round(float(f"{value:.3f}") * 1000) if math.isfinite(value) and value > 0 else 0


def propose(metric: Metric, status: int, behavior: Behavior | None = None) -> int | Unknown:
    """Replicas that one metric asks for, given the replicas in the workload's *status*."""
    if isinstance(metric.value, Unknown):
        return metric.value
    behavior = behavior or Behavior()
    usage, target = milli(metric.value), milli(metric.target)
    if status:
        ratio = usage / (target * status)
        if 1.0 - behavior.down.tolerance <= ratio <= 1.0 + behavior.up.tolerance:
            return status
    return min(MOST, -(-usage // target))


def combine(proposals: Iterable[int | Unknown], spec: int) -> int | Unknown:
    """The largest proposal; nothing falls while any is missing."""
    missing = None
    most: int | None = None
    for proposal in proposals:
        if isinstance(proposal, Unknown):
            missing = proposal
        else:
            most = proposal if most is None else max(most, proposal)
    if most is None:
        return missing or Unknown("the HPA has no metric")
    return missing if missing is not None and most < spec else most


def stabilise(want: int, spec: int, past: Sequence[Dated], behavior: Behavior, now: Instant) -> int:
    """Rise to at most the lowest recommendation of the up window, fall to at least the highest of the down one."""
    up_since, down_since = now - behavior.up.window, now - behavior.down.window
    up = min([want, *[r.replicas for r in past if r.at > up_since]])
    down = max([want, *[r.replicas for r in past if r.at > down_since]])
    return min(max(spec, up), down)


def ceiling(spec: int, memory: HpaMemory, rules: Rules, now: Instant) -> int:
    """The most that the policies for rising allow."""
    if rules.select is Select.DISABLED:
        return spec
    allowed = []
    for policy in rules.policies:
        began = _began(spec, memory, policy, now)
        percent = policy.kind is Kind.PERCENT
        allowed.append(math.ceil(began * (1.0 + policy.value / 100)) if percent else began + policy.value)
    return max(allowed) if rules.select is Select.MAX else min(allowed)


def bottom(spec: int, memory: HpaMemory, rules: Rules, now: Instant) -> int:
    """The fewest that the policies for falling allow."""
    if rules.select is Select.DISABLED:
        return spec
    allowed = []
    for policy in rules.policies:
        began = _began(spec, memory, policy, now)
        percent = policy.kind is Kind.PERCENT
        allowed.append(int(began * (1.0 - policy.value / 100)) if percent else began - policy.value)
    return min(allowed) if rules.select is Select.MAX else max(allowed)


def _began(spec: int, memory: HpaMemory, policy: ScalingPolicy, now: Instant) -> int:
    """Replicas at the start of the policy's period."""
    return spec - _sum(memory.ups, now - policy.period) + _sum(memory.downs, now - policy.period)


def _sum(changes: Iterable[Dated], since: Instant) -> int:
    return sum(change.replicas for change in changes if change.at > since)


def advised(memory: HpaMemory, behavior: Behavior | None, want: int, now: Instant) -> HpaMemory:
    """The memory with one more recommendation, and without those that no window reaches."""
    window = DEFAULT_WINDOW if behavior is None else max(behavior.up.window, behavior.down.window)
    since = now - window
    past = (*[r for r in memory.past if r.at > since], Dated(now, want))
    return HpaMemory(past=past, ups=memory.ups, downs=memory.downs)


def changed(memory: HpaMemory, behavior: Behavior | None, change: int, now: Instant) -> HpaMemory:
    """The memory with one more change. Only rates ask for them."""
    if behavior is None or not change:
        return memory
    if change > 0:
        return replace(memory, ups=_noted(memory.ups, Dated(now, change), behavior.up))
    return replace(memory, downs=_noted(memory.downs, Dated(now, -change), behavior.down))


def _noted(changes: tuple[Dated, ...], change: Dated, rules: Rules) -> tuple[Dated, ...]:
    """One more change, in the place of the last that no policy of its own direction reaches, if there is one.

    A longer policy of the other direction would have counted what is lost by that, and does not.
    """
    longest = max((policy.period for policy in rules.policies), default=0.0)
    old = [number for number, known in enumerate(changes) if known.at < change.at - longest]
    place = old[-1] if old else len(changes)
    return (*changes[:place], change, *changes[place + 1 :])
