"""What people copy is what an API server takes: every YAML that is shipped, asked of a real one, to the last field."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from tests.cluster.harness.cluster import Cluster
from tests.cluster.harness.rest import Document, RefusedError
from tests.cluster.harness.shipped import BASE, HOME, kubectl, rendered
from tests.house.source import ROOT

PAGES = sorted([ROOT / "README.md", *(ROOT / "docs").glob("*.md")])
FENCE = re.compile(r"^```yaml\n(.*?)^```", re.MULTILINE | re.DOTALL)
KUSTOMIZATIONS = sorted(path.parent for path in (ROOT / "manifests").rglob("kustomization.yaml"))
KEDA_OBJECTS = sorted((ROOT / "keda").glob("*.yaml"))
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


def objects(text: str) -> list[Document]:
    """Those of a text's YAML documents that are Kubernetes objects."""
    return [d for d in yaml.safe_load_all(text) if isinstance(d, dict) and {"apiVersion", "kind"} <= d.keys()]


def shown() -> Iterator[tuple[str, list[Document]]]:
    """Every block of YAML in the pages that shows Kubernetes objects, by where it stands."""
    for page in PAGES:
        for block in FENCE.finditer(page.read_text()):
            if found := objects(block[1]):
                yield f"{name(page)}:{page.read_text()[: block.start()].count(chr(10)) + 1}", found


SHOWN = dict(shown())


@pytest.fixture(scope="session")
def homes(keda: Cluster, sandboxes: Cluster) -> Iterator[Cluster]:
    """The namespaces that the examples name, and every kind that they are of."""
    for namespace in ("agents", HOME):
        keda.api.apply([{"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}}])
    yield keda
    for namespace in ("agents", HOME):
        keda.namespaces.drop(namespace)


@pytest.mark.parametrize("path", KEDA_OBJECTS, ids=name)
def test_every_keda_example_is_taken_as_it_stands(homes: Cluster, path: Path) -> None:
    """By the CRDs of the pinned KEDA: no field that is unknown, misplaced or of the wrong type."""
    assert homes.api.apply(objects(path.read_text()), dry=True)


@pytest.mark.parametrize("folder", KUSTOMIZATIONS, ids=name)
def test_every_kustomization_renders_and_is_taken(homes: Cluster, folder: Path) -> None:
    """Base, overlays and rules, each by itself."""
    assert homes.api.apply(rendered(folder), dry=True)


@pytest.mark.parametrize("place", SHOWN)
def test_every_object_shown_in_a_page_is_taken(homes: Cluster, place: str) -> None:
    """The README is copied from more often than anything else."""
    assert homes.api.apply(SHOWN[place], namespace="agents", dry=True)


def test_a_misspelt_field_is_refused(homes: Cluster) -> None:
    """Otherwise the three tests above would prove nothing."""
    (good,) = objects((ROOT / "keda" / "scaledobject-pull.yaml").read_text())
    text = yaml.safe_dump(good)
    for wrong in (text.replace("tolerance:", "tolerence:"), text.replace("maxReplicaCount", "maxReplicas")):
        assert wrong != text
        with pytest.raises(RefusedError, match=r"unknown field|field not declared"):
            homes.api.apply(wrong, dry=True)


def test_pods_of_the_scaler_run_where_only_restricted_ones_may(homes: Cluster) -> None:
    """The namespace that ships enforces the strictest Pod Security, and the Deployment becomes available in it."""
    homes.api.apply(rendered(BASE))
    with pytest.raises(RefusedError, match="violates PodSecurity"):
        homes.api.apply(ORDINARY, namespace="agent-scaler", dry=True)
    kubectl("--kubeconfig", str(homes.admin), "-n", HOME, "rollout", "status", f"deployment/{HOME}", "--timeout=60s")
    for kind in ("clusterroles", "clusterrolebindings"):
        homes.api.delete(f"/apis/rbac.authorization.k8s.io/v1/{kind}/{HOME}")
