"""The controller put together: what it watches, what it looks after, and who carries out the orders of ticks."""

from __future__ import annotations

from collections.abc import Coroutine

from scaler.config.pool import WatchedPods
from scaler.controller.api import Api
from scaler.controller.drainer import Drainer
from scaler.controller.estate import Estate
from scaler.controller.events import Events
from scaler.controller.facts import PodFacts
from scaler.controller.gates import Gates
from scaler.controller.live import Live
from scaler.controller.pen import Pen
from scaler.controller.steward import Steward
from scaler.controller.watched import Ask, Watched
from scaler.live.charge import Charge


class Control:
    """Belongs to one event loop.

    Attributes:
        drainer: carries out what ticks order.
        watched: reads the pods of workloads.
        pen: writes, and has counted what became of it.
    """

    def __init__(self, api: Api, gates: Gates, ask: Ask, charge: Charge) -> None:
        self.pen = Pen(api, charge.office)
        self._estate = Estate(api)
        events = Events(self.pen, charge.clock)
        live = Live(self.pen, charge.registry, charge.board)
        self.drainer = Drainer(self._estate, self.pen, gates, events, live.is_lowered)
        self.watched = Watched(self._estate, ask, self._reopen)
        self._steward = Steward(charge.registry, self._estate, self.pen, events, charge.clock)
        self._office = charge.office

    def work(self) -> tuple[Coroutine[None, None, None], ...]:
        """What has to run for it."""
        return (self._steward.run(),)

    def _reopen(self, _: WatchedPods, pods: list[PodFacts]) -> None:
        if self._office.term is not None:
            for pod in pods:
                self.drainer.reopen(pod)
