"""What happens to a pool at work when something fails: nothing, until it is back; and somebody is told why."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pytest
import urllib3

from tests.cluster.harness.cluster import Cluster
from tests.cluster.harness.forwarder import Manner
from tests.cluster.harness.landing import followed
from tests.cluster.harness.rest import condition
from tests.cluster.harness.stand import POOL, Stand, stand
from tests.cluster.harness.wait import until
from tests.cluster.harness.workloads import replicas

FIRST, MORE = 6, 2  # tasks that begin before the outages, and after each, beyond what the replicas can take
Act = Callable[[Stand], None]


def failing_event(of: Stand) -> str | None:
    """KEDA's warning at the ScaledObject that its scaler fails."""
    events = of.cluster.api.items(f"/api/v1/namespaces/{of.namespace}/events")
    return next((str(e["message"]) for e in events if e["reason"] == "KEDAScalerFailed"), None)


def without_metric(of: Stand) -> str | None:
    """The HPA's condition that it cannot get its metric."""
    hpas = of.cluster.api.items(f"/apis/autoscaling/v2/namespaces/{of.namespace}/horizontalpodautoscalers")
    return next((str(hpa) for hpa in hpas if condition(hpa, "ScalingActive") == "False"), None)


def missing_signal(of: Stand) -> str | None:
    """Our own metric that a signal of the pool is missing."""
    page = urllib3.request("GET", of.metrics, timeout=5.0).data.decode()
    return next(
        (line for line in page.splitlines() if re.match(r"agent_scaler_source_faults_total\{.*[1-9]", line)), None
    )


def nobody(_: Stand) -> str:
    """It is over before anybody would want to know."""
    return "nobody needs to be told"


@dataclass(frozen=True, slots=True)
class Outage:
    """Something that fails.

    Attributes:
        begin, end: make it fail, and mend it.
        told: what an operator sees of it meanwhile.
    """

    begin: Act
    end: Act
    told: Callable[[Stand], str | None]


def killed(name: str) -> Act:
    """Kill a part of the cluster."""
    return lambda of: of.cluster.parts[name].kill()


def restarted(name: str) -> Act:
    """Restart a part of the cluster."""
    return lambda of: of.cluster.parts[name].restart()


def turned(manner: Manner, *, delay: float = 0.0) -> Act:
    """Treat connections to the scaler so."""
    return lambda of: of.service.turn(manner, delay=delay)


def refused(of: Stand) -> None:
    """Let nobody reach the scaler, not even over a connection that stands."""
    of.service.turn(Manner.REFUSE)
    of.service.cut()


def over(_: Stand) -> None:
    """It has ended by itself."""


OUTAGES = {
    "the scaler is stopped": Outage(lambda of: of.scaler.kill(), lambda of: of.scaler.restart(), failing_event),
    "the scaler hangs": Outage(lambda of: of.scaler.freeze(), lambda of: of.scaler.thaw(), without_metric),
    "the scaler is restarted": Outage(lambda of: of.scaler.restart(), over, nobody),
    "calls hang on the way": Outage(turned(Manner.HANG), turned(Manner.PASS), without_metric),
    "calls are refused": Outage(refused, turned(Manner.PASS), failing_event),
    "calls take two seconds": Outage(turned(Manner.PASS, delay=2.0), turned(Manner.PASS), nobody),
    "connections and streams are cut": Outage(lambda of: of.service.cut(), over, nobody),
    "the signals cannot be read": Outage(
        lambda of: of.fleet.part.freeze(), lambda of: of.fleet.part.thaw(), missing_signal
    ),
    "the operator is restarted": Outage(restarted("keda-operator"), over, nobody),
    "the adapter is gone": Outage(killed("keda-adapter"), restarted("keda-adapter"), without_metric),
    "the API server is restarted": Outage(restarted("kube-apiserver"), over, nobody),
}


@pytest.fixture(scope="module")
def pool(keda: Cluster) -> Iterator[Stand]:
    """Agents at work."""
    with stand(keda, "outages") as stood:
        stood.fleet.turn(stood.pool, burst=FIRST, shorten=1.0)
        settled(stood, FIRST)
        yield stood


def settled(of: Stand, least: int) -> int:
    """The replicas, once there are so many, every one is ready, and no work waits for another."""

    def asked() -> int | None:
        """As many replicas as there is work are asked for, and ready."""
        wanted, ready = replicas(of.cluster.api, of.namespace, POOL)
        return wanted if wanted == ready and wanted >= least and not of.fleet.pools()[of.pool]["queue"] else None

    return until(asked, within=90.0)


@pytest.mark.parametrize("name", OUTAGES)
async def test_no_outage_takes_a_pod_away(pool: Stand, name: str) -> None:
    """Replicas never fall; somebody is told; and when it is over new work gets its pods, without a detour."""
    outage = OUTAGES[name]
    async with followed(pool.cluster.admin, "deployments", pool.namespace, POOL) as seen:
        before = await asyncio.to_thread(settled, pool, FIRST)
        await seen.reaches(before)
        await asyncio.to_thread(outage.begin, pool)
        assert await asyncio.to_thread(until, lambda: outage.told(pool), within=120.0)
        await asyncio.to_thread(outage.end, pool)
        assert seen.seen == [before]
        await asyncio.to_thread(overload, pool, before)
        await asyncio.to_thread(settled, pool, before + 1)
    assert seen.seen == sorted(seen.seen)


def overload(of: Stand, replicas: int) -> None:
    """Bring more work than so many replicas can take on at once."""
    pool = of.fleet.pools()[of.pool]
    of.fleet.turn(of.pool, burst=replicas - pool["pending"] + MORE)
