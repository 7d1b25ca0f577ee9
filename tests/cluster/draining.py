"""Protected pools in a running cluster: agents with gates, guards, KEDA, and our controller under its own rights."""

from __future__ import annotations

import json
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final

import numpy as np
import yaml

from scaler.config.pool import PoolKey
from scaler.controller.badge import LABEL as LEADER
from scaler.controller.dig import at
from scaler.controller.names import GATE_PORT, MANAGED, PHASE
from scaler.controller.orders import Signer, key_set
from scaler.core.idle import EDGES
from scaler.core.memory import Memory
from scaler.core.policy import Pace
from scaler.core.startup import learn
from scaler.core.types import Instant
from scaler.live.clock import SystemClock
from scaler.live.lasting import pack
from scaler.live.store import Directory
from tests.cluster.harness.audit import Request
from tests.cluster.harness.cluster import Cluster
from tests.cluster.harness.crew import Crew, crew
from tests.cluster.harness.forwarder import Service, standing_in
from tests.cluster.harness.journal import Event, Line
from tests.cluster.harness.ports import answers, free
from tests.cluster.harness.process import Part
from tests.cluster.harness.rest import MERGE, Api, Document, condition
from tests.cluster.harness.scaled import Scaled
from tests.cluster.harness.shipped import EVERYWHERE, HOME, PROTECTED, rendered
from tests.cluster.harness.wait import until
from tests.cluster.harness.workloads import pods

POOL: Final = "agents"
LOOK: Final = 1.0  # seconds between two looks at many pods: each costs the API server more than anything we do
SLOW: Final = 900.0  # seconds that a step of a story may take on a machine with other things to do
STARTS, GAPS = 20, 100
LONG: Final = 40  # the bin of gaps that a pool has learnt: hours, so that it pays to leave at once
MINE: Final = (
    "Namespace",
    "ServiceAccount",
    "Role",
    "RoleBinding",
    "Service",
    "AdmissionPolicy",
    "AdmissionPolicyBinding",
)
CONFIGURATION: Final = """\
sources:
  activity: {{timeout: 2s}}
  kubernetes: {{url: "{api}", token_file: "{folder}/token", ca_file: "{folder}/ca.crt"}}
classes:
  agents:
    signals:
      queue: {{url: "{fleet}/pools/{{namespace}}/{{name}}", path: queue}}
  particular:
    signals:
      queue: {{url: "{fleet}/pools/{{namespace}}/{{name}}", path: queue}}
    spread: [zone, node]
    task_limit: 60s
"""


@dataclass(frozen=True, slots=True)
class Guarded:
    """A cluster with our guards, our rights and our Service in it.

    Attributes:
        folder: what a pod of ours has mounted.
        key: the file of the key that orders are signed with.
    """

    cluster: Cluster
    folder: Path
    key: Path
    service: Service


@contextmanager
def guarded(cluster: Cluster) -> Iterator[Guarded]:
    """Our guards, our ServiceAccount with its rights, and our Service, until the end of the block."""
    made = [d for d in yaml.safe_load_all(rendered(PROTECTED)) if d and str(d["kind"]).endswith(MINE)]
    folder = cluster.folder / "controller"
    folder.mkdir(exist_ok=True)
    key = folder / "drain.pem"
    signer = Signer.new()
    key.write_text(signer.pem())
    (folder / "keys.json").write_text(key_set([signer.jwk()]))
    cluster.namespaces.await_gone(HOME)  # an earlier story may have had it
    cluster.api.apply(made)
    try:
        cluster.mount(HOME, HOME, folder)
        with standing_in(cluster.admin, HOME, HOME) as service:
            yield Guarded(cluster, folder, key, service)
    finally:
        for document in reversed(made):
            if str(document["kind"]).startswith(EVERYWHERE):
                cluster.api.delete(cluster.api.path(document))
        cluster.namespaces.drop(HOME)


