"""A fleet of agents: one process that is, for every ready pod, an HTTP server at the pod's own address.

It follows the pods that carry a label, and its value is the name of their pool. A pod that turns ready has an agent; a
pod that is being deleted has one that takes nothing more; a pod that is gone, or has failed, has lost its agent, and
what that worked on is cut and queued again. Each has a gate, which signed orders close and open. All of it is in the
journal. A fleet that was killed and is started with the same journal finds every open task in it: those that ran are
cut, and all of them wait again; its gates are as they were.
"""

from __future__ import annotations

import asyncio
import ipaddress
import logging
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from itertools import count
from pathlib import Path
from zlib import crc32

from aiohttp import web

from scaler.agent import Gate, Place
from scaler.agent.desk import Desk, ours
from scaler.agent.doors.with_aiohttp import answered, response
from scaler.controller.dig import at, holds, strings, text
from scaler.controller.feed import Gone, Listed, Put
from scaler.live.clock import Clock
from tests.cluster.harness.api import Api, Json
from tests.cluster.harness.journal import Journal, open_tasks
from tests.cluster.harness.load import Generator
from tests.cluster.harness.work import Agent, GateTime, Pool

SLOTS = "agent-scaler.test/slots"  # the annotation with a pod's slots; one where it is missing
LOG = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class PodFacts:
    """What a fleet wants to know of a pod."""

    uid: str
    name: str
    pool: str
    ip: str
    slots: int
    ready: bool
    leaving: bool
    ended: bool


def facts(pod: Json, label: str) -> PodFacts:
    """The facts of a pod object; its pool is NAMESPACE/VALUE of that label."""
    return PodFacts(
        uid=text(pod, "metadata", "uid"),
        name=text(pod, "metadata", "name"),
        pool=f"{text(pod, 'metadata', 'namespace')}/{strings(pod, 'metadata', 'labels').get(label, '')}",
        ip=text(pod, "status", "podIP"),
        slots=int(strings(pod, "metadata", "annotations").get(SLOTS, "1")),
        ready=holds(pod, "Ready"),
        leaving=at(pod, "metadata", "deletionTimestamp") is not None,
        ended=text(pod, "status", "phase") in {"Failed", "Succeeded"},
    )


@dataclass(frozen=True, slots=True)
class Gates:
    """Where the agents' gates keep their state, and the key set whose orders they believe; None believes none."""

    folder: Path
    keys: Path | None = None


@dataclass(slots=True)
class _Door:
    """Where an agent listens, once it does."""

    agent: Agent
    pool: Pool
    desk: Desk
    server: asyncio.Server | None = None


