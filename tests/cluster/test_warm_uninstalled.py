"""What is watched may be uninstalled: a real API server says so at length before it is believed, and none is missed."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing
from pathlib import Path

import yaml

from scaler.controller.api import open_api
from scaler.controller.dig import text
from scaler.controller.feed import UNINSTALLED, Change, Feed, Listed, Lost, Put
from scaler.core.types import Instant
from scaler.live.clock import steady
from tests.cluster.harness.cluster import Cluster
from tests.cluster.harness.rest import Document
from tests.cluster.harness.yamls import CRDS, establish

GROUP = "stories.agent-scaler.io"
PATH = f"/apis/{GROUP}/v1/tales"
NAME = f"tales.{GROUP}"
TALE: Document = {"apiVersion": f"{GROUP}/v1", "kind": "Tale", "metadata": {"name": "once"}}
SCHEMA: Document = {"openAPIV3Schema": {"type": "object"}}
CRD: Document = {
    "apiVersion": "apiextensions.k8s.io/v1",
    "kind": "CustomResourceDefinition",
    "metadata": {"name": NAME},
    "spec": {
        "group": GROUP,
        "scope": "Cluster",
        "names": {"kind": "Tale", "plural": "tales"},
        "versions": [{"name": "v1", "served": True, "storage": True, "schema": SCHEMA}],
    },
}


def test_a_kind_that_is_uninstalled_is_believed_gone_after_a_minute_and_found_again(
    cluster: Cluster, tmp_path: Path
) -> None:
    """Its watch breaks before it tells of all ends; nobody knows; there are none; and once it is back, so are they."""
    (tmp_path / "tales.yaml").write_text(yaml.safe_dump(CRD))
    establish(cluster.api, tmp_path)
    cluster.api.request("POST", PATH, TALE)
    try:
        asyncio.run(_told(cluster, tmp_path))
    finally:
        cluster.api.delete(f"{CRDS}/{NAME}")


async def _told(cluster: Cluster, folder: Path) -> None:
    async with open_api(cluster.admin) as api, aclosing(Feed(api, PATH, optional=True).follow()) as changes:
        assert [type(await anext(changes)) for _ in range(2)] == [Put, Listed]
        await asyncio.to_thread(cluster.api.delete, f"{CRDS}/{NAME}")
        denied = await _denied(changes)
        assert await _other_than(changes, Lost) == Listed(frozenset())
        assert steady() - denied > UNINSTALLED
        await asyncio.to_thread(establish, cluster.api, folder)
        await asyncio.to_thread(cluster.api.request, "POST", PATH, TALE)
        back = await _other_than(changes, Listed)
        assert isinstance(back, Put)
        assert text(back.found, "metadata", "name") == "once"


async def _denied(changes: AsyncGenerator[Change, None]) -> Instant:
    """When the API server said first that it does not serve the kind: it may answer lists for a moment before."""
    while not (isinstance(change := await anext(changes), Lost) and "is not served" in change.why):
        assert not isinstance(change, Put)
    return steady()


async def _other_than(changes: AsyncGenerator[Change, None], kind: type[Change]) -> Change:
    """The first that is of another kind."""
    while isinstance(change := await anext(changes), kind):
        pass
    return change
