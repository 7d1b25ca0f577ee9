"""A fleet beside a cluster, as synchronous tests see it."""

from __future__ import annotations

import json
import shutil
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlencode

import urllib3

from tests.cluster.harness.cluster import Cluster
from tests.cluster.harness.journal import Line, lines
from tests.cluster.harness.ports import answers, free
from tests.cluster.harness.process import Part

LABEL: Final = "app"
MEMORY: Final = Path("/dev/shm")  # noqa: S108 (a thousand agents that start write a thousand files to the disk)
_HTTP: Final = urllib3.PoolManager(retries=False, timeout=10.0)


@dataclass(frozen=True, slots=True)
class Crew:
    """A fleet that runs.

    Attributes:
        part: its process.
        url: where its pages are.
        journal: what it has written.
        port: where its agents listen, each at its pod's address.
    """

    part: Part
    url: str
    journal: Path
    port: int

    def pools(self) -> Mapping[str, Mapping[str, float]]:
        """How the pools stand that there are, by NAMESPACE/NAME and as ``pages`` says it."""
        said: Mapping[str, Mapping[str, float]] = _read("GET", f"{self.url}/pools")
        return said

    def turn(self, pool: str, **load: float) -> Mapping[str, float]:
        """Turn the load of the pool: ``rate``, ``shorten``, ``subagents``, ``follows``, ``burst``.

        Raises:
            AssertionError: it cannot be turned so.
        """
        said: Mapping[str, float] = _read("POST", f"{self.url}/load?{urlencode({'pool': pool, **load})}")
        return said

    def activity(self, ip: str) -> bytes:
        """What the agent at this address says of itself: the body of its answer.

        Raises:
            urllib3.exceptions.HTTPError: nobody is there.
        """
        return _HTTP.request("GET", f"http://{ip}:{self.port}/activity", timeout=2.0).data

    def told(self) -> list[Line]:
        """Its journal so far."""
        return list(lines(self.journal))


@contextmanager
def crew(cluster: Cluster, namespace: str, *, label: str = LABEL, keys: Path | None = None) -> Iterator[Crew]:
    """A fleet that is all pods of a namespace with that label, until the end of the block.

    Its agents believe drain orders that are signed by the key set ``keys``, and none without it.
    """
    name, pages, agents = f"fleet-{namespace}", free(), free()
    journal = cluster.folder / f"{name}.jsonl"
    command = (
        *(sys.executable, "-m", "tests.cluster.harness.fleet", "--kubeconfig", cluster.admin),
        *("--journal", journal, "--label", label, "--namespace", namespace),
        *("--port", str(agents), "--control", f"127.0.0.1:{pages}"),
    )
    state = tempfile.mkdtemp(prefix=f"{name}-", dir=MEMORY if MEMORY.is_dir() else None)
    command = (*command, "--state", state, *(() if keys is None else ("--keys", keys)))
    url = f"http://127.0.0.1:{pages}"
    part = cluster.run(name, command, ready=lambda: answers(f"{url}/pools"), ports=[pages])
    try:
        yield Crew(part, url, journal, agents)
    finally:
        cluster.remove(name)
        shutil.rmtree(state)


def _read(method: str, url: str) -> Any:  # noqa: ANN401 (the caller knows the page)
    answer = _HTTP.request(method, url)
    assert answer.status == 200, f"{method} {url}: {answer.status} {answer.data.decode(errors='replace')}"
    return json.loads(answer.data)
