"""What happens to a pool at work when something fails: nothing, until it is back; and somebody is told why."""

from __future__ import annotations

import asyncio
import json
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime

import pytest

from scaler.core.types import Instant
from scaler.live.clock import SystemClock
from tests.cluster.harness.cluster import Cluster
from tests.cluster.harness.forwarder import Manner
from tests.cluster.harness.landing import followed
from tests.cluster.harness.rest import condition
from tests.cluster.harness.stand import POOL, Stand, stand
from tests.cluster.harness.wait import until
from tests.cluster.harness.workloads import replicas

FIRST, MORE = 6, 2  # tasks that begin before the outages, and after each, beyond what the replicas can take
LENGTH = 3600.0  # seconds that each takes, so that no agent falls idle while it is told how outages went
LOOKS = 2  # of the HPA, until it writes what the scaler tells: one that was under way, and one that hears of it
MANY = 12  # calls that are answered late: KEDA has polled, and the HPA has looked, more than once
OK = 200
METRICS = "external.metrics.k8s.io"
SCALED = ("deployments", "scale", "update")
Act = Callable[[Stand], None]


def scaler_failed(of: Stand) -> float:
    """How often KEDA has warned at the ScaledObject that its scaler fails."""
    events = of.cluster.api.items(f"/api/v1/namespaces/{of.namespace}/events")
    return sum(int(str(e.get("count") or 1)) for e in events if e["reason"] == "KEDAScalerFailed")


def without_metric(of: Stand) -> float:
    """Whether the HPA says as a condition that it cannot get its metric."""
    hpas = of.cluster.api.items(f"/apis/autoscaling/v2/namespaces/{of.namespace}/horizontalpodautoscalers")
    return sum(condition(hpa, "ScalingActive") == "False" for hpa in hpas)


def source_faults(of: Stand) -> float:
    """How often our own metric has counted that a signal of the pool could not be read."""
    return of.figure("agent_scaler_source_faults_total") or 0.0


def answered(of: Stand) -> float:
    """How many calls our own metric has counted that were answered: nobody needs to be told, for all goes on."""
    return of.figure("agent_scaler_rpc_calls_total") or 0.0


def nobody(_: Stand) -> float:
    """It is over before anybody would want to know."""
    return math.nan


@dataclass(frozen=True, slots=True)
class Outage:
    """Something that fails.

    Attributes:
        begin, end: make it fail, and mend it.
        sign: what an operator sees of it: a figure that is higher meanwhile, by ``least``.
    """

    begin: Act
    end: Act
    sign: Callable[[Stand], float]
    least: float = 1.0


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
    "the scaler is stopped": Outage(lambda of: of.scaler.kill(), lambda of: of.scaler.restart(), scaler_failed),
    "the scaler hangs": Outage(lambda of: of.scaler.freeze(), lambda of: of.scaler.thaw(), without_metric),
    "the scaler is restarted": Outage(lambda of: of.scaler.restart(), over, nobody),
    "calls hang on the way": Outage(turned(Manner.HANG), turned(Manner.PASS), without_metric),
    "calls are refused": Outage(refused, turned(Manner.PASS), without_metric),
    "calls take two seconds": Outage(turned(Manner.PASS, delay=2.0), turned(Manner.PASS), answered, least=MANY),
    "connections and streams are cut": Outage(lambda of: of.service.cut(), over, nobody),
    "the signals cannot be read": Outage(
        lambda of: of.fleet.part.freeze(), lambda of: of.fleet.part.thaw(), source_faults
    ),
    "Prometheus is gone": Outage(lambda of: of.prometheus.kill(), lambda of: of.prometheus.restart(), source_faults),
    "the operator is restarted": Outage(restarted("keda-operator"), over, nobody),
    "the adapter is gone": Outage(killed("keda-adapter"), restarted("keda-adapter"), without_metric),
    "the API server is restarted": Outage(restarted("kube-apiserver"), over, nobody),
}


@pytest.fixture(scope="module")
def pool(keda: Cluster) -> Iterator[Stand]:
    """Agents at work."""
    with stand(keda, "outages") as stood:
        stood.fleet.turn(stood.pool, burst=FIRST, seconds=LENGTH)
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
    """Replicas never fall; somebody is told; and when it is over new work gets its pods at once, without a detour."""
    outage = OUTAGES[name]
    async with followed(pool.cluster.admin, "deployments", pool.namespace, POOL) as seen:
        before = await asyncio.to_thread(settled, pool, FIRST)
        await seen.reaches(before)
        quiet = await asyncio.to_thread(outage.sign, pool)
        await asyncio.to_thread(outage.begin, pool)
        await asyncio.to_thread(until, lambda: not outage.sign(pool) < quiet + outage.least or None, within=120.0)
        await asyncio.to_thread(outage.end, pool)
        assert seen.seen == [before]
        mark, begun = pool.cluster.audit.mark(), SystemClock().now()
        await asyncio.to_thread(overload, pool, before)
        await asyncio.to_thread(settled, pool, before + 1)
    assert seen.seen == sorted(seen.seen)
    assert looks(pool, mark, begun, before) <= LOOKS


def looks(of: Stand, mark: int, begun: Instant, replicas: int) -> int:
    """How often the HPA got an answer after the scaler's target rose above so many, until it wrote one that does."""
    told = next(at for at, report in reports(of) if report > replicas and at >= begun)
    heard = [r for r in of.cluster.audit.since(mark) if r.namespace == of.namespace and r.status == OK]
    written = next(r.received for r in heard if (r.resource, r.subresource, r.verb) == SCALED and r.received >= told)
    return sum(told <= r.received <= written for r in heard if r.group == METRICS)


def reports(of: Stand) -> list[tuple[Instant, int]]:
    """When the scaler's decision became another, and what KEDA was told from then on."""
    said = [json.loads(line) for line in of.scaler.log.read_text().splitlines() if '"report": ' in line]
    return [(datetime.fromisoformat(line["timestamp"]).timestamp(), line["report"] or 0) for line in said]


def overload(of: Stand, replicas: int) -> None:
    """Bring more work than so many replicas can take on at once."""
    pool = of.fleet.pools()[of.pool]
    of.fleet.turn(of.pool, burst=replicas - pool["pending"] + MORE, seconds=LENGTH)