@dataclass(frozen=True, slots=True)
class Pool:
    """One pool.

    Attributes:
        kind: plural of the workload.
    """

    cluster: Cluster
    namespace: str
    name: str
    kind: str

    @property
    def path(self) -> str:
        """Where the API server has the workload."""
        return f"/apis/apps/v1/namespaces/{self.namespace}/{self.kind}/{self.name}"

    def replicas(self) -> int:
        """How many the workload asks for; -1 where there is none."""
        spec = (self.cluster.api.get(self.path) or {}).get("spec")
        replicas = spec.get("replicas") if isinstance(spec, dict) else -1
        return replicas if isinstance(replicas, int) else 0

    def lower(self, replicas: int, api: Api | None = None) -> None:
        """Somebody asks for so many."""
        (api or self.cluster.api).request(
            "PATCH", f"{self.path}/scale", {"spec": {"replicas": replicas}}, content=MERGE
        )

    def agents(self) -> list[Document]:
        """The pool's pods that are there, those that are going included."""
        where = f"/api/v1/namespaces/{self.namespace}/pods?labelSelector=app%3D{self.name}"
        return list(self.cluster.api.items(where))

    def on(self, node: str) -> set[str]:
        """The pods that are on this node, by uid."""
        return {str(at(pod, "metadata", "uid")) for pod in self.agents() if at(pod, "spec", "nodeName") == node}

    def nodes(self) -> set[str]:
        """The nodes that its pods are on."""
        return {str(at(pod, "spec", "nodeName")) for pod in self.agents()}

    def phases(self) -> dict[str, int]:
        """How many pods are in each phase."""
        counted: dict[str, int] = {}
        for pod in self.agents():
            phase = labels(pod).get(PHASE, "active")
            counted[phase] = counted.get(phase, 0) + 1
        return counted

    def ready(self) -> int:
        """How many pods are Ready and stay."""
        return sum(is_serving(pod) for pod in self.agents())

    def is_guarded(self) -> bool:
        """Whether every pod bears the label that the guards go by."""
        return all(labels(pod).get(MANAGED) for pod in self.agents())

    def fills(self, replicas: int) -> None:
        """Return once so many pods are Ready and stay."""
        until(lambda: self.ready() == replicas or None, within=SLOW, every=LOOK)

    def falls(self, replicas: int) -> None:
        """Return once the workload asks for no more than this."""
        until(lambda: self.replicas() <= replicas or None, within=SLOW, every=LOOK)

    def settles(self, replicas: int) -> None:
        """Return once the workload asks for so many, and has exactly these, all of them Ready."""

        def settled() -> bool | None:
            """As many as are asked for, all of them Ready."""
            if self.replicas() != replicas:
                return None
            there = self.agents()
            return (len(there) == replicas and all(is_serving(pod) for pod in there)) or None

        until(settled, within=SLOW, every=LOOK)


@dataclass(slots=True)
class Scaler:
    """One replica of our process.

    Attributes:
        pod: whose name and address it has.
        url: of its pages.
    """

    pod: str
    url: str
    part: Part


