"""A node whose pods are processes: ``python -m tests.cluster.harness.nodeagent --kubeconfig FILE --node NAME``.

kwok plays thousands of pods and only deletes them; here preStop, SIGTERM and the grace period really happen, to
processes that listen on a loopback address of their pod's own. What a pod asks for and cannot have here (init
containers, images whose entry point is not known, volumes of other kinds) makes it Failed with a message; it is never
left out in silence. If this process is killed the kernel ends every process of its pods, as when a machine is lost.
"""

from __future__ import annotations

import argparse
import asyncio
import ipaddress
import json
import logging
import secrets
import signal
import tempfile
from asyncio import Task
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from http import HTTPStatus
from pathlib import Path
from typing import Final

import aiohttp

from scaler.controller.dig import at, text, whole
from scaler.controller.feed import Gone, Listed, Put
from scaler.core.types import Seconds
from scaler.live.clock import Clock, SystemClock
from tests.cluster.harness.api import STRATEGIC, Api, ApiError, Json, open_api
from tests.cluster.harness.podrun import Host, PodRun
from tests.cluster.harness.podspec import UnsupportedError, entry_point, pod_spec
from tests.cluster.harness.podstatus import stamp

ADDRESSES: Final = ipaddress.IPv4Network("127.16.0.0/12")  # kwok's pods have theirs elsewhere in 127.0.0.0/8
TAINT: Final = "agent-scaler.test/processes"
LEASE: Final = "/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases"
HEARTBEAT: Final[Seconds] = 10.0
LEASE_SECONDS: Final = 40
LOG = logging.getLogger(__name__)


class NodeAgent:
    """Runs the pods of one node. Belongs to one event loop."""

    def __init__(self, node: str, host: Host, images: Mapping[str, Sequence[str]]) -> None:
        self._node = node
        self._host = host
        self._images = images
        self._pods: dict[str, tuple[PodRun, Task[None]]] = {}
        self._addresses: set[str] = set()

    async def run(self) -> None:
        """Run the node until cancelled; then every process of its pods is ended at once."""
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(heartbeats(self._host.api, self._host.clock, self._node))
                group.create_task(self._follow())
        finally:
            tasks = [task for _, task in self._pods.values()]
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _follow(self) -> None:
        async for change in self._host.api.follow("/api/v1/pods", {"fieldSelector": f"spec.nodeName={self._node}"}):
            match change:
                case Put(pod):
                    await self._see(pod)
                case Gone(pod):
                    self._forget(text(pod, "metadata", "uid"))
                case Listed(uids):
                    for uid in set(self._pods) - uids:
                        self._forget(uid)

    async def _see(self, pod: Mapping[str, Json]) -> None:
        """Take up a pod that is new, or the end of one that runs."""
        uid = text(pod, "metadata", "uid")
        over = text(pod, "status", "phase") in {"Failed", "Succeeded"}
        deleted = at(pod, "metadata", "deletionTimestamp") is not None
        if uid not in self._pods and (deleted or not over):
            await self._take_up(uid, pod)
        if uid in self._pods and deleted:
            self._pods[uid][0].delete(float(whole(pod, "metadata", "deletionGracePeriodSeconds", otherwise=0)))

    async def _take_up(self, uid: str, pod: Mapping[str, Json]) -> None:
        try:
            spec = pod_spec(pod, self._images)
        except UnsupportedError as error:
            await self._reject(pod, str(error))
            return
        ip = text(pod, "status", "podIP") or self._address()
        self._addresses.add(ip)
        running = PodRun(spec, ip, self._host)
        task = asyncio.create_task(running.live())
        task.add_done_callback(lambda done: self._leave(uid, ip, done))
        self._pods[uid] = running, task

    def _leave(self, uid: str, ip: str, done: Task[None]) -> None:
        self._pods.pop(uid, None)
        self._addresses.discard(ip)
        if not done.cancelled() and (error := done.exception()) is not None:
            LOG.error("a pod was given up", exc_info=error)

    def _forget(self, uid: str) -> None:
        if uid in self._pods:
            self._pods[uid][0].forget()

    def _address(self) -> str:
        """An address that no pod has: a random one, for other nodes of this machine draw from the same range."""
        while True:
            address = str(ADDRESSES[1 + secrets.randbelow(ADDRESSES.num_addresses - 2)])
            if address not in self._addresses:
                return address

    async def _reject(self, pod: Mapping[str, Json], why: str) -> None:
        """Say why a pod is not run, or let it go where it is deleted."""
        path = f"/api/v1/namespaces/{text(pod, 'metadata', 'namespace')}/pods/{text(pod, 'metadata', 'name')}"
        failed: Json = {"status": {"phase": "Failed", "reason": "Unsupported", "message": f"not run here: {why}"}}
        with suppress(ApiError):  # it is gone
            if at(pod, "metadata", "deletionTimestamp") is None:
                await self._host.api.patch(f"{path}/status", failed, kind=STRATEGIC)
            else:
                await self._host.api.send("DELETE", path, {"gracePeriodSeconds": 0})


