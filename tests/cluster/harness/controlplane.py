"""etcd, kube-apiserver, kube-controller-manager and kube-scheduler: real ones, on loopback, with RBAC and audit."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from tests.cluster.harness import audit
from tests.cluster.harness.assets import Assets
from tests.cluster.harness.identity import Keys, Kubeconfigs
from tests.cluster.harness.ports import answers, free
from tests.cluster.harness.process import Program

ETCD, API, CONTROLLERS, SCHEDULER = "etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler"
THROUGHPUT = ("--kube-api-qps=500", "--kube-api-burst=1000")  # the default of 20 is what makes big tests slow


@dataclass(frozen=True)
class ControlPlane:
    """The programs of one control plane, on ports of its own.

    Attributes:
        assets: where the binaries are.
        folder: for everything it writes.
        keys: who signs.
        server: where the API server answers.
        hpa_period: seconds between two looks of the HPA at a workload; a cluster's own is 15.
    """

    assets: Assets
    folder: Path
    keys: Keys
    api_port: int
    etcd_port: int
    hpa_period: float = 1.0

    @property
    def server(self) -> str:
        """The address of the API server."""
        return f"https://127.0.0.1:{self.api_port}"

    @property
    def audit_log(self) -> Path:
        """What the API server writes about requests."""
        return self.folder / "audit.log"

    def etcd(self) -> Program:
        """The store, which need not survive a power cut."""
        peer, client = f"http://127.0.0.1:{free()}", f"http://127.0.0.1:{self.etcd_port}"
        command = (
            self.assets.binary(ETCD),
            f"--data-dir={self.folder / 'etcd'}",
            "--unsafe-no-fsync",
            f"--listen-client-urls={client}",
            f"--advertise-client-urls={client}",
            f"--listen-peer-urls={peer}",
            f"--initial-advertise-peer-urls={peer}",
            f"--initial-cluster=default={peer}",
            "--log-level=warn",
        )
        return Program(ETCD, command, ready=lambda: answers(f"{client}/health"), ports=[self.etcd_port])

    def api_server(self) -> Program:
        """The API server: certificates and ServiceAccount tokens, RBAC, aggregation, and an audit log without gaps."""
        policy = self.folder / "audit-policy.yaml"
        policy.write_text(audit.POLICY)
        command: tuple[str | Path, ...] = (
            self.assets.binary(API),
            f"--etcd-servers=http://127.0.0.1:{self.etcd_port}",
            "--bind-address=127.0.0.1",
            f"--secure-port={self.api_port}",
            "--service-cluster-ip-range=10.0.0.0/16",
            "--endpoint-reconciler-type=none",
            "--authorization-mode=RBAC",
            f"--audit-policy-file={policy}",
            f"--audit-log-path={self.audit_log}",
            "--audit-log-mode=blocking",
            "--audit-log-maxsize=100000",
            *self._authentication(),
        )
        return Program(API, command, ready=self._serves("readyz", self.api_port), ports=[self.api_port])

    def _authentication(self) -> tuple[str, ...]:
        folder, own = self.keys.folder, "apiserver"
        return (
            f"--tls-cert-file={folder / own}.crt",
            f"--tls-private-key-file={folder / own}.key",
            f"--client-ca-file={self.keys.ca_file}",
            f"--service-account-issuer={self.server}",
            f"--service-account-key-file={folder / 'service-accounts.crt'}",
            f"--service-account-signing-key-file={folder / 'service-accounts.key'}",
            f"--requestheader-client-ca-file={self.keys.proxy_file}",
            "--requestheader-allowed-names=front-proxy",
            "--requestheader-extra-headers-prefix=X-Remote-Extra-",
            "--requestheader-group-headers=X-Remote-Group",
            "--requestheader-username-headers=X-Remote-User",
            f"--proxy-client-cert-file={folder / 'front-proxy.crt'}",
            f"--proxy-client-key-file={folder / 'front-proxy.key'}",
        )

    def controllers(self, kubeconfigs: Kubeconfigs) -> Program:
        """The controllers, each under its own ServiceAccount, so that the audit log tells them apart."""
        return self._controller(
            CONTROLLERS,
            kubeconfigs,
            "--use-service-account-credentials=true",
            f"--service-account-private-key-file={self.keys.folder / 'service-accounts.key'}",
            f"--root-ca-file={self.keys.ca_file}",
            f"--horizontal-pod-autoscaler-sync-period={self.hpa_period:g}s",
            "--concurrent-horizontal-pod-autoscaler-syncs=20",
            "--concurrent-namespace-syncs=20",
            "--controllers=*,-certificatesigningrequest-signing-controller,-node-ipam-controller",
        )

    def scheduler(self, kubeconfigs: Kubeconfigs) -> Program:
        """The scheduler."""
        return self._controller(SCHEDULER, kubeconfigs)

    def _controller(self, name: str, kubeconfigs: Kubeconfigs, *options: str) -> Program:
        kubeconfig, port = kubeconfigs.certified(f"system:{name}"), free()
        certificate, key = self.keys.keep(name, self.keys.ca.server(name))
        command: tuple[str | Path, ...] = (
            self.assets.binary(name),
            f"--kubeconfig={kubeconfig}",
            f"--authentication-kubeconfig={kubeconfig}",
            f"--authorization-kubeconfig={kubeconfig}",
            "--bind-address=127.0.0.1",
            f"--secure-port={port}",
            f"--tls-cert-file={certificate}",
            f"--tls-private-key-file={key}",
            "--leader-elect=false",
            *THROUGHPUT,
            *options,
        )
        return Program(name, command, ready=self._serves("healthz", port), ports=[port])

    def _serves(self, page: str, port: int) -> _Serves:
        return _Serves(f"https://127.0.0.1:{port}/{page}", self.keys.ca_file)


@dataclass(frozen=True, slots=True)
class _Serves:
    """Whether a page is answered over TLS."""

    url: str
    ca: Path

    def __call__(self) -> bool:
        return answers(self.url, trusting=self.ca)
