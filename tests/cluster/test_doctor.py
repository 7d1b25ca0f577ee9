"""Doctor on a real cluster: silent where all is well, and each planted fault is found, with its object and its fix.

The custom kinds are KEDA's own, and what ships is what is examined: the guards, the rights, the first example of a
ScaledObject. The HPA is written here as KEDA writes it, so that no test waits for anybody.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import TypeAlias

import pytest
import yaml

from scaler.controller.api import Api as ScalerApi
from scaler.controller.api import open_api
from scaler.controller.dig import at
from scaler.controller.doctor.catalogue import CHECKS
from scaler.controller.doctor.findings import Finding, examine
from scaler.controller.doctor.gather import gather
from scaler.controller.names import HOLDS
from tests.cluster.guarding import CONTROLLER, KEY, PROTECTED, Ward, asked, installed, metadata, objects, settle, ward
from tests.cluster.harness.alone import alone
from tests.cluster.harness.assets import module
from tests.cluster.harness.cluster import Cluster
from tests.cluster.harness.ports import free
from tests.cluster.harness.rest import APPLY, MERGE, Document, Json, RefusedError
from tests.cluster.harness.shipped import HOME, rendered
from tests.cluster.harness.shipped import PROTECTED as SHIPPED
from tests.cluster.harness.wait import until
from tests.cluster.harness.yamls import establish
from tests.cluster.test_guard_cascades import running
from tests.cluster.test_guard_essentials import declare
from tests.cluster.test_guard_matrix import SENTINEL
from tests.cluster.test_release import scaler
from tests.house.source import ROOT

ADDRESS = "agent-scaler.agent-scaler:6000"
ADMISSION = "/apis/admissionregistration.k8s.io/v1"
BINDINGS = f"{ADMISSION}/validatingadmissionpolicybindings"
WORDS = "selector:app=coder;guard:deny;grace:600;tolerate:NoExecute"
SCALED = "apis/keda.sh/v1alpha1/scaledobjects"
BUDGETS = "apis/policy/v1/poddisruptionbudgets"
MINE = ("Namespace", "ServiceAccount", "Role", "RoleBinding", "ClusterRole", "ClusterRoleBinding")
Plant: TypeAlias = "Callable[[Stage], AbstractContextManager[None]]"
FOREVER: Json = [{"operator": "Exists", "effect": "NoExecute"}]


class Gate(BaseHTTPRequestHandler):
    """Says that it is there; more is not asked of a gate here."""

    def do_GET(self) -> None:
        """Any page."""
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b"{}")

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 (as the base class calls it)
        """Say nothing."""


@dataclass(frozen=True, slots=True)
class Stage:
    """A namespace with a pool in which all is well.

    Attributes:
        port: where every gate listens, at its pod's address.
        api: the connection that doctor reads by, in the loop of this runner.
    """

    place: Ward
    port: int
    runner: asyncio.Runner
    api: ScalerApi

    def patch(self, path: str, body: Document, *, user: str = "") -> None:
        """Change a part of an object, as somebody."""
        self.place.voice(user).request("PATCH", path, body, content=MERGE)

    def annotate(self, **annotations: Json) -> None:
        """Annotate the ScaledObject."""
        self.patch(self.place.path("coder", kind=SCALED), {"metadata": {"annotations": annotations}})

    @contextmanager
    def changed(self, path: str, body: Document, *, user: str = "") -> Iterator[None]:
        """An object is changed until the end of the block, and put back."""
        before = self.place.cluster.api.get(path) or {}
        self.patch(path, body, user=user)
        yield
        about = {k: v for k, v in metadata(before).items() if k != "managedFields"}

        def put_back() -> bool | None:
            """It is as it was, unless the API server has written to its status meanwhile."""
            about["resourceVersion"] = metadata(self.place.cluster.api.get(path) or {})["resourceVersion"]
            try:
                self.place.voice(user).request("PUT", path, before | {"metadata": about})
            except RefusedError as refused:
                if refused.status != HTTPStatus.CONFLICT:
                    raise
                return None
            return True

        until(put_back)

    @contextmanager
    def made(self, *documents: Document) -> Iterator[None]:
        """These are there until the end of the block."""
        api = self.place.cluster.api
        api.apply(documents, namespace=self.place.name)
        yield
        undertaker = self.place.voice("system:serviceaccount:kube-system:namespace-controller")
        for document in documents:
            undertaker.delete(api.path(document, self.place.name), grace=0)

    @contextmanager
    def without(self, path: str) -> Iterator[None]:
        """Something is missing until the end of the block."""
        api = self.place.cluster.api
        found = api.get(path) or {}
        api.delete(path)
        settle(self.place.cluster)
        yield
        api.apply(
            [
                {
                    **found,
                    "metadata": {
                        k: metadata(found)[k] for k in ("name", "labels", "namespace") if k in metadata(found)
                    },
                }
            ]
        )
        settle(self.place.cluster)

    @contextmanager
    def pod(self, labels: Mapping[str, Json] = PROTECTED, **spec: Json) -> Iterator[None]:
        """One more pod of the pool, which the essentials have not touched, until the end of the block."""
        usual: dict[str, Json] = {"tolerations": FOREVER, "terminationGracePeriodSeconds": 600}
        usual |= {"containers": [{"name": "agent", "image": "agent"}]}
        about: Document = {"name": "odd", "labels": {**labels}, "annotations": {f"{KEY}gate-port": str(self.port)}}
        odd: Document = {"apiVersion": "v1", "kind": "Pod", "metadata": about, "spec": usual | spec}
        with self.made(odd):
            until(lambda: "odd" in running(self.place) or None)
            with gate(address(self.place, "odd"), self.port):
                yield


def address(place: Ward, name: str) -> str:
    """The address of a pod."""
    status = place.get(name)["status"]
    assert isinstance(status, dict)
    return str(status["podIP"])


@contextmanager
def gate(host: str, port: int) -> Iterator[None]:
    """A gate answers at this address until the end of the block."""
    server = ThreadingHTTPServer((host, port), Gate)
    thread = Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    try:
        yield
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    """One without KEDA at work, which would have its own mind about what is planted."""
    with alone() as made:
        yield made


@pytest.fixture(scope="module")
def stage(cluster: Cluster) -> Iterator[Stage]:
    """KEDA's kinds, the guards, the rights, and a pool in which all is well."""
    establish(cluster.api, module("keda") / "config" / "crd" / "bases")
    rights = [d for d in yaml.safe_load_all(rendered(SHIPPED)) if d["kind"] in MINE]
    with ExitStack() as stack:
        cluster.namespaces.await_gone(HOME)  # an earlier story may have had it
        cluster.api.apply(rights)
        stack.callback(cluster.namespaces.drop, HOME)
        for document in rights:
            if str(document["kind"]).startswith("ClusterRole"):
                stack.callback(cluster.api.delete, cluster.api.path(document))
        stack.enter_context(installed(cluster, objects()))
        place = stack.enter_context(ward(cluster, "doctor"))
        runner = stack.enter_context(asyncio.Runner())
        connection = open_api(cluster.admin)
        api = runner.run(connection.__aenter__())
        stack.callback(lambda: runner.run(connection.__aexit__(None, None, None)))
        yield well(Stage(place, free(), runner, api), stack)


