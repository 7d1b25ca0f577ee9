"""What a test has left behind: processes, ports, namespaces, and whatever else concerns the whole cluster."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from tests.cluster.harness.cluster import Cluster
from tests.cluster.harness.rest import Document
from tests.cluster.harness.wait import until

LISTENING = "0A"  # the state in /proc/net/tcp
# What outlives a namespace, and would change the next test's story.
EVERYWHERE = (
    "/api/v1/namespaces",
    "/api/v1/nodes",
    "/api/v1/persistentvolumes",
    "/apis/admissionregistration.k8s.io/v1/validatingadmissionpolicies",
    "/apis/admissionregistration.k8s.io/v1/validatingadmissionpolicybindings",
    "/apis/admissionregistration.k8s.io/v1/mutatingadmissionpolicies",
    "/apis/admissionregistration.k8s.io/v1/mutatingadmissionpolicybindings",
    "/apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations",
    "/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations",
    "/apis/apiextensions.k8s.io/v1/customresourcedefinitions",
    "/apis/apiregistration.k8s.io/v1/apiservices",
    "/apis/karpenter.kwok.sh/v1alpha1/kwoknodeclasses",
    "/apis/karpenter.sh/v1/nodeclaims",
    "/apis/karpenter.sh/v1/nodepools",
    "/apis/keda.sh/v1alpha1/clustertriggerauthentications",
    "/apis/rbac.authorization.k8s.io/v1/clusterroles",
    "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings",
    "/apis/scheduling.k8s.io/v1/priorityclasses",
)


@dataclass(frozen=True)
class Leftovers:
    """What there was before a test, to be held against what there is after it."""

    cluster: Cluster
    parts: frozenset[str]
    processes: frozenset[int]
    ports: frozenset[int]
    objects: frozenset[str]

    @classmethod
    def before(cls, cluster: Cluster) -> Leftovers:
        """As things are now."""
        return cls(
            cluster,
            frozenset(cluster.parts),
            frozenset(_descendants(cluster)),
            frozenset(_ports()),
            frozenset(_objects(cluster)),
        )

    def removed(self, *, within: float = 10.0) -> list[str]:
        """What is left after so many seconds, in words; it is cleared away, so that the next test starts afresh."""
        with suppress(AssertionError):
            until(lambda: not self._found() or None, within=within)
        found = self._found()
        if found:
            self._clear()
        return found

    def _found(self) -> list[str]:
        parts = self.cluster.parts
        return [
            *(f"part {name} still runs" for name in parts if name not in self.parts),
            *(f"part {name} has ended, see {parts[name].log}" for name in self.parts if not parts[name].running),
            *(f"part {name} is frozen" for name in self.parts if parts[name].frozen),
            *(f"process {pid} runs: {_command(pid)}" for pid in self._strangers()),
            *(f"port {port} is listened on by this process" for port in sorted(_ports() - self.ports)),
            *(f"namespace {told}" for told in self.cluster.namespaces.stuck()),
            *(f"object {path}" for path in sorted(_objects(self.cluster) - self.objects)),
        ]

    def _strangers(self) -> set[int]:
        """Processes that are new; a part that was restarted is none."""
        known = {part.pid for part in self.cluster.parts.values() if part.running}
        return _descendants(self.cluster) - self.processes - known

    def _clear(self) -> None:
        for name in set(self.cluster.parts) - self.parts:
            self.cluster.parts.pop(name).kill()
        for name in self.parts:
            part = self.cluster.parts[name]
            if part.frozen:
                part.thaw()
            if not part.running:
                part.restart()
        for pid in self._strangers():
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        for path in _objects(self.cluster) - self.objects:
            self.cluster.api.delete(path, grace=0)


def _objects(cluster: Cluster) -> set[str]:
    """The paths of all objects that belong to no namespace; namespaces that are on their way out do not count."""
    return {
        f"{path}/{name}"
        for path in EVERYWHERE
        for item in cluster.api.items(path)
        if (name := _lasting(item)) is not None
    }


def _lasting(item: Document) -> str | None:
    metadata = item["metadata"]
    assert isinstance(metadata, dict)
    return None if metadata.get("deletionTimestamp") else str(metadata["name"])


def _descendants(cluster: Cluster) -> set[int]:
    """Our children and theirs, and those of parts that ended before their own children did: they keep the session."""
    found, ours = {os.getpid()}, cluster.sessions
    stats = list(_stats())
    while grown := {pid for pid, parent, session in stats if parent in found or session in ours} - found:
        found |= grown
    return found - {os.getpid()}


def _stats() -> Iterator[tuple[int, int, int]]:
    """Every process that has not ended: its id, its parent's, and its session's."""
    for entry in Path("/proc").iterdir():
        with suppress(OSError, ValueError):  # it has ended meanwhile, or is no process
            pid, fields = int(entry.name), (entry / "stat").read_text().rpartition(") ")[2].split()
            if fields[0] not in "ZX":
                yield pid, int(fields[1]), int(fields[3])


def _command(pid: int) -> str:
    with suppress(OSError):
        return Path(f"/proc/{pid}/cmdline").read_text().replace("\0", " ")[:200]
    return "ended by now"


def _ports() -> set[int]:
    """The TCP ports that this process listens on."""
    inodes = {link.removeprefix("socket:[").removesuffix("]") for link in _links() if link.startswith("socket:[")}
    lines = [
        line.split() for table in ("tcp", "tcp6") for line in Path(f"/proc/net/{table}").read_text().splitlines()[1:]
    ]
    return {int(line[1].rpartition(":")[2], 16) for line in lines if line[3] == LISTENING and line[9] in inodes}


def _links() -> Iterator[str]:
    for entry in Path("/proc/self/fd").iterdir():
        with suppress(OSError):
            yield str(entry.readlink())
