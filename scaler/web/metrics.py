"""/metrics: the board and the loop in the words of Prometheus, read at scrape time.

The label is ``pool_namespace``, because ``namespace`` is the scraped target's own and would be renamed. What is not
known has no series, so that no dashboard shows a zero for it.
"""

from __future__ import annotations

import platform
from collections.abc import Iterable, Iterator
from typing import Final

from prometheus_client import CollectorRegistry, ProcessCollector
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from scaler.config.pool import PoolKey
from scaler.core.explain import labels
from scaler.core.types import Hold, Instant, Known, Outcome, Supply, Unknown
from scaler.live.board import Posted
from scaler.sources.health import Health
from scaler.web.running import Running

POOL: Final = ("pool_namespace", "pool")
STAGES: Final = ("ready", "starting", "ordered", "overdue", "draining", "drained")  # a pod is in one of these

_POOL_GAUGES: Final[dict[str, tuple[str, ...]]] = {  # help, and labels beside the pool's own
    "min_replicas": ("Fewest replicas the pool may have.",),
    "max_replicas": ("Most replicas the pool may have.",),
    "mode_info": ("1, with the pool's mode.", "mode"),
    "target_replicas": ("Replicas we would have the pool be.",),
    "reported_replicas": ("Replicas that KEDA is told; the live ones unless the mode is auto.",),
    "active": ("1 while KEDA may not take the pool to zero.",),
    "decision_info": (
        "1, with the kind of decision, its reason, and the signal that asked for the most.",
        "decision",
        "reason",
        "bound",
    ),
    "holding": ("1 while the last decision is to hold.",),
    "stale": ("1 while the outcome is too old to be reported.",),
    "outcome_age_seconds": ("Time since the pool was evaluated.",),
    "signal_age_seconds": ("Age of each signal at that evaluation.", "signal"),
    "demand_pods": ("Pods that each signal asks for.", "signal"),
    "needed_pods": ("Whole pods needed after dampening: up, to take the work on; down, that must stay.", "direction"),
    "supply_pods": ("Pods by where they stand; each is counted once.", "stage"),
    "idle_pods": ("Ready pods with nothing running and no session.",),
    "unheard_pods": ("Pods whose activity is not known; each counts as busy.",),
    "oldest_wait_seconds": ("Longest that a task has waited, at the most.",),
    "announced_pods": ("Pods that hints and the schedule ask for.",),
    "forecast_pods": ("Pods expected within the startup horizon, where the forecast has earned its use.",),
    "forecast_loss_ratio": ("The forecast's loss over that of persistence; below 1 is better.",),
    "startup_p90_seconds": ("Learnt time from creation to ready, 90th percentile.",),
    "idle_timer_seconds": ("Learnt time a pod must be idle before it may leave.",),
    "tokens_per_pod": ("Tokens per second that one pod carries, learnt or set.",),
    "reversals": ("Quick reversals of the target within the last hour.",),
}


def registry(running: Running) -> CollectorRegistry:
    """A registry of our own with the scaler's metrics and the process's."""
    own = CollectorRegistry(auto_describe=False)
    ProcessCollector(registry=own)
    own.register(_Scaler(running))
    return own


class _Gauges:
    """Gauges of pools, by name, filled pool by pool."""

    def __init__(self) -> None:
        self._families: dict[str, GaugeMetricFamily] = {}

    def __iter__(self) -> Iterator[Metric]:
        return iter(self._families.values())

    def declare(self, name: str, help_: str, *extra: str) -> None:
        """A gauge by pool, and by ``extra`` labels."""
        self._families[name] = GaugeMetricFamily(f"agent_scaler_pool_{name}", help_, labels=(*POOL, *extra))

    def set(self, name: str, key: PoolKey, value: float | Unknown, *extra: str) -> None:
        """The gauge's value for a pool; none where it is not known."""
        if not isinstance(value, Unknown):
            self._families[name].add_metric((*key, *extra), float(value))


