"""What KEDA is told of an outcome, said in one place: for KEDA itself, and for every surface that repeats it. Pure.

A ScaledObject is told **replicas**: the outcome's report.

A ScaledJob is told **Jobs**, and which ones depends on its ``scalingStrategy``, because KEDA subtracts different Jobs
from our number before it creates new ones:

- ``default`` creates N less the running Jobs, so N is waiting and running work together;
- ``accurate`` creates N less the Jobs that wait for a node, so N is only the work that no Job has claimed.

One Job takes ``slots_per_pod`` tasks; a session that is held counts as running, for its Job goes on. KEDA never stops a
running Job because N is small, so no floor is needed and N may be zero while Jobs run. What the pool's target leaves
no room for is not asked for, so its bounds, its money and its rate limit hold for Jobs too; and in ``off`` and
``recommend`` no Jobs are asked for at all.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from scaler.config.pool import JobStrategy
from scaler.core.numbers import whole
from scaler.core.reasons import Reason
from scaler.core.types import Known, Outcome, Sample, Unknown
from scaler.live.board import Posted

_ADVICE: Final = frozenset({Reason.OFF, Reason.RECOMMEND})


def value(outcome: Outcome, strategy: JobStrategy | None) -> int | Unknown:
    """What GetMetrics answers: replicas, or with a ScaledJob's strategy Jobs."""
    if strategy is None:
        return outcome.report
    target = outcome.decision.replicas  # no Job is stopped for a number that is low, so none is withheld for that
    if isinstance(target, Unknown):
        return target
    if any(step.reason in _ADVICE for step in outcome.trail):
        return 0
    figures = outcome.evidence.demand.by_signal
    if strategy is JobStrategy.ACCURATE:
        unclaimed, room = figures["queue"], target - _claimed(figures)
        return unclaimed if isinstance(unclaimed, Unknown) else max(0, min(whole(unclaimed.value), room))
    work = _unfinished(figures)
    return work if isinstance(work, Unknown) else min(whole(work.value), target)


def activity(posted: Posted, strategy: JobStrategy | None) -> bool | Unknown:
    """What IsActive answers: whether the value is above zero, by what was last known where it is not known now."""
    if strategy is None:
        return posted.active
    jobs = value(posted.outcome, strategy)
    return posted.active if isinstance(jobs, Unknown) else jobs > 0


def _claimed(figures: Mapping[str, Sample]) -> int:
    """Jobs that are known to run tasks or to hold sessions."""
    return whole(sum(s.value for s in (figures["inflight"], figures["sessions"]) if isinstance(s, Known)))


def _unfinished(figures: Mapping[str, Sample]) -> Sample:
    """Waiting and running work; half of it is no figure, for KEDA would take all running Jobs off it."""
    halves = (figures["queue"], figures["inflight"])
    work = next((half for half in halves if isinstance(half, Unknown)), figures["work"])
    return max((s for s in (work, figures["pending"]) if isinstance(s, Known)), key=lambda s: s.value, default=work)
