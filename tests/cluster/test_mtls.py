"""The whole way over mutual TLS as it ships: the page's certificates, overlays/protected-mtls, the objects of keda/."""

from __future__ import annotations

import os
import re
import ssl
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import reduce
from pathlib import Path

import pytest
import urllib3
import yaml

from scaler.controller.dig import strings, text
from scaler.controller.names import MANAGED, budget_name
from tests.cluster.harness.assets import Assets
from tests.cluster.harness.cluster import Cluster
from tests.cluster.harness.forwarder import Service, standing_in
from tests.cluster.harness.leftovers import Leftovers
from tests.cluster.harness.prometheus import Prometheus, prometheus
from tests.cluster.harness.rest import Document, RefusedError, condition
from tests.cluster.harness.scaled import Scaled
from tests.cluster.harness.shipped import ADDRESS, HOME, PROTECTED_MTLS, Shipped, objects, shipped
from tests.cluster.harness.wait import until
from tests.cluster.harness.workloads import pods, replicas
from tests.house.source import ROOT

PAGE = (ROOT / "docs" / "tls.md").read_text()
AGENTS = "agents"  # the namespace that the examples name
SECURED, PLAIN = "auditor", "coder"  # the pools of scaledobject-mtls.yaml and of scaledobject-pull.yaml
OK, FORBIDDEN = 200, 403
QUEUED, NEEDED = 6, 3  # tasks of each pool, and the pods that two slots make of them
KEPT = 2  # pods of a pool that holds
NAMED = "grpc agent-scaler DNS:agent-scaler.agent-scaler,"  # the scaler, by the host that triggers name
ACCOUNT = "/var/run/secrets/kubernetes.io/serviceaccount"
# Said as by default, so that it is found where a process has it.
KUBERNETES = f'sources:\n  kubernetes: {{url: "{{server}}", token_file: {ACCOUNT}/token, ca_file: {ACCOUNT}/ca.crt}}\n'


def said(name: str) -> str:
    """A block of the page."""
    found = re.search(f"<!-- {name} -->\n```\\w+\n(.*?)```\n<!-- end -->", PAGE, re.DOTALL)
    assert found is not None
    return found[1]


@dataclass(frozen=True, slots=True)
class Way:
    """The scaler as it ships, and who reads it.

    Attributes:
        folder: where the certificates were made.
        pages: the pages of the replica that leads.
        other: a namespace of pools beside the one of the examples; in ``stray`` triggers show the latter's certificate.
    """

    scaler: Shipped
    folder: Path
    pages: str
    prometheus: Prometheus
    other: str
    stray: str

    @property
    def cluster(self) -> Cluster:
        """Where all of it is."""
        return self.scaler.cluster

    def status(self, page: str, *, certificate: str = "") -> int:
        """What a page answers to whoever shows this certificate, or none."""
        context = ssl.create_default_context(cafile=str(self.folder / "ca.crt"))
        if certificate:
            context.load_cert_chain(self.folder / f"{certificate}.crt", self.folder / f"{certificate}.key")
        with urllib3.PoolManager(ssl_context=context, retries=False, timeout=5.0) as pool:
            return pool.request("GET", f"{self.pages}{page}").status

    def asked(self, query: str) -> float | None:
        """What Prometheus knows."""
        answer = urllib3.request("GET", f"{self.prometheus.url}/api/v1/query", fields={"query": query}).json()
        return float(answer["data"]["result"][0]["value"][1]) if answer["data"]["result"] else None

    def example(self, file: str, namespace: str = AGENTS, change: tuple[str, str] = ("", "")) -> list[Document]:
        """What a file of keda/ has, for this namespace, with the address that the scaler has here."""
        changes = ((ADDRESS, self.scaler.service.named), (f"namespace: {AGENTS}", f"namespace: {namespace}"), change)
        told = (ROOT / "keda" / f"{file}.yaml").read_text()
        return list(yaml.safe_load_all(reduce(lambda text, change: text.replace(*change), changes, told)))

    def pool(self, scaled: list[Document], *, kept: int = 0) -> None:
        """A ScaledObject, and the workload that it scales."""
        [namespace], [name] = ([text(each, "metadata", key) for each in scaled] for key in ("namespace", "name"))
        self.cluster.api.apply([Scaled(name=name, replicas=kept).workload(), *scaled], namespace=namespace)

    def hpa(self, namespace: str, name: str) -> Document | None:
        """What KEDA has made of a ScaledObject."""
        hpas = f"/apis/autoscaling/v2/namespaces/{namespace}/horizontalpodautoscalers"
        return self.cluster.api.get(f"{hpas}/keda-hpa-{name}")

    def warned(self, namespace: str, name: str, told: str) -> None:
        """Return once KEDA has warned at this ScaledObject, in words that these are among."""

        def warned() -> bool | None:
            """KEDA says so in an event."""
            events = self.cluster.api.items(f"/api/v1/namespaces/{namespace}/events")
            mine = [event for event in events if text(event, "involvedObject", "name") == name]
            return any(e["reason"] == "KEDAScalerFailed" and told in text(e, "message") for e in mine) or None

        until(warned)


