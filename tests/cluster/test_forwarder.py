"""The stand-in for a Service, on a real control plane: where connections go, which ones stay, and how it misbehaves."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress

import pytest

from tests.cluster.harness.cluster import Cluster
from tests.cluster.harness.endpoints import endpoints
from tests.cluster.harness.forwarder import Manner, Service, standing_in
from tests.cluster.harness.rest import Document
from tests.cluster.harness.wait import until


class Echo:
    """A server at one address that says its name to whoever connects, and then repeats what it hears."""

    def __init__(self, name: str, address: str, port: int) -> None:
        self.port = port
        self._name = name
        self._socket = socket.create_server((address, port))
        self.port = self._socket.getsockname()[1]
        self._talks: list[socket.socket] = []
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        with suppress(OSError):
            while True:
                talk, _ = self._socket.accept()
                self._talks.append(talk)
                threading.Thread(target=self._talk, args=(talk,), daemon=True).start()

    def _talk(self, talk: socket.socket) -> None:
        with suppress(OSError):
            talk.sendall(f"{self._name}\n".encode())
            while heard := talk.recv(4096):
                talk.sendall(heard)
            talk.shutdown(socket.SHUT_WR)

    def close(self) -> None:
        """End it, and every talk."""
        with suppress(OSError):  # it has been ended before
            self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
        for talk in self._talks:
            talk.close()


class Caller:
    """A client's connection to the Service."""

    def __init__(self, service: Service, *, patience: float = 10.0) -> None:
        host, _, port = service.address.partition(":")
        self._socket = socket.create_connection((host, int(port)), timeout=patience)
        self._file = self._socket.makefile("rb")

    def hear(self) -> str:
        """A line, or nothing where the other side has ended."""
        return self._file.readline().decode().strip()

    def ask(self, word: str) -> str:
        """Say a word and hear the answer."""
        self._socket.sendall(f"{word}\n".encode())
        return self.hear()

    def finish(self) -> None:
        """Say no more, and hear on."""
        self._socket.shutdown(socket.SHUT_WR)

    def close(self) -> None:
        """Hang up."""
        self._file.close()
        self._socket.close()


class World:
    """A namespace with pods that answer, and a Service."""

    def __init__(self, cluster: Cluster, namespace: str, stack: ExitStack) -> None:
        self._cluster = cluster
        self._namespace = namespace
        self._stack = stack
        self._port = 0
        self.echoes: dict[str, Echo] = {}

    def pod(self, name: str, **labels: str) -> None:
        """A ready pod that answers with its name."""
        self._cluster.api.apply([_pod(name, labels)], namespace=self._namespace)
        echo = Echo(name, until(lambda: self._address(name)), self._port)
        self._port = echo.port
        self._stack.callback(echo.close)
        self.echoes[name] = echo

    def label(self, name: str, **labels: str | None) -> None:
        """Change a pod's labels; None takes one away."""
        self._patch(f"pods/{name}", {"metadata": {"labels": dict(labels)}})

    def ready(self, name: str, status: str) -> None:
        """Change a pod's readiness."""
        condition: Document = {"type": "Ready", "status": status}
        path = f"/api/v1/namespaces/{self._namespace}/pods/{name}/status"
        body: Document = {"status": {"conditions": [condition]}}
        self._cluster.api.request("PATCH", path, body, content="application/strategic-merge-patch+json")

    def select(self, **labels: str) -> None:
        """A Service with this selector, to the port of the pods."""
        self._cluster.api.apply([_service(labels, self._port)], namespace=self._namespace)

    def delete(self, name: str) -> None:
        """Delete a pod, which is gone at once."""
        self._cluster.api.delete(f"/api/v1/namespaces/{self._namespace}/pods/{name}", grace=0)

    def _patch(self, path: str, body: Document) -> None:
        whole = f"/api/v1/namespaces/{self._namespace}/{path}"
        self._cluster.api.request("PATCH", whole, body, content="application/merge-patch+json")

    def _address(self, name: str) -> str | None:
        pod = self._cluster.api.get(f"/api/v1/namespaces/{self._namespace}/pods/{name}") or {}
        status = pod["status"]
        assert isinstance(status, dict)
        return str(status["podIP"]) if "podIP" in status else None


def _pod(name: str, labels: dict[str, str]) -> Document:
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "labels": {**labels}},
        "spec": {"containers": [{"name": "echo", "image": "echo"}]},
    }


