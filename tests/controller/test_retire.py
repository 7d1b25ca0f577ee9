"""Pods that must go whatever the pool wants: orphans, and those that a rollout has others started for."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from scaler.controller.facts import PodFacts, WorkloadFacts
from scaler.controller.names import EPOCH, PHASE
from scaler.controller.retire import Owners, orders, part, recalls
from scaler.core.pods import Phase
from scaler.core.types import Order, Verb
from scaler.sources.activity_answer import Report
from tests.controller.objects import a_pod, a_report, a_workload

LATER = 1_795_262_400.0 + 3600.0  # an hour after the pods were created
DEPLOYMENT = a_workload("deployment", replicas=4)


def owners(*others: WorkloadFacts, workload: WorkloadFacts | None = DEPLOYMENT, now: float = LATER) -> Owners:
    """A pool's workload, and what else makes pods in its namespace."""
    there = others if workload is None else (*others, workload)
    return Owners(workload=workload, there={each.uid: each for each in there}, now=now)


def surplus(pods: Sequence[PodFacts], known: Owners) -> tuple[PodFacts, ...]:
    """Those that must go."""
    return part(pods, known).surplus


def names(pods: tuple[PodFacts, ...]) -> set[str]:
    """Their names."""
    return {pod.name for pod in pods}


def replica_set(uid: str, replicas: int, revision: int) -> WorkloadFacts:
    """A ReplicaSet of the Deployment."""
    return a_workload(uid, owner="deployment", replicas=replicas, revision=revision)


def test_pods_that_are_asked_for_stay() -> None:
    """One ReplicaSet, however many it asks for: who of its pods leaves is the pool's decision."""
    pods = [a_pod(f"p-{i}", owner="set") for i in range(4)]
    assert surplus(pods, owners(replica_set("set", 1, 1))) == ()


def test_an_old_replica_set_gives_up_as_many_as_it_has_too_many() -> None:
    """Those first that drain already, then those that are not ready; the new ones stay."""
    old = [a_pod(f"old-{i}", owner="old") for i in range(3)]
    old += [a_pod("old-3", owner="old", ready="False"), a_pod("old-4", owner="old", labels={PHASE: "draining"})]
    new = [a_pod(f"new-{i}", owner="new") for i in range(4)]
    sets = (replica_set("old", 3, 1), replica_set("new", 3, 2))
    assert names(surplus([*old, *new], owners(*sets))) == {"old-3", "old-4"}


def test_another_deployments_rollout_makes_no_pod_old() -> None:
    """Its ReplicaSets stand in the same namespace, and count their revisions for themselves."""
    pods = [a_pod(f"p-{i}", owner="set") for i in range(4)]
    other = a_workload("other", owner="elsewhere", replicas=3, revision=9)
    assert surplus(pods, owners(replica_set("set", 1, 1), other)) == ()


def test_a_pod_whose_owner_is_gone_must_go() -> None:
    """Nobody would start it again, and only its own drain ends it."""
    pods = [a_pod("owned", owner="set"), a_pod("orphan", owner="gone"), a_pod("detached")]
    assert names(surplus(pods, owners(replica_set("set", 3, 1)))) == {"orphan", "detached"}


def test_a_young_pod_is_no_orphan() -> None:
    """Its ReplicaSet may be as new as it is, and not seen yet."""
    pods = [a_pod("young", owner="unseen")]
    assert surplus(pods, owners(now=LATER - 3590.0)) == ()


def test_a_stateful_set_wants_nobody_below_its_first_ordinal() -> None:
    """Its controller would delete them, and the guards keep them until they are drained; nobody starts them again."""
    pods = [a_pod(f"coder-{i}", owner="set", owner_kind="StatefulSet") for i in range(5)]
    workload = a_workload("set", replicas=3, spec={"ordinals": {"start": 2}})
    assert names(surplus(pods, owners(workload=workload))) == {"coder-0", "coder-1"}


def test_a_rollout_waits_for_nobody_below_the_first_ordinal() -> None:
    """They leave by themselves, and need not be ready for that."""
    workload = stateful(start=1)
    pods = [member(0, "old", ready="False"), member(1, "old"), member(2, "new")]
    assert names(surplus(pods, owners(workload=workload))) == {"coder-0", "coder-1"}


@pytest.mark.parametrize("workload", [None, a_workload("deployment", leaving=True)], ids=["gone", "going"])
def test_without_its_workload_every_pod_must_go(workload: WorkloadFacts | None) -> None:
    """Deleted in the background it is gone at once, in the foreground it waits for them."""
    pods = [a_pod("a", owner="set"), a_pod("b", owner="set")]
    assert names(surplus(pods, owners(replica_set("set", 3, 1), workload=workload))) == {"a", "b"}


CANARY = a_workload("canary", replicas=2)
OTHERS = {
    "the Deployment that was the pool's before": ("set", "ReplicaSet", (replica_set("set", 2, 1), DEPLOYMENT)),
    "a ReplicaSet that outlived its Deployment": ("set", "ReplicaSet", (a_workload("set", replicas=2),)),
    "a StatefulSet": ("canary", "StatefulSet", (CANARY,)),
    "a kind that nobody here watches": ("job", "Job", ()),
    "what that kind has made": ("set", "ReplicaSet", (a_workload("set", replicas=2, owner="r", owner_kind="Rollout"),)),
}


