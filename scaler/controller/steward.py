"""Pools looked after: their pods adopted, what they own applied, and their guards tried, again and again."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Iterable, Iterator
from dataclasses import replace
from http import HTTPStatus
from typing import Final

import structlog

from scaler.config.pool import Guard, PoolKey, WatchedPods
from scaler.controller.api import MERGE, ApiError, Request
from scaler.controller.applier import Applier
from scaler.controller.dig import parsed
from scaler.controller.drainer import Drainer
from scaler.controller.estate import Estate, Holding
from scaler.controller.events import Events, Told
from scaler.controller.facts import PodFacts, WorkloadFacts
from scaler.controller.owners import KINDS, Ward, budget, mark, words
from scaler.controller.patches import adopted
from scaler.controller.pen import NotLeadingError, Pen
from scaler.controller.retire import orders, recalls
from scaler.controller.trial import released, tried
from scaler.core.pods import Phase
from scaler.core.policy import Guarantee
from scaler.core.types import Instant, Seconds, Unknown
from scaler.live.charge import Charge
from scaler.live.clock import steady
from scaler.live.registry import Pool

LOOK: Final[Seconds] = 1.0
ANEW: Final[Seconds] = 60.0  # guards that held are tried again after so long
GONE: Final[Seconds] = 600.0  # a pool that nobody asks for any more is given up: its object may be coming back
PATIENCE: Final[Seconds] = 15.0  # a write given up is made all the same, and its connection is lost
AT_ONCE: Final = 16  # pods labelled at one time
LOG: structlog.stdlib.BoundLogger = structlog.stdlib.get_logger(__name__)


class Steward:
    """Looks after the watched pools of a registry. Belongs to one event loop."""

    def __init__(self, charge: Charge, estate: Estate, pen: Pen, events: Events, drainer: Drainer) -> None:
        self._registry, self._office, self._clock = charge.registry, charge.office, charge.clock
        self._estate, self._pen, self._events, self._drainer = estate, pen, events, drainer
        self._applier = Applier(pen, charge.clock)
        self._wards: dict[PoolKey, Ward] = {}
        self._tried: dict[PoolKey, Instant] = {}
        self._gone: dict[PoolKey, Seconds] = {}
        self._labelling = asyncio.Semaphore(AT_ONCE)

    async def run(self) -> None:
        """Look after them, until cancelled."""
        while True:
            pools = list(self._watched())
            self._estate.keep({pool.spec.key.namespace for pool, _ in pools} | {key.namespace for key in self._wards})
            if self._office.term is None:
                self._forget()
            else:
                await self._look(pools)
            await self._clock.sleep_until(self._clock.now() + LOOK)

    def _forget(self) -> None:
        """Another leads: what was done is its affair, and is looked at afresh by who leads next."""
        self._wards.clear()
        self._tried.clear()
        self._gone.clear()
        self._applier.forget()

    async def _look(self, pools: list[tuple[Pool, WatchedPods]]) -> None:
        """Look after each, and let none of them suffer for another."""
        known = [(pool, holding) for pool, source in pools if (holding := self._take_in(pool, source)) is not None]
        self._note_gone({pool.spec.key for pool, _ in pools})
        for namespace in sorted({key.namespace for key in self._wards}):
            wards = [ward for key, ward in self._wards.items() if key.namespace == namespace]
            await self._guarded(namespace, self._applier.apply(words(namespace, wards)))
        for pool, holding in known:
            await self._guarded(str(pool.spec.key), self._tend(pool, holding))
        for key, since in tuple(self._gone.items()):
            self._drainer.retire(key, recalls(self._left(key)))
            if steady() - since >= GONE:
                await self._guarded(str(key), self._give_up(key))

    async def _guarded(self, pool: str, work: Awaitable[None]) -> None:
        try:
            await work
        except NotLeadingError:
            pass
        except ApiError as error:
            LOG.warning("a pool cannot be looked after", pool=pool, why=str(error))

    def _take_in(self, pool: Pool, source: WatchedPods) -> Holding | None:
        """What the pool has now, None where that is not known; its ward is as it was then."""
        holding = self._estate.holding(source, self._clock.now())
        if isinstance(holding, Unknown):
            return None
        key, was = pool.spec.key, self._wards.get(pool.spec.key)
        self._wards[key] = Ward(
            source=source,
            selector=holding.workload.selector if holding.workload else (was.selector if was else {}),
            guard=pool.spec.guard,
            essentials=pool.spec.essentials,
            holds=any(pod.phase is not Phase.DRAINED for pod in holding.all),
        )
        return holding

    def _note_gone(self, there: set[PoolKey]) -> None:
        """Note since when nobody asks for a pool any more."""
        self._gone = {key: self._gone.get(key, steady()) for key in self._wards.keys() - there}

    async def _tend(self, pool: Pool, holding: Holding) -> None:
        ward = self._wards[pool.spec.key]
        if ward.guard is Guard.DENY:  # a budget cannot audit
            await self._applier.apply(budget(ward.source))
        else:
            await self._applier.delete(budget(ward.source))
        if holding.workload is not None:
            await self._applier.apply(mark(ward, holding.workload))
        await self._adopt(ward, holding.all)
        await self._try(pool, holding)

    async def _adopt(self, ward: Ward, pods: Iterable[PodFacts]) -> None:
        """Label the pods that were there before, or that nothing labels when they are created."""
        pool, guard = ward.source.pool.name, ward.guard.value
        async with asyncio.TaskGroup() as group:
            for pod in pods:
                if adopted(pod, pool, guard) is not None:
                    group.create_task(self._label(pod, pool, guard))

    async def _label(self, pod: PodFacts, pool: str, guard: str) -> None:
        body, place = adopted(pod, pool, guard), self._estate.place(pod.namespace)
        request = Request(method="PATCH", path=pod.path, body=body, content=MERGE, within=PATIENCE)
        async with self._labelling:
            try:
                answer = await self._pen.write("adopt", request)
            except (ApiError, NotLeadingError):
                return  # the next look comes again
        if answer.status == HTTPStatus.OK and place is not None:
            place.pods.put(parsed(answer.body))
        elif answer.status not in {HTTPStatus.NOT_FOUND, HTTPStatus.CONFLICT}:
            why = f"HTTP {answer.status} {answer.message}"
            LOG.warning("a pod cannot be labelled", pod=f"{pod.namespace}/{pod.name}", why=why)

    async def _try(self, pool: Pool, holding: Holding) -> None:
        """Try the guards on a pod that they should protect; until they hold, again with each look."""
        now, key = self._clock.now(), pool.spec.key
        there = [pod for pod in self._as_now(holding) if pod.node and pod.phase is not Phase.DRAINED]
        if (bare := self._bare(key, there)) is not None:
            self._found(pool, holding, bare)
            return
        tried_at = self._tried.get(key)
        if pool.unguarded is None and tried_at is not None and abs(now - tried_at) < ANEW:
            return
        if not there:  # nobody is there to be protected; whoever comes is, before anybody could be drained
            pool.unguarded = None
            self._tried.pop(key, None)
            return
        verdict = await tried(self._pen, there[-1])
        if verdict is not None and await released(self._pen, there[-1]):
            return  # it was drained meanwhile; the next look tries another
        self._tried[key] = now
        self._found(pool, holding, verdict)

    def _as_now(self, holding: Holding) -> Iterator[PodFacts]:
        """These pods as they are by now, with the labels that they were given."""
        now = (self._estate.pod(pod.namespace, pod.uid) for pod in holding.all)
        return (pod for pod in now if pod is not None)

    def _bare(self, key: PoolKey, pods: Iterable[PodFacts]) -> Unknown | None:
        """Why no guard can stand before some of the pods: they do not bear the labels by which it knows them."""
        guard = self._wards[key].guard.value
        bare = [pod.name for pod in pods if adopted(pod, key.name, guard) is not None]
        return Unknown(f"{len(bare)} pods cannot be labelled, {min(bare)} among them") if bare else None

    def _found(self, pool: Pool, holding: Holding, verdict: Unknown | None) -> None:
        was, pool.unguarded = pool.unguarded, verdict
        if was != verdict:
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

    def _left(self, key: PoolKey) -> tuple[PodFacts, ...]:
        """Pods of a pool that nobody asks for any more, but for those that another pool has taken over."""
        holding = self._estate.holding(self._wards[key].source, self._clock.now())
        return () if isinstance(holding, Unknown) else tuple(pod for pod in holding.all if pod.pool == key.name)

    async def _give_up(self, key: PoolKey) -> None:
        """Take away what a pool owned that nobody asks for any more; its pods are anybody's again.

        Those that are drained go, for they take no work any more: whatever made them makes others.
        """
        ward = self._wards[key]
        holding = self._estate.holding(ward.source, self._clock.now())
        if isinstance(holding, Unknown):
            return
        left = self._left(key)
        others = [other for one, other in self._wards.items() if one.namespace == key.namespace and one != key]
        await self._applier.delete(budget(ward.source))
        free = replace(ward, guard=Guard.AUDIT, holds=False)
        if holding.workload is not None and not any(other.source.path == ward.source.path for other in others):
            await self._applier.apply(mark(free, holding.workload))
        await self._adopt(free, left)
        for pod in left:
            if pod.phase is Phase.ACTIVE and pod.epoch is not None:
                self._drainer.reopen(pod)  # it may not have heard that its drain was called back
        self._drainer.retire(key, orders([pod for pod in left if pod.phase is Phase.DRAINED], {}))
        await self._applier.apply(words(key.namespace, others))
        del self._wards[key], self._gone[key]
        LOG.info("a pool that nobody asks for was given up", pool=str(key))

    def _watched(self) -> Iterator[tuple[Pool, WatchedPods]]:
        for pool in self._registry:
            if isinstance(pool.spec.pods, WatchedPods) and pool.spec.policy.guarantee is Guarantee.PROTECTED:
                yield pool, pool.spec.pods
