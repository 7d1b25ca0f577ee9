"""The fleet on a real control plane: an agent for every ready pod, and nothing forgotten when something dies."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping

import pytest
import urllib3

from scaler.sources.activity_answer import Report, report
from tests.cluster.harness.agents import PodFacts, facts
from tests.cluster.harness.cluster import Cluster
from tests.cluster.harness.crew import LABEL, Crew, crew
from tests.cluster.harness.journal import Event
from tests.cluster.harness.kwok import GONE_AFTER, READY_AFTER
from tests.cluster.harness.rest import Document
from tests.cluster.harness.wait import until


def deployment(
    replicas: int, *, slots: int = 1, grace: int = 0, annotations: Mapping[str, str] | None = None
) -> Document:
    """A pool called coder."""
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "coder"},
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": {"app": "coder"}},
            "template": {
                "metadata": {
                    "labels": {"app": "coder"},
                    "annotations": {"agent-scaler.test/slots": str(slots), **(annotations or {})},
                },
                "spec": {"containers": [{"name": "agent", "image": "agent"}], "terminationGracePeriodSeconds": grace},
            },
        },
    }


@pytest.fixture
def fleet(cluster: Cluster, namespace: str) -> Iterator[Crew]:
    """A fleet of this namespace."""
    with crew(cluster, namespace) as running:
        yield running


def reaches(fleet: Crew, pool: str, **figures: float) -> None:
    """Return once the pool stands so."""

    def stands() -> bool | None:
        """The pool stands as expected."""
        seen = fleet.pools().get(pool, {})
        return all(seen.get(name) == value for name, value in figures.items()) or None

    try:
        until(stands)
    except AssertionError as error:
        error.add_note(f"expected {figures}, seen {fleet.pools().get(pool)}")
        raise


@pytest.fixture
def pool(namespace: str) -> str:
    """The key of this namespace's pool."""
    return f"{namespace}/coder"


@pytest.fixture
def scale(cluster: Cluster, namespace: str) -> Callable[[int], None]:
    """Change the pool's replicas."""

    def change(replicas: int) -> None:
        path = f"/apis/apps/v1/namespaces/{namespace}/deployments/coder/scale"
        patch: Document = {"spec": {"replicas": replicas}}
        cluster.api.request("PATCH", path, patch, content="application/merge-patch+json")

    return change


def pods(cluster: Cluster, namespace: str) -> list[PodFacts]:
    """The facts of the pool's pods."""
    return [facts(pod, LABEL) for pod in cluster.api.items(f"/api/v1/namespaces/{namespace}/pods")]


def test_every_ready_pod_has_an_agent_at_its_own_address(
    cluster: Cluster, namespace: str, fleet: Crew, pool: str
) -> None:
    """Each answers at its pod's address, with its pod's uid, in the words our scaler reads."""
    fleet.turn(pool, burst=3, shorten=1)
    cluster.api.apply([deployment(3, slots=2)], namespace=namespace)
    reaches(fleet, pool, agents=3, starting=0, inflight=3, queue=0)
    for pod in pods(cluster, namespace):
        said = report(fleet.activity(pod.ip))
        assert isinstance(said, Report), said
        assert (said.uid, pod.slots) == (pod.uid, 2)


def test_a_pod_that_is_not_ready_has_no_agent(cluster: Cluster, namespace: str, fleet: Crew, pool: str) -> None:
    """Until a pod is ready it only counts as one that is starting, and nobody listens at its address."""
    cluster.api.apply([deployment(1, annotations={READY_AFTER: "1h"})], namespace=namespace)
    reaches(fleet, pool, agents=0, starting=1)
    with pytest.raises(urllib3.exceptions.HTTPError):
        fleet.activity(until(lambda: next(iter(pods(cluster, namespace))).ip or None))


def test_the_pods_that_a_fall_takes_away_lose_their_tasks_and_the_journal_says_so(
    cluster: Cluster, namespace: str, fleet: Crew, pool: str, scale: Callable[[int], None]
) -> None:
    """Replicas fall under agents at work: every kill has its pod, and the audit log has that pod's deletion."""
    mark = cluster.audit.mark()
    fleet.turn(pool, burst=6, shorten=1)
    cluster.api.apply([deployment(6)], namespace=namespace)
    reaches(fleet, pool, inflight=6)
    scale(2)
    reaches(fleet, pool, agents=2, inflight=2, queue=4, killed=4)
    kills = [line for line in fleet.told() if line.event is Event.KILL]
    deleted = {
        record.name
        for record in cluster.audit.since(mark)
        if (record.verb, record.resource, record.namespace) == ("delete", "pods", namespace)
    }
    assert len({line.pod for line in kills} & deleted) == 4
    assert {line.why for line in kills} == {"deleted"}


