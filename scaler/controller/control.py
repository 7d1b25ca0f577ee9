"""The controller put together: what it watches, what it looks after, and who carries out the orders of ticks."""

from __future__ import annotations

from collections.abc import Coroutine

from scaler.config.pool import PoolKey, WatchedPods
from scaler.controller.api import Api
from scaler.controller.drainer import Drainer
from scaler.controller.estate import Estate
from scaler.controller.events import Events
from scaler.controller.facts import PodFacts
from scaler.controller.gates import Gates
from scaler.controller.live import Live
from scaler.controller.pen import Pen
from scaler.controller.steward import Steward
from scaler.controller.vigil import Seen, Vigil
from scaler.controller.watched import Ask, Watched
from scaler.core.policy import Guarantee, Mode
from scaler.core.types import Order
from scaler.live.charge import Charge


class Control:
    """Belongs to one event loop.

    Attributes:
        drainer: carries out what ticks order.
        watched: reads the pods of workloads.
        pen: writes, and has counted what became of it.
        events: tells people.
    """

    def __init__(self, api: Api, gates: Gates, ask: Ask, charge: Charge) -> None:
        self.pen = Pen(api, charge.office, charge.deeds)
        self._estate = Estate(api)
        self.events = events = Events(self.pen, charge.clock)
        live = Live(self.pen, charge.registry, charge.board)
        self.drainer = Drainer(self._estate, self.pen, gates, events, live.is_lowered)
        self.watched = Watched(self._estate, ask, self)
        self._vigil = Vigil(charge.registry, self._estate, events)
        self._steward = Steward(charge, self._estate, self.pen, events, self.drainer)
        self._office, self._registry = charge.office, charge.registry

    def work(self) -> tuple[Coroutine[None, None, None], ...]:
        """What has to run for it."""
        return (self._steward.run(),)

    def acts(self, source: WatchedPods) -> bool:
        """Whether the pool is one whose pods are drained, and is not switched off."""
        pool = self._registry.get(source.pool)
        if pool is None:
            return False
        return pool.spec.policy.mode is Mode.AUTO and pool.spec.policy.guarantee is Guarantee.PROTECTED

    def reopen(self, pods: list[PodFacts]) -> None:
        """Open the gates of these, if we lead."""
        if self._office.term is not None:
            for pod in pods:
                self.drainer.reopen(pod)

    def retire(self, source: WatchedPods, due: tuple[Order, ...]) -> None:
        """Carry these out, if we lead."""
        if self._office.term is not None:
            self.drainer.retire(source.pool, due)

    def watch(self, source: WatchedPods, seen: Seen) -> None:
        """Tell who is stuck, if we lead."""
        if self._office.term is None:
            self._vigil.forget()
        else:
            self._vigil.look(source, seen)

    def writer(self, key: PoolKey) -> str:
        """Who wrote the replicas of the pool's workload last, empty where that is not known."""
        pool = self._registry.get(key)
        if pool is None or not isinstance(pool.spec.pods, WatchedPods):
            return ""
        place, source = self._estate.place(key.namespace), pool.spec.pods
        found = None if place is None else place.workload(source.kind, source.name)
        return "" if found is None else found.writer