def well(made: Stage, stack: ExitStack) -> Stage:
    """The pool: declared, budgeted, held, scaled by one ScaledObject, and each of its two pods with a gate."""
    place, api = made.place, made.place.cluster.api
    binding = f"{CONTROLLER.replace(':', '-')}-cluster-admin"  # here it has the rights that ship, and no others
    api.delete(place.path(binding, kind="apis/rbac.authorization.k8s.io/v1/rolebindings"))
    declare(place, coder=WORDS)
    api.apply([SENTINEL], namespace=place.name)
    template: Document = {
        "metadata": {"labels": {"app": "coder"}, "annotations": {f"{KEY}gate-port": str(made.port)}},
        "spec": {"containers": [{"name": "agent", "image": "agent"}]},
    }
    spec: Document = {"selector": {"matchLabels": {"app": "coder"}}, "template": template}
    workload: Document = {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "coder"}, "spec": spec}
    until(lambda: _injects(place) or None)
    api.apply([workload], namespace=place.name)
    api.request(
        "PATCH",
        place.path("coder", sub="scale", kind="apis/apps/v1/deployments"),
        {"spec": {"replicas": 2}},
        content=MERGE,
    )
    until(lambda: len(running(place)) == 2 or None)
    for name in running(place):
        stack.enter_context(gate(address(place, name), made.port))
    made.patch(f"/api/v1/namespaces/{place.name}", {"metadata": {"labels": {HOLDS: "true"}}}, user=CONTROLLER)
    stack.callback(made.patch, f"/api/v1/namespaces/{place.name}", {"metadata": {"labels": {HOLDS: None}}})
    (example,) = yaml.safe_load_all((ROOT / "keda" / "scaledobject-pull.yaml").read_text())
    example["metadata"]["namespace"] = place.name
    (scaled,) = api.apply([example])
    api.apply([hpa(scaled)], namespace=place.name)
    return made


