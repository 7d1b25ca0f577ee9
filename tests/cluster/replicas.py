"""Replicas of ``scaler serve`` on a real control plane: each in a pod's name and at its address, under one Lease."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

import grpc
import grpc.aio
import yaml

from scaler.external.client import CallError, Client, Trigger
from tests.cluster.harness.cluster import Cluster
from tests.cluster.harness.process import Part
from tests.cluster.harness.rest import Document
from tests.cluster.harness.wait import until
from tests.house.source import ROOT

LEADER = "agent-scaler.io/leader"
SHIPPED = [ROOT / f"manifests/base/{part}.yaml" for part in ("serviceaccount", "rbac", "service")]
LIVE = 3  # replicas of the pool
POOLS = """\
sources: {{kubernetes: {{url: "{server}", token_file: {folder}/token, ca_file: {folder}/ca.crt}}}}
pools:
  {namespace}/coder:
    guarantee: best-effort
    signals:
      queue: {{url: "{server}{work}", path: spec.replicas, token_file: {folder}/token, ca_file: {folder}/ca.crt}}
    replicas: {{scale: "deployments/{{name}}"}}
"""


@dataclass
class Cable:
    """A TCP connection to the API server that can be pulled and plugged in again. Belongs to one event loop."""

    host: str
    port: int
    pulled: bool = False
    _ends: set[asyncio.StreamWriter] = field(default_factory=set)
    _links: set[asyncio.Task[None]] = field(default_factory=set)

    async def accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection, to its end."""
        link = asyncio.current_task()
        assert link is not None
        self._links.add(link)
        ends = [writer]
        self._ends.add(writer)
        with suppress(OSError):
            if not self.pulled:
                answers, onward = await asyncio.open_connection(self.host, self.port)
                ends.append(onward)
                self._ends.add(onward)
                await asyncio.gather(_pump(reader, onward), _pump(answers, writer))
        for end in ends:
            end.transport.abort()
            with suppress(OSError):
                await end.wait_closed()
        self._ends.difference_update(ends)
        self._links.discard(link)

    def pull(self) -> None:
        """Nothing passes any more, on any connection; new ones are reset."""
        self.pulled = True
        for end in self._ends:
            end.transport.abort()

    async def close(self) -> None:
        """Pull it for good."""
        self.pull()
        await asyncio.gather(*self._links)

    def plug(self) -> None:
        """Let things pass again."""
        self.pulled = False


