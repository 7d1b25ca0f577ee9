"""The cluster that the other stories stand on: it is real, and every part of it can be lost."""

from __future__ import annotations

import ipaddress
import signal
import socket
import subprocess
import sys
import threading
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import pytest

from tests.cluster.harness import kwok, ports
from tests.cluster.harness.cluster import Cluster
from tests.cluster.harness.ports import free, listens
from tests.cluster.harness.process import SPAWNER, Part, Program
from tests.cluster.harness.rest import Api, RefusedError, condition
from tests.cluster.harness.scaled import Scaled
from tests.cluster.harness.wait import until
from tests.cluster.harness.workloads import nodes, pods, replicas

PLANE = ("etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler", "kwok")
KEDA = ("keda-operator", "keda-adapter")
JOB = f"""\
apiVersion: batch/v1
kind: Job
metadata: {{name: once}}
spec:
  template:
    metadata: {{annotations: {{{kwok.COMPLETE_AFTER}: 100ms}}}}
    spec: {{restartPolicy: Never, containers: [{{name: agent, image: agent}}]}}
"""
READER = """\
apiVersion: v1
kind: ServiceAccount
metadata: {name: reader}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata: {name: reader}
rules: [{apiGroups: [""], resources: [configmaps], verbs: [list]}]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {name: reader}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: Role, name: reader}
subjects: [{kind: ServiceAccount, name: reader}]
"""
CONTROLLER = "system:serviceaccount:kube-system:"


def scale(cluster: Cluster, namespace: str, name: str, count: int) -> None:
    """Set the replicas of a Deployment, and return once they are ready."""
    cluster.api.apply([Scaled(name=name, replicas=count).workload()], namespace=namespace)
    until(lambda: replicas(cluster.api, namespace, name) == (count, count) or None)


def test_pods_spread_over_three_zones(cluster: Cluster, namespace: str) -> None:
    """There is one Ready node in each zone, and the scheduler uses them all."""
    scale(cluster, namespace, "agents", 12)
    listed = cluster.api.items("/api/v1/nodes")
    assert [condition(node, "Ready") for node in listed] == ["True"] * len(kwok.ZONES)
    assert nodes(cluster.api, namespace) == {f"node-{zone}" for zone in kwok.ZONES}


def test_each_pod_has_an_address_at_which_an_agent_can_answer(cluster: Cluster, namespace: str) -> None:
    """Two listeners on one port are two agents: each at the address of its own pod."""
    scale(cluster, namespace, "agents", 2)
    addresses = pods(cluster.api, namespace)
    assert len(set(addresses.values())) == 2
    assert all(ipaddress.ip_address(ip) in cluster.addresses.network for ip in addresses.values())
    with ExitStack() as stack:
        listeners = {name: stack.enter_context(socket.create_server((ip, 18_080))) for name, ip in addresses.items()}
        for name, ip in addresses.items():
            with socket.create_connection((ip, 18_080), timeout=5):
                accepted, _ = listeners[name].accept()
                accepted.close()


def test_a_pod_takes_as_long_to_start_and_to_go_as_it_says(cluster: Cluster, namespace: str) -> None:
    """It has an address before it is Ready, and is still there for a while after it was deleted."""
    slow = Scaled(name="agents", replicas=1, annotations=((kwok.READY_AFTER, "1h"), (kwok.GONE_AFTER, "1h")))
    cluster.api.apply([slow.workload()], namespace=namespace)
    (name,) = until(lambda: pods(cluster.api, namespace) or None)
    assert replicas(cluster.api, namespace, "agents") == (1, 0)
    path = f"/api/v1/namespaces/{namespace}/pods/{name}"
    cluster.api.apply([replace(slow, replicas=0).workload()], namespace=namespace)
    leaving = until(lambda: found if (found := cluster.api.get(path)) and "deletionTimestamp" in str(found) else None)
    assert condition(leaving, "Ready") == "False"


def test_a_finished_job_is_complete(cluster: Cluster, namespace: str) -> None:
    """A Job's pod that says when it will have succeeded succeeds then."""
    cluster.api.apply(JOB, namespace=namespace)
    path = f"/apis/batch/v1/namespaces/{namespace}/jobs/once"
    until(lambda: condition(cluster.api.get(path), "Complete") == "True" or None)


