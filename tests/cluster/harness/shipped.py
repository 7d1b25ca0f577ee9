"""The scaler as it ships: its manifests applied as they are, and its pods run as processes on two nodes."""

from __future__ import annotations

import json
import os
import shlex
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import yaml

from tests.cluster.harness.assets import Assets
from tests.cluster.harness.cluster import Cluster
from tests.cluster.harness.forwarder import Service, standing_in
from tests.cluster.harness.nodeagent import TAINT
from tests.cluster.harness.ports import answers, free
from tests.cluster.harness.processnode import process_node
from tests.cluster.harness.rest import Document
from tests.cluster.harness.wait import until
from tests.house.source import ROOT

HOME: Final = "agent-scaler"  # the namespace, and most of what is in it
BASE: Final = ROOT / "manifests" / "base"
OVERLAYS: Final = ROOT / "manifests" / "overlays"
PROTECTED: Final = OVERLAYS / "protected"
PROTECTED_MTLS: Final = OVERLAYS / "protected-mtls"
SANDBOXES: Final = ROOT / "manifests" / "sandboxes"
EVERYWHERE: Final = ("ClusterRole", "Validating", "Mutating")  # what belongs to no namespace
NODES: Final = ("scaler-a", "scaler-b")
ADDRESS: Final = "agent-scaler.agent-scaler:6000"  # what ScaledObjects name, and --control
FAR: Final = 5 * 60  # seconds that a command of kubectl may take
ENTRY: Final = 'exec "$0" "$@" --kubeconfig "$KUBECONFIG"'  # a process has no files where a pod has them
# All that a machine for both replicas asks for: our nodes, and an address of its own for each.
OVERLAY: Final = """\
apiVersion: kustomize.config.k8s.io/v1beta1
kind: Kustomization
resources: [{base}]
patches:
  - target: {{kind: Deployment}}
    patch: |-
      - {{op: replace, path: /spec/template/spec/containers/0/args/2, value: --keda=$(POD_IP):6000}}
      - {{op: replace, path: /spec/template/spec/containers/0/args/3, value: --http=$(POD_IP):8080}}
      - op: add
        path: /spec/template/spec/containers/0/env/0
        value: {{name: POD_IP, valueFrom: {{fieldRef: {{fieldPath: status.podIP}}}}}}
      - op: add
        path: /spec/template/spec/tolerations
        value: [{{key: {taint}, operator: Exists}}]
      - op: add
        path: /spec/template/spec/affinity
        value:
          nodeAffinity:
            requiredDuringSchedulingIgnoredDuringExecution:
              nodeSelectorTerms:
                - matchExpressions: [{{key: kubernetes.io/hostname, operator: In, values: [{nodes}]}}]
configMapGenerator:
  - name: agent-scaler
    namespace: agent-scaler
    behavior: replace
    files: [pools.yaml]
    options: {{disableNameSuffixHash: true}}
"""


@dataclass(frozen=True, slots=True)
class Shipped:
    """The scaler in its namespace.

    Attributes:
        objects: everything that was applied.
        service: what ScaledObjects name.
        folder: where the numbers are that pools read; ``tell`` changes them.
    """

    cluster: Cluster
    objects: Sequence[Document]
    service: Service
    folder: Path

    def tell(self, name: str, number: int) -> None:
        """From now on the page of this name has this number."""
        fresh = self.folder / f".{name}"
        fresh.write_text(json.dumps({"value": number}))
        fresh.replace(self.folder / name)

    def leader(self, *, other_than: str = "") -> str:
        """The pod that the Service sends calls to, once there is one and it is another."""

        def one() -> str | None:
            """One pod is labelled as the leader."""
            found = self.service.pods
            return found[0] if len(found) == 1 and found != [other_than] else None

        return until(one, within=120.0)

    def kill(self, pod: str) -> None:
        """Kill what runs in this pod, without a word: its kubelet starts it again, but its Lease has to run out."""
        for process in Path("/proc").glob("[0-9]*"):
            with suppress(OSError):  # not ours, or ended meanwhile
                if f"POD_NAME={pod}".encode() in process.joinpath("environ").read_bytes().split(b"\0"):
                    os.kill(int(process.name), signal.SIGKILL)

    def kubectl(self, *arguments: str) -> str:
        """What kubectl says, as the administrator.

        Raises:
            subprocess.CalledProcessError: it failed.
        """
        return kubectl("--kubeconfig", str(self.cluster.admin), "--namespace", HOME, *arguments)


