"""What people apply, read from the files: every object under keda/ and of the kustomizations, with its file."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, TypeAlias

import yaml

from tests.house.source import ROOT

Body: TypeAlias = dict[str, Any]
MANIFESTS: Final = ROOT / "manifests"
OF_NO_NAMESPACE: Final = (
    "Namespace",
    "ClusterRole",
    "ClusterRoleBinding",
    "RuntimeClass",
    "ClusterTriggerAuthentication",
)
WORKLOADS: Final = ("Deployment", "StatefulSet", "SandboxTemplate", "ScaledJob")


@dataclass(frozen=True, slots=True)
class Defined:
    """An object, and the file that has it. A patch defines nothing."""

    path: Path
    body: Body
    namespace: str

    @property
    def name(self) -> tuple[str, str, str, str]:
        """What the API server knows it by, whatever the version of its group."""
        group = self.body["apiVersion"].rpartition("/")[0]
        return group, self.body["kind"], self.namespace, self.body["metadata"]["name"]


def kustomizations() -> dict[Path, Body]:
    """Every folder that is applied with -k, or is a part of one."""
    found = sorted(MANIFESTS.rglob("kustomization.yaml"))
    return {path.parent: yaml.safe_load(path.read_text()) for path in found}


def defined() -> Iterator[Defined]:
    """Every object that ships, once for each file that has it."""
    for folder, said in kustomizations().items():
        for name in said.get("resources", ()):
            if (path := folder / name).is_file():
                yield from _of(path, said.get("namespace", ""))
    for path in sorted((ROOT / "keda").glob("*.yaml")):
        yield from _of(path, "")


def _of(path: Path, namespace: str) -> Iterator[Defined]:
    for body in yaml.safe_load_all(path.read_text()):
        alone = body["kind"] in OF_NO_NAMESPACE or "AdmissionPolicy" in body["kind"]
        yield Defined(path, body, "" if alone else namespace or body["metadata"].get("namespace", ""))


def templates() -> dict[str, Body]:
    """Every pod template that ships, by its file and name."""
    return {
        f"{one.path.relative_to(ROOT)}: {one.body['metadata']['name']}": _template(one.body["spec"])
        for one in defined()
        if one.body["kind"] in WORKLOADS
    }


def _template(spec: Body) -> Body:
    found: Body = spec.get("podTemplate") or spec.get("template") or spec["jobTargetRef"]["template"]
    return found
