"""The warm pools of ``scaler serve``: a connection to the API server, from the moment the file names any."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterable, Mapping
from contextlib import AbstractContextManager, AsyncExitStack, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Final, TypeAlias

import structlog

from scaler.config.pool import PoolKey
from scaler.config.settings import Settings
from scaler.core.types import Seconds, Unknown
from scaler.core.warmpool_memory import WarmMemory
from scaler.live.bells import Bells
from scaler.live.charge import Charge
from scaler.live.clock import Clock
from scaler.live.hinting import Hintable, Pools
from scaler.live.warm import WarmAnswer, WarmStanding

if TYPE_CHECKING:
    from scaler.controller.api import Api
    from scaler.controller.library import Library
    from scaler.controller.pen import Pen
    from scaler.controller.sandboxes.steward import Config, Steward
    from scaler.controller.sandboxes.warden import Ask
    from scaler.controller.sandboxes.ways import Recall, Ways

AGAIN: Final[Seconds] = 5.0  # between two looks whether there is something to do, or a way to do it
Work: TypeAlias = Coroutine[None, None, None]
LOOK: Final[Seconds] = 15.0
LOG: structlog.stdlib.BoundLogger = structlog.stdlib.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Means:
    """What it works with.

    Attributes:
        kubeconfig: the way to the API server; None is the ServiceAccount of our pod.
        key: the key that orders to agents are signed with; without one no claimed sandbox is guarded, for none could
            be released.
        ask: asks agents what they do.
        home: the namespace where what pools have learnt is kept; None to keep it nowhere.
        library: where others keep it there already; None to open one.
    """

    kubeconfig: Path | None
    key: Path | None
    ask: Ask
    home: str | None
    library: Library | None


class Warming:
    """Sizes the warm pools of the settings in force, and looks after the sandboxes that were claimed from them."""

    def __init__(self, means: Means, settings: Callable[[], Settings], charge: Charge) -> None:
        self._means, self._settings, self._charge = means, settings, charge
        self._clock, self._office = charge.clock, charge.office
        self._steward: Steward | None = None
        self._bells = Bells()

    def answer(self, key: PoolKey) -> WarmAnswer | None:
        """What KEDA is told of the warm pool; None where the file does not name it."""
        if str(key) not in self._settings().warm_pools.pools:
            return None
        known = None if self._steward is None else self._steward.answer(key)
        return known or WarmAnswer(0.0, Unknown("it is not watched yet"))

    def listening(self, key: PoolKey, ring: Callable[[], None]) -> AbstractContextManager[None]:
        """Call ``ring`` whenever the warm pool wakes or rests."""
        return self._bells.listening(key, ring)

    def standings(self) -> Iterable[WarmStanding]:
        """How each warm pool stands."""
        return () if self._steward is None else self._steward.standings()

    def beside(self, pools: Pools) -> Pools:
        """The pools for which hints may be given: these, and the warm ones."""
        return _Both(pools, self)

    def get(self, key: PoolKey) -> Hintable | None:
        """The warm pool of this name, as hints see it."""
        return None if self._steward is None else self._steward.hintable(key)

    def prompting(self, prompt: Callable[[PoolKey], None]) -> Callable[[PoolKey], None]:
        """What ticks a pool at once, warm or not."""

        def both(key: PoolKey) -> None:
            """Tick whichever has this name."""
            prompt(key)
            if self._steward is not None:
                self._steward.prompt(key)

        return both

    async def run(self) -> None:
        """Wait until the file names a warm pool, then keep it and those that follow, until cancelled."""
        while not self._settings().warm_pools.pools:
            await self._clock.sleep_until(self._clock.now() + AGAIN)
        from scaler.controller.api import ConnectError
        from scaler.controller.orders import KeyFileError

        while True:
            try:
                await self._keep()
            except (ConnectError, KeyFileError) as error:
                LOG.warning("warm pools cannot be kept", why=f"{error}; see --kubeconfig and --drain-key")
            await self._clock.sleep_until(self._clock.now() + AGAIN)

    def _config(self) -> Config:
        from scaler.controller.sandboxes.steward import Config

        settings = self._settings()
        return Config(settings.warm_pools, settings.mode)

    async def _keep(self) -> None:
        from scaler.controller.api import open_api
        from scaler.controller.pen import Pen
        from scaler.controller.sandboxes.steward import Steward

        async with AsyncExitStack() as stack:
            api = await stack.enter_async_context(open_api(self._means.kubeconfig))
            pen = Pen(api, self._office, self._charge.deeds)
            ways = _ways(api, pen, self._clock, guarding=self._means.key is not None)
            recall, keeping = await self._remembering(api, pen)
            self._steward = Steward(
                replace(ways, recall=recall, bells=self._bells), self._config, self._clock, self._office
            )
            guarding = await self._guarding(stack, pen, self._steward)
            async with asyncio.TaskGroup() as group:
                for work in (self._steward.run(), self._look(api, self._steward), *keeping, *guarding):
                    group.create_task(work)

    async def _remembering(self, api: Api, pen: Pen) -> tuple[Recall, tuple[Work, ...]]:
        """What recalls what pools had learnt, and what runs so that it is kept."""
        from scaler.controller.library import Library
        from scaler.controller.sandboxes.ways import forgetful
        from scaler.controller.shelves import keep_warm

        if self._means.library is not None:
            return keep_warm(self._means.library, self._memories), ()
        if self._means.home is None:
            return forgetful, ()
        library = Library(api, pen, self._charge, self._means.home)
        await library.load()
        return keep_warm(library, self._memories), (library.follow(),)

    def _memories(self) -> Mapping[PoolKey, WarmMemory]:
        return {} if self._steward is None else self._steward.memories()

    async def _look(self, api: Api, steward: Steward) -> None:
        """Look now and then which versions the cluster serves, for agent-sandbox may be installed or renewed."""
        from scaler.controller.api import ApiError
        from scaler.controller.sandboxes.installed import versions

        while True:
            with suppress(ApiError):  # what was seen last holds
                steward.served = await versions(api)
            await self._clock.sleep_until(self._clock.now() + LOOK)

    async def _guarding(self, stack: AsyncExitStack, pen: Pen, steward: Steward) -> tuple[Work, ...]:
        """What runs for the sandboxes that were claimed."""
        if self._means.key is None:
            return ()
        from scaler.controller.gates import open_gates
        from scaler.controller.orders import Signer
        from scaler.controller.sandboxes.budgets import Budgets
        from scaler.controller.sandboxes.warden import Hands, Warden

        gates = await stack.enter_async_context(open_gates(Signer.read(self._means.key), self._clock))
        warden = Warden(steward.world, Hands(pen, gates, self._means.ask), steward.terms, self._clock)
        return warden.run(), Budgets(steward.world, pen, self._clock).run()


@dataclass(frozen=True, slots=True)
class _Both:
    """Pools of pods before warm ones of the same name."""

    pools: Pools
    warm: Pools

    def get(self, key: PoolKey) -> Hintable | None:
        """The pool of this name."""
        return self.pools.get(key) or self.warm.get(key)


def _ways(api: Api, pen: Pen, clock: Clock, *, guarding: bool) -> Ways:
    """How the steward sees the cluster, writes sizes and tells people."""
    from scaler.controller.events import Events
    from scaler.controller.feed import Feed
    from scaler.controller.sandboxes.kinds import Kind
    from scaler.controller.sandboxes.teller import PoolEvents
    from scaler.controller.sandboxes.ways import Ways
    from scaler.controller.sandboxes.world import NEEDED
    from scaler.controller.sandboxes.writer import ScaleWriter

    kinds = tuple(Kind) if guarding else NEEDED
    follow = lambda kind: Feed(api, kind.value, kind.query, optional=kind.optional).follow()  # noqa: E731 (a feed each)
    return Ways(follow, ScaleWriter(pen), PoolEvents(Events(pen, clock)), kinds)
