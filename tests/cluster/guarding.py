"""A namespace under the guards of ``manifests/guards``: its pods, who may ask what in it, and what they are told."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Final

import yaml

from tests.cluster.harness.cluster import Cluster
from tests.cluster.harness.rest import MERGE, Api, Document, Json, RefusedError
from tests.cluster.harness.shipped import rendered
from tests.cluster.harness.wait import until
from tests.house.source import ROOT

GUARDS: Final = ROOT / "manifests" / "guards"
KEY: Final = "agent-scaler.io/"
EPOCH: Final = f"{KEY}drain-epoch"
FORCE: Final = f"{KEY}force-delete"
BIRTH: Final = "agent-scaler-birth"
KUBE: Final = "system:serviceaccount:kube-system:"
CONTROLLER: Final = "system:serviceaccount:agent-scaler:agent-scaler"
NODE: Final = "node-a"
PROBES: Final = count()
# Who is asked about, and with what role beyond what Kubernetes gives them itself.
PEOPLE: Final[Mapping[str, str]] = {
    CONTROLLER: "cluster-admin",
    "admin-of-all": "cluster-admin",
    "editor": "edit",
    "breaker": "edit",
    f"system:node:{NODE}": "edit",
    "system:serviceaccount:apps:installer": "cluster-admin",
}
FORCEDRAIN: Final[Document] = {
    "apiVersion": "rbac.authorization.k8s.io/v1",
    "kind": "Role",
    "metadata": {"name": "forcedrain"},
    "rules": [{"apiGroups": [""], "resources": ["pods"], "verbs": ["forcedrain"]}],
}
PROTECTED: Final[Document] = {f"{KEY}managed": "true", f"{KEY}pool": "coder", f"{KEY}guard": "deny", "app": "coder"}


@dataclass(frozen=True, slots=True)
class Answer:
    """What somebody was told: the HTTP status, and why. 2xx is 200."""

    status: int
    message: str = ""
    document: Document | None = None

    @property
    def policy(self) -> str:
        """The policy that refused; empty where none did."""
        return self.message.partition("ValidatingAdmissionPolicy '")[2].partition("'")[0]


@dataclass(frozen=True, slots=True)
class Ward:
    """The namespace."""

    cluster: Cluster
    name: str

    def voice(self, user: str = "", groups: Sequence[str] = ()) -> Api:
        """The way of this user, and of the administrator (system:masters) where none is named."""
        return self.cluster.api.acting(user, groups) if user else self.cluster.api

    def path(self, name: str = "", *, sub: str = "", query: str = "", kind: str = "api/v1/pods") -> str:
        """Where a pod is, or something of another kind; all of them without a name."""
        base, _, plural = kind.rpartition("/")
        return f"/{base}/namespaces/{self.name}/{plural}" + f"/{name}" * bool(name) + f"/{sub}" * bool(sub) + query

    def pod(self, name: str, *, phase: str = "", labels: Document | None = None, spec: Document | None = None) -> str:
        """A guarded pod that runs, in this phase. The value is its name."""
        self.cluster.api.apply([pod(name, labels or PROTECTED, **(spec or {}))], namespace=self.name)
        until(lambda: self._runs(name) or None)
        steps = {"": 0, "active": 0, "draining": 1, "drained": 2}[phase]
        told = ([self.mark(name)] if steps else []) + ([self.commit(name)] if steps > 1 else [])
        assert all(answer.status == 200 for answer in told), told
        return name

    def mark(self, name: str, epoch: int = 1) -> Answer:
        """The controller marks it as draining."""
        return self.tell(CONTROLLER, name, {"labels": {f"{KEY}phase": "draining"}, "annotations": {EPOCH: str(epoch)}})

    def commit(self, name: str) -> Answer:
        """The controller commits the drain."""
        return self.tell(CONTROLLER, name, {"labels": {f"{KEY}phase": "drained"}})

    def tell(self, user: str, name: str, metadata: Document, *, sub: str = "") -> Answer:
        """This user writes labels and annotations of a pod."""
        return asked(self.voice(user), "PATCH", self.path(name, sub=sub), {"metadata": metadata}, content=MERGE)

    def get(self, name: str) -> Document:
        """The pod as it is; empty where there is none."""
        return self.cluster.api.get(self.path(name)) or {}

    def uid(self, name: str) -> str:
        """The pod's uid."""
        return str(metadata(self.get(name))["uid"])

    def names(self) -> set[str]:
        """The pods there are, those on their way out not among them."""
        pods = [metadata(pod) for pod in self.cluster.api.items(self.path())]
        return {str(pod["name"]) for pod in pods if "deletionTimestamp" not in pod}

    def await_only(self, *names: str) -> None:
        """Return once these are all the pods there are."""
        until(lambda: self.names() == set(names) or None, within=60.0)

    def _runs(self, name: str) -> bool:
        status = self.get(name).get("status")
        return isinstance(status, dict) and status.get("phase") == "Running"