def _injects(place: Ward) -> bool:
    probe: Document = {"name": "probe", "labels": {"app": "coder"}}
    made: Document = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": probe,
        "spec": {"containers": [{"name": "a", "image": "a"}]},
    }
    answer = asked(place.cluster.api, "POST", place.path(query="?dryRun=All"), made)
    return answer.document is not None and "annotations" in metadata(answer.document)


def hpa(scaled: Document) -> Document:
    """As KEDA writes it."""
    told = at(scaled, "spec", "advanced", "horizontalPodAutoscalerConfig", "behavior")
    behavior: Document = dict(told) if isinstance(told, dict) else {}
    owner: Document = {
        "apiVersion": "keda.sh/v1alpha1",
        "kind": "ScaledObject",
        "name": "coder",
        "uid": metadata(scaled)["uid"],
    }
    target: Document = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "coder"}
    metric: Document = {
        "type": "External",
        "external": {"metric": {"name": "s0"}, "target": {"type": "AverageValue", "averageValue": "1"}},
    }
    return {
        "apiVersion": "autoscaling/v2",
        "kind": "HorizontalPodAutoscaler",
        "metadata": {"name": "keda-hpa-coder", "ownerReferences": [owner]},
        "spec": {
            "scaleTargetRef": target,
            "minReplicas": 1,
            "maxReplicas": 50,
            "metrics": [metric],
            "behavior": behavior,
        },
    }


def examined(stage: Stage) -> list[Finding]:
    """What doctor finds, from within this process."""
    return examine(stage.runner.run(gather(stage.api, ADDRESS)), CHECKS)


# --- faults: each is there until the end of its block -----------------------------------------------------------------


def lenient(on: Stage) -> AbstractContextManager[None]:
    """failurePolicy: Ignore."""
    return on.changed(
        f"{ADMISSION}/validatingadmissionpolicies/agent-scaler-labels", {"spec": {"failurePolicy": "Ignore"}}
    )


def warning(on: Stage) -> AbstractContextManager[None]:
    """The owners' guard only warns."""
    return on.changed(f"{BINDINGS}/agent-scaler-owners", {"spec": {"validationActions": ["Warn"]}})


def unheld(on: Stage) -> AbstractContextManager[None]:
    """The namespace may be deleted."""
    body: Document = {"metadata": {"labels": {HOLDS: None}}}
    return on.changed(f"/api/v1/namespaces/{on.place.name}", body)


@contextmanager
def unmanaged(on: Stage) -> Iterator[None]:
    """A pod of the workload was born while nobody said whose it is."""
    declare(on.place, coder=None)
    until(lambda: not _injects(on.place) or None)
    with on.pod({"app": "coder"}):
        declare(on.place, coder=WORDS)
        yield


def scaled(**spec: Json) -> Plant:
    """The ScaledObject says something else."""
    return lambda on: on.changed(on.place.path("coder", kind=SCALED), {"spec": spec})


def noted(key: str, value: str) -> Plant:
    """The ScaledObject bears an annotation."""
    body: Document = {"metadata": {"annotations": {key: value}}}
    return lambda on: on.changed(on.place.path("coder", kind=SCALED), body)


def behaving(**behavior: Json) -> Plant:
    """The HPA behaves otherwise."""
    path = "apis/autoscaling/v2/horizontalpodautoscalers"
    return lambda on: on.changed(on.place.path("keda-hpa-coder", kind=path), {"spec": {"behavior": behavior}})


def budgeted(name: str, **spec: Json) -> Plant:
    """Somebody else's budget."""
    body: Document = {"minAvailable": 1, "selector": {"matchLabels": {"app": "coder"}}, **spec}
    return lambda on: on.made(
        {"apiVersion": "policy/v1", "kind": "PodDisruptionBudget", "metadata": {"name": name}, "spec": body}
    )


