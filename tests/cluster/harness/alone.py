"""A cluster for one purpose, beside the one that a session of tests has."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from tests.cluster.harness.assets import Assets
from tests.cluster.harness.cluster import Cluster
from tests.cluster.harness.folders import session_folder


@contextmanager
def alone(*, hpa_period: float = 1.0, keda: bool = False) -> Iterator[Cluster]:
    """A control plane with nodes, and KEDA if it is wanted, until the end of the block."""
    with session_folder() as folder:
        cluster = Cluster(folder.path, Assets.usual(), hpa_period=hpa_period)
        try:
            cluster.start()
            if keda:
                cluster.start_keda()
            yield cluster
        finally:
            cluster.stop()