@pytest.fixture(scope="module", autouse=True)
def leaves_nothing(keda: Cluster) -> Iterator[None]:
    """The stories share their scaler, so what is left of them is looked at when the last has been told."""
    before = Leftovers.before(keda)
    yield
    assert before.removed() == []


@pytest.fixture(scope="module")
def way(keda: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Way]:
    """Everything installed: the namespaces, what the page makes, the overlay, and Prometheus that reads it."""
    folder = tmp_path_factory.mktemp("certificates")
    with ExitStack() as stack:
        keda.namespaces.await_gone(AGENTS)
        keda.api.apply((ROOT / "keda" / "namespace.yaml").read_text())
        names = [AGENTS, *(keda.namespaces.make(f"mtls-{name}") for name in ("other", "stray"))]
        for name in names:
            stack.callback(keda.namespaces.drop, name)
        stack.callback(keda.api.delete, "/api/v1/namespaces/keda/secrets/agent-scaler-client")
        reading = stack.enter_context(prometheus(keda, "mtls", *jobs(folder)))
        installed = shipped(keda, pools(reading.url), of=PROTECTED_MTLS, beside=lambda: made(keda, folder))
        scaler = stack.enter_context(installed)
        pages = stack.enter_context(forwarded(scaler))
        found(scaler, folder, names)
        yield Way(scaler, folder, f"https://{pages.named}", reading, *names[1:])


def pools(prometheus: str) -> str:
    """The configuration of the overlay, which names one server of ours and knows the other by default."""
    of = ("ConfigMap", HOME)
    [kept] = [d for d in objects(PROTECTED_MTLS) if (d["kind"], text(d, "metadata", "name")) == of]
    ours = text(kept, "data", "pools.yaml").replace("http://prometheus-server.monitoring:9090", prometheus)
    return ours.replace("sources:\n", KUBERNETES)


def made(cluster: Cluster, folder: Path) -> None:
    """The certificates and their Secrets, by the page; and the key of the drain orders, as the overlay says."""
    run(cluster, folder, said("certificates").replace(NAMED, "grpc here DNS:localhost,"))
    run(cluster, folder, f"scaler gate keys --agents {AGENTS} | kubectl apply -f -")


def run(cluster: Cluster, folder: Path, script: str) -> str:
    """What a script of a page prints, run as the administrator where the certificates are."""
    places = [Assets.usual().binary("kubectl").parent, Path(sys.executable).parent, os.environ["PATH"]]
    env = {"PATH": ":".join(map(str, places)), "KUBECONFIG": str(cluster.admin)}
    command = ["/bin/sh", "-euc", script]
    return subprocess.run(command, cwd=folder, env=env, check=True, stdout=subprocess.PIPE, encoding="utf-8").stdout


def jobs(folder: Path) -> Iterator[Document]:
    """What Prometheus scrapes: the page's job with the files where they are, and agents; it is told later where."""
    [job] = yaml.safe_load(said("scrape").replace("/tls/agent-scaler", str(folder)))["scrape_configs"]
    del job["dns_sd_configs"]
    for each in (job, {"job_name": AGENTS, "metrics_path": "/tasks"}):
        yield each | {"file_sd_configs": [{"files": [str(folder / f"{each['job_name']}.yaml")]}]}


def found(scaler: Shipped, folder: Path, namespaces: list[str]) -> None:
    """Tell Prometheus where the scaler's pods are, and where agents tell of their tasks."""
    tasks = [f'{{namespace="{namespace}", pool="{pool}"}}' for namespace in namespaces for pool in (SECURED, PLAIN)]
    lines = [f"agent_tasks_queued{of} {QUEUED}\nagent_tasks_inflight{of} 0\n" for of in tasks]
    (scaler.folder / "tasks").write_text("".join(lines))
    [port] = scaler.cluster.parts["numbers"].program.ports
    ours = [f"{address}:8080" for address in pods(scaler.cluster.api, HOME).values()]
    for job, targets in ((AGENTS, [f"127.0.0.1:{port}"]), (HOME, ours)):
        (folder / f"{job}.yaml").write_text(yaml.safe_dump([{"targets": targets}]))


@contextmanager
def forwarded(scaler: Shipped) -> Iterator[Service]:
    """The pages by a forwarded port: as ``kubectl port-forward`` finds them, by the Service that KEDA knows."""
    [ours] = [d for d in scaler.objects if (d["kind"], text(d, "metadata", "name")) == ("Service", HOME)]
    port: Document = {"port": 8080, "targetPort": "http"}
    spec: Document = {"selector": {**strings(ours, "spec", "selector")}, "ports": [port]}
    scaler.cluster.api.apply([ours | {"metadata": {"name": "pages", "namespace": HOME}, "spec": spec}])
    with standing_in(scaler.cluster.admin, HOME, "pages") as service:
        until(lambda: service.pods or None)
        yield service


@pytest.fixture(scope="module")
def auditor(way: Way) -> Way:
    """The pool of the example, whose namespace has a certificate of its own."""
    way.cluster.api.apply(way.example("triggerauthentication"))
    way.pool(way.example("scaledobject-mtls"))
    until(lambda: replicas(way.cluster.api, AGENTS, SECURED) == (NEEDED, NEEDED) or None)
    return way


