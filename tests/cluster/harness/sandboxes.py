"""agent-sandbox: its controller as it is shipped, with the extensions (templates, warm pools, claims)."""

from __future__ import annotations

from pathlib import Path

from tests.cluster.harness.assets import Assets, module
from tests.cluster.harness.ports import answers, free
from tests.cluster.harness.process import Program
from tests.cluster.harness.rest import Api, Document
from tests.cluster.harness.yamls import documents, establish, of_kinds

SANDBOXES = "agent-sandbox"
NAMESPACE = "agent-sandbox-system"
ACCOUNT = "agent-sandbox-controller"
FILES = ("controller.yaml", "rbac.generated.yaml", "extensions-rbac.generated.yaml", "extensions.yaml")
KINDS = ("Namespace", "ServiceAccount", "ClusterRole", "ClusterRoleBinding", "Role", "RoleBinding")


def install(api: Api) -> None:
    """Apply the CRDs and the roles; return when the CRDs are established."""
    shipped = module(SANDBOXES) / "k8s"
    establish(api, shipped / "crds", _unconverted)
    api.apply(of_kinds(documents(*(shipped / name for name in FILES)), *KINDS))


def _unconverted(crd: Document) -> Document:
    """Only the newest version is used here, so nothing is left for the webhook that would convert the others."""
    spec = crd["spec"]
    assert isinstance(spec, dict)
    return crd | {"spec": spec | {"conversion": {"strategy": "None"}}}


def program(assets: Assets, kubeconfig: Path) -> Program:
    """The controller."""
    health = free()
    command = (
        assets.binary("agent-sandbox-controller"),
        f"--kubeconfig={kubeconfig}",
        "--extensions",
        "--enable-webhook=false",
        "--leader-elect=false",
        f"--health-probe-bind-address=127.0.0.1:{health}",
        f"--metrics-bind-address=127.0.0.1:{free()}",
    )
    return Program(SANDBOXES, command, ready=lambda: answers(f"http://127.0.0.1:{health}/readyz"), ports=[health])
