"""A storm of claims on the real agent-sandbox: the miss target is reached, and nobody's sandbox is taken away."""

from __future__ import annotations

import asyncio
import math

import pytest

from scaler.controller.dig import strings, text
from scaler.controller.sandboxes.kinds import LAUNCH
from tests.cluster.harness.cluster import Cluster
from tests.cluster.harness.kwok import READY_LOGNORMAL
from tests.cluster.harness.rest import Document
from tests.cluster.harness.wait import until
from tests.cluster.storm import CLAIMS, RATE, arrivals, interval, storm
from tests.cluster.warmth import BASE, filled, pool, warming

TARGET = 0.02
START: Document = {  # an agent in Go: it is ready after 2.7 s, more or less
    "metadata": {"annotations": {READY_LOGNORMAL: f"{math.log(2.7):.4f},0.3"}},
    "spec": {"containers": [{"name": "agent", "image": "agent"}]},
}


def test_a_storm_of_claims_misses_no_more_than_the_target(
    sandboxes: Cluster, namespace: str, request: pytest.FixtureRequest
) -> None:
    """From the first claim on, on a pool that has never seen one; what misses is what was not ready at once."""
    pool(sandboxes, namespace, pod=START)
    pools = {f"{namespace}/python": {"miss_target": TARGET, "min": 5, "max": 200}}
    with warming(sandboxes, pools) as scaler:
        filled(sandboxes, namespace, 5)
        asyncio.run(storm(sandboxes, namespace, arrivals(CLAIMS, RATE)))
        words = ("ready", "starting", "cold")
        until(lambda: sum(map(scaler.served, words)) == CLAIMS or None, within=120.0)
        served = {word: scaler.served(word) for word in words}
        missed = served["starting"] + served["cold"]
        low, high = interval(missed, CLAIMS)
        idle = scaler.metric("idle_seconds_total")
        told = f"{served}, {missed / CLAIMS:.2%} missed ({low:.2%} to {high:.2%}), {idle:g} idle sandbox-seconds"
        request.config.get_terminal_writer().line(f"\n{told}")
        assert low <= TARGET, told
        assert _cold(sandboxes, namespace) == served["cold"]
        assert _taken_away(sandboxes, namespace, scaler.mark) == set()


def _cold(cluster: Cluster, namespace: str) -> int:
    """Claims that agent-sandbox itself says it served cold."""
    found = cluster.api.items(f"/apis/agents.x-k8s.io/v1beta1/namespaces/{namespace}/sandboxes")
    return sum(strings(item, "metadata", "labels").get(LAUNCH) == "cold" for item in found)


def _taken_away(cluster: Cluster, namespace: str, mark: int) -> set[str]:
    """Sandboxes that were deleted though a claim had them."""
    claims = cluster.api.items(f"{BASE}/{namespace}/sandboxclaims")
    bound = {text(claim, "status", "sandbox", "name") for claim in claims}
    gone = (r for r in cluster.audit.since(mark) if r.verb == "delete" and r.resource == "sandboxes" and r.status < 300)
    return bound & {request.name for request in gone if request.namespace == namespace}