def test_the_audit_log_tells_who_did_what(cluster: Cluster, namespace: str) -> None:
    """Controllers are told apart, and so is what was allowed from what was not."""
    mark = cluster.audit.mark()
    scale(cluster, namespace, "agents", 1)
    scale(cluster, namespace, "agents", 0)
    stranger = Api(cluster.user("stranger"))
    with pytest.raises(RefusedError, match="Forbidden"):
        stranger.request("GET", f"/api/v1/namespaces/{namespace}/secrets")
    stranger.close()
    seen = [request for request in cluster.audit.since(mark) if request.namespace == namespace]
    assert {(r.user, r.decision) for r in seen if (r.verb, r.resource, r.subresource) == ("delete", "pods", "")} >= {
        (f"{CONTROLLER}replicaset-controller", "allow")
    }
    assert {r.user for r in seen if (r.verb, r.subresource) == ("create", "binding")} == {"system:kube-scheduler"}
    assert [(r.verb, r.status, r.decision) for r in seen if r.user == "stranger"] == [("list", 403, "forbid")]


def test_a_service_account_can_do_what_its_role_allows_and_nothing_else(cluster: Cluster, namespace: str) -> None:
    """Its token is one that the API server gave out."""
    cluster.api.apply(READER, namespace=namespace)
    reader = Api(cluster.service_account(namespace, "reader"))
    assert reader.items(f"/api/v1/namespaces/{namespace}/configmaps") is not None
    with pytest.raises(RefusedError, match=f"system:serviceaccount:{namespace}:reader"):
        reader.items(f"/api/v1/namespaces/{namespace}/pods")
    reader.close()


def test_a_part_that_was_interrupted_while_it_began_is_ended_all_the_same(tmp_path: Path) -> None:
    """Ctrl-C comes while its process is being made: whoever clears up then finds it, and it does not stay."""
    part, goes_on = Part(Program("sleeper", ["sleep", "60"]), tmp_path), threading.Event()
    before = SPAWNER.submit(goes_on.wait)
    ctrl_c = threading.Timer(0.05, signal.pthread_kill, (threading.get_ident(), signal.SIGINT))
    ctrl_c.start()
    with pytest.raises(KeyboardInterrupt):
        part.start()
    goes_on.set()
    assert before.result()
    assert part.running
    part.kill()
    assert not part.running


def test_a_free_port_is_given_to_no_client() -> None:
    """The kernel's own range begins higher, so a part finds its port free when it comes back."""
    begins = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    ports = {free() for _ in range(50)}
    assert max(ports) < begins
    assert not any(listens(port) for port in ports)


def test_a_port_is_given_once_among_all_processes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of three that there are another process has two, where nobody listens yet; and once it ends they are free."""
    first = ports.LOWEST - 3  # which nobody else is given
    monkeypatch.setattr(ports, "LOWEST", first)
    monkeypatch.setattr(ports, "_ephemeral", lambda: first + 3)
    other = f"from tests.cluster.harness import ports as p; p.LOWEST, p._ephemeral = {first}, lambda: {first + 3}"
    command = [sys.executable, "-c", f"{other}; print(p.free(), p.free(), flush=True); input()"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as there:
        assert there.stdin is not None
        assert there.stdout is not None
        theirs = {int(port) for port in there.stdout.readline().split()}
        ours = ports.free()
        with pytest.raises(OSError, match="no free port"):
            ports.free()
        there.stdin.write(b"\n")
    assert {ours, *theirs} == {first, first + 1, first + 2}
    assert {ports.free(), ports.free()} == theirs


@pytest.mark.parametrize("name", [*PLANE, *KEDA])
def test_every_part_can_be_killed_and_comes_back(keda: Cluster, namespace: str, name: str) -> None:
    """On its old port, with what it knew; afterwards the cluster works as before."""
    scale(keda, namespace, "agents", 1)
    part = keda.parts[name]
    part.kill()
    assert not part.running
    part.start()
    part.await_ready()
    scale(keda, namespace, "agents", 2)


@pytest.mark.parametrize("name", [*PLANE, *KEDA])
def test_every_part_can_be_frozen_and_goes_on(keda: Cluster, namespace: str, name: str) -> None:
    """A frozen part answers nobody; its connections stay, and it goes on where it was."""
    part, pid = keda.parts[name], keda.parts[name].pid
    part.freeze()
    assert part.frozen
    assert not part.program.ready()
    part.thaw()
    part.await_ready()
    assert (part.frozen, part.pid) == (False, pid)
    scale(keda, namespace, "agents", 1)
