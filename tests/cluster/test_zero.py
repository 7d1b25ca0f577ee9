"""From zero at once, and to zero only when nobody works."""

from __future__ import annotations

import asyncio

from tests.cluster.harness.cluster import Cluster
from tests.cluster.harness.journal import Event, Line
from tests.cluster.harness.landing import followed
from tests.cluster.harness.stand import POOL, Stand, stand
from tests.cluster.harness.wait import until

NEVER = 3600  # seconds between two polls, and of cooldown: longer than any test


async def test_work_wakes_an_empty_pool_over_the_stream(keda: Cluster, namespace: str) -> None:
    """KEDA polls once an hour here; that the first queued task gets a pod is the stream's doing."""
    with stand(keda, "woken", poll=NEVER, cooldown=NEVER) as pool:
        async with followed(keda.admin, "deployments", pool.namespace, POOL) as replicas:
            await replicas.reaches(0)
            await asyncio.to_thread(pool.fleet.turn, pool.pool, burst=1, shorten=1.0)
            await replicas.reaches(1, within=30.0)


async def test_a_pool_goes_to_zero_when_its_last_task_is_done_and_not_before(keda: Cluster, namespace: str) -> None:
    """The queue is empty and the cooldown over long before the last task ends; the pod stays until it has ended."""
    with stand(keda, "emptied", cooldown=1) as pool:
        async with followed(keda.admin, "deployments", pool.namespace, POOL) as replicas:
            await replicas.reaches(0)
            await asyncio.to_thread(pool.fleet.turn, pool.pool, burst=1, shorten=120.0)
            await replicas.reaches(1)
            await asyncio.to_thread(until, lambda: pool.fleet.pools()[pool.pool]["ended"] or None, within=120.0)
            await replicas.reaches(0, within=300.0)  # a scaler that has just begun lets nobody go for two minutes
    assert cut(pool) == []


def cut(of: Stand) -> list[Line]:
    """The tasks that ended with their pod."""
    return [line for line in of.fleet.told() if line.event is Event.KILL]
