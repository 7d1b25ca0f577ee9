"""Records anew what the real controllers decide: ``python -m tests.cluster.record``. Takes some minutes."""

from __future__ import annotations

import asyncio
import sys

from tests.cluster.harness.alone import alone
from tests.cluster.harness.api import Api, open_api
from tests.cluster.harness.assets import Assets, way_out
from tests.cluster.harness.cluster import Cluster
from tests.cluster.harness.progress import say
from tests.cluster.harness.tools import KUBERNETES
from tests.cluster.recorder import hpa, replicasets, statefulsets
from tests.cluster.recorder.hpa_scripts import scripts
from tests.cluster.recorder.meter import metering
from tests.cluster.recorder.stand import serve_stands
from tests.support.recorded.hpa import Story as Followed
from tests.support.recorded.lines import FOLDER, Header, write
from tests.support.recorded.replicaset import Story as Reduced
from tests.support.recorded.statefulset import Story as Ordered

TOOLS = ("etcd", "kubernetes", "kwok")
DRAWS = 60


def main() -> int:
    """Record everything, on a cluster of its own. The value is the exit code."""
    if missing := Assets.usual().missing(*TOOLS):
        say(f"{', '.join(missing)} not built: {way_out(*missing)}")
        return 1
    FOLDER.mkdir(exist_ok=True)
    with alone() as cluster:
        asyncio.run(_record(cluster))
    return 0


async def _record(cluster: Cluster) -> None:
    async with open_api(cluster.admin) as api:
        say("StatefulSets")
        sets = await statefulsets.record(api, [*statefulsets.scripts()])
        write(FOLDER / "statefulset.jsonl", Header("StatefulSet", KUBERNETES), sets, Ordered)
        say("ReplicaSets")
        draws = await replicasets.record(api, [*replicasets.draws(DRAWS)])
        write(FOLDER / "replicaset.jsonl", Header("ReplicaSet", KUBERNETES), draws, Reduced)
        say("HorizontalPodAutoscalers")
        followed = await follow_hpas(api, [*scripts()])
        write(FOLDER / "hpa.jsonl", Header("HorizontalPodAutoscaler", KUBERNETES), followed, Followed)


async def follow_hpas(api: Api, wanted: list[hpa.Script]) -> list[Followed]:
    """What real HPAs make of these scripts."""
    async with metering(api) as meter:
        await serve_stands(api)
        return await hpa.record(api, meter, wanted)


if __name__ == "__main__":
    sys.exit(main())
