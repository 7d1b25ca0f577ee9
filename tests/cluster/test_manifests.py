"""What people copy is what an API server takes: every YAML that is shipped, asked of a real one, to the last field."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from scaler.controller.dig import objects as entries
from scaler.controller.dig import text
from scaler.controller.doctor.catalogue import CHECKS
from tests.cluster.harness.cluster import Cluster
from tests.cluster.harness.rest import Document, RefusedError
from tests.cluster.harness.shipped import BASE, HOME, PROTECTED, kubectl
from tests.cluster.harness.shipped import objects as rendered_objects
from tests.house.source import ROOT

PAGES = sorted([ROOT / "README.md", *(ROOT / "docs").glob("*.md")])
FENCE = re.compile(r"^```yaml\n(.*?)^```", re.MULTILINE | re.DOTALL)
FOLDERS = sorted(path.parent for path in (ROOT / "manifests").rglob("kustomization.yaml"))
# A component is nothing by itself; it is seen in the overlays that take it.
KUSTOMIZATIONS = [folder for folder in FOLDERS if "kind: Component" not in (folder / "kustomization.yaml").read_text()]
KEDA_OBJECTS = sorted((ROOT / "keda").glob("*.yaml"))
OVERLAYS = ROOT / "manifests" / "overlays"
DELETIONS = ("delete", "owners", "sandboxes")
CONTAINERS = ("spec", "template", "spec", "containers")
NAMESPACES = ("agents", "sandboxes", HOME)
ORDINARY = """
apiVersion: v1
kind: Pod
metadata: {name: ordinary}
spec:
  containers: [{name: it, image: registry.example/it:1}]
"""


def name(path: Path) -> str:
    """How a test calls a file."""
    return str(path.relative_to(ROOT))


def objects(said: str) -> list[Document]:
    """Those of a text's YAML documents that are Kubernetes objects."""
    return [d for d in yaml.safe_load_all(said) if isinstance(d, dict) and {"apiVersion", "kind"} <= d.keys()]


def shown() -> Iterator[tuple[str, list[Document]]]:
    """Every block of YAML in the pages that shows Kubernetes objects, by where it stands."""
    for page in PAGES:
        for block in FENCE.finditer(page.read_text()):
            if found := objects(block[1]):
                yield f"{name(page)}:{page.read_text()[: block.start()].count(chr(10)) + 1}", found


SHOWN = dict(shown())


PLACES = [*map(name, KEDA_OBJECTS), *map(name, KUSTOMIZATIONS), *SHOWN]


def found(place: str) -> list[Document]:
    """The objects of a file, of a kustomization, or of a block in a page, as they stand there."""
    if place in SHOWN:
        return SHOWN[place]
    path = ROOT / place
    return rendered_objects(path) if path.is_dir() else objects(path.read_text())


