"""Pools looked after: their pods adopted, what they own applied, and their guards tried, again and again."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass
from http import HTTPStatus
from typing import Final

import structlog

from scaler.config.pool import PoolKey, PoolSpec, WatchedPods
from scaler.controller.api import APPLY, MERGE, ApiError, Request
from scaler.controller.dig import parsed
from scaler.controller.estate import Estate, Holding
from scaler.controller.events import Events, Told
from scaler.controller.facts import PodFacts, WorkloadFacts
from scaler.controller.names import MANAGER
from scaler.controller.owners import KINDS, Owned, budget, mark, params
from scaler.controller.patches import adopted
from scaler.controller.pen import NotLeadingError, Pen
from scaler.controller.trial import tried
from scaler.core.pods import Phase
from scaler.core.policy import Guarantee
from scaler.core.types import Instant, Seconds, Unknown
from scaler.live.clock import Clock
from scaler.live.registry import Pool, Registry

LOOK: Final[Seconds] = 1.0
ANEW: Final[Seconds] = 60.0  # what is owned is applied again, and the guards are tried again, after so long
PATIENCE: Final[Seconds] = 5.0
AT_ONCE: Final = 16  # pods adopted at one time
FORCED: Final = {"fieldManager": MANAGER, "force": "true"}
LOG: structlog.stdlib.BoundLogger = structlog.stdlib.get_logger(__name__)


@dataclass(slots=True)
class _Tended:
    """What was done for a pool last.

    Attributes:
        owned: what was applied, by its path.
        applied_at, tried_at: when; None before the first time.
    """

    owned: dict[str, Owned]
    applied_at: Instant | None = None
    tried_at: Instant | None = None


class Steward:
    """Looks after the watched pools of a registry. Belongs to one event loop."""

    def __init__(self, registry: Registry, estate: Estate, pen: Pen, events: Events, clock: Clock) -> None:
        self._registry, self._estate, self._pen, self._events, self._clock = registry, estate, pen, events, clock
        self._tended: dict[PoolKey, _Tended] = {}
        self._adopting = asyncio.Semaphore(AT_ONCE)

    async def run(self) -> None:
        """Look after them, until cancelled."""
        while True:
            pools = list(_watched(self._registry))
            self._estate.keep({pool.spec.key.namespace for pool, _ in pools})
            for pool, source in pools:
                try:
                    await self._tend(pool, source)
                except NotLeadingError:
                    self._tended.clear()
                except ApiError as error:
                    LOG.warning("a pool cannot be looked after", pool=str(pool.spec.key), why=str(error))
            await self._clock.sleep_until(self._clock.now() + LOOK)

    async def _tend(self, pool: Pool, source: WatchedPods) -> None:
        holding = self._estate.holding(source)
        if isinstance(holding, Unknown) or holding.workload is None or not _is_protected(pool.spec):
            return
        tended = self._tended.setdefault(pool.spec.key, _Tended({}))
        await self._apply(tended, _owned(pool.spec, source, holding.workload, holding))
        await self._adopt(pool.spec, holding)
        await self._try(pool, tended, holding)

    async def _apply(self, tended: _Tended, owned: list[Owned]) -> None:
        """Apply what is not as it was applied last, and after a while everything."""
        now = self._clock.now()
        anew = tended.applied_at is None or abs(now - tended.applied_at) >= ANEW
        for each in owned:
            if anew or tended.owned.get(each.path) != each:
                request = Request(
                    method="PATCH", path=each.path, query=FORCED, body=each.body, content=APPLY, within=PATIENCE
                )
                answer = await self._pen.write("apply", request)
                if answer.status >= HTTPStatus.MULTIPLE_CHOICES:
                    raise ApiError(f"{each.path} cannot be applied: HTTP {answer.status} {answer.message}")
                tended.owned[each.path] = each
        if anew:
            tended.applied_at = now

    async def _adopt(self, spec: PoolSpec, holding: Holding) -> None:
        """Label the pods that were there before, or that nothing labels when they are created."""
        strangers = [pod for pod in holding.pods if adopted(pod, spec.key.name, spec.guard.value) is not None]
        async with asyncio.TaskGroup() as group:
            for pod in strangers:
                group.create_task(self._label(spec, pod))

    async def _label(self, spec: PoolSpec, pod: PodFacts) -> None:
        body, place = adopted(pod, spec.key.name, spec.guard.value), self._estate.place(pod.namespace)
        request = Request(method="PATCH", path=pod.path, body=body, content=MERGE, within=PATIENCE)
        async with self._adopting:
            try:
                answer = await self._pen.write("adopt", request)
            except (ApiError, NotLeadingError):
                return  # the next look comes again
        if answer.status == HTTPStatus.OK and place is not None:
            place.pods.put(parsed(answer.body))
        elif answer.status not in {HTTPStatus.NOT_FOUND, HTTPStatus.CONFLICT}:
            why = f"HTTP {answer.status} {answer.message}"
            LOG.warning("a pod cannot be labelled", pod=f"{pod.namespace}/{pod.name}", why=why)

    async def _try(self, pool: Pool, tended: _Tended, holding: Holding) -> None:
        """Try the guards on a pod that they should protect; until they hold, again with each look."""
        now = self._clock.now()
        if pool.unguarded is None and tended.tried_at is not None and abs(now - tended.tried_at) < ANEW:
            return
        candidates = [pod for pod in holding.pods if pod.managed and pod.pool and pod.phase is not Phase.DRAINED]
        if not candidates:
            return  # nobody is there to be protected, and it is tried before anybody is drained
        was, pool.unguarded = pool.unguarded, await tried(self._pen, candidates[-1])
        tended.tried_at = now
        if was != pool.unguarded:
            self._tell(pool, holding.workload)

    def _tell(self, pool: Pool, workload: WorkloadFacts | None) -> None:
        why, key = pool.unguarded, pool.spec.key
        if why is None:
            LOG.info("the guards hold", pool=str(key))
            return
        LOG.error("the guards do not hold, and nothing is lowered", pool=str(key), why=why.why)
        source = pool.spec.pods
        if workload is not None and isinstance(source, WatchedPods):
            kind = KINDS[source.kind]
            told = Told(version="apps/v1", kind=kind, namespace=key.namespace, name=workload.name, uid=workload.uid)
            self._events.tell(told, "GuardsDoNotHold", why.why, warning=True)


def _watched(registry: Registry) -> Iterator[tuple[Pool, WatchedPods]]:
    for pool in registry:
        if isinstance(pool.spec.pods, WatchedPods):
            yield pool, pool.spec.pods


def _is_protected(spec: PoolSpec) -> bool:
    return spec.policy.guarantee is Guarantee.PROTECTED


def _owned(spec: PoolSpec, source: WatchedPods, workload: WorkloadFacts, holding: Holding) -> list[Owned]:
    holds = any(pod.phase is not Phase.DRAINED for pod in holding.pods)
    return [params(spec, source, workload), budget(source), mark(source, workload, holds=holds)]