def _service(labels: dict[str, str], port: int) -> Document:
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "echo"},
        "spec": {"selector": {**labels}, "ports": [{"port": 80, "targetPort": port}]},
    }


@pytest.fixture
def world(cluster: Cluster, namespace: str) -> Iterator[World]:
    """A namespace whose pods answer."""
    with ExitStack() as stack:
        yield World(cluster, namespace, stack)


@pytest.fixture
def service(cluster: Cluster, namespace: str, world: World) -> Iterator[Service]:
    """The stand-in for a Service that leads to the pod ``a``."""
    world.pod("a", app="echo", leader="true")
    world.select(app="echo", leader="true")
    with standing_in(cluster.admin, namespace, "echo") as running:
        leads_to(running, "a")
        yield running


@pytest.fixture
def call(service: Service) -> Iterator[Callable[..., Caller]]:
    """Connect to it; every call is hung up at the end."""
    with ExitStack() as stack:

        def connect(*, patience: float = 10.0) -> Caller:
            caller = Caller(service, patience=patience)
            stack.callback(caller.close)
            return caller

        yield connect


def leads_to(service: Service, *pods: str) -> None:
    """Return once new connections go to these pods."""
    until(lambda: service.pods == list(pods) or None)


def pod_at(name: str, *, ready: bool = True, leaving: bool = False, **labels: str) -> Document:
    """A pod object with an address and a port called grpc."""
    metadata: Document = {"name": name, "labels": {**labels}}
    condition: Document = {"type": "Ready", "status": str(ready)}
    ports: Document = {"name": "grpc", "containerPort": 6000}
    return {
        "metadata": metadata | ({"deletionTimestamp": "2026-01-01T00:00:00Z"} if leaving else {}),
        "spec": {"containers": [{"name": "main", "ports": [ports]}]},
        "status": {"podIP": "127.64.0.1", "conditions": [condition]},
    }


@pytest.mark.parametrize(
    ("pods", "found"),
    [
        ([pod_at("a", app="x"), pod_at("b", app="y")], ["a"]),
        ([pod_at("a", app="x", ready=False), pod_at("b", app="x")], ["b"]),
        ([pod_at("a", app="x", leaving=True), pod_at("b", app="x")], ["b"]),
        ([pod_at("a", app="x", leaving=True), pod_at("b", app="x", ready=False)], ["a"]),
        ([pod_at("a", app="x", leaving=True, ready=False)], []),
    ],
    ids=["selected", "ready", "not-leaving", "leaving-where-there-is-no-other", "none"],
)
def test_a_service_leads_where_kube_proxy_would(pods: list[Document], found: list[str]) -> None:
    """To ready pods; to those that are being deleted and still ready only where there is no other."""
    service: Document = {"spec": {"selector": {"app": "x"}, "ports": [{"port": 80, "targetPort": "grpc"}]}}
    assert [(e.pod, e.port) for e in endpoints(service, pods)] == [(name, 6000) for name in found]


@pytest.mark.parametrize(
    ("port", "number"),
    [({"port": 80}, 80), ({"port": 80, "targetPort": 8000}, 8000), ({"port": 80, "targetPort": "http"}, None)],
    ids=["its-own", "a-number", "a-name-that-no-pod-has"],
)
def test_the_port_is_the_target_port(port: Document, number: int | None) -> None:
    """Without one it is the Service's own; a pod without a port of that name is no endpoint."""
    service: Document = {"spec": {"selector": {"app": "x"}, "ports": [port]}}
    assert [e.port for e in endpoints(service, [pod_at("a", app="x")])] == ([] if number is None else [number])


def test_a_service_without_a_selector_leads_nowhere() -> None:
    """Its endpoints are somebody else's to say; taking every pod would be the opposite of what is meant."""
    assert endpoints({"spec": {"ports": [{"port": 80}]}}, [pod_at("a", app="x")]) == ()


def test_a_new_connection_goes_to_the_pod_that_has_the_label_now(
    world: World, service: Service, call: Callable[..., Caller]
) -> None:
    """The leader's label moves: new connections go to the new leader, and the one that stands stays with the old."""
    before = call()
    assert before.hear() == "a"
    world.pod("b", app="echo")
    world.label("b", leader="true")
    world.label("a", leader=None)
    leads_to(service, "b")
    assert call().hear() == "b"
    assert before.ask("still there?") == "still there?"
    assert service.standing == 2