@dataclass(slots=True)
class Story:
    """Everything that a story takes part in.

    Attributes:
        namespace: where its pools are.
        fleet: the agents, and the load on them.
        scalers: our replicas.
        begun: the place in the audit log up to which it has been read.
    """

    guards: Guarded
    namespace: str
    fleet: Crew
    begun: int
    scalers: list[Scaler] = field(default_factory=list)
    _requests: list[Request] = field(default_factory=list)
    _reading: threading.Lock = field(default_factory=threading.Lock)

    @property
    def cluster(self) -> Cluster:
        """Where it plays."""
        return self.guards.cluster

    def pool(self, scaled: Scaled, tasks: int = 0, seconds: float = 0.0) -> Pool:
        """A pool that our scaler looks after once its agents are there, so many of them at work for so long."""
        made = replace(
            scaled,
            address=self.guards.service.address,
            push=True,
            most=min(scaled.most, 60),
            cooldown=max(scaled.cooldown, 5),
            metadata=(("class", "agents"), *scaled.metadata),
            annotations=(*scaled.annotations, (GATE_PORT, str(self.fleet.port))),
        )
        pool = Pool(self.cluster, self.namespace, made.name, f"{made.kind.lower()}s")
        self.cluster.api.apply([made.workload()], namespace=self.namespace)
        pool.fills(made.replicas)
        if tasks:
            self.work(pool, burst=tasks, seconds=seconds)
            until(lambda: self.figures(pool).get("inflight") == tasks or None, within=SLOW, every=LOOK)
        self.cluster.api.apply([made.scaled_object()], namespace=self.namespace)
        return pool

    def keep(self, pool: Pool, least: int) -> None:
        """Have the pool keep so many replicas at least."""
        path = f"/apis/keda.sh/v1alpha1/namespaces/{self.namespace}/scaledobjects/{pool.name}"
        self.cluster.api.request("PATCH", path, {"spec": {"minReplicaCount": least}}, content=MERGE)

    def work(self, pool: Pool, **load: float) -> None:
        """Turn the load on a pool's agents."""
        self.fleet.turn(f"{self.namespace}/{pool.name}", **load)

    def figures(self, pool: Pool) -> dict[str, float]:
        """How the pool's agents stand."""
        return dict(self.fleet.pools().get(f"{self.namespace}/{pool.name}", {}))

    def begin(
        self, *, pod: str = "scaler-a", server: str = "", teach: tuple[str, ...] = (POOL,), lease: bool = True
    ) -> Scaler:
        """Start a replica of ours in the name of a pod, by way of a proxy where one is named.

        Without a lease it acts whoever else does; KEDA is led to it then.
        """
        cluster, guards = self.cluster, self.guards
        grpc, http = free(), free()
        cluster.api.apply([_pod(pod, {} if lease else {LEADER: "true"}, (grpc, http))], namespace=HOME)
        host = until(lambda: pods(cluster.api, HOME).get(pod))
        file, kubeconfig = _files(self, pod, server)
        command = (
            *(sys.executable, "-m", "scaler", "serve", file, f"--keda={host}:{grpc}", f"--http={host}:{http}"),
            *(f"--memory={_learnt(self, pod, teach)}", *((f"--lease={HOME}/{HOME}",) if lease else ())),
            f"--identity={pod}",
            *(f"--control={guards.service.address}", f"--drain-key={guards.key}", f"--kubeconfig={kubeconfig}"),
            *("--log-format=json", f"--namespace={self.namespace}"),
        )
        url = f"http://{host}:{http}"
        part = cluster.run(f"{self.namespace}-{pod}", command, ready=lambda: answers(f"{url}/healthz"))
        scaler = Scaler(pod, url, part)
        self.scalers.append(scaler)
        return scaler

    def end(self) -> None:
        """End our replicas."""
        for scaler in self.scalers:
            if scaler.part.running and scaler.part.frozen:
                scaler.part.thaw()
            self.cluster.remove(scaler.part.name)
            self.cluster.api.delete(f"/api/v1/namespaces/{HOME}/pods/{scaler.pod}", grace=0)
        lease = f"/apis/coordination.k8s.io/v1/namespaces/{HOME}/leases/{HOME}"
        self.cluster.api.delete(lease)

    def events(self, reason: str) -> list[str]:
        """What was told for this reason so far, in the story's namespace."""
        found = self.cluster.api.items(f"/api/v1/namespaces/{self.namespace}/events")
        return [str(event["message"]) for event in found if event.get("reason") == reason]

    def requests(self) -> list[Request]:
        """What was asked of the API server about the story's pods so far."""
        with self._reading:  # the log is long, and each part of it is read once
            found, self.begun = self.cluster.audit.read(self.begun, b'"resource":"pods"')
            self._requests += [request for request in found if request.namespace == self.namespace]
            return list(self._requests)

    def removals(self, pool: str = "") -> tuple[int, int]:
        """Pods of a pool, or of all, that a deletion or an eviction took, and how often one was refused."""
        gone, denied = set(), 0
        for request in (r for r in self.requests() if _removes(r) and r.name.startswith(pool)):
            if request.status < 300:
                gone.add(request.name)
            denied += request.status in {403, 429}
        return len(gone), denied

    def losses(self) -> list[str]:
        """Work that was lost, in words: tasks that were cut, and deletions of pods while a task was open in them."""
        told = self.fleet.told()
        cut = [f"task {line.task} in {line.pod}: {line.why}" for line in told if line.event is Event.KILL]
        open_at = _open_work(told)
        deleted = [r for r in filter(_removes, self.requests()) if r.status < 300]
        return cut + [f"{r.name} was deleted by {r.user} at work" for r in deleted if open_at(r.name, r.at)]


