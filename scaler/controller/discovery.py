"""Pools discovered: the ScaledObjects and ScaledJobs that name our address, watched by kopf.

Kopf runs an event loop of its own in a thread of its own: in a main thread it takes SIGTERM for itself, and no tick
waits for what it does. It has event handlers alone, so it writes nothing: no annotation, no finalizer, no Event, no
peering. It tells nothing of an object that vanished while its watch was broken; so the names that there are, are listed
now and then, and what is not among them is lost.
"""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final, Protocol

import kopf
import structlog

from scaler.config.metadata import TriggerMetadata
from scaler.config.pool import Found, PoolKey
from scaler.config.problems import ConfigError
from scaler.controller.api import JSON, Api, ApiError, ConnectError, Request, StaleError, credentials
from scaler.controller.dig import objects, parsed, text
from scaler.controller.scaled import Scaled, scaled
from scaler.core.types import Seconds
from scaler.live.clock import Clock

GROUP, VERSION = "keda.sh", "v1alpha1"
KINDS: Final = {"scaledobjects": "ScaledObject", "scaledjobs": "ScaledJob"}
METADATA: Final = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1"
LOOK: Final[Seconds] = 60.0
AGAIN: Final[Seconds] = 5.0
PATIENCE: Final[Seconds] = 10.0
RUNNING: Final = "kopf._core.reactor.running"
ENDED: Final = "kopf has ended and is started again"
LOG: structlog.stdlib.BoundLogger = structlog.stdlib.get_logger(__name__)


class Pools(Protocol):
    """Who keeps the pools."""

    def discover(self, key: PoolKey, metadata: TriggerMetadata, found: Found) -> None:
        """Take in what the cluster says of a pool; raises ConfigError where that cannot be used."""
        ...

    def lose(self, key: PoolKey) -> None:
        """The cluster has nothing any more that asks for the pool."""
        ...


@dataclass(frozen=True, slots=True)
class Whence:
    """Where to look: by which kubeconfig, for whose address, and in which namespaces; in all where none is named."""

    kubeconfig: Path | None
    address: str
    namespaces: Collection[str]


