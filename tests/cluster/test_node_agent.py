"""The node whose pods are processes, on a real control plane: what kubelet promises a pod is what happens to it."""

from __future__ import annotations

import shlex
import socket
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cluster.harness.cluster import Cluster
from tests.cluster.harness.processnode import ProcessNode, process_node
from tests.cluster.harness.rest import Document, Json, condition
from tests.cluster.harness.wait import until

AGENT = """
import http.server, os, signal, sys
def told(number, frame):
    print("heard", signal.Signals(number).name, flush=True)
    if os.environ.get("STUBBORN") != "yes":
        sys.exit(int(os.environ.get("CODE", "0")))
signal.signal(signal.SIGTERM, told)
class Page(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        print("asked", self.path, flush=True)
        self.send_response(200 if os.path.exists("ready") or self.path == "/stop" else 503)
        self.end_headers()
    def log_message(self, *_):
        pass
server = http.server.ThreadingHTTPServer((os.environ["POD_IP"], 8000), Page)
print("up as", os.getpid(), flush=True)
server.serve_forever()
"""

ADDRESS: list[Json] = [{"name": "POD_IP", "valueFrom": {"fieldRef": {"fieldPath": "status.podIP"}}}]
STUBBORN: Document = {"env": [{"name": "STUBBORN", "value": "yes"}]}


@pytest.fixture(scope="module")
def node(cluster: Cluster) -> Iterator[ProcessNode]:
    """A node whose pods are processes."""
    with process_node(cluster, "processes", images={"agent": shlex.join([sys.executable, "-c", AGENT])}) as running:
        yield running


class Pods:
    """The pods of a namespace on that node."""

    def __init__(self, cluster: Cluster, namespace: str, node: ProcessNode) -> None:
        self.api = cluster.api
        self.node = node
        self._path = f"/api/v1/namespaces/{namespace}/pods"
        self._namespace = namespace

    def run(self, name: str, container: Document | None = None, **spec: Json) -> None:
        """A pod with one container, which is the agent unless ``container`` says otherwise, and more of its spec."""
        given = container or {}
        env = given.get("env")
        main: Document = {"name": "main", "image": "registry.test/agent:1", **given}
        main["env"] = [*ADDRESS, *(env if isinstance(env, list) else [])]
        pod: Document = {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": name},
            "spec": {**self.node.placed(), "terminationGracePeriodSeconds": 30, "containers": [main], **spec},
        }
        self.api.apply([pod], namespace=self._namespace)

    def get(self, name: str) -> Document | None:
        """The pod as it is now."""
        return self.api.get(f"{self._path}/{name}")

    def status(self, name: str) -> Document:
        """The pod's status."""
        status = (self.get(name) or {}).get("status")
        return status if isinstance(status, dict) else {}

    def container(self, name: str) -> Document:
        """The status of the pod's container; empty where there is none yet."""
        listed = self.status(name).get("containerStatuses")
        first = listed[0] if isinstance(listed, list) and listed else {}
        return first if isinstance(first, dict) else {}

    def delete(self, name: str, *, grace: int | None = None) -> None:
        """Ask for the pod's end."""
        self.api.delete(f"{self._path}/{name}", grace=grace)

    def ready(self, name: str) -> None:
        """Return once it is ready."""
        until(lambda: condition(self.get(name), "Ready") == "True" or None)

    def gone(self, name: str) -> None:
        """Return once there is no such pod."""
        until(lambda: self.get(name) is None or None)

    def says(self, name: str, word: str, *, times: int = 1) -> None:
        """Return once the pod's container has written the word so often."""
        until(lambda: self.log(name).count(word) >= times or None)

    def log(self, name: str) -> str:
        """What the pod's container has written."""
        return self.node.log(self._namespace, name, "main")

    def folder(self, name: str) -> Path:
        """What the pod has on its node."""
        return self.node.pod_folders(self._namespace, name)[0]

    def pid(self, name: str) -> int:
        """The process of the pod's container."""
        self.says(name, "up as")
        return int(self.log(name).rpartition("up as ")[2].split()[0])

    def address(self, name: str) -> str:
        """Where the pod is."""
        return str(self.status(name)["podIP"])


@pytest.fixture
def pods(cluster: Cluster, namespace: str, node: ProcessNode) -> Pods:
    """The pods of this test."""
    return Pods(cluster, namespace, node)


