"""The scaler beside agent-sandbox: its process under the rights that ship, pools, claims, and what became of them."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final, TypeAlias

import urllib3
import yaml
from prometheus_client.parser import text_string_to_metric_families

from tests.cluster.harness.cluster import Cluster
from tests.cluster.harness.ports import answers, free
from tests.cluster.harness.process import Part
from tests.cluster.harness.rest import Document, Json
from tests.cluster.harness.shipped import BASE as BASE_FOLDER
from tests.cluster.harness.shipped import HOME, SANDBOXES, objects
from tests.cluster.harness.wait import until

ACCOUNT: Final = f"system:serviceaccount:{HOME}:{HOME}"
SCALER: Final = "warm-scaler"
VERSION: Final = "extensions.agents.x-k8s.io/v1beta1"
BASE: Final = f"/apis/{VERSION}/namespaces"
HOUSE: Final = f"""\
apiVersion: v1
kind: Namespace
metadata: {{name: {HOME}}}
---
apiVersion: v1
kind: ServiceAccount
metadata: {{name: {HOME}, namespace: {HOME}}}
"""


Pools: TypeAlias = Mapping[str, Mapping[str, float | str]]  # what the file says of each


@dataclass(frozen=True, slots=True)
class Warmth:
    """A scaler that sizes warm pools.

    Attributes:
        keda: where KEDA is to ask it.
        config: its configuration file.
        mark: where the audit log was when it came.
    """

    cluster: Cluster
    part: Part
    page: str
    keda: str
    config: Path
    mark: int

    def metric(self, name: str, **labels: str) -> float | None:
        """The sum of the samples of a metric that have these labels; None where there is none."""
        page = urllib3.request("GET", f"{self.page}/metrics", timeout=10.0, retries=False)
        families = text_string_to_metric_families(page.data.decode())
        found = [
            sample.value
            for family in families
            for sample in family.samples
            if sample.name == f"agent_scaler_warm_pool_{name}" and labels.items() <= sample.labels.items()
        ]
        return sum(found) if found else None

    def served(self, word: str) -> int:
        """Claims that were served so."""
        return int(self.metric("claims_total", served=word) or 0)

    def blocked(self, why: str) -> bool | None:
        """Whether a pool is left alone for this, for ``until``."""
        return self.metric("blocked", why=why) == 1 or None

    def writes(self) -> list[str]:
        """What the scaler has written since it came: verb and resource."""
        ours = (
            r
            for r in self.cluster.audit.since(self.mark)
            if r.user == f"system:serviceaccount:{HOME}:{HOME}" and r.status < 300
        )
        return [
            f"{r.verb} {r.resource}/{r.subresource}".rstrip("/") for r in ours if r.verb not in {"get", "list", "watch"}
        ]

    def tell(self, pools: Pools) -> None:
        """From now on the file has these warm pools."""
        fresh = self.config.with_suffix(".new")
        fresh.write_text(yaml.safe_dump({"warm_pools": {"pools": {key: dict(told) for key, told in pools.items()}}}))
        fresh.replace(self.config)


@contextmanager
def warming(cluster: Cluster, pools: Pools, *options: str) -> Iterator[Warmth]:
    """The scaler with these warm pools, under the ServiceAccount and the rights that ship, until the end.

    ``options`` are further ones of ``scaler serve``.
    """
    mark, rights = cluster.audit.mark(), _rights()
    cluster.namespaces.await_gone(HOME)  # an earlier story may have had it
    cluster.api.apply(HOUSE)
    cluster.api.apply(rights)
    config, keda, http = cluster.folder / "warm-pools.yaml", free(), free()
    page = f"http://127.0.0.1:{http}"
    command: list[str | Path] = [Path(sys.executable).with_name("scaler"), "serve", config, f"--keda=127.0.0.1:{keda}"]
    command += [
        f"--http=127.0.0.1:{http}",
        f"--kubeconfig={cluster.service_account(HOME, HOME)}",
        "--log-format=json",
        *options,
    ]
    config.write_text(yaml.safe_dump({"warm_pools": {"pools": {key: dict(told) for key, told in pools.items()}}}))
    part = cluster.run(SCALER, command, ready=lambda: answers(f"{page}/readyz"), ports=[keda, http])
    try:
        yield Warmth(cluster, part, page, f"127.0.0.1:{keda}", config, mark)
    finally:
        cluster.remove(SCALER)
        config.unlink()
        for right in rights:
            cluster.api.delete(cluster.api.path(right))
        cluster.namespaces.drop(HOME)
        home = f"/api/v1/namespaces/{HOME}"
        until(lambda: cluster.api.get(home) is None or None, within=120.0)  # the next story has one of the same name


def _rights() -> list[Document]:
    """Every right that ships for warm pools."""
    found = [*objects(BASE_FOLDER), *objects(SANDBOXES)]
    return [document for document in found if "Role" in str(document["kind"])]


def pool(cluster: Cluster, namespace: str, name: str = "python", *, pod: Document | None = None, **spec: Json) -> None:
    """A template and a warm pool of this name. ``pod`` is the metadata and the spec of the template's pods."""
    bare: Document = {"spec": {"containers": [{"name": "agent", "image": "agent"}]}}
    template: Document = {**bare, **(pod or {})}
    cluster.api.apply(
        [
            _object("SandboxTemplate", name, {"podTemplate": template}),
            _object("SandboxWarmPool", name, {"sandboxTemplateRef": {"name": name}, **spec}),
        ],
        namespace=namespace,
    )


def claim(cluster: Cluster, namespace: str, name: str, **spec: Json) -> None:
    """A claim on the pool ``python``."""
    body = _object("SandboxClaim", name, {"warmPoolRef": {"name": "python"}, **spec})
    cluster.api.request("POST", f"{BASE}/{namespace}/sandboxclaims", body)


def size(cluster: Cluster, namespace: str, name: str = "python") -> int:
    """The idle sandboxes that the pool is asked to keep."""
    found = cluster.api.get(f"{BASE}/{namespace}/sandboxwarmpools/{name}") or {}
    spec = found.get("spec")
    value = spec.get("replicas") if isinstance(spec, dict) else None
    return value if isinstance(value, int) else -1


def ready(cluster: Cluster, namespace: str, name: str = "python") -> int:
    """Of those in the pool, how many are ready."""
    found = cluster.api.get(f"{BASE}/{namespace}/sandboxwarmpools/{name}") or {}
    status = found.get("status")
    value = status.get("readyReplicas") if isinstance(status, dict) else None
    return value if isinstance(value, int) else 0


def filled(cluster: Cluster, namespace: str, least: int, *, within: float = 120.0) -> None:
    """Wait until all that the pool is asked for are ready, and that they are so many at least."""

    def there() -> bool | None:
        """As many ready as the pool is asked for."""
        asked = size(cluster, namespace)
        return least <= asked == ready(cluster, namespace) or None

    until(there, within=within)


def becomes(cluster: Cluster, namespace: str, number: int, *, within: float = 60.0) -> None:
    """Wait until the pool is asked for that many, and all of them are ready."""

    def there() -> bool | None:
        """The pool has the size, and as many ready."""
        return (size(cluster, namespace) == number and ready(cluster, namespace) == number) or None

    until(there, within=within)


def _object(kind: str, name: str, spec: Document) -> Document:
    return {"apiVersion": VERSION, "kind": kind, "metadata": {"name": name}, "spec": spec}
