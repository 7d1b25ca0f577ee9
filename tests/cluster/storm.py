"""A storm of claims: instants fitted to a day of a reasoning model, or those of a trace, kept in real time.

What it came to is read from agent-sandbox's own objects, so that its lag and ours are told apart from a pool too small.
"""

from __future__ import annotations

import asyncio
import math
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np

from scaler.controller.dig import instant, strings, text
from scaler.controller.sandboxes.facts import claim_of, sandbox_of
from scaler.controller.sandboxes.kinds import LAUNCH, WARM
from scaler.controller.sandboxes.refill import Refills
from scaler.core.types import Instant, Seconds
from scaler.live.clock import SystemClock
from scaler.sim.traces import read_trace
from tests.cluster.harness.api import Json, open_api
from tests.cluster.harness.audit import Request
from tests.cluster.harness.cluster import Cluster
from tests.cluster.harness.rest import Document
from tests.cluster.warmth import BASE, VERSION

TRACE: Final = os.environ.get("AGENT_SCALER_STORM_TRACE")  # a file with the column arrival_s, instead of the fit
CLAIMS: Final = int(os.environ.get("AGENT_SCALER_STORM_CLAIMS", "2000"))
RATE: Final = float(os.environ.get("AGENT_SCALER_STORM_RATE", "4"))  # claims per second, on average
DISPERSION: Final = 1.7  # of their number in five seconds: of the busiest hours of ServeGen's reasoning model
MIXED: Final[Seconds] = 5.0
SHARES: Final = (0.5, 0.95, 0.99)


def arrivals(count: int, rate: float) -> Sequence[Seconds]:
    """The instants of so many claims at this rate, from nought on."""
    if TRACE is None:
        return fitted(count, rate, seed=9)
    found = np.sort(read_trace(Path(TRACE)).arrived_at)[:count]
    return list((found - found[0]) / (found[-1] - found[0]) * (count / rate))


def fitted(count: int, rate: float, *, seed: int) -> Sequence[Seconds]:
    """Claims at random, at a rate that is drawn anew every five seconds."""
    random = np.random.default_rng(seed)
    variance = (DISPERSION - 1.0) * rate / MIXED
    found: list[Seconds] = []
    while len(found) < count:
        begun = MIXED * (len(found) and math.floor(found[-1] / MIXED) + 1)
        drawn = random.gamma(rate**2 / variance, variance / rate)
        found += sorted(begun + random.uniform(0.0, MIXED, random.poisson(drawn * MIXED)))
    return found[:count]


async def storm(
    cluster: Cluster, namespace: str, instants: Sequence[Seconds], pool: str = "python"
) -> Mapping[str, Instant]:
    """Make each claim at its instant; the value is when each was asked for, by its name."""
    clock, asked = SystemClock(), dict[str, Instant]()
    async with open_api(cluster.admin) as api, asyncio.TaskGroup() as group:
        begun = clock.now()
        for i, at in enumerate(instants):
            await clock.sleep_until(begun + at)
            name = f"claim-{i}"
            body: Json = {
                "apiVersion": VERSION,
                "kind": "SandboxClaim",
                "metadata": {"name": name},
                "spec": {"warmPoolRef": {"name": pool}},
            }
            asked[name] = clock.now()
            group.create_task(api.send("POST", f"{BASE}/{namespace}/sandboxclaims", body))
    return asked


@dataclass(frozen=True, slots=True)
class Fate:
    """What became of one claim, by agent-sandbox's own words.

    Attributes:
        at: when it was made.
        cold: it got a sandbox made for it.
        late: it got one of the pool that was not ready when agent-sandbox first saw the claim.
        lag: seconds until agent-sandbox first saw it.
        served: seconds from then until it was ready; None where agent-sandbox says that it missed the moment.
    """

    at: Instant
    cold: bool
    late: bool
    lag: Seconds
    served: Seconds | None


