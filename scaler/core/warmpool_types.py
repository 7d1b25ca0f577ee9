"""The words a warm pool is decided in: its policy, what is seen of it, and what one tick answers.

A warm pool is a stock of idle sandboxes. A claim takes one away and the pool makes another, so the size asked for is
what stands idle, never what is in use.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from scaler.core.policy import Mode, Pace, PolicyError
from scaler.core.types import Announcement, Decision, Instant, Sample, Seconds, Step, Unknown
from scaler.core.warmpool_memory import WarmMemory
from scaler.core.warmpool_model import Offered

MISSES = 1e-9  # share of claims: of fewer no float keeps apart that none may miss
DEAREST = 1e9  # price of a second of waiting, beyond which the same is true of it
LEAD_PRIOR: Seconds = 30.0  # from creation to ready, until five were measured: an image to pull, and a runtime


@dataclass(frozen=True, slots=True, kw_only=True)
class WarmPolicy:
    """One warm pool's policy.

    Attributes:
        min_size, max_size: bounds of the size.
        miss_target: share of claims that may find no ready sandbox, where waiting has no price.
        wait_price: price of a second of waiting for a sandbox in seconds of an idle one; it takes the target's place.
        delay: seconds until a size that was asked for is acted on.
        pace: constants shared with the pools of pods; ``startup_prior`` is the lead time until it is learnt.
    """

    mode: Mode = Mode.AUTO
    min_size: int = 0
    max_size: int = 100
    miss_target: float = 0.01
    wait_price: float | None = None
    pause_up: bool = False
    pause_down: bool = False
    delay: Seconds = 15.0
    pace: Pace = field(default_factory=lambda: Pace(startup_prior=LEAD_PRIOR))

    def __post_init__(self) -> None:
        """Refuse a policy that contradicts itself."""
        price = self.wait_price
        for key, holds, allowed in (
            ("min_size", self.min_size >= 0, ">= 0"),
            ("max_size", self.max_size >= max(1, self.min_size), ">= 1 and >= min_size"),
            ("miss_target", MISSES <= self.miss_target < 1, f">= {MISSES:g} and below 1, like 0.01"),
            ("wait_price", price is None or 0 < price <= DEAREST, f"above 0 and <= {DEAREST:g}"),
            ("delay", 0 <= self.delay < float("inf"), ">= 0 s"),
        ):
            if not holds:
                raise PolicyError(key, getattr(self, key), allowed)

    @property
    def fractile(self) -> float:
        """Share that shall be served: the newsvendor's w / (w + 1) where waiting has a price."""
        return 1.0 - self.miss_target if self.wait_price is None else self.wait_price / (self.wait_price + 1.0)

    @property
    def price(self) -> float:
        """Price of a second of waiting in seconds of an idle sandbox, the one that the target implies."""
        return self.fractile / (1.0 - self.fractile)


@dataclass(frozen=True, slots=True, kw_only=True)
class WarmObservation:
    """All that is known of one warm pool at one instant.

    Attributes:
        size: the pool's live ``spec.replicas``.
        claims: those that arrived since the last observation and that a warm sandbox could serve. Claims that are
            always started cold (with an environment or volumes of their own) are none of these.
        leads: seconds from creation to ready, of each sandbox of the pool that became ready since then.
        unschedulable: sandboxes of the pool that no node takes.
        settled: whether the pool's status speaks of its present spec, so that nothing more is about to be deleted.
        cold, unready: claims since then that found none ready: those that started a sandbox of their own, and those
            that took one that was on its way.
        announced: hints that have not ended; their ``pods`` are claims.
        allowance: sandboxes that a budget shared with other pools leaves to this one.
    """

    size: Sample
    claims: int | Unknown
    unschedulable: Sample
    settled: bool | Unknown
    leads: tuple[Seconds, ...] = ()
    cold: int = 0
    unready: int = 0
    announced: tuple[Announcement, ...] = ()
    allowance: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class WarmEvidence:
    """The figures a size was chosen from.

    Attributes:
        rate: claims per second expected at most within the horizon.
        candidate, trust: who of those that foresee them is trusted the most, and what share of the belief that is.
        lead, lead_p90: mean and 0.9 quantile of the lead time, of ``leads`` sandboxes.
        offered: claims expected within one lead time, and the dispersion of their number.
        wanted: the smallest size that keeps the target, hints left out; one above the maximum for any larger one, and
            Unknown where nothing is known of claims.
        expected_misses, expected_idle: at the size decided on, by the model: a share, and sandboxes.
        announced: claims that hints have announced and that have not come yet.
        timer: seconds for which spare sandboxes are kept.
    """

    rate: float
    candidate: str
    trust: float
    lead: Seconds
    lead_p90: Seconds
    leads: int
    offered: Offered
    wanted: int | Unknown
    expected_misses: float
    expected_idle: float
    announced: float
    timer: Seconds


@dataclass(frozen=True, slots=True, kw_only=True)
class WarmOutcome:
    """One tick's answer.

    Attributes:
        decision: the size we would have the pool be.
        report: what is to be written: the decision in ``auto``, the live size otherwise.
        trail: the steps from the last size to this one; each starts where the one before it ended.
        memory: what the next tick must be given.
    """

    at: Instant
    decision: Decision
    report: int | Unknown
    trail: tuple[Step, ...]
    evidence: WarmEvidence
    memory: WarmMemory
