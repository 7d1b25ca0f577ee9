"""Pods that are stuck, told to people: an Event on the pod at each step, and a count for metrics. None is touched."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from scaler.config.pool import PoolKey, WatchedPods
from scaler.controller.estate import Estate
from scaler.controller.events import Events, about_pod
from scaler.controller.facts import PodFacts
from scaler.core.pods import Phase, Pods
from scaler.core.stuck import NAMES, Look, Stuck, Stucks, Trouble, look, news
from scaler.core.types import Instant, PodUid, Seconds
from scaler.core.wording import counted
from scaler.live.registry import Registry
from scaler.sources.activity_answer import Report

LASTING = ("a minute", "ten minutes", "an hour")
REASONS = {
    Trouble.SILENT: "AgentSilent",
    Trouble.DRAINING: "DrainTakesLong",
    Trouble.LONG_TASK: "TaskOverLimit",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """A pool's pods as they were seen, the same as columns, and what was heard of them."""

    pods: Sequence[PodFacts]
    columns: Pods
    heard: Mapping[PodUid, Report]
    now: Instant


class Vigil:
    """Belongs to one event loop."""

    def __init__(self, registry: Registry, estate: Estate, events: Events) -> None:
        self._registry, self._estate, self._events = registry, estate, events
        self._stuck: dict[PoolKey, Stucks] = {}

    def look(self, source: WatchedPods, seen: Seen) -> None:
        """See who is stuck, and tell what is new."""
        pool = self._registry.get(source.pool)
        if pool is None:
            self._stuck.pop(source.pool, None)
            return
        policy, was = pool.spec.policy, self._stuck.get(source.pool, {})
        limit = policy.task_limit
        over = {} if limit is None else _over(seen.heard, limit)
        marked = {pod.uid: pod.asked_at for pod in seen.pods if pod.asked_at is not None}
        at = Look(now=seen.now, stale_after=policy.stale_after, over=over, marked=marked)
        self._stuck[source.pool] = now = look(was, seen.columns, at)
        pool.stuck = Counter((each.trouble.value, NAMES[each.step - 1]) for each in now.values() if each.step)
        pods = {pod.uid: pod for pod in seen.pods}
        for each in news(was, now):
            self._tell(pods[each.uid], each, self._why(pods[each.uid], each, seen.heard.get(each.uid), limit))

    def forget(self) -> None:
        """Another leads, and tells from now on."""
        self._stuck.clear()

    def _tell(self, pod: PodFacts, stuck: Stuck, why: str) -> None:
        message = f"{why}; we never end it: scaler release --pod {pod.namespace}/{pod.name} does, with what it holds"
        self._events.tell(about_pod(pod), REASONS[stuck.trouble], message, warning=stuck.step > 1)

    def _why(self, pod: PodFacts, stuck: Stuck, report: Report | None, limit: Seconds | None) -> str:
        lasts = LASTING[stuck.step - 1]
        match stuck.trouble:
            case Trouble.SILENT:
                return f"its agent has not said for {lasts} whether it works, so it counts as busy and stays"
            case Trouble.DRAINING:
                return f"it has drained for {lasts}, for {self._estate.who_asked(pod)}; {_load(report)}"
            case Trouble.LONG_TASK:
                return f"a task of it has run for {lasts} longer than the pool's task_limit of {limit:g} s"


def _over(heard: Mapping[PodUid, Report], limit: Seconds) -> dict[PodUid, Seconds]:
    """By how much the oldest task of each is past the limit."""
    there = ((uid, report) for uid, report in heard.items() if report.phase is not Phase.DRAINED)
    return {uid: r.oldest_task - limit for uid, r in there if r.oldest_task is not None and r.oldest_task > limit}


def _load(report: Report | None) -> str:
    """What keeps it."""
    if report is None:
        return "its agent says nothing"
    return f"it runs {counted(report.inflight, 'task')} and holds {counted(report.sessions, 'session')}"
