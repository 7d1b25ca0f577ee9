"""A cluster for a session of tests: everything of Kubernetes that decides, and nothing that runs containers."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from kubernetes.client import AuthenticationV1TokenRequest, CoreV1Api, V1TokenRequestSpec

from tests.cluster.harness import karpenter, kwok, sandboxes
from tests.cluster.harness.addresses import reserve
from tests.cluster.harness.assets import Assets
from tests.cluster.harness.audit import AuditLog
from tests.cluster.harness.controlplane import ControlPlane
from tests.cluster.harness.identity import MASTERS, Keys, Kubeconfigs
from tests.cluster.harness.keda import NAMESPACE, OPERATOR, Keda
from tests.cluster.harness.namespaces import Namespaces
from tests.cluster.harness.ports import free
from tests.cluster.harness.process import Part, Program
from tests.cluster.harness.rest import Api
from tests.cluster.harness.wait import until

DAY = 24 * 3600


class Cluster:
    """etcd, API server, controllers, scheduler and kwok; KEDA where it is asked for; and what a test runs beside them.

    Attributes:
        folder: everything it writes: logs under ``logs``, kubeconfigs under ``users``.
        addresses: those that kwok gives to pods, on this machine to no other cluster's.
        parts: what runs, by name, in the order in which it was started.
        api: the administrator's way to the API server; ``api.typed`` is for the typed clients.
        audit: what was asked of the API server, by whom.
        namespaces: makes one, and deletes it with all that is in it.
    """

    def __init__(self, folder: Path, assets: Assets, *, hpa_period: float = 1.0) -> None:
        self.folder = folder
        self.addresses = reserve()
        self.parts: dict[str, Part] = {}
        self._ever: list[Part] = []
        self._assets = assets
        for name in ("logs", "users"):
            folder.joinpath(name).mkdir(parents=True)
        self._keys = Keys(folder / "keys")
        self._plane = ControlPlane(assets, folder, self._keys, free(), free(), hpa_period)
        self._users = Kubeconfigs(folder / "users", self._plane.server, self._keys)
        self.admin = self._users.certified("admin", groups=MASTERS)
        self.api = Api(self.admin)
        self.audit = AuditLog(self._plane.audit_log)
        self.namespaces = Namespaces(self.api)

    def start(self) -> None:
        """Start the control plane and kwok, and return when a pod could run."""
        self._start(self._plane.etcd()).await_ready()
        self._start(self._plane.api_server()).await_ready()
        machinery = [self._plane.controllers(self._users), self._plane.scheduler(self._users)]
        kubeconfig, network = self.user("kwok", groups=MASTERS), self.addresses.network
        machinery.append(kwok.program(self._assets, self.folder, kubeconfig, network))
        self.api.apply(kwok.nodes())
        self._start_all(*machinery)
        until(self._runs_pods)

    def start_keda(self) -> None:
        """Start KEDA, unless it runs."""
        if OPERATOR in self.parts:
            return
        keda = Keda(self._assets, self.folder, self._keys, free(), free())
        keda.install(self.api)
        account = self.service_account(NAMESPACE, OPERATOR)
        self._start_all(keda.operator(account), keda.adapter(account, self.api))

    def start_sandboxes(self) -> None:
        """Start agent-sandbox, unless it runs."""
        if sandboxes.SANDBOXES not in self.parts:
            sandboxes.install(self.api)
            account = self.service_account(sandboxes.NAMESPACE, sandboxes.ACCOUNT)
            self._start_all(sandboxes.program(self._assets, account))

    def start_karpenter(self) -> None:
        """Start Karpenter, unless it runs."""
        if karpenter.KARPENTER not in self.parts:
            karpenter.install(self.api)
            self._start_all(karpenter.program(self._assets, self.user(karpenter.KARPENTER, groups=MASTERS)))

    @property
    def sessions(self) -> frozenset[int]:
        """The ids of the sessions of all parts there ever were: a part's children keep its session when it is gone."""
        return frozenset(session for part in self._ever for session in part.sessions)

    def stop(self) -> None:
        """End everything at once."""
        self.api.close()
        for part in reversed(self.parts.values()):
            part.kill()
        self.addresses.release()

    def user(self, name: str, *, groups: Sequence[str] = ()) -> Path:
        """A kubeconfig with a certificate of this user in these groups; RBAC says what they may."""
        return self._users.certified(name, groups=groups)

    def service_account(self, namespace: str, name: str) -> Path:
        """A kubeconfig with a token of this ServiceAccount, for a day; it must exist."""
        wanted = AuthenticationV1TokenRequest(spec=V1TokenRequestSpec(audiences=[], expiration_seconds=DAY))
        granted = CoreV1Api(self.api.typed).create_namespaced_service_account_token(name, namespace, wanted)
        assert granted.status is not None
        assert granted.status.token is not None
        return self._users.bearing(f"system:serviceaccount:{namespace}:{name}", granted.status.token)

    def mount(self, namespace: str, name: str, folder: Path) -> None:
        """What a pod of this ServiceAccount has mounted, as files ``token`` and ``ca.crt`` in the folder."""
        said = json.loads(self.service_account(namespace, name).read_text())
        folder.joinpath("token").write_text(said["users"][0]["user"]["token"])
        folder.joinpath("ca.crt").write_bytes(self._keys.ca.certificate)

    def run(
        self,
        name: str,
        command: Sequence[str | Path],
        *,
        env: Mapping[str, str] | None = None,
        ready: Callable[[], bool] = lambda: True,
        ports: Sequence[int] = (),
    ) -> Part:
        """Run a program of the test's own as a part of the cluster, and return once it serves. ``remove`` ends it."""
        part = self._start(Program(name, command, env or {}, ready, ports))
        part.await_ready()
        return part

    def remove(self, name: str) -> int:
        """Ask a program of the test's own to end. The value is its exit code."""
        return self.parts.pop(name).stop()

    def _start_all(self, *programs: Program) -> None:
        """Start them side by side, and return when all of them serve."""
        for part in [self._start(program) for program in programs]:
            part.await_ready()

    def _start(self, program: Program) -> Part:
        assert program.name not in self.parts, f"there is a {program.name} already"
        part = self.parts[program.name] = Part(program, self.folder / "logs")
        self._ever.append(part)
        part.start()
        return part

    def _runs_pods(self) -> bool | None:
        """Every node is Ready, and pods can have a ServiceAccount."""
        ready = [kwok.is_ready(node) for node in self.api.items("/api/v1/nodes")]
        account = self.api.get("/api/v1/namespaces/default/serviceaccounts/default")
        return (len(ready) == len(kwok.ZONES) and all(ready) and account is not None) or None
