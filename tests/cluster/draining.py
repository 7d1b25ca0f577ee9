"""A protected pool in a running cluster: agents with gates, guards, KEDA, and our controller under its own rights."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import numpy as np
import yaml
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from scaler.config.pool import PoolKey
from scaler.controller.names import GATE_PORT, GUARD, HOLDS, MANAGED, PARAMS, PHASE
from scaler.core.idle import EDGES
from scaler.core.memory import Memory
from scaler.core.policy import Pace
from scaler.core.startup import learn
from scaler.core.types import Instant
from scaler.live.clock import SystemClock
from scaler.live.lasting import pack
from scaler.live.store import Directory
from tests.cluster.guarding import GUARDS
from tests.cluster.harness.cluster import Cluster
from tests.cluster.harness.crew import Crew, crew
from tests.cluster.harness.forwarder import Service, standing_in
from tests.cluster.harness.journal import Event
from tests.cluster.harness.ports import answers
from tests.cluster.harness.process import Part
from tests.cluster.harness.rest import MERGE, Api, Document, RefusedError, condition
from tests.cluster.harness.scaled import Scaled
from tests.cluster.harness.shipped import BASE, HOME, rendered
from tests.cluster.harness.wait import until
from tests.cluster.harness.workloads import pods

POOL: Final = "agents"
SCALER: Final = "scaler"
GRPC, HTTP = 6000, 8080
STARTS, GAPS = 20, 100
LONG: Final = 40  # the bin of gaps that a pool has learnt: hours, so that it pays to leave at once
MINE: Final = ("ServiceAccount", "Role", "RoleBinding", "ClusterRole", "ClusterRoleBinding")
CONFIGURATION: Final = """\
sources:
  activity: {{timeout: 2s}}
  kubernetes: {{url: "{api}", token_file: "{folder}/token", ca_file: "{folder}/ca.crt"}}
classes:
  agents:
    signals:
      queue: {{url: "{fleet}/pools/{{namespace}}/{{name}}", path: queue}}
"""


@dataclass(frozen=True, slots=True)
class Guarded:
    """A cluster with our guards and our rights in it, and a folder with what a pod of ours has mounted."""

    cluster: Cluster
    folder: Path


@contextmanager
def guarded(cluster: Cluster) -> Iterator[Guarded]:
    """Our guards, our ServiceAccount and its rights, until the end of the block."""
    made = [d for d in _documents(BASE) if d["kind"] in (*MINE, "Namespace")]
    guards = _documents(GUARDS)
    folder = cluster.folder / "controller"
    folder.mkdir()
    cluster.api.apply([*made, *guards])
    try:
        cluster.mount(HOME, HOME, folder)
        yield Guarded(cluster, folder)
    finally:
        for document in (*guards, *(d for d in made if str(d["kind"]).startswith("ClusterRole"))):
            cluster.api.delete(cluster.api.path(document))
        cluster.namespaces.drop(HOME)


def cleared(cluster: Cluster, namespace: str) -> None:
    """Delete a namespace whose pods are guarded: first nothing makes guarded ones any more, then none is guarded."""
    api, ours = cluster.api, Api(cluster.service_account(HOME, HOME))
    for found in api.items(f"/api/v1/namespaces/{namespace}/configmaps?labelSelector={PARAMS}%3Dtrue"):
        api.delete(f"/api/v1/namespaces/{namespace}/configmaps/{name(found)}")
    for kind in ("deployments", "statefulsets"):
        for found in api.items(f"/apis/apps/v1/namespaces/{namespace}/{kind}"):
            path = f"/apis/apps/v1/namespaces/{namespace}/{kind}/{name(found)}"
            api.request("PATCH", path, {"metadata": {"labels": {HOLDS: None}}}, content=MERGE)
            api.delete(path)
    for found in api.items(f"/api/v1/namespaces/{namespace}/pods?labelSelector={MANAGED}%3Dtrue"):
        with suppress(RefusedError):  # it is gone
            path = f"/api/v1/namespaces/{namespace}/pods/{name(found)}"
            ours.request("PATCH", path, {"metadata": {"labels": {GUARD: "audit"}}}, content=MERGE)
    ours.close()
    cluster.namespaces.drop(namespace)


def name(found: Document) -> str:
    """The name of an object."""
    metadata = found["metadata"]
    assert isinstance(metadata, dict)
    return str(metadata["name"])


def _documents(folder: Path) -> list[Document]:
    return [d for d in yaml.safe_load_all(rendered(folder)) if d]


@dataclass(frozen=True, slots=True)
class Stand:
    """Everything that a story about one protected pool takes part in.

    Attributes:
        namespace: where the pool and the scaler are.
        fleet: the agents, and the load on them.
        scaler: our process.
        service: what KEDA connects to.
        kind: plural of the workload.
        begun: a place in the audit log before anything of it was there.
    """

    cluster: Cluster
    namespace: str
    fleet: Crew
    scaler: Part
    service: Service
    kind: str
    begun: int

    @property
    def pool(self) -> str:
        """As the fleet calls it."""
        return f"{self.namespace}/{POOL}"

    @property
    def workload(self) -> str:
        """Where the API server has it."""
        return f"/apis/apps/v1/namespaces/{self.namespace}/{self.kind}/{POOL}"

    def replicas(self) -> int:
        """How many the workload asks for."""
        spec = (self.cluster.api.get(self.workload) or {}).get("spec")
        replicas = spec.get("replicas") if isinstance(spec, dict) else 0
        return replicas if isinstance(replicas, int) else 0

    def agents(self) -> list[Document]:
        """The pool's pods that are there, those that are going included."""
        found = self.cluster.api.items(f"/api/v1/namespaces/{self.namespace}/pods?labelSelector=app%3D{POOL}")
        return list(found)

    def phases(self) -> dict[str, int]:
        """How many pods are in each phase."""
        counted: dict[str, int] = {}
        for pod in self.agents():
            phase = labels(pod).get(PHASE, "active")
            counted[phase] = counted.get(phase, 0) + 1
        return counted

    def settles(self, replicas: int, *, within: float = 120.0) -> None:
        """Return once the workload asks for so many, and has exactly these."""

        def settled() -> bool | None:
            """As many as are asked for, all of them Ready."""
            there = [condition(pod, "Ready") == "True" for pod in self.agents()]
            return (self.replicas() == replicas == len(there) and all(there)) or None

        until(settled, within=within, every=0.2)

    def killed(self) -> list[str]:
        """Tasks that were cut, in words."""
        return [f"task {line.task} in {line.pod}: {line.why}" for line in self.fleet.told() if line.event is Event.KILL]

    def deletions(self) -> tuple[int, int]:
        """Pods that were deleted or evicted, and how often that was refused, trials left out."""
        done = denied = 0
        for request in self.cluster.audit.since(self.begun):
            ours = request.namespace == self.namespace and request.resource == "pods" and request.name.startswith(POOL)
            verb = request.verb == "delete" or (request.verb == "create" and request.subresource == "eviction")
            if ours and verb and "dryRun" not in request.path:
                done += request.status < 300
                denied += request.status in {403, 429}
        return done, denied


