"""Five hundred ScaledObjects on one scaler: a real KEDA polls them, a real HPA looks at them, and work comes and goes.

Kubernetes and KEDA are those of the cluster tests, with the periods of a cluster: KEDA polls every 30 s and the HPA
looks every 15. Queues are on a page, replicas are read from the API server. What is reported is what the scaler saw:
calls beside those that the periods come to, those that failed, how long it took to answer, its CPU and its memory.
"""

from __future__ import annotations

import asyncio
import json
import random
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import urllib3
from prometheus_client.parser import text_string_to_metric_families

from benchmarks import CannotMeasureError, Goal, Result
from benchmarks.bench_soak import Usage
from tests.cluster.harness.alone import alone
from tests.cluster.harness.assets import Assets, way_out
from tests.cluster.harness.cluster import Cluster
from tests.cluster.harness.ports import answers, free
from tests.cluster.harness.rest import Document
from tests.cluster.harness.scaled import Scaled
from tests.cluster.harness.wait import until

OBJECTS: Final = 500
MINUTES: Final = 10.0
POLL, LOOK = 30, 15  # seconds between two polls of KEDA, and two looks of the HPA
TURN: Final = 20.0  # seconds after which a tenth of the queues is another
SETTLE: Final = 60.0  # seconds until every ScaledObject has been polled and looked at
NAMESPACE: Final = "many"
CONFIG: Final = """\
sources:
  kubernetes: {{url: "{server}", token_file: "{folder}/token", ca_file: "{folder}/ca.crt"}}
classes:
  many:
    guarantee: best-effort
    max: 5
    signals: {{queue: {{url: "{page}/{{namespace}}.json", path: 'queue["{{name}}"]'}}}}
    replicas: {{scale: "deployments/{{name}}"}}
"""
RIGHTS: Final[list[Document]] = [
    {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}},
    {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "scaler", "namespace": NAMESPACE}},
    {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "RoleBinding",
        "metadata": {"name": "scaler", "namespace": NAMESPACE},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "view"},
        "subjects": [{"kind": "ServiceAccount", "name": "scaler", "namespace": NAMESPACE}],
    },
]


@dataclass(frozen=True, slots=True)
class Seen:
    """What the scaler's own page has counted: calls, failed ones, and GetMetrics within a millisecond or ten."""

    calls: float
    failed: float
    quick: float
    asked: float


def run(minutes: float = MINUTES) -> Iterator[Result]:
    """So many minutes, once all of them are scaled."""
    assets = Assets.usual()
    if missing := assets.missing("etcd", "kubernetes", "kwok", "keda"):
        raise CannotMeasureError(f"{', '.join(missing)} not built: {way_out(*missing)}")
    with alone(hpa_period=LOOK, keda=True) as cluster:
        yield from measured(cluster, minutes * 60)


def measured(cluster: Cluster, seconds: float) -> Iterator[Result]:
    """The figures of one run."""
    with ExitStack() as stack:
        page = Page(cluster.folder / "page")
        port, keda, http = free(), free(), free()
        serving = [
            sys.executable,
            "-m",
            "http.server",
            "--bind",
            "127.0.0.1",
            "--directory",
            str(page.folder),
            str(port),
        ]
        cluster.run("page", serving, ready=lambda: answers(f"http://127.0.0.1:{port}"), ports=[port])
        stack.callback(cluster.remove, "page")
        file = configured(cluster, f"http://127.0.0.1:{port}")
        places = (f"--keda=127.0.0.1:{keda}", f"--http=127.0.0.1:{http}")
        command = (sys.executable, "-m", "scaler", "serve", file, *places)
        scaler = cluster.run("scaler", command, ready=lambda: answers(f"http://127.0.0.1:{http}/healthz"))
        stack.callback(cluster.remove, "scaler")
        for name in page.names:
            metadata = (("class", "many"),)
            scaled = Scaled(name=name, address=f"127.0.0.1:{keda}", most=5, poll=POLL, cooldown=3600, metadata=metadata)
            cluster.api.apply(scaled.documents(), namespace=NAMESPACE)
        until(lambda: looked_at(cluster) or None, within=10 * SETTLE)
        asyncio.run(page.turn_for(SETTLE))
        before, used = seen(http), Usage.of(scaler.pid)
        asyncio.run(page.turn_for(seconds))
        after, now = seen(http), Usage.of(scaler.pid)
        yield from results(before, after, used, now)