class Discovery:
    """Belongs to one event loop; kopf's own calls come over to it."""

    def __init__(self, api: Api, whence: Whence, pools: Pools, clock: Clock) -> None:
        self._api, self._whence, self._pools, self._clock = api, whence, pools, clock
        self._known: dict[str, Scaled] = {}
        self._stop = threading.Event()
        self._end: Callable[[], object] = self._stop.set

    async def run(self) -> None:
        """Discover, until cancelled."""
        while not await self._is_served():
            await self._clock.sleep_until(self._clock.now() + AGAIN)
        loop = asyncio.get_running_loop()
        watching = threading.Thread(target=self._watch, args=(loop,), name="kopf", daemon=True)
        watching.start()
        try:
            while True:
                await self._clock.sleep_until(self._clock.now() + LOOK)
                await self._forget_the_vanished()
        finally:
            self._stop.set()
            with suppress(RuntimeError):  # kopf's loop has ended already
                self._end()

    async def _is_served(self) -> bool:
        """Whether the API server knows KEDA's kinds; kopf looks for them once."""
        try:
            await self._api.send(Request(method="GET", path=f"/apis/{GROUP}/{VERSION}", within=PATIENCE))
        except (ApiError, StaleError):
            return False
        return True

    def _watch(self, loop: asyncio.AbstractEventLoop) -> None:
        """Kopf's thread."""
        logging.getLogger("kopf").setLevel(logging.CRITICAL)  # each try of each call that failed
        logging.getLogger(RUNNING).setLevel(logging.ERROR)  # what it ends with, where it raises nothing
        while not self._stop.is_set():
            try:
                asyncio.run(self._operate(loop))
            except Exception:
                LOG.exception(ENDED)
            else:
                if not self._stop.is_set():
                    LOG.error(ENDED)
            self._stop.wait(AGAIN)

    async def _operate(self, loop: asyncio.AbstractEventLoop) -> None:
        """Kopf, until it is told to stop or fails: a watch that is refused ends it.

        The flag is its loop's own: for another it waits in a thread, and its loop would then not end before that does.
        """
        stop = asyncio.Event()
        self._end = partial(asyncio.get_running_loop().call_soon_threadsafe, stop.set)
        if self._stop.is_set():
            return
        await kopf.operator(
            registry=_registry(self._whence.kubeconfig, partial(self._pass_on, loop)),
            settings=_settings(),
            standalone=True,
            clusterwide=not self._whence.namespaces,
            namespaces=tuple(self._whence.namespaces),
            stop_flag=stop,
        )

    def _pass_on(self, loop: asyncio.AbstractEventLoop, plural: str, body: Mapping[str, Any], gone: bool) -> None:
        try:
            loop.call_soon_threadsafe(self.take, plural, body, gone)
        except RuntimeError:  # the loop is closed, and nobody asks any more
            return

    def take(self, plural: str, body: Mapping[str, Any], gone: bool) -> None:
        """Take in an object as it is now, or that it is gone."""
        uid = text(body, "metadata", "uid")
        try:
            now = None if gone else scaled(body, KINDS[plural], self._whence.address)
        except ConfigError as error:
            self._refuse(body, error)
            return
        before = self._known.get(uid)
        if before is not None and (now is None or now.key != before.key):
            self._lose(uid)
        if now is None or now == before:
            return
        try:
            self._pools.discover(now.key, now.metadata, now.found)
        except ConfigError as error:
            self._refuse(body, error)
            return
        self._known[uid] = now

    def __iter__(self) -> Iterator[Scaled]:
        """Every object that asks for a pool, as of now."""
        return iter(tuple(self._known.values()))

    def _refuse(self, body: Mapping[str, Any], error: ConfigError) -> None:
        name = f"{text(body, 'metadata', 'namespace')}/{text(body, 'metadata', 'name')}"
        LOG.warning("a scaled object cannot be used and its pool stays as it was", pool=name, why=str(error))

    def _lose(self, uid: str) -> None:
        """Lose the pool that this object asked for, unless another asks for it too."""
        lost = self._known.pop(uid)
        if all(other.key != lost.key for other in self._known.values()):
            self._pools.lose(lost.key)

    async def _forget_the_vanished(self) -> None:
        before = set(self._known)  # what comes while they are listed may not be among them
        try:
            there = [uid for plural in KINDS for uid in await self._listed(plural)]
        except (ApiError, StaleError):
            return
        for uid in (before & self._known.keys()) - set(there):
            self._lose(uid)

    async def _listed(self, plural: str) -> list[str]:
        """The uids of all that there are."""
        places = [f"/namespaces/{namespace}" for namespace in self._whence.namespaces] or [""]
        found: list[str] = []
        for place in places:
            path = f"/apis/{GROUP}/{VERSION}{place}/{plural}"
            body = await self._api.send(Request(method="GET", path=path, accept=f"{METADATA},{JSON}", within=PATIENCE))
            found += [text(item, "metadata", "uid") for item in objects(parsed(body), "items")]
        return found


def _registry(kubeconfig: Path | None, tell: Callable[[str, Mapping[str, Any], bool], None]) -> kopf.OperatorRegistry:
    """Kopf's handlers: how to log in, and whom to tell of events."""
    registry = kopf.OperatorRegistry()

    async def login(**_: object) -> kopf.ConnectionInfo:
        try:
            found = await credentials(kubeconfig)
        except ConnectError as error:
            raise kopf.LoginError(str(error)) from None
        return kopf.ConnectionInfo(
            server=found.server,
            ca_path=found.ca_file or None,
            certificate_path=found.certificate_file or None,
            private_key_path=found.key_file or None,
            scheme="Bearer" if found.token else None,
            token=found.token or None,
        )

    kopf.on.login(registry=registry)(login)
    for plural in KINDS:
        kopf.on.event(GROUP, VERSION, plural, registry=registry, id=plural)(_handler(plural, tell))
    return registry


def _handler(plural: str, tell: Callable[[str, Mapping[str, Any], bool], None]) -> Callable[..., None]:
    def seen(event: Mapping[str, Any], **_: object) -> None:
        tell(plural, event["object"], event["type"] == "DELETED")

    return seen


def _settings() -> kopf.OperatorSettings:
    """Watch, and do nothing else."""
    settings = kopf.OperatorSettings()
    settings.posting.enabled = False
    settings.scanning.disabled = True  # its own watches of namespaces and CRDs would need rights of their own
    settings.watching.server_timeout = 240  # kopf passes it on as it is, and the API server takes no fractions
    return settings
