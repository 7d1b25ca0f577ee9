"""Least privilege is measured over all stories: what was refused fails them, and so does a right that nobody used."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import yaml

from tests.cluster.conftest import required
from tests.cluster.harness.audit import Request
from tests.cluster.harness.cluster import Cluster
from tests.cluster.harness.privilege import Right, Used, accounts, complaints, granted, used
from tests.cluster.harness.rest import Api, Document
from tests.cluster.harness.shipped import BASE, PROTECTED, SANDBOXES, objects

ROOT = Path(__file__).parents[2]
OURS = frozenset({"ours"})
MANIFESTS = """\
apiVersion: v1
kind: ServiceAccount
metadata: {name: ours}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata: {name: ours}
rules: [{apiGroups: [""], resources: [configmaps, pods/eviction], verbs: [get, create]}]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {name: ours}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: Role, name: ours}
subjects: [{kind: ServiceAccount, name: ours}]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: {name: for-people}
rules: [{apiGroups: [""], resources: [pods], verbs: [forcedrain]}]
"""
ALL = {
    Right("Role ours", "", resource, verb) for resource in ("configmaps", "pods/eviction") for verb in ("get", "create")
}
# A story that passes, in which our ServiceAccount asks for what nobody has granted it.
STORY = """\
from contextlib import suppress
from tests.cluster.harness.rest import Api, RefusedError

def test_a_story(cluster, namespace):
    account = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "agent-scaler"}}
    cluster.api.apply([account], namespace=namespace)
    api = Api(cluster.service_account(namespace, "agent-scaler"))
    with suppress(RefusedError):
        api.items(f"/api/v1/namespaces/{namespace}/secrets")
    api.close()
"""


def documents() -> list[Document]:
    """The objects of the manifests above."""
    return list(yaml.safe_load_all(MANIFESTS))


def asked(verb: str, resource: str, *, subresource: str = "", reason: str = "") -> Request:
    """A request of ours, which was refused unless a reason says what allowed it."""
    return Request(
        verb=verb,
        user="system:serviceaccount:somewhere:ours",
        group="",
        resource=resource,
        subresource=subresource,
        namespace="somewhere",
        name="",
        path="/api/v1/somewhere",
        status=200 if reason else 403,
        decision="allow" if reason else "forbid",
        reason=reason,
        agent="scaler",
    )


def by(role: str) -> str:
    """As the authorizer says what allowed a request."""
    return f'RBAC: allowed by RoleBinding "somewhere/it" of {role} to ServiceAccount "somewhere/ours"'


def test_every_right_of_a_role_that_an_account_has_is_granted() -> None:
    """And none of a role that is bound to nobody of ours."""
    assert granted(documents()) == ALL
    assert accounts(documents()) == OURS


def test_a_right_is_used_by_what_it_alone_has_allowed() -> None:
    """A subresource is a resource of its own, and what another role allows uses nothing of ours."""
    requests = [
        asked("get", "configmaps", reason=by('Role "ours"')),
        asked("create", "pods", subresource="eviction", reason=by('Role "ours"')),
        asked("get", "pods", reason=by('ClusterRole "system:discovery"')),
        replace(asked("create", "configmaps", reason=by('Role "ours"')), user="admin"),
    ]
    assert used(requests, OURS).rights & ALL == {
        Right("Role ours", "", "configmaps", "get"),
        Right("Role ours", "", "pods/eviction", "create"),
    }


def test_what_is_applied_for_the_first_time_uses_the_right_to_create_it() -> None:
    """The API server asks for both, and logs the patch."""
    patch = asked("patch", "configmaps", reason=by('Role "ours"'))
    assert used([patch], OURS).rights & ALL == set()
    assert used([replace(patch, status=201)], OURS).rights & ALL == {Right("Role ours", "", "configmaps", "create")}


def test_what_was_refused_is_told_once_whatever_was_run() -> None:
    """By account, verb and resource: an operator would have to grant just that."""
    told = used([asked("list", "secrets"), asked("list", "secrets")], OURS)
    assert complaints(frozenset(), told, everything=False) == [
        "system:serviceaccount:somewhere:ours may not list secrets (core)"
    ]


def test_what_nobody_used_is_told_when_every_story_has_been_told() -> None:
    """A part of them says nothing about that."""
    told = Used(frozenset(ALL - {Right("Role ours", "", "configmaps", "create")}))
    assert complaints(frozenset(ALL), told, everything=False) == []
    assert complaints(frozenset(ALL), told, everything=True) == [
        "Role ours grants create configmaps (core), which no story uses"
    ]


def test_the_audit_log_says_which_role_has_allowed_what(cluster: Cluster, namespace: str) -> None:
    """In the words that the two tests above take for granted."""
    mark = cluster.audit.mark()
    cluster.api.apply(MANIFESTS, namespace=namespace)
    api = Api(cluster.service_account(namespace, "ours"))
    api.request("GET", f"/api/v1/namespaces/{namespace}/configmaps/kube-root-ca.crt")
    api.close()
    cluster.api.delete("/apis/rbac.authorization.k8s.io/v1/clusterroles/for-people")
    assert used(cluster.audit.since(mark), OURS).rights == {Right("Role ours", "", "configmaps", "get")}


def test_what_ships_is_judged(cluster: Cluster) -> None:
    """The manifests have an account of ours, with rights in each folder that has any."""
    assert accounts(objects(BASE))
    assert all(granted(objects(folder)) for folder in (BASE, PROTECTED, SANDBOXES))


def test_a_session_whose_stories_all_pass_fails_on_a_right_that_was_missing(tmp_path: Path) -> None:
    """Whoever runs it, in one process or in several, reads which."""
    required("etcd", "kubernetes", "kwok")
    story = tmp_path / "test_story.py"
    story.write_text(STORY)
    command: list[str | Path] = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-p",
        "tests.cluster.conftest",
        "-c",
        ROOT / "pyproject.toml",
    ]
    for processes in ("0", "1"):
        session = subprocess.run(
            [*command, "-n", processes, story], cwd=ROOT, capture_output=True, encoding="utf-8", check=False
        )
        assert session.returncode == 1, session.stdout
        assert "1 passed" in session.stdout
        assert session.stdout.count("may not list secrets (core)") == 1
