"""The programs of others that the cluster is made of: one Go module each, under ``tests/cluster/tools``.

Each module's files pin its tool and everything under it by version and hash, so nothing of theirs is kept here.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from pathlib import Path

MODULES = Path(__file__).parents[1] / "tools"
KUBERNETES = "1.36.3"
COMMANDS = ("kube-apiserver", "kube-controller-manager", "kube-scheduler", "kubectl")
SMALL = "-s -w"  # without symbols: a third of the size
# Without these the server calls itself v0.0.0, and clients and feature gates go by what it calls itself.
STAMPED = " ".join(
    f"-X k8s.io/component-base/version.{name}={value}"
    for name, value in {"gitVersion": f"v{KUBERNETES}", "gitMajor": "1", "gitMinor": "36"}.items()
)


@dataclass(frozen=True, slots=True)
class Tool:
    """One module and what is built from it.

    Attributes:
        name: the folder of its module.
        module: the Go module that its YAML is read from.
        packages: the commands in it.
        binaries: what they are called, under the folder of binaries.
        output: where Go puts them there; a folder's ends in a slash.
        linking: flags for the linker.
        modules: the folder with the folders of modules.
    """

    name: str
    module: str
    packages: tuple[str, ...]
    binaries: tuple[str, ...]
    output: str = "./"
    linking: str = SMALL
    modules: Path = MODULES

    @property
    def folder(self) -> Path:
        """Where ``go.mod`` is."""
        return self.modules / self.name

    @property
    def go(self) -> tuple[int, ...]:
        """The lowest version of Go that builds it."""
        found = re.search(r"^go (\d+(?:\.\d+)+)$", (self.folder / "go.mod").read_text(), re.MULTILINE)
        assert found is not None, f"{self.folder / 'go.mod'} names no version of Go"
        return tuple(int(part) for part in found[1].split("."))

    @property
    def command(self) -> tuple[str, ...]:
        """The arguments of ``go``, without where to put the result."""
        return ("build", "-v", "-trimpath", "-buildvcs=false", "-ldflags", self.linking)

    @property
    def key(self) -> str:
        """Names the result: another one for other files or other flags."""
        digest = hashlib.sha256("\0".join((*self.command, *self.packages)).encode())
        for path in sorted(self.folder.iterdir()):
            digest.update(path.name.encode() + b"\0" + path.read_bytes())
        return digest.hexdigest()[:16]


TOOLS = {
    tool.name: tool
    for tool in (
        Tool("etcd", "go.etcd.io/etcd/server/v3", (".",), ("etcd",), output="etcd"),
        Tool(
            "kubernetes",
            "k8s.io/kubernetes",
            tuple(f"k8s.io/kubernetes/cmd/{name}" for name in COMMANDS),
            COMMANDS,
            linking=f"{SMALL} {STAMPED}",
        ),
        Tool("kwok", "sigs.k8s.io/kwok", ("sigs.k8s.io/kwok/cmd/kwok",), ("kwok",)),
        Tool(
            "keda",
            "github.com/kedacore/keda/v2",
            tuple(f"github.com/kedacore/keda/v2/cmd/{name}" for name in ("operator", "adapter", "webhooks")),
            ("keda/operator", "keda/adapter", "keda/webhooks"),
            output="keda/",
        ),
        Tool(
            "agent-sandbox",
            "sigs.k8s.io/agent-sandbox",
            ("sigs.k8s.io/agent-sandbox/cmd/agent-sandbox-controller",),
            ("agent-sandbox-controller",),
        ),
        Tool("karpenter", "sigs.k8s.io/karpenter", ("sigs.k8s.io/karpenter/kwok",), ("karpenter",), output="karpenter"),
    )
}
