"""A storm of claims on the real agent-sandbox: the miss target is reached, and nobody's sandbox is taken away.

Two thousand claims at four a second, nine minutes in all: the control plane of one small machine follows with a lag
that is small beside a start of three seconds, as long as nobody else takes the machine: a pool that is not refilled for
four seconds misses whatever its size. AGENT_SCALER_STORM_TRACE, _RATE and _CLAIMS make another one.
"""

from __future__ import annotations

import asyncio
import math

import pytest

from scaler.controller.dig import text
from tests.cluster.harness.cluster import Cluster
from tests.cluster.harness.kwok import READY_LOGNORMAL
from tests.cluster.harness.rest import Document
from tests.cluster.harness.wait import until
from tests.cluster.storm import CLAIMS, RATE, arrivals, by_fifths, fates, interval, leads, pauses, storm, told
from tests.cluster.warmth import BASE, Warmth, filled, pool, warming

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
        asked = asyncio.run(storm(sandboxes, namespace, arrivals(CLAIMS, RATE)))
        words = ("ready", "starting", "cold")
        until(lambda: sum(map(scaler.served, words)) == CLAIMS or None, within=120.0)
        until(lambda: len(fates(sandboxes, namespace, asked)) == CLAIMS or None, within=120.0, every=2.0)
        served = {word: scaler.served(word) for word in words}
        found = fates(sandboxes, namespace, asked)
        cold, late = sum(fate.cold for fate in found), sum(fate.late for fate in found)
        missed = max(served["starting"] + served["cold"], cold + late)
        low, high = interval(missed, CLAIMS)
        lines = [
            f"{served} by our books; {cold} cold and {late} late by agent-sandbox's objects",
            f"{missed / CLAIMS:.2%} missed ({low:.2%} to {high:.2%}), {TARGET:.0%} may",
            f"missed in each fifth of the storm: {by_fifths(found)}",
            f"agent-sandbox sees a claim after {told([fate.lag for fate in found])}",
            f"and has it ready after {told([f.served for f in found if not (f.cold or f.late)])} where it hits",
            f"and after {told([f.served for f in found if f.cold or f.late])} where it misses",
            f"sandboxes of the pool took {told(leads(sandboxes, namespace))}; drawn are 2.70 / 4.42 / 5.43 s",
            *pauses(sandboxes.audit.since(scaler.mark), namespace),
            *_figures(scaler),
        ]
        request.config.get_terminal_writer().line("\n" + "\n".join(lines))
        assert low <= TARGET, lines
        assert cold == served["cold"]
        assert _taken_away(sandboxes, namespace, scaler.mark) == set()


def _figures(scaler: Warmth) -> list[str]:
    names = ("size", "lead_seconds", "dispersion", "claim_rate", "writes_total", "idle_seconds_total")
    return [", ".join(f"{name} {scaler.metric(name):.4g}" for name in names)]


def _taken_away(cluster: Cluster, namespace: str, mark: int) -> set[str]:
    """Sandboxes that were deleted though a claim had them."""
    claims = cluster.api.items(f"{BASE}/{namespace}/sandboxclaims")
    bound = {text(claim, "status", "sandbox", "name") for claim in claims}
    gone = (r for r in cluster.audit.since(mark) if r.verb == "delete" and r.resource == "sandboxes" and r.status < 300)
    return bound & {request.name for request in gone if request.namespace == namespace}