def test_a_changed_selector_holds_at_once(world: World, service: Service, call: Callable[..., Caller]) -> None:
    """The Service is followed, not only the pods."""
    world.pod("b", app="other")
    world.select(app="other")
    leads_to(service, "b")
    assert call().hear() == "b"


def test_without_a_ready_pod_connections_are_refused(
    world: World, service: Service, call: Callable[..., Caller]
) -> None:
    """A Service without endpoints refuses, and what stands stays; with an endpoint again it leads there."""
    before = call()
    assert before.hear() == "a"
    world.ready("a", "False")
    leads_to(service)
    with pytest.raises(ConnectionRefusedError):
        call()
    assert before.ask("still there?") == "still there?"
    world.ready("a", "True")
    leads_to(service, "a")
    assert call().hear() == "a"


def test_a_deleted_pod_gets_no_new_connection(world: World, service: Service, call: Callable[..., Caller]) -> None:
    """Its pod is gone from the API, though its process still answers those it has."""
    before = call()
    assert before.hear() == "a"
    world.pod("b", app="echo", leader="true")
    leads_to(service, "a", "b")
    world.delete("a")
    leads_to(service, "b")
    assert {call().hear() for _ in range(8)} == {"b"}
    assert before.ask("still there?") == "still there?"


def test_several_pods_share_the_connections(world: World, service: Service, call: Callable[..., Caller]) -> None:
    """Each of the ready pods gets some."""
    world.pod("b", app="echo", leader="true")
    leads_to(service, "a", "b")
    assert {call().hear() for _ in range(16)} == {"a", "b"}


def test_one_that_refuses_keeps_what_stands(service: Service, call: Callable[..., Caller]) -> None:
    """Refusing is for new connections, and ends when it is told to pass again."""
    before = call()
    assert before.hear() == "a"
    service.turn(Manner.REFUSE)
    with pytest.raises(ConnectionRefusedError):
        call()
    assert before.ask("still there?") == "still there?"
    service.turn(Manner.PASS)
    assert call().hear() == "a"


def test_one_that_hangs_accepts_and_says_nothing(service: Service, call: Callable[..., Caller]) -> None:
    """New connections are accepted and those that stand fall silent; thawed, both go on and nothing is lost."""
    before, impatient = call(), call(patience=0.3)
    assert (before.hear(), impatient.hear()) == ("a", "a")
    service.turn(Manner.HANG)
    hung = call(patience=0.3)
    with pytest.raises(TimeoutError):
        hung.hear()
    with pytest.raises(TimeoutError):
        impatient.ask("anybody?")
    late = call()
    until(lambda: service.standing == 4 or None)
    service.turn(Manner.PASS)
    assert late.hear() == "a"
    assert before.ask("still there?") == "still there?"


def test_one_that_is_slow_is_late_by_that_much(service: Service, call: Callable[..., Caller]) -> None:
    """Every piece of data waits, in both directions, so an answer is late by twice the delay."""
    caller = call()
    assert caller.hear() == "a"
    service.turn(Manner.PASS, delay=3600.0)
    impatient = call(patience=0.3)
    with pytest.raises(TimeoutError):
        impatient.hear()
    service.turn(Manner.PASS, delay=0.05)
    assert caller.ask("late?") == "late?"


def test_a_cut_resets_what_stands_and_only_that(service: Service, call: Callable[..., Caller]) -> None:
    """Whoever was connected sees a reset, and can connect anew."""
    before = call()
    assert before.hear() == "a"
    service.cut()
    with pytest.raises(ConnectionResetError):
        before.hear()
    assert call().hear() == "a"
    until(lambda: service.standing == 1 or None)


def test_one_side_may_end_before_the_other(service: Service, call: Callable[..., Caller]) -> None:
    """A client that says no more still hears what it has asked for, as over a real connection."""
    caller = call()
    assert caller.hear() == "a"
    assert caller.ask("last") == "last"
    caller.finish()
    assert caller.hear() == ""
    until(lambda: service.standing == 0 or None)


def test_a_pod_that_died_under_its_label_resets_the_call(
    world: World, service: Service, call: Callable[..., Caller]
) -> None:
    """The API still says ready, nobody listens: the caller sees a reset, not silence."""
    world.echoes["a"].close()
    with pytest.raises(ConnectionResetError):
        call().hear()