def labels(pod: Document) -> dict[str, str]:
    """The labels of a pod."""
    metadata = pod["metadata"]
    assert isinstance(metadata, dict)
    found = metadata.get("labels")
    return {key: str(value) for key, value in found.items()} if isinstance(found, dict) else {}


@contextmanager
def stand(guards: Guarded, story: str, *, kind: str = "Deployment", cooldown: int = 600) -> Iterator[Stand]:
    """A protected pool of no agents yet, until the end of the block. It has learnt to let idle agents go at once."""
    cluster = guards.cluster
    namespace = cluster.namespaces.make(story)
    begun = cluster.audit.mark()
    try:
        with ExitStack() as stack:
            stood = _stood(stack, guards, namespace, f"{kind.lower()}s", begun)
            scaled = Scaled(
                name=POOL,
                address=stood.service.address,
                kind=kind,
                push=True,
                cooldown=cooldown,
                most=60,
                metadata=(("class", "agents"),),
                annotations=((GATE_PORT, str(stood.fleet.port)),),
            )
            cluster.api.apply(scaled.documents(), namespace=namespace)
            yield stood
    finally:
        cleared(cluster, namespace)


def _stood(stack: ExitStack, guards: Guarded, namespace: str, kind: str, begun: int) -> Stand:
    cluster = guards.cluster
    fleet = stack.enter_context(crew(cluster, namespace))
    cluster.api.apply(_scaler(), namespace=namespace)
    host = until(lambda: pods(cluster.api, namespace).get(SCALER))
    file = cluster.folder / f"{namespace}.yaml"
    marks = {"api": cluster.api.typed.configuration.host, "folder": guards.folder, "fleet": fleet.url}
    file.write_text(CONFIGURATION.format(**marks))
    key = cluster.folder / f"{namespace}.pem"
    key.write_bytes(Ed25519PrivateKey.generate().private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    service = stack.enter_context(standing_in(cluster.admin, namespace, SCALER))
    until(lambda: service.pods or None)
    command = (
        *(sys.executable, "-m", "scaler", "serve", file),
        *(f"--keda={host}:{GRPC}", f"--http={host}:{HTTP}", f"--memory={_learnt(cluster, namespace)}"),
        *(f"--control={service.address}", f"--drain-key={key}", "--log-format=json"),
        f"--kubeconfig={cluster.service_account(HOME, HOME)}",
    )
    part = f"scaler-{namespace}"
    scaler = cluster.run(part, command, ready=lambda: answers(f"http://{host}:{HTTP}/healthz"))
    stack.callback(cluster.remove, part)
    return Stand(cluster, namespace, fleet, scaler, service, kind, begun)


def _learnt(cluster: Cluster, namespace: str) -> Path:
    """A folder with what the pool has learnt: pods start in a second, and idle ones are not needed for hours."""
    folder, now, pace = cluster.folder / f"{namespace}-memory", SystemClock().now(), Pace()
    store = Directory(folder)
    store.save({PoolKey(namespace, POOL): pack(taught(now, pace))})
    store.close()
    return folder


def taught(now: Instant, pace: Pace) -> Memory:
    """A memory with quick starts and long gaps: its idle timer is 1.5 s, where it would be minutes."""
    fresh = Memory.fresh(now, pace)
    ended = np.zeros(len(EDGES))
    ended[LONG] = GAPS
    lessons = replace(
        fresh.lessons,
        startups=learn(fresh.lessons.startups, np.ones(STARTS), pace),
        gaps=replace(fresh.lessons.gaps, ended=ended),
    )
    return replace(fresh, lessons=lessons)


def _scaler() -> list[Document]:
    """A pod that lends our process its address, and the Service that finds it."""
    marks: Document = {"app.kubernetes.io/name": "agent-scaler"}
    container: Document = {
        "name": SCALER,
        "image": "agent-scaler:0.1.0",
        "ports": [{"name": "grpc", "containerPort": GRPC}],
    }
    pod: Document = {"metadata": {"name": SCALER, "labels": marks}, "spec": {"containers": [container]}}
    ports: list[Document] = [{"name": "grpc", "port": GRPC, "targetPort": "grpc"}]
    service: Document = {"metadata": {"name": SCALER}, "spec": {"selector": marks, "ports": [*ports]}}
    return [{"apiVersion": "v1", "kind": "Pod", **pod}, {"apiVersion": "v1", "kind": "Service", **service}]
