"""What a test leaves behind is seen, told, and cleared away."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.cluster.harness.cluster import Cluster
from tests.cluster.harness.leftovers import Leftovers
from tests.cluster.harness.process import Part
from tests.cluster.harness.wait import until

IDLE = "import threading; threading.Event().wait()"
ORPHAN = f"import subprocess, sys; subprocess.Popen([sys.executable, '-c', {IDLE!r}], start_new_session=False)"
POLICY = """\
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingAdmissionPolicy
metadata: {name: forgotten}
spec:
  matchConstraints:
    resourceRules: [{apiGroups: [""], apiVersions: [v1], operations: [DELETE], resources: [nodes]}]
  validations: [{expression: "true"}]
"""


def told(before: Leftovers) -> list[str]:
    """What is left, without waiting for it to go."""
    return before.removed(within=0.0)


def test_a_clean_test_leaves_nothing(cluster: Cluster, namespace: str) -> None:
    """A part that was restarted and a namespace that is in use are no leftovers."""
    before = Leftovers.before(cluster)
    cluster.parts["kwok"].restart()
    assert told(before) == []


def test_a_forgotten_part_is_ended(cluster: Cluster) -> None:
    """A program of the test's own runs until the test removes it."""
    before = Leftovers.before(cluster)
    part = cluster.run("forgotten", [sys.executable, "-c", IDLE])
    assert told(before) == ["part forgotten still runs"]
    assert not part.running
    assert "forgotten" not in cluster.parts


def test_a_forgotten_child_is_ended(cluster: Cluster) -> None:
    """Whatever this process started and did not wait for."""
    before = Leftovers.before(cluster)
    with subprocess.Popen([sys.executable, "-c", IDLE]) as child:
        (line,) = told(before)
        assert line.startswith(f"process {child.pid} runs: ")
        assert child.wait() < 0


def test_a_child_that_a_part_left_behind_is_ended(cluster: Cluster) -> None:
    """The part itself has ended in order, so nobody is its child's parent any more."""
    before = Leftovers.before(cluster)
    cluster.run("parent", [sys.executable, "-c", ORPHAN]).ended()
    cluster.remove("parent")
    (line,) = told(before)
    pid = int(line.split()[1])
    assert line.startswith(f"process {pid} runs: {sys.executable}")
    until(lambda: None if Path(f"/proc/{pid}").exists() else True)


def test_a_port_that_stays_open_is_told(cluster: Cluster) -> None:
    """By this very process, which cannot be ended for it."""
    before = Leftovers.before(cluster)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        assert told(before) == [f"port {listener.getsockname()[1]} is listened on by this process"]
    assert told(before) == []


def test_a_forgotten_admission_policy_is_deleted(cluster: Cluster) -> None:
    """It would judge the requests of every test after."""
    before = Leftovers.before(cluster)
    cluster.api.apply(POLICY)
    path = "/apis/admissionregistration.k8s.io/v1/validatingadmissionpolicies/forgotten"
    assert told(before) == [f"object {path}"]
    assert cluster.api.get(path) is None


def test_a_forgotten_namespace_is_deleted(cluster: Cluster) -> None:
    """One that was made without the fixture."""
    before = Leftovers.before(cluster)
    name = cluster.namespaces.make("forgotten")
    assert told(before) == [f"object /api/v1/namespaces/{name}"]


def test_a_namespace_that_cannot_be_emptied_is_an_error(cluster: Cluster) -> None:
    """Something in it will not go; who holds it is in the message."""
    name = cluster.namespaces.make("held")
    path = f"/apis/apps/v1/namespaces/{name}/deployments/held"
    held = """
apiVersion: apps/v1
kind: Deployment
metadata: {name: held, finalizers: [agent-scaler.test/held]}
spec:
  replicas: 0
  selector: {matchLabels: {app: held}}
  template: {metadata: {labels: {app: held}}, spec: {containers: [{name: a, image: a}]}}
"""
    cluster.api.apply(held, namespace=name)
    with pytest.raises(AssertionError) as raised:
        cluster.namespaces.drop(name, within=0.5)
    assert "deployments" in str(raised.value.__notes__)
    cluster.api.request("PATCH", path, {"metadata": {"finalizers": None}}, content="application/merge-patch+json")


@pytest.mark.parametrize(("lose", "line"), [(Part.kill, "has ended"), (Part.freeze, "is frozen")])
def test_a_part_that_was_not_brought_back_is(cluster: Cluster, lose: Callable[[Part], None], line: str) -> None:
    """The next test finds the cluster whole."""
    before = Leftovers.before(cluster)
    part = cluster.parts["kwok"]
    lose(part)
    (found,) = told(before)
    assert found.startswith(f"part kwok {line}")
    until(lambda: part.program.ready() or None)


def test_our_own_process_is_none_of_them(cluster: Cluster) -> None:
    """Nor is what was there before."""
    with subprocess.Popen([sys.executable, "-c", IDLE]) as child:
        assert {child.pid, os.getpid()} & Leftovers.before(cluster).processes == {child.pid}
        child.kill()
