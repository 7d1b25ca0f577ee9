"""What ScaledObjects and ScaledJobs say of pools."""

from __future__ import annotations

import pytest

from scaler.config.pool import Found, JobStrategy, PoolKey
from scaler.config.problems import ConfigError
from scaler.controller.scaled import same, scaled
from tests.controller.objects import Object

ADDRESS = "agent-scaler.agent-scaler:6000"


def scaled_object(*triggers: Object, **spec: object) -> Object:
    """A ScaledObject."""
    metadata = {"name": "coder", "namespace": "agents", "uid": "so-1"}
    return {"metadata": metadata, "spec": {"scaleTargetRef": {"name": "coder"}, "triggers": [*triggers], **spec}}


def trigger(address: str = ADDRESS, kind: str = "external-push", **more: str) -> Object:
    """A trigger that names us."""
    return {"type": kind, "metadata": {"scalerAddress": address, **more}}


def test_a_scaled_object_says_bounds_and_workload() -> None:
    """KEDA's own defaults stand where it says nothing."""
    found = scaled(scaled_object(trigger(**{"class": "coding"})), "ScaledObject", ADDRESS)
    assert found is not None
    assert (found.uid, found.key) == ("so-1", PoolKey("agents", "coder"))
    assert found.metadata.class_ == "coding"
    assert found.found == Found(least=0, most=100, workload=("deployments", "coder"))


def test_its_fewest_replicas_are_those_of_an_idle_one() -> None:
    """With idleReplicaCount the pool may be empty, whatever its minimum is once it is active."""
    body = scaled_object(trigger(), minReplicaCount=3, maxReplicaCount=9, idleReplicaCount=0)
    found = scaled(body, "ScaledObject", ADDRESS)
    assert found is not None
    assert (found.found.least, found.found.most) == (0, 9)


@pytest.mark.parametrize(
    ("target", "workload"),
    [
        ({"name": "x", "kind": "StatefulSet"}, ("statefulsets", "x")),
        ({"name": "x", "kind": "Deployment", "apiVersion": "apps/v1"}, ("deployments", "x")),
        ({"name": "x", "kind": "SandboxWarmPool", "apiVersion": "extensions.agents.x-k8s.io/v1beta1"}, None),
    ],
)
def test_pods_are_watched_of_kinds_that_we_can_drain(target: Object, workload: tuple[str, str] | None) -> None:
    """Of others KEDA is answered as before."""
    found = scaled(scaled_object(trigger(), scaleTargetRef=target), "ScaledObject", ADDRESS)
    assert found is not None
    assert found.found.workload == workload


@pytest.mark.parametrize(("said", "strategy"), [(None, "default"), ("accurate", "accurate"), ("eager", None)])
def test_a_scaled_job_says_how_its_jobs_are_counted(said: str | None, strategy: str | None) -> None:
    """Of strategies that we do not know nothing is said, and the trigger has the word."""
    spec: Object = {} if said is None else {"scalingStrategy": {"strategy": said}}
    found = scaled(scaled_object(trigger(), maxReplicaCount=7, **spec), "ScaledJob", ADDRESS)
    assert found is not None
    assert found.found == Found(least=0, most=7, strategy=None if strategy is None else JobStrategy(strategy))


@pytest.mark.parametrize(
    "other",
    [trigger("somebody.else:6000"), trigger(kind="kafka"), {"type": "external"}, {}],
    ids=["another scaler", "another kind", "no address", "nothing"],
)
def test_nobody_elses_trigger_is_ours(other: Object) -> None:
    """And beside ours it does not matter."""
    assert scaled(scaled_object(other), "ScaledObject", ADDRESS) is None
    assert scaled(scaled_object(other, trigger()), "ScaledObject", ADDRESS) is not None


def test_what_only_keda_knows_is_left_to_it() -> None:
    """A key from the target's environment has its value when KEDA asks."""
    found = scaled(scaled_object(trigger(maxFromEnv="MAX", slotsPerPod="2")), "ScaledObject", ADDRESS)
    assert found is not None
    assert found.metadata.model_fields_set == {"slots_per_pod"}


def test_metadata_that_cannot_be_used_is_an_error() -> None:
    """As it is when KEDA asks."""
    with pytest.raises(ConfigError, match="unheardOf"):
        scaled(scaled_object(trigger(unheardOf="1")), "ScaledObject", ADDRESS)


@pytest.mark.parametrize(
    ("one", "other", "are"),
    [
        ("a.b:6000", "a.b.svc:6000", True),
        ("a.b.svc.cluster.local:6000", "A.b:6000", True),
        ("a.b.svc.cluster.local.:6000", "a.b:6000", True),
        ("a.b:6000", "a.b:6001", False),
        ("a.b:6000", "a.c:6000", False),
        ("a.b:6000", "", False),
    ],
)
def test_an_address_is_the_same_however_much_of_it_is_spelt(one: str, other: str, *, are: bool) -> None:
    """Charts write a Service's name in every length there is."""
    assert same(one, other) is are