def fates(cluster: Cluster, namespace: str, asked: Mapping[str, Instant]) -> list[Fate]:
    """What became of each claim that has its sandbox."""
    path = f"/apis/agents.x-k8s.io/v1beta1/namespaces/{namespace}/sandboxes"
    sandboxes = {text(found, "metadata", "name"): found for found in cluster.api.items(path)}
    claims = cluster.api.items(f"{BASE}/{namespace}/sandboxclaims")
    return [fate for found in claims if (fate := _fate(found, sandboxes, asked)) is not None]


def _fate(found: Document, sandboxes: Mapping[str, Document], asked: Mapping[str, Instant]) -> Fate | None:
    claim = claim_of(found)
    given = sandboxes.get(claim.sandbox)
    if given is None or claim.observed is None:
        return None
    since = sandbox_of(given).ready_since
    warm = strings(given, "metadata", "labels").get(LAUNCH) == WARM
    return Fate(
        at=asked[claim.id.name],
        cold=not warm,
        late=warm and since is not None and since >= claim.observed,  # the second that it says begins after the claim
        lag=claim.observed - asked[claim.id.name],
        served=None if claim.ready_at is None else claim.ready_at - claim.observed,
    )


def by_fifths(found: Sequence[Fate]) -> list[int]:
    """How many missed in each fifth of the storm: in the first of them the pool learns."""
    missed = [fate.cold or fate.late for fate in sorted(found, key=lambda fate: fate.at)]
    return [int(part.sum()) for part in np.array_split(np.array(missed), 5)]


def leads(cluster: Cluster, namespace: str) -> list[Seconds]:
    """From creation to ready, to the second, of every sandbox that a pool made."""
    path = f"/apis/agents.x-k8s.io/v1beta1/namespaces/{namespace}/sandboxes"
    found = [each for each in cluster.api.items(path) if strings(each, "metadata", "labels").get(LAUNCH) == WARM]
    pairs = ((instant(each, "metadata", "creationTimestamp"), sandbox_of(each).ready_since) for each in found)
    return [ready - made for made, ready in pairs if made is not None and ready is not None]


def pauses(requests: Iterable[Request], namespace: str) -> list[str]:
    """Whose pause it was where much was missed at once: the pool's, which begins replacements late, or the server's.

    By the audit log: the first claim is matched with the first sandbox that the pool begins after it.
    """
    ours = sorted((r for r in requests if r.namespace == namespace and r.status < 300), key=lambda r: r.received)
    refills, lags, taken = Refills(), list[tuple[Seconds, Instant]](), list[tuple[Seconds, Instant]]()
    for request in ours:
        taken += [] if request.verb == "watch" else [(request.at - request.received, request.received)]
        if (request.verb, request.resource) == ("create", "sandboxclaims"):
            refills.left(namespace, request.received)
        elif (request.verb, request.resource) == ("create", "sandboxes"):
            lags.append((refills.came(namespace, request.received), request.received))
    begun, lines = ours[0].received, []
    for what, found in (("the pool begins a replacement", lags), ("the API server answers", taken)):
        longest, at = max(found)
        usual = told(each for each, _ in found)
        lines.append(f"{what} after {usual}, at the longest {longest:.2f} s, {at - begun:.0f} s in")
    return lines


def told(figures: Iterable[float | None]) -> str:
    """The median and the upper quantiles, in seconds, of those that are known."""
    known = [figure for figure in figures if figure is not None]
    if not known:
        return "none"
    return " / ".join(f"{value:.2f}" for value in np.quantile(known, SHARES)) + f" s (p50/95/99 of {len(known)})"


def interval(misses: int, claims: int, z: float = 1.96) -> tuple[float, float]:
    """Wilson's confidence interval of a share."""
    share, scale = misses / claims, 1 + z**2 / claims
    middle = (share + z**2 / (2 * claims)) / scale
    half = z / scale * math.sqrt(share * (1 - share) / claims + z**2 / (4 * claims**2))
    return middle - half, middle + half