def runs(pid: int) -> bool:
    """Whether there is such a process."""
    return Path(f"/proc/{pid}").exists()


def test_a_pod_is_a_process_at_an_address_of_its_own(pods: Pods) -> None:
    """It is scheduled, it runs, it is Ready, and it can be reached at its own loopback address and nowhere else."""
    pods.run("a")
    pods.run("b")
    for name in ("a", "b"):
        pods.ready(name)
        pods.says(name, "up as")
        socket.create_connection((pods.address(name), 8000), timeout=5.0).close()
    assert pods.address("a") != pods.address("b")
    assert (pods.status("a")["phase"], pods.container("a")["restartCount"]) == ("Running", 0)


def test_a_deleted_pod_runs_its_hook_then_hears_sigterm_and_is_gone_when_it_has_ended(pods: Pods) -> None:
    """PreStop first, SIGTERM after it, and the object goes only once the process has."""
    pods.run("a", {"lifecycle": {"preStop": {"httpGet": {"path": "/stop", "port": 8000}}}})
    pods.ready("a")
    pid = pods.pid("a")
    pods.delete("a")
    pods.gone("a")
    assert not runs(pid)
    log = pods.log("a")
    assert log.index("asked /stop") < log.index("heard SIGTERM")


def test_while_its_hook_runs_a_deleted_pod_works_on(pods: Pods, tmp_path: Path) -> None:
    """A preStop that waits keeps SIGTERM away: that is how an agent finishes its task."""
    go = tmp_path / "go"
    wait = f"until [ -e {go} ]; do sleep 0.05; done"
    pods.run("a", {"lifecycle": {"preStop": {"exec": {"command": ["sh", "-c", wait]}}}})
    pods.ready("a")
    pid = pods.pid("a")
    pods.delete("a")
    until(lambda: "deletionTimestamp" in str((pods.get("a") or {})["metadata"]) or None)
    socket.create_connection((pods.address("a"), 8000), timeout=5.0).close()
    assert runs(pid)
    assert "SIGTERM" not in pods.log("a")
    go.touch()
    pods.gone("a")
    assert "heard SIGTERM" in pods.log("a")


def test_whoever_does_not_end_is_killed_when_its_grace_is_over(pods: Pods) -> None:
    """A process that ignores SIGTERM has exactly the grace period, and its whole group goes with it."""
    pods.run("a", STUBBORN, terminationGracePeriodSeconds=3)
    pods.ready("a")
    pid = pods.pid("a")
    pods.delete("a")
    pods.says("a", "heard SIGTERM")
    pods.gone("a")
    assert not runs(pid)


def test_a_second_deletion_can_shorten_the_grace_and_not_lengthen_it(pods: Pods) -> None:
    """An hour's grace ends at once when somebody deletes the pod again with a second's."""
    pods.run("a", STUBBORN, terminationGracePeriodSeconds=3600)
    pods.ready("a")
    pods.pid("a")
    pods.delete("a")
    pods.says("a", "heard SIGTERM")
    pods.delete("a", grace=1)
    pods.gone("a")


def test_a_pod_deleted_by_force_loses_its_process_too(pods: Pods) -> None:
    """The object goes at once, without a word to anybody; the process is not forgotten."""
    pods.run("a", STUBBORN, terminationGracePeriodSeconds=3600)
    pods.ready("a")
    pid = pods.pid("a")
    pods.delete("a", grace=0)
    assert pods.get("a") is None
    until(lambda: not runs(pid) or None)


def test_readiness_is_what_the_probe_says(pods: Pods) -> None:
    """A pod is ready from when its probe succeeds, and no longer once it fails."""
    probe: Json = {"httpGet": {"path": "/", "port": "http"}, "periodSeconds": 1, "failureThreshold": 1}
    pods.run("a", {"ports": [{"name": "http", "containerPort": 8000}], "readinessProbe": probe})
    pods.says("a", "asked /", times=2)
    assert condition(pods.get("a"), "Ready") == "False"
    mark = pods.folder("a") / "main" / "ready"
    mark.touch()
    pods.ready("a")
    mark.unlink()
    until(lambda: condition(pods.get("a"), "Ready") == "False" or None)


