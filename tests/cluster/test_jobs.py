"""A ScaledJob gets one Job for each task: none twice, none for work that is done, and no Job is taken away."""

from __future__ import annotations

import asyncio
import json
import random
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import partial

from scaler.controller.dig import text
from scaler.controller.feed import Put
from tests.cluster.harness.api import open_api
from tests.cluster.harness.cluster import Cluster
from tests.cluster.harness.kwok import COMPLETE_AFTER, READY_AFTER
from tests.cluster.harness.ports import answers, free
from tests.cluster.harness.rest import Document
from tests.support.documents import Documents, documents_at
from tests.support.wait import eventually

TASKS = 500
WORK = 6.0  # seconds that a task takes
READY, LEAVING = 3.0, 10.0  # seconds from when an agent has taken its task until it is Ready, and from then to its end
POOLS = """\
pools:
  {namespace}/default:
    max: 500
    scaled_job_strategy: default
    signals: {{pending: {{url: "{page}/default", path: unfinished}}}}
    replicas: {{url: "{page}/default", path: running}}
  {namespace}/accurate:
    max: 500
    scaled_job_strategy: accurate
    signals:
      queue: {{url: "{page}/accurate", path: waiting}}
      inflight: {{url: "{page}/accurate", path: running}}
    replicas: {{url: "{page}/accurate", path: running}}
"""


@dataclass
class Queue:
    """A queue of tasks, and what its page says of it.

    Attributes:
        pages: where it is told.
        name: of its page, and of the ScaledJob.
        claimed: pods that have come for a task, by uid; ``in_vain`` those that found none.
    """

    pages: Documents
    name: str
    waiting: int = 0
    running: int = 0
    done: int = 0
    claimed: set[str] = field(default_factory=set)
    in_vain: list[str] = field(default_factory=list)

    def put(self, tasks: int) -> None:
        """So many tasks more."""
        self.waiting += tasks
        self.tell()

    async def serve(self, uid: str) -> None:
        """A pod takes one task, works on it, and is done."""
        if not self.waiting:
            self.in_vain.append(uid)
            return
        self.waiting, self.running = self.waiting - 1, self.running + 1
        self.tell()
        await asyncio.sleep(WORK)
        self.running, self.done = self.running - 1, self.done + 1
        self.tell()

    def tell(self) -> None:
        """Renew the page."""
        told = {"waiting": self.waiting, "running": self.running, "unfinished": self.waiting + self.running}
        self.pages.answers[f"/{self.name}"] = json.dumps(told)

    async def over(self) -> None:
        """Return when every task is done; on a slow machine that takes long, but it goes on."""
        while self.done < TASKS:
            await eventually(partial(self._more_than, self.done), within=120.0)

    async def _more_than(self, done: int) -> bool | None:
        """Another task is done."""
        return self.done > done or None


def scaled_job(name: str, address: str) -> Document:
    """As keda/scaledjob-default.yaml and -accurate.yaml, with Jobs that end by themselves."""
    annotations: Document = {READY_AFTER: f"{READY:g}s", COMPLETE_AFTER: f"{LEAVING:g}s"}
    spec: Document = {"restartPolicy": "Never", "containers": [{"name": "agent", "image": "registry.example/agent:1"}]}
    template: Document = {"metadata": {"annotations": annotations, "labels": {"app": name}}, "spec": spec}
    trigger: Document = {"type": "external", "metadata": {"scalerAddress": address, "scaledJobStrategy": name}}
    return {
        "apiVersion": "keda.sh/v1alpha1",
        "kind": "ScaledJob",
        "metadata": {"name": name},
        "spec": {
            "pollingInterval": 2,
            "maxReplicaCount": TASKS,
            "successfulJobsHistoryLimit": 2 * TASKS,
            "scalingStrategy": {"strategy": name, "pendingPodConditions": ["Ready"]},
            "jobTargetRef": {"backoffLimit": 0, "template": template},
            "triggers": [trigger],
        },
    }


@asynccontextmanager
async def served(cluster: Cluster, namespace: str, page: str) -> AsyncIterator[str]:
    """Our scaler with both pools; the value is its address."""
    file, keda, http = cluster.folder / f"{namespace}.yaml", free(), free()
    places = (f"--keda=127.0.0.1:{keda}", f"--http=127.0.0.1:{http}")
    command = (sys.executable, "-m", "scaler", "serve", file, *places)
    name, ready = f"scaler-{namespace}", lambda: answers(f"http://127.0.0.1:{http}/readyz")
    await asyncio.to_thread(file.write_text, POOLS.format(namespace=namespace, page=page))
    await asyncio.to_thread(cluster.run, name, command, ready=ready, ports=[keda, http])
    try:
        yield f"127.0.0.1:{keda}"
    finally:
        await asyncio.to_thread(cluster.remove, name)


async def work(cluster: Cluster, namespace: str, queue: Queue) -> None:
    """Let every pod of the ScaledJob take a task as soon as it runs, for ever."""
    async with open_api(cluster.admin) as api, asyncio.TaskGroup() as group:
        path = f"/api/v1/namespaces/{namespace}/pods"
        async for change in api.follow(path, {"labelSelector": f"app={queue.name}"}):
            if isinstance(change, Put) and text(change.found, "status", "podIP"):
                uid = text(change.found, "metadata", "uid")
                if uid not in queue.claimed:
                    queue.claimed.add(uid)
                    group.create_task(queue.serve(uid))


async def arrive(queue: Queue) -> None:
    """The tasks come in batches, at moments that have nothing to do with any poll."""
    drawn, left = random.Random(queue.name), TASKS
    while left:
        batch = min(left, drawn.randint(5, 60))
        queue.put(batch)
        left -= batch
        await asyncio.sleep(drawn.uniform(0.5, 6.0))


async def test_each_of_five_hundred_tasks_gets_one_job(keda: Cluster, namespace: str) -> None:
    """With either strategy, whose Jobs KEDA counts differently; and KEDA deletes none."""
    pages, mark = Documents(), keda.audit.mark()
    queues = [Queue(pages, "default"), Queue(pages, "accurate")]
    for queue in queues:
        queue.tell()
    async with documents_at(pages) as page, served(keda, namespace, page) as address:
        jobs = [scaled_job(queue.name, address) for queue in queues]
        await asyncio.to_thread(keda.api.apply, jobs, namespace=namespace)
        working = [asyncio.create_task(work(keda, namespace, queue)) for queue in queues]
        await asyncio.gather(*(arrive(queue) for queue in queues))
        for queue in queues:
            await queue.over()
        for task in working:
            task.cancel()
        await asyncio.wait(working)
    assert {queue.name: (len(queue.claimed), queue.in_vain) for queue in queues} == {
        "default": (TASKS, []),
        "accurate": (TASKS, []),
    }
    assert [r for r in keda.audit.since(mark) if r.verb == "delete" and r.user.endswith(":keda-operator")] == []
