"""What a pool is asked to be: the operator's knobs, and the documented constants behind them."""

from __future__ import annotations

import enum
import math
from dataclasses import dataclass, field

from scaler.core.numbers import ROUNDING
from scaler.core.types import SPARSE, Seconds


class Mode(enum.StrEnum):
    """The kill switch. Only ``auto`` changes anything; the others answer the live replicas."""

    OFF = "off"
    RECOMMEND = "recommend"
    AUTO = "auto"


class Guarantee(enum.StrEnum):
    """What stands between a busy pod and its removal.

    ``protected``: a pod leaves only after its own gate has closed and it was idle (the drain protocol).
    ``best-effort``: the target falls by the number of idle pods; who goes is up to the workload's controller.
    """

    PROTECTED = "protected"
    BEST_EFFORT = "best-effort"


class Workload(enum.StrEnum):
    """How replicas become pods, which decides who can leave."""

    REPLICA_SET = "ReplicaSet"
    STATEFUL_SET = "StatefulSet"


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """The constants of the pipeline. None is a knob; each says what it trades.

    Raising a window or a timer buys calm for idle pods; lowering it buys the reverse.
    """

    fast_window: Seconds = 6.0  # a burst shorter than this may be noise; Knative's panic window
    slow_window: Seconds = 60.0  # no fall below what the last minute needed; Knative's stable window
    rate_constant: Seconds = 60.0  # time constant of the average of rates: a missed tick does not distort it
    soft_up: float = 0.85  # soft capacity is full enough to add at this use
    soft_down: float = 0.70  # and may shrink only to this use after removal, so constant load cannot flap
    tolerance: float = 0.10  # a rise within a tenth of supply waits, as the HPA's does, unless somebody queues long
    patience: float = 0.25  # ... which is this part of the wait target
    rise_pods: int = 4  # at most max(4, 100 %) more in 15 s: the HPA's own default
    rise_ratio: float = 1.0
    rise_window: Seconds = 15.0
    flap_budget: int = 6  # quick reversals in an hour
    flap_window: Seconds = 3600.0
    namings: int = 3  # consecutive ticks a pod must be named before it drains: hysteresis on the victim
    stale_scrapes: float = 3.0  # a signal older than this many scrapes freezes falls
    lost_after: Seconds = 300.0  # and older than this it says nothing at all
    followed_after: Seconds = 20.0  # a number told is acted on by then: one tick, and the HPA's fifteen seconds
    startup_prior: Seconds = 120.0  # until five startups were measured
    startup_samples: int = 5
    drain_overhead: Seconds = 5.0  # a removal costs this beside the next startup
    gaps_enough: int = 50  # idle gaps seen before the learnt timer is trusted
    timer_prior: float = 3.0  # times the break-even, until then: a tenth of the reversals for 0-5 % of the price
    timer_clamp: float = 4.0  # the learnt timer stays within a quarter and four times of the break-even
    gap_half_life: Seconds = 86_400.0
    wait_price: float = 10.0  # price of a second of waiting in pod-seconds; q = w / (w + 1)
    wait_price_high: float = 20.0  # a missed target raises it so far: q = 0.95, all that a 95th percentile can ask
    wait_price_step: float = 1.25  # one step of the outer loop
    wait_price_every: Seconds = 1800.0
    forecast_gate: float = 0.95  # a forecast is used only at this part of persistence's loss, another one of the base's
    forecast_trials: int = 50  # and after this many matured forecasts
    forecast_memory: int = 720  # residuals kept: an hour and more
    # What demand rose by in so long it may rise by again: agents that fan out come in bursts. 0 foresees no such thing.
    trend_window: Seconds = field(default=15.0, metadata=SPARSE)
    ramp_steps: int = field(default=3, metadata=SPARSE)  # rises in a row that are believed before anything is proven
    rate_completions: int = 1000  # rate x service time is noise before this many completions
    hint_share: float = 0.5  # hints together may ask for at most this part of the maximum

    def __post_init__(self) -> None:
        """Refuse constants under which a law of the pipeline would not hold."""
        _require(0 < self.soft_down < self.soft_up <= 1, "soft_down", self.soft_down, "0 < soft_down < soft_up <= 1")
        _require(0 < self.fast_window <= self.slow_window, "fast_window", self.fast_window, "0 < fast <= slow_window")
        _require(self.rise_pods >= 1, "rise_pods", self.rise_pods, ">= 1")
        _require(self.namings >= 1, "namings", self.namings, ">= 1")
        _require(self.timer_clamp >= 1, "timer_clamp", self.timer_clamp, ">= 1")
        low, high = self.wait_price, self.wait_price_high
        _require(0 < low <= high, "wait_price", low, f"> 0 and <= wait_price_high {high:g}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """One pool's policy. Five knobs (mode, bounds or money, wait target, slots, schedule) and what the pool is.

    Attributes:
        budget_per_hour, pod_price_per_hour: money, in one currency; both or neither.
        target_wait_p95: seconds a task may wait before it runs, at the 95th percentile.
        slots_per_pod: tasks a pod runs at once.
        tokens_per_pod: tokens per second one pod can carry; None lets it be learnt.
        activation: demand (tasks) that must be exceeded before an empty pool wakes.
        scrape_interval: seconds between two readings of a signal.
        task_limit: seconds after which a task that still runs is told of; None where none is too long.
        ordinals_start: the first ordinal of a StatefulSet.
        even_zones: spare pods wait for those of fuller zones, for at most one more idle timer.
    """

    mode: Mode = Mode.AUTO
    min_replicas: int = 0
    max_replicas: int = 20
    budget_per_hour: float | None = None
    pod_price_per_hour: float | None = None
    target_wait_p95: Seconds = 30.0
    slots_per_pod: int = 1
    tokens_per_pod: float | None = None
    activation: float = 0.0
    pause_up: bool = False
    pause_down: bool = False
    guarantee: Guarantee = Guarantee.PROTECTED
    workload: Workload = Workload.REPLICA_SET
    ordinals_start: int = 0
    scrape_interval: Seconds = 5.0
    pace: Pace = field(default_factory=Pace)
    task_limit: Seconds | None = field(default=None, metadata=SPARSE)
    even_zones: bool = field(default=False, metadata=SPARSE)

    def __post_init__(self) -> None:
        """Refuse a policy that contradicts itself."""
        _require(self.min_replicas >= 0, "min_replicas", self.min_replicas, ">= 0")
        least = max(1, self.min_replicas)
        _require(self.max_replicas >= least, "max_replicas", self.max_replicas, ">= 1 and >= min_replicas")
        _require(self.slots_per_pod >= 1, "slots_per_pod", self.slots_per_pod, ">= 1")
        _require(_positive(self.target_wait_p95), "target_wait_p95", self.target_wait_p95, "> 0 s")
        _require(_positive(self.scrape_interval), "scrape_interval", self.scrape_interval, "> 0 s")
        _require(self.activation >= 0 and math.isfinite(self.activation), "activation", self.activation, ">= 0")
        _require(self.ordinals_start >= 0, "ordinals_start", self.ordinals_start, ">= 0")
        paired = (self.budget_per_hour is None) == (self.pod_price_per_hour is None)
        _require(paired, "budget_per_hour", self.budget_per_hour, "set together with pod_price_per_hour")
        for key in ("tokens_per_pod", "budget_per_hour", "pod_price_per_hour", "task_limit"):
            value = getattr(self, key)
            _require(value is None or _positive(value), key, value, "> 0")
        pays = self.affordable
        _require(pays is None or pays >= least, "budget_per_hour", self.budget_per_hour, f"enough for {least} pods")

    @property
    def affordable(self) -> int | None:
        """Pods that the money per hour pays for, or None where money is no bound."""
        if self.budget_per_hour is None or self.pod_price_per_hour is None:
            return None
        return math.floor(self.budget_per_hour / self.pod_price_per_hour + ROUNDING)

    @property
    def cap(self) -> int:
        """The most pods that the maximum and the money allow."""
        pays = self.affordable
        return self.max_replicas if pays is None else min(self.max_replicas, pays)

    @property
    def stale_after(self) -> Seconds:
        """Age at which a sample stops allowing falls."""
        return self.pace.stale_scrapes * self.scrape_interval


class PolicyError(ValueError):
    """A policy that cannot be: names the key, the value and the range."""

    def __init__(self, key: str, value: object, allowed: str) -> None:
        super().__init__(f"{key} = {value!r} is not allowed: must be {allowed}")
        self.key, self.value, self.allowed = key, value, allowed


def _require(holds: bool, key: str, value: object, allowed: str) -> None:
    if not holds:
        raise PolicyError(key, value, allowed)


def _positive(value: float) -> bool:
    return math.isfinite(value) and value > 0