def kubectl(*arguments: str) -> str:
    """What kubectl says.

    Raises:
        subprocess.CalledProcessError: it failed.
    """
    command = [str(Assets.usual().binary("kubectl")), *arguments]
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, encoding="utf-8", timeout=FAR).stdout


def rendered(folder: Path) -> str:
    """What kustomize makes of a folder.

    Raises:
        subprocess.CalledProcessError: it cannot.
    """
    return kubectl("kustomize", str(folder))


@contextmanager
def shipped(
    cluster: Cluster, pools: str, *, of: Path = BASE, beside: Callable[[], None] = lambda: None
) -> Iterator[Shipped]:
    """What a folder of manifests installs, with these pools, both replicas ready, until the end of the block.

    In the pools ``{page}`` stands for the page, ``{server}`` for the API server, and ``{folder}`` for where there are
    files ``token`` and ``ca.crt``. ``beside`` makes what the folder leaves to who installs it, once the namespace is
    there. Where the folder names the Service's address, the one that KEDA finds here stands in its place.
    """
    folder, port = cluster.folder / "numbers", free()
    folder.mkdir(exist_ok=True)
    page = f"http://127.0.0.1:{port}"
    marks = {"page": page, "folder": str(folder), "server": cluster.api.typed.configuration.host}
    for mark, value in marks.items():
        pools = pools.replace(f"{{{mark}}}", value)
    images = {HOME: shlex.join(["/bin/sh", "-c", ENTRY, str(Path(sys.executable).with_name("scaler"))])}
    serving = [sys.executable, "-m", "http.server", "--bind", "127.0.0.1", "--directory", str(folder), str(port)]
    with ExitStack() as stack:
        for node, zone in zip(NODES, "ab", strict=True):
            stack.enter_context(process_node(cluster, node, zone=zone, images=images))
        cluster.run("numbers", serving, ready=lambda: answers(page), ports=[port])
        stack.callback(cluster.remove, "numbers")
        service = stack.enter_context(standing_in(cluster.admin, HOME, HOME))
        found = _ours(cluster.folder / "overlay", of, pools, service)
        cluster.namespaces.await_gone(HOME)
        stack.callback(_removed, cluster, found)
        cluster.api.apply(found)
        cluster.mount(HOME, HOME, folder)
        beside()
        scaler = Shipped(cluster, found, service, folder)
        scaler.kubectl("rollout", "status", f"deployment/{HOME}", "--timeout=120s")
        scaler.leader()
        yield scaler


def objects(folder: Path) -> list[Document]:
    """The objects that kustomize makes of a folder."""
    return list(yaml.safe_load_all(rendered(folder)))


def _ours(folder: Path, of: Path, pools: str, service: Service) -> list[Document]:
    """What ships, with these pools, for our nodes."""
    folder.mkdir(exist_ok=True)
    folder.joinpath("pools.yaml").write_text(pools)
    overlay = OVERLAY.format(base=os.path.relpath(of, folder.resolve()), taint=TAINT, nodes=", ".join(NODES))
    folder.joinpath("kustomization.yaml").write_text(overlay)
    return list(yaml.safe_load_all(rendered(folder).replace(ADDRESS, service.named)))


def _removed(cluster: Cluster, documents: Sequence[Document]) -> None:
    """Let the scaler end in order, which is when nobody uses a right any more, and take everything away."""
    pods = f"/api/v1/namespaces/{HOME}/pods"
    cluster.api.delete(f"/apis/apps/v1/namespaces/{HOME}/deployments/{HOME}")
    until(lambda: not cluster.api.items(pods) or None, within=60.0)
    for document in documents:
        if str(document["kind"]).startswith(EVERYWHERE):
            cluster.api.delete(cluster.api.path(document))
    cluster.namespaces.drop(HOME)
