"""The controller of ``scaler serve --control``: its connections, and how it is asked for."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from scaler.cli.keeper import Keeper
from scaler.cli.output import refuse
from scaler.config.settings import Settings
from scaler.live.charge import Charge
from scaler.live.ticker import Orders
from scaler.sources.reader import Sources

if TYPE_CHECKING:
    from scaler.controller.library import Library


@dataclass(frozen=True, slots=True)
class Asked:
    """What the command line asks for: the address that ScaledObjects name, and the key that orders are signed with.

    ``home`` is the namespace where what pools have learnt is kept, None to keep it nowhere.
    """

    address: str | None = None
    key: Path | None = None
    namespaces: tuple[str, ...] = ()
    kubeconfig: Path | None = None
    home: str | None = None


@dataclass(frozen=True, slots=True)
class Controlling:
    """Who carries out orders, None where nobody does, what has to run for it, and where what is learnt is kept."""

    orders: Orders | None
    work: Callable[[], tuple[Coroutine[None, None, None], ...]]
    library: Library | None = None


def check(asked: Asked) -> None:
    """Refuse what is asked of a controller where none is asked for."""
    if asked.address is None and asked.namespaces:
        namespaces = ", ".join(asked.namespaces)
        refuse(f"--namespace {namespaces} says where --control looks for ScaledObjects: add that, or leave it out")


def unused(asked: Asked, *, leads: bool, settings: Settings) -> Iterator[str]:
    """Options that nothing uses as long as the file names no warm pools; each with what would use it."""
    if asked.address is not None or settings.warm_pools.pools:
        return
    if asked.key is not None:
        yield f"--drain-key {asked.key}: nobody signs orders without --control, or warm_pools in the file"
    if asked.kubeconfig is not None and not leads:
        yield f"--kubeconfig {asked.kubeconfig}: nobody asks the API server without --lease, --control, or warm_pools"


@asynccontextmanager
async def controlling(asked: Asked, sources: Sources, charge: Charge, keeper: Keeper) -> AsyncIterator[Controlling]:
    """The controller at work, with its connections, which are closed at the end; nobody, where none is asked for."""
    if asked.address is None:
        yield Controlling(None, tuple)
        return
    from scaler.controller.api import ConnectError, open_api
    from scaler.controller.control import Control
    from scaler.controller.deadband import DeadBand
    from scaler.controller.discovery import Discovery, Whence
    from scaler.controller.gates import open_gates
    from scaler.controller.library import Library
    from scaler.controller.orders import KeyFileError, Signer
    from scaler.controller.shelves import keep_pools

    if asked.key is None:
        refuse("--control needs --drain-key: the private key that orders to agents are signed with")
    async with AsyncExitStack() as stack:
        try:
            api = await stack.enter_async_context(open_api(asked.kubeconfig))
            gates = await stack.enter_async_context(open_gates(Signer.read(asked.key), charge.clock))
        except ConnectError as error:
            refuse(f"--control needs the API server: {error}; name a --kubeconfig outside a pod")
        except KeyFileError as error:
            refuse(f"--drain-key: {error}")
        control = Control(api, gates, sources.ask, charge)
        sources.watch(control.watched.pods)
        whence = Whence(asked.kubeconfig, asked.address, asked.namespaces)
        discovery = Discovery(api, whence, keeper, charge.clock)
        band = DeadBand(charge, control, discovery)
        library = None if asked.home is None else Library(api, control.pen, charge, asked.home)
        if library is not None:
            await library.load()
            keep_pools(library, charge.registry, charge.clock.now())

        def work() -> tuple[Coroutine[None, None, None], ...]:
            """All that runs."""
            keeping = () if library is None else (library.follow(),)
            return *control.work(), discovery.run(), band.run(), *keeping

        yield Controlling(control.drainer, work, library)
