"""/metrics: the board and the loop in the words of Prometheus, read at scrape time.

The label is ``pool_namespace``, because ``namespace`` is the scraped target's own and would be renamed. What is not
known has no series, so that no dashboard shows a zero for it. Every label but the pool's has a closed vocabulary, so
there are as many series as pools and no more.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import Final

from prometheus_client.exposition import choose_encoder

from scaler.config.pool import JobStrategy, WatchedPods
from scaler.core.explain import labels
from scaler.core.policy import Guarantee
from scaler.core.types import Hold, Instant, Known, Outcome, Supply
from scaler.live import telling
from scaler.live.board import Posted
from scaler.live.history import Past
from scaler.live.registry import Pool
from scaler.web import household
from scaler.web.running import Running
from scaler.web.sheet import Family, Sheet

STAGES: Final = ("ready", "starting", "ordered", "overdue", "draining", "drained")  # a pod is in one of these

POOL_FAMILIES: Final = MappingProxyType(
    {
        "min_replicas": Family("Fewest replicas the pool may have."),
        "max_replicas": Family("Most replicas the pool may have, by its maximum and its money."),
        "mode_info": Family("1, with the pool's mode.", ("mode",)),
        "target_replicas": Family("Replicas we would have the pool be."),
        "reported_replicas": Family(
            "Replicas that KEDA is told, the live ones unless the mode is auto; for a ScaledJob, Jobs."
        ),
        "active": Family("1 while KEDA may not take the pool to zero."),
        "decision_info": Family(
            "1, with the kind of decision, its reason, and the signal that asked for the most.",
            ("decision", "reason", "bound"),
        ),
        "holding": Family("1 while the last decision is to hold."),
        "stale": Family("1 while the outcome is too old to be reported."),
        "outcome_age_seconds": Family("Time since the pool was evaluated."),
        "signal_age_seconds": Family("Age of each signal at that evaluation.", ("signal",)),
        "demand_pods": Family("Pods that each signal asks for.", ("signal",)),
        "needed_pods": Family(
            "Whole pods needed after dampening: up, to take the work on; down, that must stay.", ("direction",)
        ),
        "supply_pods": Family("Pods by where they stand; each is counted once.", ("stage",)),
        "idle_pods": Family("Ready pods with nothing running and no session."),
        "displaced_pods": Family("Pods that take work, and that their nodes ask away."),
        "unheard_pods": Family("Pods whose activity is not known; each counts as busy."),
        "stuck_pods": Family(
            "Pods that take long, by what and for how long: silent, draining or long_task, for 1m, 10m or 1h.",
            ("trouble", "step"),
        ),
        "oldest_wait_seconds": Family("Longest that a task has waited, at the most."),
        "announced_pods": Family("Pods that hints and the schedule ask for."),
        "forecast_pods": Family("Pods expected within the startup horizon, where the forecast has earned its use."),
        "forecast_loss_ratio": Family("The forecast's loss over that of persistence; below 1 is better."),
        "startup_p90_seconds": Family("Learnt time from creation to ready, 90th percentile."),
        "idle_timer_seconds": Family("Learnt time a pod must be idle before it may leave."),
        "tokens_per_pod": Family("Tokens per second that one pod carries, learnt or set."),
        "reversals": Family("Quick reversals of the target within the last hour."),
        "quick_reversals_total": Family("Quick reversals of the target."),
        "moves_total": Family("Evaluations that moved the target.", ("direction",)),
        "holds_total": Family("Evaluations that ended in a hold."),
        "steps_total": Family("Steps of all trails, by reason.", ("reason",)),
        "guards_hold": Family("1 while the guards before the pool's pods hold, 0 while they do not; of watched pods."),
        "missing_signals_total": Family("Evaluations at which nothing was known of a signal.", ("signal",)),
    }
)


class Page:
    """The page, to be rendered as often as it is scraped; from any thread, one at a time."""

    def __init__(self, running: Running) -> None:
        self._running = running
        self._registry = household.registry(running)

    def render(self, accept: str) -> tuple[bytes, str]:
        """The page and its content type, in the format that the ``Accept`` header asks for."""
        encode, content_type = choose_encoder(accept)
        openmetrics = content_type.startswith("application/openmetrics-text")
        ours, end = encode(self._registry), b"# EOF\n" if openmetrics else b""
        pools = self._pools().text(openmetrics=openmetrics).encode()
        return b"".join((ours.removesuffix(end), pools, end)), content_type

    def _pools(self) -> Sheet:
        """The pools, as the replica that leads has them: two replicas' figures would be added up somewhere."""
        sheet = Sheet(POOL_FAMILIES)
        if self._running.office.term is None:
            return sheet
        now = self._running.clock.now()
        for pool in self._running.registry:
            sheet.begin(pool.spec.key)
            self._pool(sheet, pool, now)
        return sheet

    def _pool(self, sheet: Sheet, pool: Pool, now: Instant) -> None:
        key, policy = pool.spec.key, pool.spec.policy
        sheet.set("min_replicas", policy.min_replicas)
        sheet.set("max_replicas", policy.cap)
        sheet.set("mode_info", 1, policy.mode.value)
        if isinstance(pool.spec.pods, WatchedPods) and policy.guarantee is Guarantee.PROTECTED:
            sheet.set("guards_hold", pool.unguarded is None)
            for (trouble, lasting), count in pool.stuck.items():
                sheet.set("stuck_pods", count, trouble, lasting)
        posted, past = self._running.board.get(key), self._running.history.get(key)
        if posted is not None:
            _post(sheet, posted, pool.spec.job_strategy, now)
            sheet.set("stale", not self._running.board.is_fresh(posted, now))
        if past is not None:
            _past(sheet, past)


