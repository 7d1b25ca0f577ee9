"""Watched pods, read for the decision: who there is, asked one by one what it does."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Final, Protocol, TypeAlias

from scaler.config.pool import WatchedPods
from scaler.controller.estate import Estate
from scaler.controller.facts import PodFacts
from scaler.controller.retire import orders, recalls
from scaler.controller.view import Beside, columns
from scaler.controller.vigil import Seen
from scaler.core.pods import Phase, Pods
from scaler.core.types import Instant, Order, PodUid, Unknown
from scaler.sources.activity_answer import Report
from scaler.sources.health import Failed

Ask: TypeAlias = Callable[[Iterable[str]], Awaitable[Mapping[str, Report | Failed]]]
SHUT: Final = (Phase.DRAINING, Phase.DRAINED)


class Hands(Protocol):
    """Who does what the look at the pods shows to be due, beside what ticks order. Returns at once."""

    def acts(self, source: WatchedPods) -> bool:
        """Whether pods of it may be drained; otherwise the drains that there are, are called back."""
        ...

    def reopen(self, pods: list[PodFacts]) -> None:
        """Open the gates of these: they are active, and their agents have not heard of it."""
        ...

    def retire(self, source: WatchedPods, due: tuple[Order, ...]) -> None:
        """Carry these out: they are for pods that must go whatever the pool wants."""
        ...

    def watch(self, source: WatchedPods, seen: Seen) -> None:
        """Tell of these what people should know."""
        ...


class Watched:
    """Reads the pods of workloads."""

    def __init__(self, estate: Estate, ask: Ask, hands: Hands) -> None:
        self._estate, self._ask, self._hands = estate, ask, hands
        self._ready: dict[WatchedPods, frozenset[PodUid]] = {}

    async def pods(self, source: WatchedPods, now: Instant) -> Pods | Unknown:
        """The pool's pods, asked at ``now``."""
        found = self._estate.holding(source, now)
        if isinstance(found, Unknown):
            return found
        answers = await self._ask(pod.gate for pod in found.all if pod.gate)
        latest = self._estate.holding(source, now)  # labels may have changed while the agents were asked
        found = found if isinstance(latest, Unknown) else latest
        pods, heard = found.pods, dict(_heard(found.all, answers))
        once = self._ready.get(source, frozenset())
        self._ready[source] = frozenset(p.uid for p in pods if p.ready is not None or p.uid in once)
        going, staying = found.surplus, found.others
        if not self._hands.acts(source):
            going, staying = (), (*found.surplus, *found.others)
        if shut := [p for p in (*pods, *staying) if p.uid in heard and _is_shut(p, heard[p.uid])]:
            self._hands.reopen(shut)
        if due := (*orders(going, heard), *recalls(staying)):
            self._hands.retire(source, due)
        first = 0 if found.workload is None else found.workload.start
        beside = Beside(once_ready=once, displaced=self._estate.displaced(pods, now), first=first)
        seen = columns(pods, heard, beside, now)
        every = columns(found.all, heard, beside, now) if len(found.all) > len(pods) else seen
        self._hands.watch(source, Seen(pods=found.all, columns=every, heard=heard, now=now))
        return seen


def _heard(pods: Iterable[PodFacts], answers: Mapping[str, Report | Failed]) -> Iterable[tuple[PodUid, Report]]:
    """What may be believed: what a pod's own agent says, and not the one that has its address now."""
    for pod in pods:
        report = answers.get(pod.gate)
        if isinstance(report, Report) and report.uid == pod.uid:
            yield pod.uid, report


def _is_shut(pod: PodFacts, report: Report) -> bool:
    """Whether a drain was called back, and its gate has not been told: we, or the one before us, ended in between."""
    return pod.phase is Phase.ACTIVE and report.phase in SHUT and pod.epoch is not None and report.epoch <= pod.epoch