def other_hpa(on: Stage) -> AbstractContextManager[None]:
    """Somebody else's HPA."""
    found = hpa(
        {"metadata": {"uid": "none"}, "spec": {"advanced": {"horizontalPodAutoscalerConfig": {"behavior": {}}}}}
    )
    return on.made(found | {"metadata": {"name": "cpu"}})


def other_scaled(on: Stage) -> AbstractContextManager[None]:
    """Somebody else's ScaledObject."""
    trigger: Document = {
        "type": "cron",
        "metadata": {"timezone": "UTC", "start": "0 6 * * *", "end": "0 20 * * *", "desiredReplicas": "1"},
    }
    spec: Document = {"scaleTargetRef": {"name": "coder"}, "triggers": [trigger]}
    return on.made(
        {"apiVersion": "keda.sh/v1alpha1", "kind": "ScaledObject", "metadata": {"name": "cron"}, "spec": spec}
    )


def job(on: Stage) -> AbstractContextManager[None]:
    """The shipped ScaledJob, as it is without its rollout strategy."""
    (shipped,) = yaml.safe_load_all((ROOT / "keda" / "scaledjob-default.yaml").read_text())
    shipped["metadata"]["namespace"] = on.place.name
    shipped["spec"].pop("rollout", None)
    return on.made(shipped)


@contextmanager
def applied(on: Stage) -> Iterator[None]:
    """GitOps applies replicas."""
    path = on.place.path("coder", kind="apis/apps/v1/deployments")
    body: Document = {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "coder"}}
    api, query = on.place.cluster.api, "?fieldManager=argocd&force=true"
    api.request("PATCH", path + query, body | {"spec": {"replicas": 2}}, content=APPLY)
    yield
    api.request("PATCH", path + query, body, content=APPLY)


@contextmanager
def silent(on: Stage) -> Iterator[None]:
    """A pod whose gate listens nowhere."""
    about: Document = {
        "name": "odd",
        "labels": {**PROTECTED, "app": "x"},
        "annotations": {f"{KEY}gate-port": str(free())},
    }
    spec: Document = {
        "tolerations": FOREVER,
        "terminationGracePeriodSeconds": 600,
        "containers": [{"name": "a", "image": "a"}],
    }
    with on.made({"apiVersion": "v1", "kind": "Pod", "metadata": about, "spec": spec}):
        until(lambda: "odd" in running(on.place) or None)
        yield


@contextmanager
def audited(on: Stage) -> Iterator[None]:
    """A pod that is only audited."""
    with on.pod({**PROTECTED, "app": "x", f"{KEY}guard": "audit"}):
        yield


