"""The metrics of warm pools, read at scrape time from how each stands. What is not known has no series."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from itertools import accumulate
from typing import Final

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

from scaler.core.explain import reason
from scaler.core.types import Hold, Unknown
from scaler.core.warmpool_types import WarmEvidence
from scaler.live.office import Office
from scaler.live.warm import WarmStanding
from scaler.sources.timing import Times

PREFIX: Final = "agent_scaler_warm_pool_"
POOL: Final = ("pool_namespace", "pool")
HOUR: Final = 3600.0


class WarmPools(Collector):
    """Reads the warm pools whenever it is scraped, on the replica that leads: two replicas' would be added up."""

    def __init__(self, standings: Callable[[], Iterable[WarmStanding]], office: Office) -> None:
        self._standings, self._office = standings, office

    def collect(self) -> Iterator[Metric]:
        """Every family."""
        sheet = _Families()
        for standing in self._standings() if self._office.term is not None else ():
            sheet.key = standing.key
            _live(sheet, standing)
            _counted(sheet, standing)
            if standing.outcome is not None:
                _decided(sheet, standing)
                _figures(sheet, standing.outcome.evidence)
        return iter(sheet.all())


class _Families:
    """The families of one scrape."""

    def __init__(self) -> None:
        self.key: tuple[str, str] = ("", "")
        self._gauges = {name: _gauge(name, *told) for name, told in GAUGES.items()}
        self._counters = {name: _counter(name, *told) for name, told in COUNTERS.items()}
        self._waits = HistogramMetricFamily(
            f"{PREFIX}wait_seconds", "From a claim's arrival until its sandbox was ready.", labels=POOL
        )

    def set(self, name: str, value: float | Unknown | None, *extra: str) -> None:
        """A sample of a gauge, unless the value is not known."""
        if value is not None and not isinstance(value, Unknown):
            self._gauges[name].add_metric((*self.key, *extra), value)

    def count(self, name: str, value: float, *extra: str) -> None:
        """A sample of a counter."""
        self._counters[name].add_metric((*self.key, *extra), value)

    def waits(self, times: Times) -> None:
        """The histogram of a pool's waits."""
        bounds = (*(str(bound) for bound in times.bounds), "+Inf")
        buckets = list(zip(bounds, accumulate(times.counts), strict=True))
        self._waits.add_metric(self.key, buckets, times.total)

    def all(self) -> list[Metric]:
        """All of them."""
        return [*self._gauges.values(), *self._counters.values(), self._waits]


GAUGES: Final[dict[str, tuple[str, tuple[str, ...]]]] = {
    "mode_info": ("1, with the pool's mode.", ("mode",)),
    "size": ("Idle sandboxes the pool is asked to keep: its live spec.replicas.", ()),
    "target": ("Idle sandboxes we would have it keep.", ()),
    "members": ("Sandboxes in the pool: ready, starting, or stuck where no node takes them.", ("stage",)),
    "guarded": ("Claimed sandboxes that ask to be guarded, by what their agents do.", ("state",)),
    "through_keda": ("1 where a ScaledObject gives the pool the size that we say.", ()),
    "blocked": ("1, with why the pool's size is left alone.", ("why",)),
    "decision_info": ("1, with the kind of decision and its reason.", ("decision", "reason")),
    "holding": ("1 while the last decision is to hold.", ()),
    "claim_rate": ("Claims per second expected, at the most, within the horizon.", ()),
    "lead_seconds": ("Learnt time from when a claim takes a sandbox until its replacement is ready, on average.", ()),
    "lead_p90_seconds": ("The same, 90th percentile.", ()),
    "offered_claims": ("Claims expected within one lead time.", ()),
    "dispersion": ("Variance of their number over its mean: 1 where each comes by itself.", ()),
    "expected_miss_ratio": ("Share of claims expected to find no ready sandbox, at the target.", ()),
    "miss_target_ratio": ("Share of claims that may find no ready sandbox.", ()),
    "announced_claims": ("Claims that hints have announced and that have not come yet.", ()),
}
COUNTERS: Final[dict[str, tuple[str, tuple[str, ...]]]] = {
    "claims": ("Claims by what became of them; all but ready and bypass have missed.", ("served",)),
    "writes": ("Sizes that were written.", ()),
    "idle_seconds": ("Sandbox-seconds that stood in the pool.", ()),
    "idle_cost": ("What they cost, where a price is set.", ()),
}


def _live(sheet: _Families, standing: WarmStanding) -> None:
    sheet.set("mode_info", 1, standing.policy.mode.value)
    sheet.set("miss_target_ratio", 1.0 - standing.policy.fractile)
    sheet.set("size", standing.size)
    sheet.set("through_keda", float(standing.through is not None))
    sheet.set("members", standing.ready, "ready")
    sheet.set("members", standing.starting, "starting")
    sheet.set("members", standing.stuck, "stuck")
    for state, count in standing.guarded.items():
        sheet.set("guarded", count, state)
    if standing.blocked is not None:
        sheet.set("blocked", 1, standing.blocked.block.value)


def _counted(sheet: _Families, standing: WarmStanding) -> None:
    for served, count in standing.served.items():
        sheet.count("claims", count, served)
    sheet.count("writes", standing.writes)
    sheet.count("idle_seconds", standing.idle)
    if standing.idle_price is not None:
        sheet.count("idle_cost", standing.idle / HOUR * standing.idle_price)
    sheet.waits(standing.waits)


def _decided(sheet: _Families, standing: WarmStanding) -> None:
    outcome = standing.outcome
    if outcome is None:
        return
    sheet.set("target", outcome.decision.replicas)
    holds = isinstance(outcome.decision, Hold)
    sheet.set("decision_info", 1, "hold" if holds else "scale", reason(outcome).value)
    sheet.set("holding", holds)


def _figures(sheet: _Families, evidence: WarmEvidence) -> None:
    sheet.set("claim_rate", evidence.rate)
    sheet.set("lead_seconds", evidence.lead)
    sheet.set("lead_p90_seconds", evidence.lead_p90)
    sheet.set("offered_claims", evidence.offered.claims)
    sheet.set("dispersion", evidence.offered.dispersion)
    sheet.set("expected_miss_ratio", evidence.expected_misses)
    sheet.set("announced_claims", evidence.announced)


def _gauge(name: str, told: str, labels: tuple[str, ...]) -> GaugeMetricFamily:
    return GaugeMetricFamily(PREFIX + name, told, labels=(*POOL, *labels))


def _counter(name: str, told: str, labels: tuple[str, ...]) -> CounterMetricFamily:
    return CounterMetricFamily(PREFIX + name, told, labels=(*POOL, *labels))
