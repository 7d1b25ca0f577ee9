"""Prometheus beside a cluster: Debian's, scraping one page every second."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from tests.cluster.harness.cluster import Cluster
from tests.cluster.harness.ports import answers, free
from tests.cluster.harness.process import Part
from tests.support.process import program

CONFIG = """\
global: {{scrape_interval: 1s}}
scrape_configs: [{{job_name: agents, static_configs: [{{targets: ["{target}"]}}]}}]
"""


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
def prometheus(cluster: Cluster, namespace: str, target: str) -> Iterator[Prometheus]:
    """One that scrapes ``target``, as HOST:PORT, until the end of the block."""
    folder, port, name = cluster.folder / f"prometheus-{namespace}", free(), f"prometheus-{namespace}"
    folder.mkdir()
    config = folder / "prometheus.yml"
    config.write_text(CONFIG.format(target=target))
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
