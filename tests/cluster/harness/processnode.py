"""A node of processes beside a cluster, as synchronous tests see it."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.cluster.harness.cluster import Cluster
from tests.cluster.harness.nodeagent import TAINT
from tests.cluster.harness.process import Part
from tests.cluster.harness.rest import Document, condition
from tests.cluster.harness.wait import until


@dataclass(frozen=True, slots=True)
class ProcessNode:
    """A node whose pods are processes.

    Attributes:
        part: the node agent. Killed, it takes every process of its pods with it.
        name: the node's name.
        folder: with one for each pod.
    """

    part: Part
    name: str
    folder: Path

    def placed(self) -> Document:
        """What a pod's spec needs to run here."""
        return {
            "nodeSelector": {"kubernetes.io/hostname": self.name},
            "tolerations": [{"key": TAINT, "operator": "Exists"}],
        }

    def pod_folders(self, namespace: str, pod: str) -> list[Path]:
        """The folders of the pods of that name, in no order: ``CONTAINER`` is where one runs, ``volumes`` beside it."""
        return list(self.folder.glob(f"{namespace}_{pod}_*"))

    def log(self, namespace: str, pod: str, container: str) -> str:
        """What a container of the pod has written so far, over all its restarts."""
        logs = (folder / f"{container}.log" for folder in self.pod_folders(namespace, pod))
        return "".join(log.read_text(errors="replace") for log in logs if log.exists())


@contextmanager
def process_node(
    cluster: Cluster, name: str, *, zone: str = "a", images: Mapping[str, str] | None = None
) -> Iterator[ProcessNode]:
    """A node of that name, until the end of the block; ``images`` has the entry points of images by their names."""
    folder = cluster.folder / "nodes" / name
    folder.mkdir(parents=True, exist_ok=True)
    part = cluster.run(f"node-{name}", _command(cluster.admin, name, zone, folder, images or {}))
    try:
        until(lambda: condition(cluster.api.get(f"/api/v1/nodes/{name}"), "Ready") == "True" or None)
        yield ProcessNode(part, name, folder)
    finally:
        cluster.remove(f"node-{name}")


def _command(kubeconfig: Path, name: str, zone: str, folder: Path, images: Mapping[str, str]) -> list[str | Path]:
    command: list[str | Path] = [sys.executable, "-m", "tests.cluster.harness.nodeagent", "--kubeconfig", kubeconfig]
    command += ["--node", name, "--zone", zone, "--folder", folder]
    return command + [f"--image={image}={entry}" for image, entry in images.items()]