def test_a_pool_follows_its_work_through_the_certificate_of_its_namespace(auditor: Way) -> None:
    """By what the page and keda/ say, word for word; and KEDA, the HPA and the scaler agree on the number."""
    assert condition(auditor.hpa(AGENTS, SECURED), "ScalingActive") == "True"


def test_the_drain_controller_knows_the_pool_by_the_address_that_speaks_tls(auditor: Way) -> None:
    """Its pods are guarded, so that their deletion is refused, and its budget is there."""
    api, its = auditor.cluster.api, f'{{pool_namespace="{AGENTS}", pool="{SECURED}"}}'
    until(lambda: auditor.asked(f"agent_scaler_pool_guards_hold{its}") == 1.0 or None)
    agents = api.items(f"/api/v1/namespaces/{AGENTS}/pods?labelSelector=app%3D{SECURED}")
    assert [MANAGED in strings(pod, "metadata", "labels") for pod in agents] == [True] * NEEDED
    assert api.get(f"/apis/policy/v1/namespaces/{AGENTS}/poddisruptionbudgets/{budget_name(SECURED)}")
    with pytest.raises(RefusedError, match="agent-scaler-delete"):
        api.delete(f"/api/v1/namespaces/{AGENTS}/pods/{text(agents[0], 'metadata', 'name')}")


def test_one_certificate_of_the_operator_asks_for_every_namespace(way: Way) -> None:
    """A ClusterTriggerAuthentication, which the trigger names with its kind."""
    [cluster_wide] = way.example("clustertriggerauthentication")
    way.cluster.api.apply([cluster_wide])
    try:
        kind = f"authenticationRef:\n        kind: {cluster_wide['kind']}"
        way.pool(way.example("scaledobject-mtls", way.other, ("authenticationRef:", kind)))
        until(lambda: replicas(way.cluster.api, way.other, SECURED) == (NEEDED, NEEDED) or None)
    finally:
        way.cluster.api.delete(f"/apis/keda.sh/v1alpha1/namespaces/{way.other}/scaledobjects/{SECURED}")
        way.cluster.api.delete(way.cluster.api.path(cluster_wide))


def test_what_a_certificate_may_not_ask_for_is_refused_and_its_pool_holds(way: Way) -> None:
    """Another namespace has come by the certificate of this one: the HPA is made, and gets no number."""
    api, borrowed = way.cluster.api, way.cluster.api.get(f"/api/v1/namespaces/{AGENTS}/secrets/agent-scaler-client")
    assert borrowed is not None
    secret: Document = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "agent-scaler-client"}}
    api.apply([secret | {"data": borrowed["data"]}], namespace=way.stray)
    api.apply(way.example("triggerauthentication", way.stray))
    way.pool(way.example("scaledobject-mtls", way.stray), kept=KEPT)
    way.warned(way.stray, SECURED, f"may not ask for namespace '{way.stray}'")
    until(lambda: condition(way.hpa(way.stray, SECURED), "ScalingActive") == "False" or None)
    assert replicas(api, way.stray, SECURED) == (KEPT, KEPT)


def test_plaintext_is_refused_and_its_pool_holds(way: Way) -> None:
    """The example without certificates, which the base would answer: KEDA gets no metric, and makes no HPA."""
    way.pool(way.example("scaledobject-pull"), kept=KEPT)
    scaled = f"/apis/keda.sh/v1alpha1/namespaces/{AGENTS}/scaledobjects/{PLAIN}"
    until(lambda: condition(way.cluster.api.get(scaled), "Ready") == "False" or None)
    assert way.hpa(AGENTS, PLAIN) is None
    assert replicas(way.cluster.api, AGENTS, PLAIN) == (KEPT, KEPT)


@pytest.mark.parametrize("page", ["/healthz", "/readyz"])
def test_probes_need_no_certificate(way: Way, page: str) -> None:
    """They are how the rollout of both replicas was seen to complete."""
    assert way.status(page) == OK


@pytest.mark.parametrize("page", ["/metrics", "/api/v1/pools"])
def test_whoever_reads_pages_is_known(way: Way, page: str) -> None:
    """Nobody without a certificate, or with one that `may_ask` does not list; and Prometheus with its own."""
    found = [way.status(page, certificate=who) for who in ("", "agents", "prometheus")]
    assert found == [FORBIDDEN, FORBIDDEN, OK]


def test_prometheus_scrapes_both_replicas(way: Way) -> None:
    """By the job on the page: at their addresses, by the name that their certificate has."""
    until(lambda: way.asked(f'sum(up{{job="{HOME}"}})') == 2.0 or None)
    assert way.asked("sum(agent_scaler_leader)") == 1.0


def test_a_person_is_told_why_through_a_forwarded_port(auditor: Way) -> None:
    """By the line of the page."""
    [line] = [line.removeprefix("$ ") for line in said("reading").splitlines() if "explain" in line]
    told = run(auditor.cluster, auditor.folder, line.replace("https://localhost:8080", auditor.pages))
    assert f"reported to KEDA: {NEEDED}" in told
