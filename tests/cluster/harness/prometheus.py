"""Prometheus beside a cluster: Debian's, scraping every second."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import yaml

from tests.cluster.harness.cluster import Cluster
from tests.cluster.harness.ports import answers, free
from tests.cluster.harness.process import Part
from tests.cluster.harness.rest import Document
from tests.support.process import program


@dataclass(frozen=True, slots=True)
class Prometheus:
    """One that runs.

    Attributes:
        part: its process; restarted it knows what it knew.
        url: where it is asked.
    """

    part: Part
    url: str


@contextmanager
def prometheus(cluster: Cluster, namespace: str, *jobs: Document) -> Iterator[Prometheus]:
    """One that scrapes for these jobs, which are as its configuration has them, until the end of the block."""
    folder, port, name = cluster.folder / f"prometheus-{namespace}", free(), f"prometheus-{namespace}"
    folder.mkdir()
    config = folder / "prometheus.yml"
    config.write_text(yaml.safe_dump({"global": {"scrape_interval": "1s"}, "scrape_configs": [*jobs]}))
    command = (
        program("prometheus", "prometheus"),
        f"--config.file={config}",
        f"--storage.tsdb.path={folder / 'data'}",
        f"--web.listen-address=127.0.0.1:{port}",
    )
    url = f"http://127.0.0.1:{port}"
    part = cluster.run(name, command, ready=lambda: answers(f"{url}/-/ready"), ports=[port])
    try:
        yield Prometheus(part, url)
    finally:
        cluster.remove(name)
