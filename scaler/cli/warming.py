"""The warm pools of ``scaler serve``: a connection to the API server, from the moment the file names any."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Final

import structlog

from scaler.config.settings import Settings
from scaler.core.types import Seconds
from scaler.live.clock import Clock
from scaler.live.office import Office
from scaler.live.warm import WarmStanding

if TYPE_CHECKING:
    from scaler.controller.api import Api
    from scaler.controller.sandboxes.steward import Steward, Ways

AGAIN: Final[Seconds] = 5.0  # between two looks whether there is something to do, or a way to do it
LOG: structlog.stdlib.BoundLogger = structlog.stdlib.get_logger(__name__)


class Warming:
    """Sizes the warm pools of the settings in force."""

    def __init__(self, kubeconfig: Path | None, settings: Callable[[], Settings], clock: Clock, office: Office) -> None:
        self._kubeconfig, self._settings = kubeconfig, settings
        self._clock, self._office = clock, office
        self._steward: Steward | None = None

    def standings(self) -> Iterable[WarmStanding]:
        """How each warm pool stands."""
        return () if self._steward is None else self._steward.standings()

    async def run(self) -> None:
        """Wait until the file names a warm pool, then keep it and those that follow, until cancelled."""
        while not self._settings().warm_pools.pools:
            await self._clock.sleep_until(self._clock.now() + AGAIN)
        from scaler.controller.api import ConnectError

        while True:
            try:
                await self._keep()
            except ConnectError as error:
                why = f"{error}; name a --kubeconfig outside a pod"
                LOG.warning("warm pools cannot reach the cluster", why=why)
            await self._clock.sleep_until(self._clock.now() + AGAIN)

    async def _keep(self) -> None:
        from scaler.controller.api import open_api
        from scaler.controller.sandboxes.steward import Config, Steward

        def config() -> Config:
            """What the file says of warm pools now."""
            settings = self._settings()
            return Config(settings.warm_pools, settings.mode)

        async with open_api(self._kubeconfig) as api:
            self._steward = Steward(self._ways(api), config, self._clock, self._office)
            await self._steward.run()

    def _ways(self, api: Api) -> Ways:
        from scaler.controller.events import Events
        from scaler.controller.pen import Pen
        from scaler.controller.sandboxes.feed import Watches
        from scaler.controller.sandboxes.steward import Ways
        from scaler.controller.sandboxes.teller import PoolEvents
        from scaler.controller.sandboxes.writer import ScaleWriter

        pen = Pen(api, self._office)
        return Ways(Watches(api), ScaleWriter(pen), PoolEvents(Events(pen, self._clock)))