class _Scaler(Collector):
    """Reads the running scaler whenever it is scraped."""

    def __init__(self, running: Running) -> None:
        self._running = running

    def collect(self) -> Iterator[Metric]:
        """Every family."""
        yield self._build()
        yield from self._loop()
        yield from _sources(self._running.sources())
        yield from self._pools()

    def _build(self) -> Metric:
        info = GaugeMetricFamily("agent_scaler_build_info", "1, with the versions.", labels=("version", "python"))
        info.add_metric((self._running.version, platform.python_version()), 1)
        return info

    def _loop(self) -> Iterator[Metric]:
        counts = self._running.counts
        yield CounterMetricFamily("agent_scaler_ticks", "Evaluations that gave an outcome.", counts.ticks)
        yield CounterMetricFamily(
            "agent_scaler_ticks_at_once", "Evaluations that a reading called for.", counts.at_once
        )
        yield CounterMetricFamily("agent_scaler_failures", "Evaluations and readings that failed.", counts.failures)
        yield GaugeMetricFamily("agent_scaler_tick_late_seconds", "How late the last evaluation began.", counts.late)
        yield GaugeMetricFamily("agent_scaler_pools", "Pools that are evaluated.", len(self._running.registry))

    def _pools(self) -> Iterator[Metric]:
        gauges = _declared()
        now, board = self._running.clock.now(), self._running.board
        for pool in self._running.registry:
            key, policy = pool.spec.key, pool.spec.policy
            gauges.set("min_replicas", key, policy.min_replicas)
            gauges.set("max_replicas", key, policy.max_replicas)
            gauges.set("mode_info", key, 1, policy.mode.value)
            posted = board.get(key)
            if posted is not None:
                _post(gauges, key, posted, now)
                gauges.set("stale", key, not board.is_fresh(posted, now))
        yield from gauges


def _declared() -> _Gauges:
    """Every gauge of a pool."""
    gauges = _Gauges()
    for name, (help_, *extra) in _POOL_GAUGES.items():
        gauges.declare(name, help_, *extra)
    return gauges


def _post(gauges: _Gauges, key: PoolKey, posted: Posted, now: Instant) -> None:
    """The gauges of a pool's latest outcome."""
    outcome = posted.outcome
    gauges.set("target_replicas", key, outcome.decision.replicas)
    gauges.set("reported_replicas", key, outcome.report)
    gauges.set("active", key, posted.active)
    gauges.set("holding", key, isinstance(outcome.decision, Hold))
    told = labels(outcome)
    gauges.set("decision_info", key, 1, told["decision"], told["reason"], told["bound"])
    gauges.set("outcome_age_seconds", key, posted.age(now))
    _demand(gauges, key, outcome)
    _supply(gauges, key, outcome.evidence.supply)
    _learnt(gauges, key, outcome)


def _demand(gauges: _Gauges, key: PoolKey, outcome: Outcome) -> None:
    evidence = outcome.evidence
    for signal, age in evidence.ages.items():
        gauges.set("signal_age_seconds", key, age, signal.value)
    for name, sample in evidence.demand.by_signal.items():
        gauges.set("demand_pods", key, sample.value if isinstance(sample, Known) else sample, name)
    gauges.set("needed_pods", key, evidence.demand.need_up, "up")
    gauges.set("needed_pods", key, evidence.demand.need_down, "down")
    gauges.set("oldest_wait_seconds", key, evidence.demand.waiting)
    gauges.set("announced_pods", key, evidence.announced)


def _supply(gauges: _Gauges, key: PoolKey, supply: Supply) -> None:
    pods = (supply.ready, supply.starting, supply.ordered, supply.overdue, supply.draining, supply.drained)
    for stage, count in zip(STAGES, pods, strict=True):
        gauges.set("supply_pods", key, count, stage)
    gauges.set("idle_pods", key, supply.idle)
    gauges.set("unheard_pods", key, supply.unknown)


def _learnt(gauges: _Gauges, key: PoolKey, outcome: Outcome) -> None:
    evidence = outcome.evidence
    gauges.set("forecast_pods", key, evidence.forecast.pods)
    gauges.set("forecast_loss_ratio", key, evidence.forecast.skill)
    gauges.set("startup_p90_seconds", key, evidence.learnt.startup_p90)
    gauges.set("idle_timer_seconds", key, evidence.learnt.idle_timer)
    gauges.set("tokens_per_pod", key, evidence.learnt.tokens_per_pod)
    gauges.set("reversals", key, evidence.reversals)


def _sources(all_: Iterable[Health]) -> Iterator[Metric]:
    """The counters of each source."""
    reads = CounterMetricFamily("agent_scaler_source_reads", "Readings, good and bad.", labels=("source",))
    seconds = CounterMetricFamily("agent_scaler_source_read_seconds", "Time spent reading.", labels=("source",))
    faults = CounterMetricFamily(
        "agent_scaler_source_faults", "Readings that gave no value.", labels=("source", "fault")
    )
    for health in all_:
        reads.add_metric((health.source,), health.reads)
        seconds.add_metric((health.source,), health.seconds)
        for fault, count in health.faults.items():
            faults.add_metric((health.source, fault.value), count)
    return iter((reads, seconds, faults))
