"""KEDA: its operator and its metrics adapter as they are shipped, under KEDA's own ServiceAccount and roles."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import urllib3

from tests.cluster.harness.assets import Assets, module
from tests.cluster.harness.controlplane import THROUGHPUT
from tests.cluster.harness.identity import Keys
from tests.cluster.harness.ports import answers, free
from tests.cluster.harness.process import Program
from tests.cluster.harness.rest import Api, Document, RefusedError
from tests.cluster.harness.yamls import documents, establish

OPERATOR, ADAPTER = "keda-operator", "keda-adapter"
NAMESPACE = "keda"
SERVICE = "keda-metrics-apiserver"
METRICS = "/apis/external.metrics.k8s.io/v1beta1"
ROLES = (
    "service_account/service_account",
    "rbac/role",
    "rbac/role_binding",
    "metrics-server/role",
    "metrics-server/role_binding",
)


@dataclass(frozen=True)
class Keda:
    """KEDA's programs, on ports of their own, and what they need in the API.

    Attributes:
        assets: where the binaries are.
        folder: for the certificates.
        keys: who signs.
        adapter_port: where the adapter serves metrics to the API server.
        operator_port: where the operator serves metrics to the adapter.
    """

    assets: Assets
    folder: Path
    keys: Keys
    adapter_port: int
    operator_port: int

    def install(self, api: Api) -> None:
        """Apply the CRDs, the roles, and the API that the adapter serves; return when the CRDs are established."""
        config = module("keda") / "config"
        api.apply([{"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}}])
        establish(api, config / "crd" / "bases")
        api.apply(documents(*(config / f"{path}.yaml" for path in ROLES)))
        api.apply(self._served(config))

    def _served(self, config: Path) -> Iterator[Document]:
        """The aggregated API, on the adapter's port of this machine: its Service leads out of the cluster."""
        yield {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {"name": SERVICE, "namespace": NAMESPACE},
            "spec": {"type": "ExternalName", "externalName": "localhost"},
        }
        for document in documents(config / "metrics-server" / "api_service.yaml"):
            spec = document["spec"]
            assert isinstance(spec, dict)
            service = spec["service"]
            assert isinstance(service, dict)
            yield document | {
                "spec": spec | {"insecureSkipTLSVerify": True, "service": service | {"port": self.adapter_port}}
            }

    def operator(self, kubeconfig: Path) -> Program:
        """What polls the scalers and writes the HPAs."""
        health = free()
        command = (
            self.assets.binary("keda/operator"),
            f"--kubeconfig={kubeconfig}",
            f"--cert-dir={self._certificates()}",
            f"--health-probe-bind-address=127.0.0.1:{health}",
            f"--metrics-bind-address=127.0.0.1:{free()}",
            f"--metrics-service-bind-address=127.0.0.1:{self.operator_port}",
            "--zap-log-level=info",
            *THROUGHPUT,
        )
        env = {"WATCH_NAMESPACE": "", "KEDA_CLUSTER_OBJECT_NAMESPACE": NAMESPACE, "POD_NAMESPACE": NAMESPACE}
        ready = f"http://127.0.0.1:{health}/readyz"
        return Program(OPERATOR, command, env, ready=lambda: answers(ready), ports=[self.operator_port, health])

    def adapter(self, kubeconfig: Path, api: Api) -> Program:
        """What the HPA asks for external metrics."""
        certificates = self._certificates()
        command = (
            self.assets.binary("keda/adapter"),
            f"--kubeconfig={kubeconfig}",
            f"--lister-kubeconfig={kubeconfig}",
            f"--authentication-kubeconfig={kubeconfig}",
            f"--authorization-kubeconfig={kubeconfig}",
            "--bind-address=127.0.0.1",
            f"--secure-port={self.adapter_port}",
            f"--port={free()}",
            f"--cert-dir={certificates}",
            f"--tls-cert-file={certificates / 'tls.crt'}",
            f"--tls-private-key-file={certificates / 'tls.key'}",
            f"--metrics-service-address=localhost:{self.operator_port}",
            *THROUGHPUT,
        )
        env = {"WATCH_NAMESPACE": "", "POD_NAMESPACE": NAMESPACE}

        def ready() -> bool:
            """The API server reaches it."""
            with suppress(RefusedError, urllib3.exceptions.HTTPError):
                return bool(api.request("GET", METRICS, timeout=2.0))
            return False

        return Program(ADAPTER, command, env, ready=ready, ports=[self.adapter_port])

    def _certificates(self) -> Path:
        """One folder for both: each shows it to the other, and both trust who signed it."""
        folder = self.folder / "keda"
        if not folder.exists():
            folder.mkdir()
            identity = self.keys.ca.client("localhost", "localhost", "127.0.0.1", f"{SERVICE}.{NAMESPACE}.svc")
            folder.joinpath("ca.crt").write_bytes(self.keys.ca.certificate)
            folder.joinpath("tls.crt").write_bytes(identity.certificate)
            folder.joinpath("tls.key").write_bytes(identity.key)
        return folder