@pytest.fixture(scope="module")
def homes(keda: Cluster, sandboxes: Cluster) -> Iterator[Cluster]:
    """The namespaces that the examples name, and every kind that they are of."""
    for namespace in NAMESPACES:
        keda.namespaces.await_gone(namespace)
        keda.api.apply([{"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}}])
    yield keda
    for namespace in NAMESPACES:
        keda.namespaces.drop(namespace)


@pytest.mark.parametrize("place", PLACES)
def test_everything_that_people_copy_is_taken_as_it_stands(homes: Cluster, place: str) -> None:
    """Every example, by the CRDs of the pinned KEDA; base, overlays and rules, each by itself; what pages show."""
    assert homes.api.apply(found(place), namespace="agents", dry=True)


@pytest.mark.parametrize("place", PLACES)
def test_a_slip_in_any_of_it_is_refused(homes: Cluster, place: str) -> None:
    """Whichever object has one field that nobody knows: otherwise the test above would prove nothing."""
    for document in found(place):
        for wrong in slips(document):
            with pytest.raises(RefusedError, match=r"unknown field|field not declared"):
                homes.api.apply([wrong], namespace="agents", dry=True)


def slips(document: Document) -> Iterator[Document]:
    """The object with a slip in itself, and with one in each of its parts that are no free maps."""
    yield document | {"slip": "of the pen"}
    for part in ("spec", "metadata", "roleRef"):
        if isinstance(inner := document.get(part), dict):
            yield document | {part: inner | {"slip": "of the pen"}}


def test_no_yaml_is_left_out() -> None:
    """Each file under manifests is one of a kustomization's; those under keda are examples, or what is said of them."""
    named = {folder / "kustomization.yaml" for folder in FOLDERS}
    for folder in FOLDERS:
        named |= set(files_of(folder, yaml.safe_load((folder / "kustomization.yaml").read_text())))
    assert set((ROOT / "manifests").rglob("*.y*ml")) - named == set()
    assert set((ROOT / "keda").rglob("*.y*ml")) == set(KEDA_OBJECTS)


def files_of(folder: Path, kustomization: Document) -> Iterator[Path]:
    """The files that a kustomization names."""
    for key in ("resources", "patches", "configMapGenerator", "configurations"):
        found = kustomization.get(key)
        for entry in found if isinstance(found, list) else ():
            paths = entry if isinstance(entry, dict) else {"path": entry}
            said = [paths.get("path"), *(listed if isinstance(listed := paths.get("files"), list) else ())]
            yield from (folder / str(path) for path in said if path is not None)


def known(document: Document) -> tuple[str, str]:
    """What an object is called."""
    return text(document, "kind"), text(document, "metadata", "name")


def the(kind: str, documents: list[Document]) -> Document:
    """The object of this kind that is called as we are."""
    [found] = [document for document in documents if known(document) == (kind, HOME)]
    return found


@pytest.mark.parametrize(("secured", "plain"), [("mtls", BASE), ("protected-mtls", PROTECTED)])
def test_tls_is_added_to_what_is_there_and_takes_nothing_away(secured: str, plain: Path) -> None:
    """The drain controller keeps its address and its key, or the guards would keep pods that nobody drains."""
    with_tls, without = rendered_objects(OVERLAYS / secured), rendered_objects(plain)
    assert [known(document) for document in with_tls] == [known(document) for document in without]
    [much], [little] = (entries(the("Deployment", found), *CONTAINERS) for found in (with_tls, without))
    assert much["args"] == little["args"]
    kept = entries(much, "volumeMounts")
    assert [mount for mount in entries(little, "volumeMounts") if mount not in kept] == []
    ports = entries(the("Service", with_tls), "spec", "ports")
    assert [(text(port, "name"), "appProtocol" in port) for port in ports] == [("grpc", False), ("http", False)]
    assert "tls:" in text(the("ConfigMap", with_tls), "data", "pools.yaml")


def test_the_first_week_is_the_second_but_for_what_warns() -> None:
    """All of it: the same objects, of which three bindings and the defaults of pools are others."""
    both = zip(rendered_objects(OVERLAYS / "audit-first"), rendered_objects(PROTECTED), strict=True)
    bindings = {("ValidatingAdmissionPolicyBinding", f"agent-scaler-{name}") for name in DELETIONS}
    assert {known(week) for week, after in both if week != after} == bindings | {("ConfigMap", HOME)}


@pytest.mark.parametrize("overlay", ["protected", "protected-mtls", "audit-first"])
def test_what_doctor_would_have_applied_is_what_was_installed(overlay: str) -> None:
    """Else the mending of a guard would end a first week, and that of a right take TLS away."""
    installed, fixes = rendered_objects(OVERLAYS / overlay), [check.fix for check in CHECKS]
    assert any(re.search(rf"apply -k FOLDER.* (manifests/overlays/)?{overlay}\b", fix) for fix in fixes)
    for path in (ROOT / said for fix in fixes for said in re.findall(r"apply -[kf] (manifests/[^\s,;]+)", fix)):
        applied = rendered_objects(path) if path.is_dir() else objects(path.read_text())
        assert [each for each in applied if each not in installed] == []


def test_pods_of_the_scaler_run_where_only_restricted_ones_may(homes: Cluster) -> None:
    """The namespace that ships enforces the strictest Pod Security, and the Deployment becomes available in it."""
    homes.api.apply(rendered_objects(BASE))
    with pytest.raises(RefusedError, match="violates PodSecurity"):
        homes.api.apply(ORDINARY, namespace="agent-scaler", dry=True)
    kubectl("--kubeconfig", str(homes.admin), "-n", HOME, "rollout", "status", f"deployment/{HOME}", "--timeout=60s")
    for kind in ("clusterroles", "clusterrolebindings"):
        homes.api.delete(f"/apis/rbac.authorization.k8s.io/v1/{kind}/{HOME}")