def _post(sheet: Sheet, posted: Posted, strategy: JobStrategy | None, now: Instant) -> None:
    """The gauges of a pool's latest outcome."""
    outcome = posted.outcome
    sheet.set("target_replicas", outcome.decision.replicas)
    sheet.set("reported_replicas", telling.value(outcome, strategy))
    sheet.set("active", telling.activity(posted, strategy))
    sheet.set("holding", isinstance(outcome.decision, Hold))
    told = labels(outcome)
    sheet.set("decision_info", 1, told["decision"], told["reason"], told["bound"])
    sheet.set("outcome_age_seconds", posted.age(now))
    _demand(sheet, outcome)
    _supply(sheet, outcome.evidence.supply)
    _learnt(sheet, outcome)


def _demand(sheet: Sheet, outcome: Outcome) -> None:
    evidence = outcome.evidence
    for signal, age in evidence.ages.items():
        sheet.set("signal_age_seconds", age, signal.value)
    for name, sample in evidence.demand.by_signal.items():
        sheet.set("demand_pods", sample.value if isinstance(sample, Known) else sample, name)
    sheet.set("needed_pods", evidence.demand.need_up, "up")
    sheet.set("needed_pods", evidence.demand.need_down, "down")
    sheet.set("oldest_wait_seconds", evidence.demand.waiting)
    sheet.set("announced_pods", evidence.announced)


def _supply(sheet: Sheet, supply: Supply) -> None:
    pods = (supply.ready, supply.starting, supply.ordered, supply.overdue, supply.draining, supply.drained)
    for stage, count in zip(STAGES, pods, strict=True):
        sheet.set("supply_pods", count, stage)
    sheet.set("idle_pods", supply.idle)
    sheet.set("displaced_pods", supply.displaced)
    sheet.set("unheard_pods", supply.unknown)


def _learnt(sheet: Sheet, outcome: Outcome) -> None:
    evidence = outcome.evidence
    sheet.set("forecast_pods", evidence.forecast.pods)
    sheet.set("forecast_loss_ratio", evidence.forecast.skill)
    sheet.set("startup_p90_seconds", evidence.learnt.startup_p90)
    sheet.set("idle_timer_seconds", evidence.learnt.idle_timer)
    sheet.set("tokens_per_pod", evidence.learnt.tokens_per_pod)
    sheet.set("reversals", evidence.reversals)


def _past(sheet: Sheet, past: Past) -> None:
    """What the pool's decisions came to. The loop goes on meanwhile, hence the copies."""
    sheet.set("quick_reversals_total", past.reversals)
    sheet.set("moves_total", past.ups, "up")
    sheet.set("moves_total", past.downs, "down")
    sheet.set("holds_total", past.holds)
    for reason, count in tuple(past.steps.items()):
        sheet.set("steps_total", count, reason.value)
    for signal, count in tuple(past.missing.items()):
        sheet.set("missing_signals_total", count, signal.value)
