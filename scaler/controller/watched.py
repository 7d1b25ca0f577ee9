"""Watched pods, read for the decision: who there is, asked one by one what it does."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Final, TypeAlias

from scaler.config.pool import WatchedPods
from scaler.controller.estate import Estate
from scaler.controller.facts import PodFacts
from scaler.controller.view import columns
from scaler.core.pods import Phase, Pods
from scaler.core.types import Instant, PodUid, Unknown
from scaler.sources.activity_answer import Report
from scaler.sources.health import Failed

Ask: TypeAlias = Callable[[Iterable[str]], Awaitable[Mapping[str, Report | Failed]]]
Reopen: TypeAlias = Callable[[WatchedPods, list[PodFacts]], None]
SHUT: Final = (Phase.DRAINING, Phase.DRAINED)


class Watched:
    """Reads the pods of workloads. ``reopen`` is told of active pods whose gates are shut all the same."""

    def __init__(self, estate: Estate, ask: Ask, reopen: Reopen) -> None:
        self._estate, self._ask, self._reopen = estate, ask, reopen
        self._ready: dict[WatchedPods, frozenset[PodUid]] = {}

    async def pods(self, source: WatchedPods, now: Instant) -> Pods | Unknown:
        """The pool's pods, asked at ``now``."""
        found = self._estate.holding(source)
        if isinstance(found, Unknown):
            return found
        answers = await self._ask(pod.gate for pod in found.pods if pod.gate)
        heard = dict(_heard(found.pods, answers))
        latest = self._estate.holding(source)  # labels may have changed while the agents were asked
        pods = found.pods if isinstance(latest, Unknown) else latest.pods
        once = self._ready.get(source, frozenset())
        self._ready[source] = frozenset(p.uid for p in pods if p.ready is not None or p.uid in once)
        if shut := [p for p in pods if p.uid in heard and _is_shut(p, heard[p.uid])]:
            self._reopen(source, shut)
        return columns(pods, heard, once, now)


def _heard(pods: Iterable[PodFacts], answers: Mapping[str, Report | Failed]) -> Iterable[tuple[PodUid, Report]]:
    """What may be believed: what a pod's own agent says, and not the one that has its address now."""
    for pod in pods:
        report = answers.get(pod.gate)
        if isinstance(report, Report) and report.uid == pod.uid:
            yield pod.uid, report


def _is_shut(pod: PodFacts, report: Report) -> bool:
    """Whether a drain was called back, and its gate has not been told: we, or the one before us, ended in between."""
    return pod.phase is Phase.ACTIVE and report.phase in SHUT and pod.epoch is not None and report.epoch <= pod.epoch
