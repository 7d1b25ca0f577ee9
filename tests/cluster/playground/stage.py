"""What the playground runs: a cluster with KEDA, our scaler, one pool, and the agents of its pods."""

from __future__ import annotations

import json
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import numpy as np
import yaml

from scaler.config.pool import PoolKey
from scaler.core import startup
from scaler.core.memory import Memory
from scaler.core.policy import Pace
from scaler.live.clock import SystemClock
from scaler.live.lasting import pack
from scaler.live.store import Directory
from tests.cluster.harness.assets import Assets
from tests.cluster.harness.cluster import Cluster
from tests.cluster.harness.crew import Crew, crew
from tests.cluster.harness.folders import session_folder
from tests.cluster.harness.kwok import GONE_AFTER, READY_AFTER
from tests.cluster.harness.ports import answers, free
from tests.cluster.harness.progress import Progress, say
from tests.cluster.harness.rest import Document, Json
from tests.cluster.harness.scaled import Scaled

TOOLS: Final = ("etcd", "kubernetes", "kwok", "keda")
NAMESPACE: Final = "agents"
NAME: Final = "coder"
POOL: Final = f"{NAMESPACE}/{NAME}"
ACCOUNT: Final = "agent-scaler"
STARTUP: Final = 2  # seconds, of a pod
GRACE: Final = 8  # seconds that a deleted pod goes on


@dataclass(frozen=True, slots=True)
class Stage:
    """Everything that runs, and where it is.

    Attributes:
        kubectl: the binary.
        scaler: the address of our scaler's pages.
        crew: the agents, and the load on them.
    """

    cluster: Cluster
    kubectl: Path
    scaler: str
    crew: Crew


@contextmanager
def staged(most: int) -> Iterator[Stage]:
    """All of it, until the end of the block; ``most`` is the pool's largest size. Tells how far it is.

    Raises:
        AssetsError: a binary could not be built.
        AssertionError: a part did not start; shows its log.
    """
    assets = Assets.usual()
    if missing := assets.missing(*TOOLS):
        say(f"the first start builds {', '.join(missing)} from source, which takes about 20 minutes in all")
        assets.build(*TOOLS)
    with session_folder() as folder:
        cluster = Cluster(folder.path, assets)
        try:
            with _told("control plane"):
                cluster.start()
            with _told("KEDA"):
                cluster.start_keda()
            with _told("pool and agents"):
                cluster.api.apply(_objects())
            with crew(cluster, NAMESPACE) as agents:
                with _told("scaler"):
                    scaler = _scaler(cluster, agents, most)
                yield Stage(cluster, assets.binary("kubectl"), scaler, agents)
        finally:
            signal.signal(signal.SIGINT, signal.SIG_IGN)  # whoever is impatient waits for a second more
            cluster.stop()


@contextmanager
def _told(what: str) -> Iterator[None]:
    progress = Progress(what)
    progress.tell("starting")
    yield
    progress.end("up")


def _scaler(cluster: Cluster, agents: Crew, most: int) -> str:
    """Start our scaler and tell KEDA of it. The value is where its pages are."""
    keda, http = f"127.0.0.1:{free()}", f"127.0.0.1:{free()}"
    config, memory = cluster.folder / "pools.yaml", cluster.folder / "memory"
    config.write_text(yaml.safe_dump(_pools(cluster, agents, most), sort_keys=False))
    _teach(memory)
    cluster.run(
        "scaler",
        [sys.executable, "-m", "scaler", "serve", config, "--keda", keda, "--http", http, "--memory", memory],
        ready=lambda: answers(f"http://{http}/healthz"),
    )
    scaled = Scaled(name=NAME, address=keda, push=True, most=most, cooldown=10)
    cluster.api.apply([scaled.scaled_object()], namespace=NAMESPACE)
    return f"http://{http}"


def _pools(cluster: Cluster, agents: Crew, most: int) -> Document:
    """The scaler's configuration."""
    page = f"{agents.url}/pools/{POOL}"
    signals: Document = {
        name: {"url": page, "path": path}
        for name, path in (("queue", "queue"), ("inflight", "busy"), ("oldest_wait", "oldest_wait"))
    }
    pool: Document = {
        "guarantee": "best-effort",  # no drain controller carries out orders here
        "max": most,
        "target_wait_p95": "5s",
        "signals": signals,
        "replicas": {"scale": f"deployments/{NAME}"},
    }
    return {"sources": {"kubernetes": _api_server(cluster)}, "pools": {POOL: pool}}


def _teach(folder: Path) -> None:
    """Let the pool know from before how soon its pods start.

    Unmeasured it would assume two minutes, and keep a pod that is spare for six: too long for somebody who looks on.
    """
    folder.mkdir()
    fresh = Memory.fresh(SystemClock().now())
    startups = startup.learn(fresh.lessons.startups, np.full(startup.KEPT, STARTUP), Pace())
    known = replace(fresh, lessons=replace(fresh.lessons, startups=startups))
    directory = Directory(folder)
    directory.save({PoolKey(NAMESPACE, NAME): pack(known)})
    directory.close()


def _api_server(cluster: Cluster) -> Document:
    """Where the pool's replicas are read, as a ServiceAccount that may do nothing else."""
    kubeconfig = json.loads(cluster.service_account(ACCOUNT, ACCOUNT).read_text())
    token = cluster.folder / "scaler.token"
    token.touch(mode=0o600)
    token.write_text(kubeconfig["users"][0]["user"]["token"])
    server = kubeconfig["clusters"][0]["cluster"]["server"]
    return {"url": server, "token_file": str(token), "ca_file": str(cluster.folder / "keys" / "ca.crt")}


def _objects() -> list[Document]:
    """The namespaces, the pool, and what our scaler may read."""
    account: Document = {"name": ACCOUNT, "namespace": ACCOUNT}
    rule: Json = [{"apiGroups": ["apps"], "resources": ["deployments/scale"], "verbs": ["get"]}]
    role: Document = {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": ACCOUNT}
    subject: Document = {"kind": "ServiceAccount", **account}
    scaled = Scaled(name=NAME, annotations=((READY_AFTER, f"{STARTUP}s"), (GONE_AFTER, f"{GRACE}s")))
    workload = scaled.workload()
    return [
        _namespace(NAMESPACE),
        _namespace(ACCOUNT),
        {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": account},
        _rbac("Role", {"rules": rule}),
        _rbac("RoleBinding", {"roleRef": role, "subjects": [subject]}),
        workload | {"metadata": {"name": NAME, "namespace": NAMESPACE}},
    ]


def _namespace(name: str) -> Document:
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}


def _rbac(kind: str, content: Document) -> Document:
    metadata: Document = {"name": ACCOUNT, "namespace": NAMESPACE}
    return {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": kind, "metadata": metadata, **content}
