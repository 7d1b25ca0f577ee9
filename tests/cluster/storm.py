"""A storm of claims: instants fitted to a day of a reasoning model, or those of a trace, kept in real time."""

from __future__ import annotations

import asyncio
import math
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import numpy as np

from scaler.core.types import Seconds
from scaler.live.clock import SystemClock
from scaler.sim.traces import read_trace
from tests.cluster.harness.api import Json, open_api
from tests.cluster.harness.cluster import Cluster
from tests.cluster.warmth import BASE, VERSION

TRACE: Final = os.environ.get("AGENT_SCALER_STORM_TRACE")  # a file with the column arrival_s, instead of the fit
CLAIMS: Final = int(os.environ.get("AGENT_SCALER_STORM_CLAIMS", "2000"))
RATE: Final = float(os.environ.get("AGENT_SCALER_STORM_RATE", "4"))  # claims per second, on average
DISPERSION: Final = 1.7  # of their number in five seconds: of the busiest hours of ServeGen's reasoning model
MIXED: Final[Seconds] = 5.0


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


async def storm(cluster: Cluster, namespace: str, instants: Sequence[Seconds], pool: str = "python") -> None:
    """Make each claim at its instant."""
    clock = SystemClock()
    async with open_api(cluster.admin) as api, asyncio.TaskGroup() as group:
        begun = clock.now()
        for i, at in enumerate(instants):
            await clock.sleep_until(begun + at)
            body: Json = {
                "apiVersion": VERSION,
                "kind": "SandboxClaim",
                "metadata": {"name": f"claim-{i}"},
                "spec": {"warmPoolRef": {"name": pool}},
            }
            group.create_task(api.send("POST", f"{BASE}/{namespace}/sandboxclaims", body))


def interval(misses: int, claims: int, z: float = 1.96) -> tuple[float, float]:
    """Wilson's confidence interval of a share."""
    share, scale = misses / claims, 1 + z**2 / claims
    middle = (share + z**2 / (2 * claims)) / scale
    half = z / scale * math.sqrt(share * (1 - share) / claims + z**2 / (4 * claims**2))
    return middle - half, middle + half