def test_a_container_that_fails_its_liveness_probe_is_ended_and_started_again(pods: Pods) -> None:
    """The pod stays, its container is another process, and the restart is counted."""
    probe: Json = {"httpGet": {"path": "/", "port": 8000}, "periodSeconds": 1, "failureThreshold": 4}
    pods.run("a", {"livenessProbe": probe})
    pods.says("a", "up as", times=2)
    until(lambda: pods.container("a").get("restartCount") != 0 or None)
    assert "heard SIGTERM" in pods.log("a")


@pytest.mark.parametrize(
    ("restart", "code", "phase"),
    [("Never", 0, "Succeeded"), ("Never", 3, "Failed"), ("OnFailure", 0, "Succeeded")],
)
def test_a_container_that_ends_for_good_ends_its_pod(pods: Pods, restart: str, code: int, phase: str) -> None:
    """The pod's phase and the exit code say how."""
    pods.run("a", {"command": ["sh", "-c", f"exit {code}"]}, restartPolicy=restart)
    until(lambda: pods.status("a").get("phase") == phase or None)
    state = pods.container("a")["state"]
    assert isinstance(state, dict)
    ended = state["terminated"]
    assert isinstance(ended, dict)
    assert (ended["exitCode"], pods.container("a")["restartCount"]) == (code, 0)


@pytest.mark.parametrize("restart", ["Always", "OnFailure"])
def test_a_container_that_crashes_is_started_again(pods: Pods, restart: str) -> None:
    """Again and again, each start counted, with what it did last time to be read."""
    pods.run("a", {"command": ["sh", "-c", "echo began; exit 7"]}, restartPolicy=restart)
    pods.says("a", "began", times=3)
    until(lambda: "'exitCode': 7" in str(pods.container("a").get("lastState")) or None)


def test_an_empty_dir_outlives_the_container_and_not_the_pod(pods: Pods) -> None:
    """What is written before an acknowledgement is there after a restart: a gate's state depends on it."""
    write = "cat /state/gate 2>/dev/null; echo closed > /state/gate; echo wrote; sleep 0.2; exit 1"
    mount: Json = [{"name": "state", "mountPath": "/state"}]
    volumes: Json = [{"name": "state", "emptyDir": {}}]
    pods.run("a", {"command": ["sh", "-c", write], "volumeMounts": mount}, volumes=volumes)
    pods.says("a", "closed")
    left = pods.folder("a") / "volumes" / "state" / "gate"
    assert left.read_text() == "closed\n"
    pods.delete("a")
    pods.gone("a")
    until(lambda: not left.exists() or None)


def test_a_config_map_a_secret_and_the_pods_own_fields_are_there(cluster: Cluster, namespace: str, pods: Pods) -> None:
    """As files under the mount path and as variables, also inside others and in the command; paths in them lead."""
    data: Document = {"pools.yaml": "mode: off", "where": "/keys/token"}
    kept: list[Document] = [
        {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "pools"}, "data": data},
        {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "keys"}, "stringData": {"token": "hush"}},
    ]
    cluster.api.apply(kept, namespace=namespace)
    env: Json = [
        {"name": "WHO", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}},
        {"name": "TOKEN", "valueFrom": {"secretKeyRef": {"name": "keys", "key": "token"}}},
        {"name": "BOTH", "value": "$(WHO):$(TOKEN)"},
    ]
    mounts: Json = [{"name": "pools", "mountPath": "/etc/scaler"}, {"name": "keys", "mountPath": "/keys"}]
    volumes: Json = [
        {"name": "pools", "configMap": {"name": "pools"}},
        {"name": "keys", "secret": {"secretName": "keys"}},
    ]
    read = "cat /etc/scaler/pools.yaml /keys/token; xargs cat < /etc/scaler/where; echo; echo $(BOTH) $BOTH; sleep 60"
    command: Json = ["sh", "-c", read]
    pods.run("a", {"command": command, "env": env, "volumeMounts": mounts}, volumes=volumes)
    pods.says("a", "mode: offhushhush")
    pods.says("a", "a:hush a:hush")