async def register(api: Api, node: str, zone: str) -> None:
    """Make the node, or find it as an earlier process left it.

    Raises:
        ApiError: it cannot be made.
    """
    labels: Json = {"kubernetes.io/hostname": node, "kubernetes.io/os": "linux", "topology.kubernetes.io/zone": zone}
    taints: Json = [{"key": TAINT, "effect": "NoSchedule"}]
    body: Json = {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {"name": node, "labels": labels},
        "spec": {"taints": taints},
    }
    try:
        await api.send("POST", "/api/v1/nodes", body)
    except ApiError as error:
        if error.status != HTTPStatus.CONFLICT:
            raise


async def deregister(api: Api, node: str) -> None:
    """Take the node away."""
    for path in (f"{LEASE}/{node}", f"/api/v1/nodes/{node}"):
        with suppress(ApiError):
            await api.send("DELETE", path)


async def heartbeats(api: Api, clock: Clock, node: str) -> None:
    """Say that the node is alive, until cancelled."""
    while True:
        now = datetime.fromtimestamp(clock.now(), UTC)
        lease: Json = {
            "apiVersion": "coordination.k8s.io/v1",
            "kind": "Lease",
            "metadata": {"name": node},
            "spec": {
                "holderIdentity": node,
                "leaseDurationSeconds": LEASE_SECONDS,
                "renewTime": now.strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
            },
        }
        query = "?fieldManager=nodeagent&force=true"
        with suppress(ApiError, aiohttp.ClientError, TimeoutError, OSError):
            await api.patch(f"{LEASE}/{node}{query}", lease, kind="application/apply-patch+yaml")
            await api.patch(f"/api/v1/nodes/{node}/status", {"status": node_status(stamp(clock.now()))}, kind=STRATEGIC)
        await clock.sleep_until(clock.now() + HEARTBEAT)


def node_status(now: str) -> Mapping[str, Json]:
    """A node that is Ready and has room."""
    room: Json = {"cpu": "64", "memory": "256Gi", "pods": "500", "ephemeral-storage": "100Gi"}
    kinds = {"Ready": "True", "MemoryPressure": "False", "DiskPressure": "False", "PIDPressure": "False"}
    return {
        "capacity": room,
        "allocatable": room,
        "addresses": [{"type": "InternalIP", "address": "127.0.0.1"}],
        "conditions": [
            {"type": kind, "status": status, "lastHeartbeatTime": now, "reason": "NodeAgent"}
            for kind, status in kinds.items()
        ],
    }


@dataclass(frozen=True, slots=True)
class Options:
    """How it is started.

    Attributes:
        node: the node's name; ``zone`` is its label.
        folder: for logs and volumes; a temporary one where it is None.
        images: entry points by the name of the image.
    """

    kubeconfig: Path
    node: str
    zone: str
    folder: Path | None
    images: Mapping[str, Sequence[str]]


def options(arguments: list[str] | None = None) -> Options:
    """The options as they were typed."""
    parser = argparse.ArgumentParser(prog="nodeagent", description="Be a node whose pods are processes.")
    parser.add_argument("--kubeconfig", type=Path, required=True)
    parser.add_argument("--node", required=True)
    parser.add_argument("--zone", default="a")
    parser.add_argument("--folder", type=Path, help="for logs and volumes (default: a temporary one)")
    parser.add_argument("--image", action="append", default=[], metavar="NAME=COMMAND", help="an image's entry point")
    typed = parser.parse_args(arguments)
    images = dict(entry_point(each) for each in typed.image)
    return Options(typed.kubeconfig, typed.node, typed.zone, typed.folder, images)


async def serve(options: Options, folder: Path) -> None:
    """Be the node until told to stop, and take it away then."""
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    cluster = json.loads(options.kubeconfig.read_text())["clusters"][0]["cluster"]
    async with open_api(options.kubeconfig) as api:
        await register(api, options.node, options.zone)
        host = Host(api, SystemClock(), cluster, folder)
        running = asyncio.create_task(NodeAgent(options.node, host, options.images).run())
        stopping = asyncio.create_task(stop.wait())
        await asyncio.wait([running, stopping], return_when=asyncio.FIRST_COMPLETED)
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        await deregister(api, options.node)


def main() -> None:
    """Run the command line."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    typed = options()
    with tempfile.TemporaryDirectory(prefix="agent-scaler-node-") as temporary:
        asyncio.run(serve(typed, typed.folder or Path(temporary)))


if __name__ == "__main__":
    main()