@pytest.mark.parametrize("workload", [None, a_workload("new")], ids=["no workload", "another workload"])
@pytest.mark.parametrize("other", OTHERS)
def test_pods_that_another_asks_for_are_left_to_it(other: str, workload: WorkloadFacts | None) -> None:
    """A name in a ScaledObject that leads nowhere yet, or selectors that overlap, empty no other workload."""
    owner, kind, there = OTHERS[other]
    pods = [a_pod(f"canary-{i}", owner=owner, owner_kind=kind) for i in range(2)]
    parted = part(pods, owners(*there, workload=workload))
    assert (parted.pods, parted.surplus, names(parted.others)) == ((), (), {"canary-0", "canary-1"})


def test_another_workload_is_helped_to_fall() -> None:
    """The guards keep its pods too, so what it asks for no more is drained: the ones, and the highest."""
    own = [a_pod("p", owner="set")]
    of_set = [a_pod(f"c-{i}", owner="canary-set", ready=str(i > 0)) for i in range(3)]
    of_stateful = [a_pod(f"s-{i}", owner="stateful", owner_kind="StatefulSet") for i in range(3)]
    makers = (replica_set("set", 1, 1), a_workload("canary-set", replicas=2), a_workload("stateful", replicas=2))
    parted = part([*own, *of_set, *of_stateful], owners(*makers))
    assert names(parted.pods) == {"p"}
    assert names(parted.surplus) == {"c-0", "s-2"}


def test_a_drain_of_a_pod_that_is_anothers_now_is_called_back() -> None:
    """Nobody of ours asks it away any more. One that is drained cannot come back: it goes, and another is made."""
    drains = [
        a_pod(phase, owner="canary", owner_kind="StatefulSet", labels={PHASE: phase}, annotations={EPOCH: "2"})
        for phase in ("active", "draining", "drained")
    ]
    parted = part(drains, owners(a_workload("canary", replicas=3)))
    assert recalls(parted.others) == (Order(Verb.CANCEL, "uid-draining", 3),)
    assert orders(parted.surplus, {}) == (Order(Verb.DELETE, "uid-drained", 2),)


def stateful(partition: int = 0, kind: str = "RollingUpdate", start: int = 0) -> WorkloadFacts:
    """A StatefulSet in a rollout."""
    strategy = {"type": kind, "rollingUpdate": {"partition": partition}}
    spec = {"updateStrategy": strategy, "ordinals": {"start": start}}
    return a_workload("ordered", spec=spec, status={"updateRevision": "new"})


def member(ordinal: int, revision: str, ready: str = "True", phase: str = "active") -> PodFacts:
    """A pod of it."""
    label = {"controller-revision-hash": revision, PHASE: phase}
    return a_pod(f"coder-{ordinal}", owner="ordered", owner_kind="StatefulSet", labels=label, ready=ready)


def test_a_stateful_set_gives_up_its_highest_old_pod() -> None:
    """One at a time, once all the others are ready, down to the partition; with OnDelete a person decides."""
    pods = [member(0, "old"), member(1, "old"), member(2, "new")]
    assert names(surplus(pods, owners(workload=stateful()))) == {"coder-1"}
    assert surplus([*pods[:2], member(2, "new", ready="False")], owners(workload=stateful())) == ()
    begun = [member(0, "old"), member(1, "old", phase="draining"), member(2, "new", ready="False")]
    assert names(surplus(begun, owners(workload=stateful()))) == {"coder-1"}
    assert names(surplus(pods, owners(workload=stateful(partition=1)))) == {"coder-1"}
    assert surplus(pods, owners(workload=stateful(partition=2))) == ()
    assert surplus(pods, owners(workload=stateful(kind="OnDelete"))) == ()


def report(acked: int, inflight: int = 0, sessions: int = 0) -> Report:
    """What an agent says that has acknowledged this epoch."""
    return a_report(inflight=inflight, sessions=sessions, phase=Phase.DRAINED, epoch=2, acked=acked)


@pytest.mark.parametrize("said", [report(2, inflight=1), report(2, sessions=1)])
def test_a_drained_pod_that_says_it_works_is_left_alone(said: Report) -> None:
    """Its agent has broken its word, or lost what it had written down: whatever runs there is not cut."""
    pod = a_pod(labels={PHASE: "drained"}, annotations={EPOCH: "2"})
    assert orders([pod], {pod.uid: said}) == ()


@pytest.mark.parametrize(
    ("phase", "said", "verb", "epoch"),
    [
        ("active", None, Verb.MARK, 3),
        ("active", report(2), Verb.MARK, 3),
        ("draining", None, Verb.CLOSE, 2),
        ("draining", report(1), Verb.CLOSE, 2),
        ("draining", report(2, inflight=1), Verb.CLOSE, 2),
        ("draining", report(2, sessions=1), Verb.CLOSE, 2),
        ("draining", report(2), Verb.COMMIT, 2),
        ("drained", None, Verb.DELETE, 2),
        ("drained", report(2), Verb.DELETE, 2),
    ],
)
def test_they_are_drained_like_any_other(phase: str, said: Report | None, verb: Verb, epoch: int) -> None:
    """Nothing is committed but what was acknowledged for this epoch by an agent that says it is idle."""
    pod = a_pod(labels={PHASE: phase}, annotations={EPOCH: "2"})
    heard = {} if said is None else {pod.uid: said}
    assert orders([pod], heard) == (Order(verb, pod.uid, epoch),)
