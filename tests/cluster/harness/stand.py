"""A pool in a running cluster: agents at work, our scaler behind its Service, and KEDA that asks it through it."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import urllib3
from prometheus_client.parser import text_string_to_metric_families

from scaler.config.pool import PoolKey
from scaler.core.memory import Memory
from scaler.core.policy import Pace
from scaler.core.startup import learn
from scaler.live.clock import SystemClock
from scaler.live.lasting import pack
from scaler.live.store import Directory
from tests.cluster.harness.assets import Assets
from tests.cluster.harness.cluster import Cluster
from tests.cluster.harness.crew import Crew, crew
from tests.cluster.harness.forwarder import Service, standing_in
from tests.cluster.harness.ports import answers, free
from tests.cluster.harness.process import Part
from tests.cluster.harness.prometheus import prometheus
from tests.cluster.harness.rest import Document
from tests.cluster.harness.scaled import Scaled
from tests.cluster.harness.wait import until
from tests.cluster.harness.workloads import pods

POOL = "agents"
SCALER = "scaler"
GRPC, HTTP = 6000, 8080
LOG_FORMAT = "--log-format=json"
STARTS = 20
STREAMS = 2  # that KEDA opens for one trigger
COOLDOWN = 600  # seconds; longer than any outage of a test, as the shipped ones are longer than those of a day
CONFIGURATION = """\
sources:
  prometheus: {{url: "{prometheus}", interval: 1s}}
pools:
  {namespace}/agents:
    guarantee: best-effort
    max: 40
    signals:
      queue: {{url: "{fleet}/pools/{namespace}/agents", path: queue}}
      inflight: sum(fleet_inflight{{namespace="{namespace}", pool="agents"}})
    replicas: {{url: "{api}/apis/apps/v1/namespaces/{namespace}/deployments/agents", path: spec.replicas}}
"""


@dataclass(frozen=True, slots=True)
class Stand:
    """Everything that a story about one pool takes part in.

    Attributes:
        namespace: where the pool and the scaler are.
        fleet: the agents, and the load on them.
        prometheus: what reads the running tasks from them; the queue's page is read by the scaler itself.
        scaler: our process.
        service: what KEDA connects to.
        metrics: where the scaler's metrics are.
    """

    cluster: Cluster
    namespace: str
    fleet: Crew
    prometheus: Part
    scaler: Part
    service: Service
    metrics: str

    @property
    def pool(self) -> str:
        """As the fleet calls it."""
        return f"{self.namespace}/{POOL}"

    def figure(self, name: str) -> float | None:
        """The sum of one of the scaler's metrics; None where it has no series, for what is not known has none."""
        page = urllib3.request("GET", self.metrics, timeout=5.0).data.decode()
        samples = [s for family in text_string_to_metric_families(page) for s in family.samples if s.name == name]
        return sum(sample.value for sample in samples) if samples else None


@contextmanager
def stand(cluster: Cluster, story: str, *, poll: int = 1, cooldown: int = COOLDOWN) -> Iterator[Stand]:
    """A pool of no agents yet, until the end of the block. It has learnt before that its pods start in a second.

    KEDA hears of it when the scaler has a number for it: an error in its first poll would make KEDA close the
    connection that its own streams are about to use, and it opens them again only after another poll.
    """
    namespace = cluster.namespaces.make(story)
    try:
        with ExitStack() as stack:
            stood = _stood(stack, cluster, namespace)
            scaled = Scaled(name=POOL, address=stood.service.address, push=True, poll=poll, cooldown=cooldown)
            cluster.api.apply([scaled.workload()], namespace=namespace)
            until(lambda: stood.figure("agent_scaler_pool_reported_replicas") is not None or None)
            cluster.api.apply([scaled.scaled_object()], namespace=namespace)
            until(lambda: stood.figure("agent_scaler_streams_open") == STREAMS or None)
            yield stood
    finally:
        cluster.namespaces.drop(namespace)


def _stood(stack: ExitStack, cluster: Cluster, namespace: str) -> Stand:
    fleet = stack.enter_context(crew(cluster, namespace))
    cluster.api.apply(_scaler(), namespace=namespace)
    agents: Document = {"job_name": "agents", "static_configs": [{"targets": [fleet.url.removeprefix("http://")]}]}
    scraping = stack.enter_context(prometheus(cluster, namespace, agents))
    api = _plain(stack, cluster, namespace)
    host = until(lambda: pods(cluster.api, namespace).get(SCALER))
    file = cluster.folder / f"{namespace}.yaml"
    file.write_text(CONFIGURATION.format(namespace=namespace, fleet=fleet.url, prometheus=scraping.url, api=api))
    places = (f"--keda={host}:{GRPC}", f"--http={host}:{HTTP}", f"--memory={_learnt(cluster, namespace)}", LOG_FORMAT)
    name = f"scaler-{namespace}"
    command = (sys.executable, "-m", "scaler", "serve", file, *places)
    scaler = cluster.run(name, command, ready=lambda: answers(f"http://{host}:{HTTP}/readyz"))
    stack.callback(cluster.remove, name)
    service = stack.enter_context(standing_in(cluster.admin, namespace, SCALER))
    until(lambda: service.pods or None)
    return Stand(cluster, namespace, fleet, scraping.part, scaler, service, f"http://{host}:{HTTP}/metrics")


def _learnt(cluster: Cluster, namespace: str) -> Path:
    """A folder with what the pool has learnt: with quick starts its idle timer is some 20 s, and else 6 minutes."""
    folder, now, pace = cluster.folder / f"{namespace}-memory", SystemClock().now(), Pace()
    fresh = Memory.fresh(now, pace)
    startups = learn(fresh.lessons.startups, np.ones(STARTS), pace)
    taught = replace(fresh, lessons=replace(fresh.lessons, startups=startups))
    store = Directory(folder)
    store.save({PoolKey(namespace, POOL): pack(taught)})
    store.close()
    return folder


def _plain(stack: ExitStack, cluster: Cluster, namespace: str) -> str:
    """The API server in plaintext, for a scaler that runs outside of every pod."""
    port, name = free(), f"proxy-{namespace}"
    kubectl = (Assets.usual().binary("kubectl"), "--kubeconfig", cluster.admin, "proxy", f"--port={port}")
    cluster.run(name, kubectl, ready=lambda: answers(f"http://127.0.0.1:{port}/version"), ports=[port])
    stack.callback(cluster.remove, name)
    return f"http://127.0.0.1:{port}"


def _scaler() -> list[Document]:
    """A pod that lends our process its address, and the Service that finds it."""
    labels: Document = {"app.kubernetes.io/name": "agent-scaler"}
    container: Document = {
        "name": SCALER,
        "image": "agent-scaler:0.1.0",
        "ports": [{"name": "grpc", "containerPort": GRPC}],
    }
    pod: Document = {"metadata": {"name": SCALER, "labels": labels}, "spec": {"containers": [container]}}
    ports: list[Document] = [{"name": "grpc", "port": GRPC, "targetPort": "grpc"}]
    service: Document = {"metadata": {"name": SCALER}, "spec": {"selector": labels, "ports": [*ports]}}
    return [{"apiVersion": "v1", "kind": "Pod", **pod}, {"apiVersion": "v1", "kind": "Service", **service}]
