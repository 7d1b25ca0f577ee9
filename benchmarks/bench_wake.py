"""From zero by push: how soon after its first queued task an empty pool has a replica, on a real Kubernetes and KEDA.

KEDA polls once an hour here, so only the stream can wake the pool. The reference is what the way to the API server and
back takes in the same run: somebody scales a Deployment from 0 to 1, and the same watch sees it.
"""

from __future__ import annotations

import asyncio
import shutil
import time
from collections.abc import Callable, Iterator
from functools import partial
from typing import Final

from benchmarks import CannotMeasureError, Goal, Result
from tests.cluster.harness.alone import alone
from tests.cluster.harness.assets import Assets, way_out
from tests.cluster.harness.cluster import Cluster
from tests.cluster.harness.landing import followed
from tests.cluster.harness.rest import MERGE
from tests.cluster.harness.scaled import Scaled
from tests.cluster.harness.stand import POOL, stand
from tests.cluster.harness.wait import until

WAKES: Final = 5
NEVER: Final = 3600  # seconds between two polls of KEDA, and of cooldown
REFERENCE: Final = "reference"


def run() -> Iterator[Result]:
    """Several pools, each woken once, one after the other."""
    assets = Assets.usual()
    if missing := assets.missing("etcd", "kubernetes", "kwok", "keda"):
        raise CannotMeasureError(f"{', '.join(missing)} not built: {way_out(*missing)}")
    if shutil.which("prometheus") is None:
        raise CannotMeasureError("prometheus is not installed: apt-get install prometheus")
    with alone(keda=True) as cluster:
        woken = sorted(wake(cluster, number) for number in range(WAKES))
        reference = sorted(scale(cluster, number) for number in range(WAKES))
    for which, at in {"median": WAKES // 2, "slowest": WAKES - 1}.items():
        name, goal = f"from zero by push, {which} of {WAKES}", Goal("figure", "<=", 2.0)
        yield Result(name=name, figure=woken[at], unit="s", reference=reference[at], goal=goal)


def wake(cluster: Cluster, number: int) -> float:
    """Seconds from the first task of an empty pool to its first replica."""
    with stand(cluster, f"wake-{number}", poll=NEVER, cooldown=NEVER) as pool:
        pool.fleet.turn(pool.pool, rate=0.0)  # from now on its page says that nothing waits
        until(lambda: pool.figure("agent_scaler_pool_demand_pods") == 0.0 or None)
        task = partial(pool.fleet.turn, pool.pool, burst=1, shorten=1.0)
        return asyncio.run(timed(cluster, pool.namespace, POOL, task))


def scale(cluster: Cluster, number: int) -> float:
    """Seconds from a request for one replica to when the watch has seen it."""
    namespace = cluster.namespaces.make(f"{REFERENCE}-{number}")
    cluster.api.apply([Scaled(name=REFERENCE).workload()], namespace=namespace)
    path = f"/apis/apps/v1/namespaces/{namespace}/deployments/{REFERENCE}/scale"
    raised = partial(cluster.api.request, "PATCH", path, {"spec": {"replicas": 1}}, content=MERGE)
    try:
        return asyncio.run(timed(cluster, namespace, REFERENCE, raised))
    finally:
        cluster.namespaces.drop(namespace)


async def timed(cluster: Cluster, namespace: str, name: str, act: Callable[[], object]) -> float:
    """Seconds from the act to the first replica."""
    async with followed(cluster.admin, "deployments", namespace, name) as replicas:
        await replicas.reaches(0)
        begun = time.perf_counter()
        await asyncio.to_thread(act)
        await replicas.reaches(1)
        return time.perf_counter() - begun