def pod(name: str, labels: Mapping[str, Json], **spec: Json) -> Document:
    """A pod."""
    containers: Json = [{"name": "agent", "image": "agent"}]
    metadata: Document = {"name": name, "labels": dict(labels)}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": {"containers": containers, **spec}}


def asked(api: Api, method: str, path: str, body: Json = None, *, content: str = "application/json") -> Answer:
    """What is answered to a request."""
    try:
        return Answer(200, document=api.request(method, path, body, content=content))
    except RefusedError as error:
        return Answer(error.status, str(error))


def metadata(document: Document) -> Document:
    """The metadata of an object."""
    found = document["metadata"]
    assert isinstance(found, dict)
    return found


def spec(document: Document) -> Document:
    """The spec of an object."""
    found = document["spec"]
    assert isinstance(found, dict)
    return found


def objects(folder: Path = GUARDS) -> list[Document]:
    """What a kustomization brings."""
    return list(yaml.safe_load_all(rendered(folder)))


def announced(namespace: str, pool: str = "coder") -> list[Document]:
    """What people apply before a pool's ScaledObject, for this namespace and pool."""
    text = (ROOT / "keda" / "namespace.yaml").read_text()
    for spelled in ("name: ", "namespace: "):
        text = text.replace(f"{spelled}agents\n", f"{spelled}{namespace}\n")
    return list(yaml.safe_load_all(text.replace("coder", pool)))


@contextmanager
def installed(cluster: Cluster, documents: Sequence[Document]) -> Iterator[None]:
    """These guards, in force until the end of the block."""
    ordered = sorted(documents, key=lambda document: str(document["kind"]).endswith("Binding"))
    cluster.api.apply(ordered)
    try:
        settle(cluster)
        yield
    finally:
        for document in reversed(ordered):  # bindings come after what they bind
            cluster.api.delete(cluster.api.path(document))


@contextmanager
def missing(cluster: Cluster, guard: str) -> Iterator[None]:
    """One of the installed guards is not in force until the end of the block: no binding of this name is there."""
    bindings = [d for d in objects() if str(d["kind"]).endswith("Binding") and metadata(d)["name"] == guard]
    for binding in bindings:
        cluster.api.delete(cluster.api.path(binding))
    try:
        settle(cluster)
        yield
    finally:
        cluster.api.apply(bindings)


def settle(cluster: Cluster) -> None:
    """Return once every policy and binding judges as it stands: the API server learns of them in their order."""
    probe: Document = {"name": f"probe-{next(PROBES)}"}
    rule: Document = {"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["pods"]}
    asks: Document = {"objectSelector": {"matchLabels": probe}, "resourceRules": [rule]}
    both = [
        _policy("", probe, {"matchConstraints": asks, "validations": [{"expression": "false"}]}),
        _policy("Binding", probe, {"policyName": probe["name"], "validationActions": ["Deny"]}),
    ]
    cluster.api.apply(both)
    path, probed = "/api/v1/namespaces/default/pods?dryRun=All", pod("probe", probe)
    until(lambda: asked(cluster.api, "POST", path, probed).policy == probe["name"] or None)
    for document in reversed(both):
        cluster.api.delete(cluster.api.path(document))


def _policy(kind: str, named: Document, spec: Document) -> Document:
    version, kind = "admissionregistration.k8s.io/v1", f"ValidatingAdmissionPolicy{kind}"
    return {"apiVersion": version, "kind": kind, "metadata": named, "spec": spec}


@contextmanager
def ward(cluster: Cluster, story: str) -> Iterator[Ward]:
    """A namespace with the people in it."""
    made = Ward(cluster, cluster.namespaces.make(story))
    bindings = [_binding(user, "ClusterRole", role) for user, role in PEOPLE.items()]
    cluster.api.apply([FORCEDRAIN, *bindings, _binding("breaker", "Role", "forcedrain")], namespace=made.name)
    try:
        yield made
    finally:
        cluster.namespaces.drop(made.name)


def _binding(user: str, kind: str, role: str) -> Document:
    group = "rbac.authorization.k8s.io"
    subject: Document = {"kind": "User", "name": user, "apiGroup": group}
    return {
        "apiVersion": f"{group}/v1",
        "kind": "RoleBinding",
        "metadata": {"name": f"{user.replace(':', '-')}-{role}"},
        "roleRef": {"apiGroup": group, "kind": kind, "name": role},
        "subjects": [subject],
    }
