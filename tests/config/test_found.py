"""What the cluster itself says of a pool: bounds that nobody overrules, and a workload where nothing else says one."""

from __future__ import annotations

import pytest

from scaler.config.metadata import TriggerMetadata
from scaler.config.pool import (
    ActivityEndpoints,
    Essentials,
    Found,
    JobStrategy,
    LiveScale,
    PoolKey,
    PoolSpec,
    Spread,
    WatchedPods,
)
from scaler.config.problems import ConfigError
from scaler.config.resolve import resolve
from scaler.config.rows import rows
from scaler.core.policy import Workload
from tests.config.material import QUERY, READABLE, Plain, Section, parsed

KEY = PoolKey("agents", "coder")
DEPLOYED = Found(least=1, most=7, workload=("deployments", "coder"))


def found(pool: Section, what: Found | None = DEPLOYED, metadata: TriggerMetadata | None = None) -> PoolSpec:
    """The pool with these settings, of which the cluster says this."""
    settings = parsed({**READABLE, "classes": {"coding": {"signals": {"queue": QUERY}}}, "pools": {str(KEY): pool}})
    return resolve(settings, KEY, metadata or TriggerMetadata(), what)


def told(spec: PoolSpec, key: str) -> str:
    """Who decided a setting."""
    return next(row.origin for row in rows(spec) if row.key == key)


def test_the_bounds_of_a_scaled_object_are_the_pools() -> None:
    """The HPA has no others: what the file or the trigger say beside them would be told in vain."""
    spec = found({"class": "coding", "min": 3, "max": 50}, metadata=TriggerMetadata.model_validate({"max": 40}))
    assert (spec.policy.min_replicas, spec.policy.max_replicas) == (1, 7)
    assert (told(spec, "min"), told(spec, "max")) == ("ScaledObject", "ScaledObject")


@pytest.mark.parametrize(("most", "told_by"), [(4, "trigger metadata"), (9, "ScaledObject")])
def test_a_lower_maximum_of_its_trigger_holds(most: int, told_by: str) -> None:
    """The HPA would let more pods be, and is not told of them."""
    spec = found({"class": "coding", "max": 2}, metadata=TriggerMetadata.model_validate({"max": most}))
    assert (spec.policy.max_replicas, told(spec, "max")) == (min(most, DEPLOYED.most), told_by)


def test_a_maximum_of_its_trigger_below_its_minimum_is_refused() -> None:
    """Whoever says both is told which to change."""
    with pytest.raises(ConfigError, match=r"must be at least min, which is 3 \(from ScaledObject\)"):
        found({"class": "coding"}, Found(least=3, most=9), TriggerMetadata.model_validate({"max": 2}))


def test_its_workload_is_watched_and_counted_where_nothing_else_is_said() -> None:
    """The shortest configuration of a protected pool names a class, and that how much there is to do."""
    spec = found({"class": "coding"})
    assert spec.pods == WatchedPods(pool=KEY, kind="deployments", name="coder")
    assert isinstance(spec.replicas, LiveScale)
    assert spec.replicas.url.endswith("/apis/apps/v1/namespaces/agents/deployments/coder/scale")


def test_what_the_file_says_of_pods_and_replicas_goes_before_it() -> None:
    """Somebody who lists URLs has a reason to."""
    spec = found({"class": "coding", "pods": {"activity": ["http://one:1"]}, "replicas": QUERY})
    assert spec.pods == ActivityEndpoints(urls=("http://one:1",))
    assert not isinstance(spec.replicas, LiveScale)


@pytest.mark.parametrize(("pods", "first"), [({}, 0), ({"pods": {"activity": ["http://one:1"]}}, 2)])
def test_the_kind_of_workload_decides_who_can_leave(pods: Section, first: int) -> None:
    """Pods that are watched are counted from their StatefulSet's own first ordinal, and others from what is said."""
    what = Found(least=0, most=5, workload=("statefulsets", "coder"))
    policy = found({"class": "coding", "ordinals_start": 2, **pods}, what).policy
    assert (policy.workload, policy.ordinals_start) == (Workload.STATEFUL_SET, first)


def test_watched_pods_are_given_what_the_file_says() -> None:
    """Time to end, and room between them; each key once, however often it is said."""
    spec = found({"class": "coding", "grace": "10m", "spread": ["zone", "node", "zone"]})
    assert spec.essentials == Essentials(grace=600, spread=(Spread.ZONE, Spread.NODE))
    assert found({"class": "coding"}).essentials == Essentials()


@pytest.mark.parametrize(("key", "value"), [("grace", 0.5), ("grace", "8d"), ("grace", "2500ms"), ("spread", ["rack"])])
def test_nothing_is_given_that_kubernetes_would_not_take(key: str, value: Plain) -> None:
    """The error names the key and the way out."""
    with pytest.raises(ConfigError, match=key):
        found({"class": "coding", key: value})


def test_a_scaled_job_says_how_it_is_counted() -> None:
    """It has no workload, and KEDA counts its replicas."""
    spec = found({"class": "coding"}, Found(least=0, most=9, strategy=JobStrategy.ACCURATE))
    assert (spec.job_strategy, spec.policy.max_replicas, spec.pods) == (JobStrategy.ACCURATE, 9, None)


def test_a_workload_of_the_file_is_watched_and_its_scale_read() -> None:
    """Without a ScaledObject, too."""
    spec = found({"class": "coding", "pods": {"workload": "statefulsets/{name}"}}, None)
    assert spec.pods == WatchedPods(pool=KEY, kind="statefulsets", name="coder")
    assert isinstance(spec.replicas, LiveScale)


@pytest.mark.parametrize(
    ("pods", "allowed"),
    [
        ({}, "must have activity or workload"),
        ({"activity": ["http://one:1"], "workload": "deployments/x"}, "must have activity or workload"),
        ({"workload": "replicasets/x"}, "workload must be of deployments or statefulsets"),
        ({"workload": "extensions.agents.x-k8s.io/v1beta1/sandboxwarmpools/x"}, "workload must be of"),
    ],
)
def test_pods_are_at_one_kind_of_place_that_can_be_drained(pods: Section, allowed: str) -> None:
    """The message says what is allowed."""
    with pytest.raises(ConfigError, match=allowed):
        found({"class": "coding", "pods": pods}, None)