def test_a_pod_that_is_being_deleted_finishes_what_it_has(
    cluster: Cluster, namespace: str, fleet: Crew, pool: str, scale: Callable[[int], None]
) -> None:
    """With a grace period what runs ends in time, and the agent takes no other task meanwhile."""
    cluster.api.apply([deployment(1, grace=60, annotations={GONE_AFTER: "20s"})], namespace=namespace)
    reaches(fleet, pool, agents=1)
    fleet.turn(pool, burst=1000, shorten=600, subagents=1)
    scale(0)
    reaches(fleet, pool, agents=0, leaving=1, inflight=0, killed=0)
    assert fleet.pools()[pool]["queue"] > 0


def test_a_killed_fleet_comes_back_to_every_open_task(
    cluster: Cluster, namespace: str, fleet: Crew, pool: str, scale: Callable[[int], None]
) -> None:
    """It is killed without a word amid work: what ran was cut, what waited waits, and all of it is done at last."""
    cluster.api.apply([deployment(5)], namespace=namespace)
    reaches(fleet, pool, agents=5)
    fleet.turn(pool, burst=50, shorten=600)
    fleet.part.restart()
    reaches(fleet, pool, agents=5)
    scale(8)
    reaches(fleet, pool, agents=8, queue=0, inflight=0)
    ended = Counter(line.task for line in fleet.told() if line.event is Event.END)
    assert ended == dict.fromkeys(range(1, 51), 1)


def test_a_frozen_fleet_hangs_and_then_catches_up(
    cluster: Cluster, namespace: str, fleet: Crew, pool: str, scale: Callable[[int], None]
) -> None:
    """Frozen, no agent answers; thawed, the fleet knows the pods that came and went meanwhile."""
    cluster.api.apply([deployment(4)], namespace=namespace)
    reaches(fleet, pool, agents=4)
    address = pods(cluster, namespace)[0].ip
    fleet.part.freeze()
    with pytest.raises(urllib3.exceptions.TimeoutError):
        fleet.activity(address)
    scale(2)
    until(lambda: len(pods(cluster, namespace)) == 2 or None)
    fleet.part.thaw()
    reaches(fleet, pool, agents=2)


def test_a_fleet_outlives_the_api_server(
    cluster: Cluster, namespace: str, fleet: Crew, pool: str, scale: Callable[[int], None]
) -> None:
    """Agents work on while the API server is gone, and the fleet follows the pods again when it is back."""
    cluster.api.apply([deployment(3)], namespace=namespace)
    reaches(fleet, pool, agents=3)
    cluster.parts["kube-apiserver"].kill()
    fleet.turn(pool, burst=9, shorten=3600)
    reaches(fleet, pool, ended=9)
    cluster.parts["kube-apiserver"].start()
    cluster.parts["kube-apiserver"].await_ready()
    scale(5)
    reaches(fleet, pool, agents=5)


def test_a_fleet_that_missed_the_end_of_pods_learns_of_it_from_the_next_list(
    cluster: Cluster, namespace: str, fleet: Crew, pool: str, scale: Callable[[int], None]
) -> None:
    """Its watch breaks while it is frozen, and pods go before it watches again: no event will ever tell it."""
    cluster.api.apply([deployment(4)], namespace=namespace)
    reaches(fleet, pool, agents=4)
    fleet.part.freeze()
    cluster.parts["kube-apiserver"].restart()
    scale(1)
    until(lambda: len(pods(cluster, namespace)) == 1 or None)
    fleet.part.thaw()
    reaches(fleet, pool, agents=1)


def test_a_load_that_cannot_be_is_refused_with_its_range(fleet: Crew, pool: str) -> None:
    """The page that turns the load says what it allows."""
    with pytest.raises(AssertionError, match=r"rate is '-1\.0'; it must be a number from 0 to 10000"):
        fleet.turn(pool, rate=-1.0)