def _removes(request: Request) -> bool:
    by_verb = request.verb == "delete" or (request.verb == "create" and request.subresource == "eviction")
    return by_verb and "dryRun" not in request.path and request.user != "kwok"


def _open_work(told: list[Line]) -> Callable[[str, Instant], bool]:
    """Whether a task was open in a pod at an instant, by the agents' own journal."""
    spans: dict[str, list[tuple[Instant, Instant]]] = {}
    begun: dict[int, Line] = {}
    for line in told:
        if line.event is Event.START:
            begun[line.task] = line
        elif line.event in {Event.END, Event.KILL} and line.task in begun:
            start = begun.pop(line.task)
            spans.setdefault(start.pod, []).append((start.at, line.at))
    for start in begun.values():
        spans.setdefault(start.pod, []).append((start.at, float("inf")))
    return lambda pod, at: any(begin < at < end for begin, end in spans.get(pod, ()))


@contextmanager
def story(guards: Guarded, title: str) -> Iterator[Story]:
    """A namespace with agents, and no scaler yet, until the end of the block; then nothing may have been lost."""
    cluster = guards.cluster
    namespace = cluster.namespaces.make(title)
    begun = cluster.audit.mark()
    try:
        with ExitStack() as stack:
            fleet = stack.enter_context(crew(cluster, namespace, keys=guards.folder / "keys.json"))
            told = Story(guards, namespace, fleet, begun)
            stack.callback(told.end)
            yield told
            assert told.losses() == []
    finally:
        cluster.namespaces.drop(namespace)


def _files(told: Story, pod: str, server: str) -> tuple[Path, Path]:
    """The configuration of a replica, and its kubeconfig."""
    cluster, guards = told.cluster, told.guards
    said = json.loads(cluster.service_account(HOME, HOME).read_text())
    place = said["clusters"][0]["cluster"]
    place["server"] = server or place["server"]
    file, kubeconfig = (cluster.folder / f"{told.namespace}-{pod}.{suffix}" for suffix in ("yaml", "kubeconfig"))
    kubeconfig.write_text(json.dumps(said))
    marks = {"api": cluster.api.typed.configuration.host, "folder": guards.folder, "fleet": told.fleet.url}
    file.write_text(CONFIGURATION.format(**marks))
    return file, kubeconfig


def _learnt(told: Story, pod: str, pools: tuple[str, ...]) -> Path:
    """A folder with what the pools have learnt: pods start in a second, and idle ones are not needed for hours."""
    folder, now, pace = told.cluster.folder / f"{told.namespace}-{pod}-memory", SystemClock().now(), Pace()
    store = Directory(folder)
    store.save({PoolKey(told.namespace, name): pack(taught(now, pace)) for name in pools})
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


def is_serving(pod: Document) -> bool:
    """Whether it is Ready and stays."""
    return condition(pod, "Ready") == "True" and not is_leaving(pod)


def labels(pod: Document) -> dict[str, str]:
    """The labels of a pod."""
    found = _metadata(pod).get("labels")
    return {key: str(value) for key, value in found.items()} if isinstance(found, dict) else {}


def name(found: Document) -> str:
    """The name of an object."""
    return str(_metadata(found)["name"])


def is_leaving(pod: Document) -> bool:
    """Whether it is being deleted."""
    return "deletionTimestamp" in _metadata(pod)


def _metadata(found: Document) -> Document:
    metadata = found["metadata"]
    assert isinstance(metadata, dict)
    return metadata


def _pod(name: str, more: Document, ports: tuple[int, int]) -> Document:
    """A pod that lends our process its name and address, and keeps them whatever its node is tainted with."""
    container: Document = {
        "name": "scaler",
        "image": "agent-scaler:0.1.0",
        "ports": [{"name": "grpc", "containerPort": ports[0]}, {"name": "http", "containerPort": ports[1]}],
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "runAsNonRoot": True,
            "runAsUser": 65532,
            "capabilities": {"drop": ["ALL"]},
            "seccompProfile": {"type": "RuntimeDefault"},
        },
    }
    marks: Document = {"app.kubernetes.io/name": HOME, **more}
    spec: Document = {"containers": [container], "tolerations": [{"operator": "Exists", "effect": "NoExecute"}]}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "labels": marks}, "spec": spec}