def test_a_missing_config_map_is_waited_for(cluster: Cluster, namespace: str, pods: Pods) -> None:
    """The container says what it waits for, and starts when it is there."""
    mounts: Json = [{"name": "pools", "mountPath": "/etc/scaler"}]
    volumes: Json = [{"name": "pools", "configMap": {"name": "pools"}}]
    command: Json = ["sh", "-c", "cat /etc/scaler/pools.yaml; sleep 60"]
    pods.run("a", {"command": command, "volumeMounts": mounts}, volumes=volumes)
    until(lambda: "CreateContainerConfigError" in str(pods.container("a").get("state")) or None)
    kept: Document = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": "pools"},
        "data": {"pools.yaml": "late"},
    }
    cluster.api.apply([kept], namespace=namespace)
    pods.says("a", "late")


def test_a_pod_reaches_the_api_as_its_service_account(pods: Pods) -> None:
    """KUBECONFIG names its credentials, and the server knows it as the namespace's default account."""
    ask = (
        "import asyncio, os; from pathlib import Path; from tests.cluster.harness.api import open_api\n"
        "async def main():\n"
        "    async with open_api(Path(os.environ['KUBECONFIG'])) as api:\n"
        "        body = {'apiVersion': 'authentication.k8s.io/v1', 'kind': 'SelfSubjectReview'}\n"
        "        print(await api.send('POST', '/apis/authentication.k8s.io/v1/selfsubjectreviews', body))\n"
        "asyncio.run(main())"
    )
    env: Json = [{"name": "PYTHONPATH", "value": str(Path.cwd())}]
    pods.run("a", {"command": [sys.executable, "-c", ask], "env": env}, restartPolicy="Never")
    pods.says("a", ":default'")


@pytest.mark.parametrize(
    ("more", "why"),
    [
        ({"image": "unheard-of"}, "it has no command, and the entry point of unheard-of is not known"),
        ({"envFrom": [{"configMapRef": {"name": "x"}}]}, "envFrom"),
        ({"livenessProbe": {"grpc": {"port": 1}}}, "livenessProbe: only exec, httpGet, tcpSocket, sleep"),
    ],
)
def test_what_cannot_be_done_is_refused_and_named(pods: Pods, more: Document, why: str) -> None:
    """Nothing that a pod asks for is left out in silence."""
    pods.run("a", more)
    until(lambda: pods.status("a").get("phase") == "Failed" or None)
    assert why in str(pods.status("a")["message"])


def test_a_node_that_is_lost_takes_its_processes_and_comes_back_to_its_pods(
    cluster: Cluster, pods: Pods, node: ProcessNode
) -> None:
    """The agent is killed without a word: no process survives it. Started again, it runs its pods anew."""
    pods.run("a")
    pods.ready("a")
    pid = pods.pid("a")
    node.part.kill()
    until(lambda: not runs(pid) or None)
    node.part.start()
    pods.says("a", "up as", times=2)
    pods.ready("a")
    until(lambda: pods.container("a").get("restartCount") == 1 or None)


def test_a_pod_that_was_deleted_while_its_node_was_away_goes_when_it_is_back(pods: Pods, node: ProcessNode) -> None:
    """Nobody else removes it: the node that comes back has to."""
    pods.run("a")
    pods.ready("a")
    node.part.kill()
    pods.delete("a")
    node.part.start()
    pods.gone("a")


def test_a_frozen_node_reports_nothing_and_catches_up(pods: Pods, node: ProcessNode) -> None:
    """Its processes work on meanwhile, and a deletion takes effect when it thaws."""
    pods.run("a")
    pods.ready("a")
    pods.pid("a")
    node.part.freeze()
    pods.delete("a")
    socket.create_connection((pods.address("a"), 8000), timeout=5.0).close()
    assert pods.get("a") is not None
    node.part.thaw()
    pods.gone("a")


def test_an_api_server_that_is_away_costs_no_process(cluster: Cluster, pods: Pods) -> None:
    """Pods work on, and what happened meanwhile is reported when it is back."""
    pods.run("a", {"command": ["sh", "-c", "echo began; [ -e ended ] && exec sleep 60; touch ended; sleep 1; exit 5"]})
    pods.says("a", "began")
    cluster.parts["kube-apiserver"].kill()
    pods.says("a", "began", times=2)
    cluster.parts["kube-apiserver"].start()
    cluster.parts["kube-apiserver"].await_ready()
    until(lambda: "'exitCode': 5" in str(pods.container("a").get("lastState")) or None)