class Fleet:
    """Pools, their agents, and the load on them. Belongs to one event loop.

    Attributes:
        pools: by NAMESPACE/NAME.
    """

    def __init__(self, clock: Clock, journal: Path, port: int, gates: Gates) -> None:
        self.pools: dict[str, Pool] = {}
        self._generators: dict[str, Generator] = {}
        self._doors: dict[str, _Door] = {}
        self._by_ip: dict[str, _Door] = {}
        self._clock = clock
        self._port = port
        self._gates = gates
        left = open_tasks(journal)
        self._numbers = count(max((line.task for line in left), default=0) + 1)
        self._journal = Journal(journal)
        self._server = web.Server(self._answer, access_log=None)
        for line in left:
            self.pool(line.pool).recover(line)

    def generator(self, key: str) -> Generator:
        """The load on a pool, which begins to exist where it did not."""
        if key not in self._generators:
            self._generators[key] = Generator(self.pool(key), self._clock, self._numbers, seed=crc32(key.encode()))
        return self._generators[key]

    def pool(self, key: str) -> Pool:
        """A pool, which begins to exist where it did not."""
        if key not in self.pools:
            self.pools[key] = Pool(key, self._clock, self._journal)
        return self.pools[key]

    async def follow(self, api: Api, label: str, *, namespace: str | None = None) -> None:
        """Be the agents of all pods with that label, of one namespace or of all, until cancelled."""
        path = "/api/v1/pods" if namespace is None else f"/api/v1/namespaces/{namespace}/pods"
        async for change in api.follow(path, {"labelSelector": label}):
            match change:
                case Put(pod):
                    await self._see(facts(pod, label))
                case Gone(pod):
                    self._lose(facts(pod, label).uid, "deleted")
                case Listed(uids):
                    for uid in [uid for uid in self._doors if uid not in uids]:
                        self._lose(uid, "deleted")
                    for pool in self.pools.values():
                        pool.starting &= uids

    async def close(self) -> None:
        """Let every connection and the journal go. Nobody is cut by it: whoever reads the journal sees open tasks."""
        for door in self._doors.values():
            if door.server is not None:
                door.server.close()
            door.desk.gate.close()
        await self._server.shutdown(timeout=0.0)
        self._journal.close()

    async def _see(self, pod: PodFacts) -> None:
        """Take up what a pod has become."""
        if pod.ended:
            self._lose(pod.uid, "ended")
            return
        if pod.uid in self._doors:
            if pod.leaving:
                self._doors[pod.uid].pool.dismiss(pod.uid)
        elif pod.ready and not pod.leaving and _is_loopback(pod.ip):
            await self._open(pod)
        elif not pod.leaving:
            self.pool(pod.pool).starting.add(pod.uid)

    async def _open(self, pod: PodFacts) -> None:
        """An agent is up once it can be reached."""
        pool = self.pool(pod.pool)
        desk = await asyncio.to_thread(self._desk, pod)
        agent = Agent(pod.uid, pod.name, pod.ip, pod.slots, self._clock.now(), desk.gate)
        door = _Door(agent, pool, desk)
        try:
            door.server = await asyncio.get_running_loop().create_server(self._server, pod.ip, self._port, backlog=16)
        except OSError:
            LOG.exception("%s cannot listen at %s:%d", pod.name, pod.ip, self._port)
            desk.gate.close()
            return
        desk.gate.on_turn(self._turning(pool, pod.uid))
        self._doors[pod.uid] = self._by_ip[pod.ip] = door
        pool.starting.discard(pod.uid)
        pool.join(agent)

    def _desk(self, pod: PodFacts) -> Desk:
        """The pod's gate, as the agent before this one left it, which was another process of the same pod."""
        place = Place(pod.uid, self._gates.folder / pod.uid, self._gates.keys)
        return Desk(Gate(place, slots=pod.slots, clock=GateTime(self._clock)))

    def _turning(self, pool: Pool, uid: str) -> Callable[[bool], None]:
        """Tells the pool of a gate that was turned by an order, which was carried out in a thread."""
        loop = asyncio.get_running_loop()

        def tell(is_open: bool) -> None:
            loop.call_soon_threadsafe(partial(pool.turned, uid, is_open=is_open))

        return tell

    def _lose(self, uid: str, why: str) -> None:
        door = self._doors.pop(uid, None)
        if door is None:
            for pool in self.pools.values():
                pool.starting.discard(uid)
            return
        if door.server is not None:
            door.server.close()
        if self._by_ip.get(door.agent.ip) is door:
            del self._by_ip[door.agent.ip]
        door.pool.lose(uid, why)
        door.desk.gate.close()
        shutil.rmtree(self._gates.folder / uid)

    async def _answer(self, request: web.BaseRequest) -> web.StreamResponse:
        """One agent's pages: it is known by the address that was called."""
        ip = request.transport.get_extra_info("sockname")[0] if request.transport else ""
        door = self._by_ip.get(ip)
        if door is None:  # the connection has outlived the pod
            if request.transport:
                request.transport.abort()
            return web.Response(status=410)
        if not ours(request.path):
            return web.json_response({"error": f"there is no {request.path}; there is /activity"}, status=404)
        return response(await answered(door.desk, request))


def _is_loopback(ip: str) -> bool:
    return bool(ip) and ipaddress.ip_address(ip).is_loopback
