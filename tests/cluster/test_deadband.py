"""An HPA that has its own tolerance, a tenth: what is too near it leaves alone, and whatever it does is exact.

Nobody of ours acts here but the door. So this is what ``controller/deadband`` and ``scaler doctor`` go by; what they
make of it is told beside the other stories of drains.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Final

from scaler.config.pool import PoolKey
from scaler.controller.api import open_api
from scaler.controller.doctor.catalogue import CHECKS
from scaler.controller.doctor.findings import examine
from scaler.controller.doctor.gather import gather
from tests.cluster.harness.cluster import Cluster
from tests.cluster.harness.dictated import Dictated, dictated
from tests.cluster.harness.landing import Replicas, followed
from tests.cluster.harness.rest import MERGE, Document, Json
from tests.cluster.harness.scaled import BANDED, Scaled
from tests.cluster.harness.wait import until
from tests.cluster.harness.workloads import replicas as standing

LOOKS: Final = 30  # of our door, for KEDA and for the HPA: in five seconds, in which the HPA asks ten times
SLOW: Final = 120.0
CALM: Final = 3600  # as shipped: while KEDA takes up another spec it may take a check it broke off for "not active"
UP: Final[Document] = {"stabilizationWindowSeconds": 0, "policies": [{"type": "Pods", "value": 1, "periodSeconds": 15}]}


@dataclass(frozen=True, slots=True)
class Banded:
    """A workload whose ScaledObject says nothing of a tolerance, and the door at which its target is dictated."""

    cluster: Cluster
    key: PoolKey
    door: Dictated
    replicas: Replicas

    async def lands(self, *targets: int) -> None:
        """Each of these is said and reached, and nothing else on the way."""
        for target in targets:
            begun = len(self.replicas.seen)
            self.door.say(self.key, target)
            await self.reaches(target)
            assert self.replicas.seen[begun:] == [target]

    async def reaches(self, replicas: int) -> None:
        """So many are asked for, and are there.

        An HPA compares with those that are there, and for what is too near asks for as many as these: with one
        still missing it would go back, or take one for far enough that is not.
        """
        await self.replicas.reaches(replicas, within=SLOW)
        await asyncio.to_thread(
            until, lambda: standing(self.cluster.api, *self.key) == (replicas,) * 2 or None, within=SLOW
        )

    async def stays(self, *targets: int) -> None:
        """Each of these is said and asked for again and again, and nothing comes of it."""
        for target in targets:
            begun = len(self.replicas.seen)
            self.door.say(self.key, target)
            await self._is_asked()
            assert self.replicas.seen[begun:] == [], f"from {self.replicas.seen[begun - 1]}"

    async def says(self, **spec: Json) -> None:
        """The ScaledObject says this from now on, and so does its HPA.

        What the HPA had begun before, and may end by what it was told before, is over then.
        """
        await asyncio.to_thread(self._say, {"spec": spec})
        await self._is_asked()

    async def _is_asked(self) -> None:
        looked = self.door.board.since[self.key]
        enough = len(looked) + LOOKS
        await asyncio.to_thread(until, lambda: len(looked) >= enough or None, within=SLOW)

    def _say(self, spec: Document) -> None:
        api, (namespace, name) = self.cluster.api, self.key
        hpa = f"/apis/autoscaling/v2/namespaces/{namespace}/horizontalpodautoscalers/keda-hpa-{name}"
        before = (api.get(hpa) or {})["spec"]
        api.request("PATCH", f"/apis/keda.sh/v1alpha1/namespaces/{namespace}/scaledobjects/{name}", spec, content=MERGE)
        until(lambda: (api.get(hpa) or {})["spec"] != before or None, within=SLOW)


@asynccontextmanager
async def banded(cluster: Cluster, namespace: str, door: Dictated, name: str = "banded") -> AsyncIterator[Banded]:
    """At twenty replicas, until the end of the block."""
    key = PoolKey(namespace, name)
    door.say(key, 20)
    documents = Scaled(name=name, address=door.address, exact=False, cooldown=CALM).documents()
    await asyncio.to_thread(cluster.api.apply, documents, namespace=namespace)
    async with followed(cluster.admin, "deployments", namespace, name) as found:
        pool = Banded(cluster, key, door, found)
        await pool.reaches(20)
        yield pool


async def test_a_target_lands_exactly_or_not_at_all_and_doctor_says_why(keda: Cluster, namespace: str) -> None:
    """A tenth and less stays, both ways; more lands, and by a step over and back every number can be reached."""
    async with dictated() as door, banded(keda, namespace, door) as pool:
        await pool.stays(21, 22, 19, 18)
        await pool.lands(23)
        await pool.stays(22, 21)
        await pool.lands(20, 17)
        await pool.lands(21, 24, 21)  # the first by a dip, the last by an overshoot
        async with open_api(keda.admin) as api:
            found = examine(await gather(api, door.address), CHECKS)
    seen = {finding.hit.seen for finding in found if finding.check.name == "hpa-dead-band"}
    assert seen == {f"scale{way}.tolerance is not set, so a tenth" for way in ("Up", "Down")}


async def test_one_more_than_twenty_lands_by_a_write_to_the_scaled_object(keda: Cluster, namespace: str) -> None:
    """A maximum, a minimum, or one pod at a time: exactly 21 each, which stay when that is taken back."""
    async with dictated() as door:
        await asyncio.gather(
            _by_a_maximum(keda, namespace, door),
            _by_a_minimum(keda, namespace, door),
            _by_a_policy(keda, namespace, door),
        )


async def _by_a_maximum(cluster: Cluster, namespace: str, door: Dictated) -> None:
    async with banded(cluster, namespace, door, "highest") as pool:
        await pool.says(maxReplicaCount=21)
        door.say(pool.key, 25)
        await _reaches_twenty_one(pool)
        await pool.says(maxReplicaCount=500)
        await pool.stays(21)


async def _by_a_minimum(cluster: Cluster, namespace: str, door: Dictated) -> None:
    """Which is how we step over the band: one write, and whoever fails in between leaves too many and never too few."""
    async with banded(cluster, namespace, door, "lowest") as pool:
        await pool.says(minReplicaCount=21)
        await _reaches_twenty_one(pool)
        await pool.says(minReplicaCount=0)
        await pool.stays(21)


async def _by_a_policy(cluster: Cluster, namespace: str, door: Dictated) -> None:
    async with banded(cluster, namespace, door, "slowest") as pool:
        behavior = {"scaleUp": UP, "scaleDown": BANDED["scaleDown"]}
        await pool.says(advanced={"horizontalPodAutoscalerConfig": {"behavior": behavior}})
        door.say(pool.key, 25)
        await _reaches_twenty_one(pool)
        await pool.says(advanced={"horizontalPodAutoscalerConfig": {"behavior": BANDED}})
        await pool.stays(21)


async def _reaches_twenty_one(pool: Banded) -> None:
    """By one step from twenty; then the same is said."""
    await pool.reaches(21)
    assert pool.replicas.seen[-2:] == [20, 21]
    pool.door.say(pool.key, 21)