STRANGE: Document = {**PROTECTED, "app": "x"}  # the essentials do not touch it
PROBED: Json = [{"name": "agent", "image": "agent", "livenessProbe": {"httpGet": {"port": 80}}}]
FALLBACK: Document = {"failureThreshold": 3, "replicas": 4}
POLICY = f"{ADMISSION}/validatingadmissionpolicies/agent-scaler-birth"
ROLE = "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings/agent-scaler-controller"
FAULTS: Mapping[str, tuple[Plant, str, str]] = {
    "no policy on births": (lambda on: on.without(POLICY), "guard-missing", "policy agent-scaler-birth"),
    "no delete guard in force": (
        lambda on: on.without(f"{BINDINGS}/agent-scaler-delete"),
        "guard-fails",
        "pool {}/coder",
    ),
    "no budget": (
        lambda on: on.without(on.place.path("agent-scaler-coder", kind=BUDGETS)),
        "guard-fails",
        "pool {}/coder",
    ),
    "nothing binds births": (
        lambda on: on.without(f"{BINDINGS}/agent-scaler-birth"),
        "guard-unbound",
        "policy agent-scaler-birth",
    ),
    "owners are warned of": (warning, "guard-unbound", "policy agent-scaler-owners"),
    "a lenient guard": (lenient, "guard-lenient", "policy agent-scaler-labels"),
    "an audited pod": (audited, "guard-audits", "pool {}/coder"),
    "an unmanaged pod": (unmanaged, "pods-unmanaged", "Deployment {}/coder"),
    "pods that nobody asks for": (
        lambda on: on.pod({**STRANGE, f"{KEY}pool": "nobody"}),
        "pods-forsaken",
        "pool {}/nobody",
    ),
    "a namespace that may go": (unheld, "namespace-unheld", "Namespace {}"),
    "no rights": (lambda on: on.without(ROLE), "rights-missing", "ServiceAccount agent-scaler/agent-scaler"),
    "no toleration": (lambda on: on.pod(STRANGE, tolerations=[]), "taint-evicts", "pool {}/coder"),
    "a second budget": (budgeted("web"), "budgets-overlap", "PodDisruptionBudget {}/web"),
    "a budget for the unready": (
        budgeted("web", unhealthyPodEvictionPolicy="AlwaysAllow"),
        "budget-always-allows",
        "PodDisruptionBudget {}/web",
    ),
    "a silent gate": (silent, "gate-silent", "pod {}/odd"),
    "a liveness probe": (lambda on: on.pod(STRANGE, containers=PROBED), "liveness-restarts", "pool {}/coder"),
    "no time to end": (lambda on: on.pod(STRANGE, terminationGracePeriodSeconds=5), "grace-short", "pool {}/coder"),
    "a fallback": (scaled(fallback=FALLBACK), "fallback-static", "ScaledObject {}/coder"),
    "a fallback to zero": (scaled(fallback={**FALLBACK, "replicas": 0}), "fallback-zero", "ScaledObject {}/coder"),
    "a pause": (noted("autoscaling.keda.sh/paused-replicas", "3"), "scaling-paused", "ScaledObject {}/coder"),
    "no target": (scaled(scaleTargetRef={"name": "nobody"}), "target-missing", "ScaledObject {}/coder"),
    "a second HPA": (other_hpa, "second-writer", "Deployment {}/coder"),
    "a second ScaledObject": (other_scaled, "second-writer", "Deployment {}/coder"),
    "replicas in Git": (applied, "replicas-applied", "Deployment {}/coder"),
    "Jobs that a change deletes": (job, "job-rollout", "ScaledJob {}/"),
    "a dead band": (behaving(scaleUp={"tolerance": None}), "hpa-dead-band", "ScaledObject {}/coder"),
    "a window": (behaving(scaleDown={"stabilizationWindowSeconds": 300}), "hpa-slow", "ScaledObject {}/coder"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_planted_fault_is_found(stage: Stage, fault: str) -> None:
    """With its object and a fix; and once it is gone, silence."""
    plant, check, named = FAULTS[fault]
    with plant(stage):
        found = until(lambda: [f for f in examined(stage) if f.check.name == check] or None, within=90.0)
    assert [f.hit.object.startswith(named.format(stage.place.name)) for f in found] == [True] * len(found), found
    assert found[0].check.fix
    until(lambda: not examined(stage) or None, within=180.0)


def test_doctor_is_silent_on_a_healthy_cluster(stage: Stage) -> None:
    """It says how much was looked at, and its exit code is 0."""
    done = scaler(stage.place.cluster.admin, "doctor")
    assert (done.returncode, done.stdout) == (0, f"0 findings in {len(CHECKS)} checks\n"), done.stdout + done.stderr


def test_what_is_found_is_told_to_programs_too(stage: Stage) -> None:
    """And its exit code is 1."""
    with stage.changed(stage.place.path("coder", kind=SCALED), {"spec": {"fallback": FALLBACK}}):
        done = scaler(stage.place.cluster.admin, "doctor", "--json")
    assert done.returncode == 1, done.stderr
    (found,) = json.loads(done.stdout)
    assert (found["check"], found["object"]) == ("fallback-static", f"ScaledObject {stage.place.name}/coder")
    assert "currentReplicasIfHigher" in found["fix"]


def test_doctor_changes_nothing(stage: Stage) -> None:
    """Whatever it tries is a dry run, or a question to the authorizer."""
    mark = stage.place.cluster.audit.mark()
    scaler(stage.place.cluster.admin, "doctor")
    mine = [r for r in stage.place.cluster.audit.since(mark) if r.user == "admin" and r.verb not in {"get", "list"}]
    assert mine
    assert all("dryRun=All" in r.path or r.resource == "subjectaccessreviews" for r in mine), mine