def results(before: Seen, after: Seen, used: Usage, now: Usage) -> Iterator[Result]:
    """What came of it."""
    elapsed = now.at - used.at
    due = OBJECTS * elapsed * (2 / POLL + 3 / LOOK)  # GetMetrics and IsActive a poll; the specification too, a look
    quick = (after.quick - before.quick) / max(1.0, after.asked - before.asked)
    figures = [
        ("calls", "calls/s", (after.calls - before.calls) / elapsed, due / elapsed, Goal("ratio", ">=", 0.9)),
        (
            "calls that failed",
            "calls",
            after.failed - before.failed,
            after.calls - before.calls,
            Goal("figure", "<=", 0),
        ),
        ("GetMetrics within 10 ms", "of all", quick, 1.0, Goal("figure", ">=", 0.99)),
        ("cores", "cores", now.cores(used), 1.0, Goal("figure", "<=", 0.5)),
        ("memory", "KiB/pool", now.memory / OBJECTS, used.memory / OBJECTS, Goal("ratio", "<=", 1.1)),
    ]
    for what, unit, figure, beside, goal in figures:
        yield Result(name=f"keda {OBJECTS}, {what}", figure=figure, unit=unit, reference=beside, goal=goal)


class Page:
    """The queues of all pools, on one page."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir()
        self.folder = folder
        self.names = [f"pool-{number}" for number in range(OBJECTS)]
        self._queues = dict.fromkeys(self.names, 1)
        self._drawn = random.Random(1)
        self._write()

    async def turn_for(self, seconds: float) -> None:
        """Let work come and go for so long."""
        end = time.perf_counter() + seconds
        while (left := end - time.perf_counter()) > 0:
            for name in self._drawn.sample(self.names, OBJECTS // 10):
                self._queues[name] = self._drawn.randint(0, 3)
            self._write()
            await asyncio.sleep(min(TURN, left))

    def _write(self) -> None:
        fresh = self.folder / ".fresh"
        fresh.write_text(json.dumps({"queue": self._queues}), encoding="utf-8")
        fresh.replace(self.folder / f"{NAMESPACE}.json")


def configured(cluster: Cluster, page: str) -> Path:
    """The scaler's configuration, with the rights that it needs."""
    cluster.api.apply(RIGHTS)
    folder = cluster.folder
    cluster.mount(NAMESPACE, "scaler", folder)
    file = folder / "many.yaml"
    server = cluster.api.typed.configuration.host
    file.write_text(CONFIG.format(server=server, folder=folder, page=page), encoding="utf-8")
    return file


def looked_at(cluster: Cluster) -> bool:
    """Every ScaledObject has its HPA."""
    return len(cluster.api.items(f"/apis/autoscaling/v2/namespaces/{NAMESPACE}/horizontalpodautoscalers")) == OBJECTS


def seen(port: int) -> Seen:
    """What the scaler's page says now."""
    text = urllib3.request("GET", f"http://127.0.0.1:{port}/metrics", timeout=10.0).data.decode()
    samples = [sample for family in text_string_to_metric_families(text) for sample in family.samples]
    calls = [s for s in samples if s.name == "agent_scaler_rpc_calls_total"]
    took = [s for s in samples if s.name == "agent_scaler_rpc_seconds_bucket" and s.labels["method"] == "GetMetrics"]
    return Seen(
        calls=sum(s.value for s in calls),
        failed=sum(s.value for s in calls if s.labels["code"] != "OK"),
        quick=max((s.value for s in took if float(s.labels["le"]) <= 0.01), default=0.0),
        asked=max((s.value for s in took), default=0.0),
    )