async def _pump(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
    while data := await source.read(65_536):
        sink.write(data)
        await sink.drain()
    sink.write_eof()


@asynccontextmanager
async def cable(server: str) -> AsyncIterator[tuple[Cable, str]]:
    """A cable to the API server at this URL, and the URL of its near end."""
    host, _, port = server.removeprefix("https://").partition(":")
    made = Cable(host, int(port))
    listening = await asyncio.start_server(made.accept, "127.0.0.1", 0)
    try:
        yield made, f"https://127.0.0.1:{listening.sockets[0].getsockname()[1]}"
    finally:
        listening.close()
        await made.close()


@dataclass
class Replica:
    """One of them: its pod, where it listens, its process, and a client of its own connection."""

    pod: str
    address: str
    part: Part
    client: Client
    channel: grpc.aio.Channel

    async def value(self, trigger: Trigger, *, within: float = 1.0) -> float | None:
        """What KEDA would be told by it, None where it is told nothing."""
        try:
            async with asyncio.timeout(within):
                return await self.client.value(trigger, "agent-replicas")
        except (CallError, TimeoutError):
            return None


@dataclass
class Stage:
    """A namespace with our ServiceAccount, rights and Service as they ship, and a workload that is scaled."""

    cluster: Cluster
    namespace: str
    folder: Path
    names: list[str] = field(default_factory=list)

    @property
    def trigger(self) -> Trigger:
        """The workload's trigger."""
        return Trigger(self.namespace, "coder")

    @property
    def lease(self) -> str:
        """Where the Lease is."""
        return f"/apis/coordination.k8s.io/v1/namespaces/{self.namespace}/leases/agent-scaler"

    def holder(self) -> str:
        """The pod whose process holds the Lease, empty where none does."""
        spec = (self.cluster.api.get(self.lease) or {}).get("spec")
        return str(spec.get("holderIdentity") or "").partition("_")[0] if isinstance(spec, dict) else ""

    def epoch(self) -> int:
        """How many terms there were."""
        spec = (self.cluster.api.get(self.lease) or {}).get("spec")
        assert isinstance(spec, dict)
        return int(str(spec["leaseTransitions"]))

    def labelled(self) -> set[str]:
        """The pods that the Service would find."""
        pods = self.cluster.api.items(f"/api/v1/namespaces/{self.namespace}/pods?labelSelector={LEADER}%3Dtrue")
        return {str(pod["metadata"]["name"]) for pod in pods if isinstance(pod["metadata"], dict)}

    def prepare(self) -> Self:
        """Apply what ships, the workload, and a Lease that somebody has held, so that nobody waits for the first."""
        api = self.cluster.api
        shipped = [document for path in SHIPPED for document in yaml.safe_load_all(path.read_text())]
        api.apply([d for d in shipped if not d["kind"].startswith("Cluster")], namespace=self.namespace)
        api.apply([_deployment("coder", LIVE), _deployment("work", 0), *_rights(), _lease()], namespace=self.namespace)
        return self

    def queue(self, tasks: int) -> None:
        """Let so many tasks wait: the number that our signal reads."""
        self.cluster.api.apply([_deployment("work", tasks)], namespace=self.namespace)

    @asynccontextmanager
    async def replica(self, pod: str, server: str | None = None) -> AsyncIterator[Replica]:
        """Run one, which reaches the API server there."""
        api = self.cluster.api
        api.apply([_pod(pod)], namespace=self.namespace)
        address = until(lambda: self._address(pod))
        kubeconfig, pools = self._files(pod, server)
        part = f"{self.namespace}-{pod}"
        places = ["--keda", f"{address}:6000", "--http", f"{address}:8080"]
        leading: list[str | Path] = [
            "--lease",
            f"{self.namespace}/agent-scaler",
            "--identity",
            pod,
            "--kubeconfig",
            kubeconfig,
        ]
        command: list[str | Path] = [sys.executable, "-m", "scaler", "serve", pools, *places, *leading]
        run = self.cluster.run(part, command)
        options = (("grpc.use_local_subchannel_pool", 1), ("grpc.enable_http_proxy", 0))
        try:
            async with grpc.aio.insecure_channel(f"{address}:6000", options=options) as channel:
                yield Replica(pod, address, run, Client(channel), channel)
        finally:
            if run.running and run.frozen:
                run.thaw()
            self.cluster.remove(part)

    def _address(self, pod: str) -> str | None:
        status = (self.cluster.api.get(f"/api/v1/namespaces/{self.namespace}/pods/{pod}") or {}).get("status")
        return str(status["podIP"]) if isinstance(status, dict) and "podIP" in status else None

    def _files(self, pod: str, server: str | None) -> tuple[Path, Path]:
        """A kubeconfig and a configuration of its own, with files for the token and the authority."""
        said = json.loads(self.cluster.service_account(self.namespace, "agent-scaler").read_text())
        place, folder = said["clusters"][0]["cluster"], self.folder / pod
        folder.mkdir()
        place["server"] = server or place["server"]
        folder.joinpath("kubeconfig").write_text(json.dumps(said))
        self.cluster.mount(self.namespace, "agent-scaler", folder)
        work = f"/apis/apps/v1/namespaces/{self.namespace}/deployments/work"
        text = POOLS.format(server=place["server"], folder=folder, namespace=self.namespace, work=work)
        folder.joinpath("pools.yaml").write_text(text)
        return folder / "kubeconfig", folder / "pools.yaml"


def _pod(name: str) -> Document:
    metadata: Document = {"name": name, "labels": {"app.kubernetes.io/name": "agent-scaler"}}
    container: Document = {
        "name": "scaler",
        "image": "agent-scaler",
        "ports": [{"name": "grpc", "containerPort": 6000}, {"name": "http", "containerPort": 8080}],
    }
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": {"containers": [container]}}


def _deployment(name: str, replicas: int) -> Document:
    labels: Document = {"app": name}
    template: Document = {"metadata": {"labels": labels}, "spec": {"containers": [{"name": "agent", "image": "agent"}]}}
    spec: Document = {"replicas": replicas, "selector": {"matchLabels": labels}, "template": template}
    return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": name}, "spec": spec}


def _rights() -> list[Document]:
    """What reading the workload takes, beside what ships."""
    kind = "rbac.authorization.k8s.io"
    rule: Document = {"apiGroups": ["apps"], "resources": ["deployments", "deployments/scale"], "verbs": ["get"]}
    subject: Document = {"kind": "ServiceAccount", "name": "agent-scaler"}
    ref: Document = {"apiGroup": kind, "kind": "Role", "name": "reader"}
    head: Document = {"apiVersion": f"{kind}/v1", "metadata": {"name": "reader"}}
    return [
        head | {"kind": "Role", "rules": [rule]},
        head | {"kind": "RoleBinding", "roleRef": ref, "subjects": [subject]},
    ]


def _lease() -> Document:
    """A Lease that was given back."""
    metadata: Document = {"name": "agent-scaler", "labels": {"team": "platform"}}
    return {
        "apiVersion": "coordination.k8s.io/v1",
        "kind": "Lease",
        "metadata": metadata,
        "spec": {"leaseTransitions": 1},
    }
