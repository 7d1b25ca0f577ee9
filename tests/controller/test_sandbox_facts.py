"""What is read from objects of agent-sandbox, and what is not."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scaler.controller.sandboxes.facts import (
    Object,
    claim_of,
    rival_of,
    sandbox_of,
    warm_pool_of,
)
from scaler.controller.sandboxes.writer import foreign
from tests.controller.sandboxed import BORN, claim, condition, nano, sandbox, stamp, warm_pool, wrote


@pytest.mark.parametrize(
    ("spec", "bypasses"),
    [
        ({}, False),
        ({"env": []}, False),
        ({"env": [{"name": "A", "value": "b"}]}, True),
        ({"volumeClaimTemplates": [{"metadata": {"name": "work"}}]}, True),
        ({"additionalPodMetadata": {"labels": {"sandbox.users.io/team": "a"}}}, False),
    ],
)
def test_a_claim_that_brings_variables_or_volumes_can_only_be_served_cold(spec: Object, bypasses: bool) -> None:
    """The claim controller passes the pool by for these, and for nothing else."""
    assert claim_of(claim(spec=dict(spec))).bypasses is bypasses


def test_a_claim_that_was_given_a_sandbox_of_its_own_name_started_cold() -> None:
    """A pooled sandbox has a generated name, one that is made for a claim has the claim's."""
    bound = claim(annotations={"agents.x-k8s.io/sandbox-name": "mine"})
    assert claim_of(bound).is_cold
    assert not claim_of(bound | {"status": {"sandbox": {"name": "python-1"}}}).is_cold
    assert not claim_of(claim()).is_cold


def test_the_instants_of_a_claim_are_those_of_its_annotations() -> None:
    """The time of its Ready condition is that of the sandbox, which may be older than the claim."""
    notes = {
        "agents.x-k8s.io/controller-first-observed-at": nano(BORN + 0.25),
        "agents.x-k8s.io/claim-first-ready-at": nano(BORN + 0.375),
    }
    found = claim_of(claim(annotations=notes) | {"status": {"conditions": [condition("Ready", True, at=BORN - 60)]}})
    assert found.observed == pytest.approx(BORN + 0.25, abs=1e-5)
    assert found.ready_at == pytest.approx(BORN + 0.375, abs=1e-5)


@pytest.mark.parametrize("word", ["", "unknown", "yesterday"])
def test_an_instant_that_is_none_is_not_known(word: str) -> None:
    """The claim controller writes a word where it cannot say when a claim was first ready."""
    assert claim_of(claim(annotations={"agents.x-k8s.io/claim-first-ready-at": word})).ready_at is None


def test_a_sandbox_is_stuck_where_its_pod_cannot_be_scheduled() -> None:
    """Starting is another thing: that one will be ready."""
    assert sandbox_of(sandbox(stuck=True)).stuck
    assert not sandbox_of(sandbox()).stuck


def test_a_sandbox_belongs_to_its_pool_until_a_claim_owns_it() -> None:
    """The owner tells, and only the one that controls it."""
    assert sandbox_of(sandbox()).pool == "uid-python"
    claimed = sandbox_of(sandbox(owner=("SandboxClaim", "uid-mine"), ready=BORN + 3))
    assert (claimed.pool, claimed.claim, claimed.warm, claimed.ready_since) == ("", "uid-mine", True, BORN + 3)


def test_a_pool_has_caught_up_when_its_controller_saw_the_latest_size() -> None:
    """Before that its counts are of the size before."""
    assert warm_pool_of(warm_pool()).caught_up
    assert not warm_pool_of(warm_pool(observed=0)).caught_up


@pytest.mark.parametrize(
    ("notes", "annotations", "who"),
    [
        ([], {}, None),
        ([wrote("kubectl", BORN)], {}, None),
        ([wrote("agent-scaler", BORN + 60)], {}, None),
        ([wrote("argocd", BORN + 60)], {}, "argocd"),
        ([wrote("argocd", BORN + 60)], {"agent-scaler.io/take-over": "argocd"}, None),
        ([wrote("argocd", BORN + 60)], {"agent-scaler.io/take-over": "flux"}, "argocd"),
        ([wrote("agent-scaler", BORN + 60), wrote("argocd", BORN + 90)], {}, "argocd"),
        ([wrote("agent-scaler", BORN + 60), wrote("argocd", BORN + 90, field="f:sandboxTemplateRef")], {}, None),
    ],
)
def test_whoever_sets_the_size_after_the_pool_was_made_is_a_foreign_writer(
    notes: list[Object], annotations: dict[str, str], who: str | None
) -> None:
    """Unless it is us, or a person lets us take it from them."""
    found = foreign(warm_pool_of(warm_pool(managedFields=notes, annotations=annotations)))
    assert (None if found is None else found.manager) == who


def test_only_who_scales_a_warm_pool_is_a_rival() -> None:
    """By kind and group: a Deployment may have the pool's name."""
    target = {"apiVersion": "extensions.agents.x-k8s.io/v1beta1", "kind": "SandboxWarmPool", "name": "python"}
    hpa = {"kind": "HorizontalPodAutoscaler", "metadata": claim("hpa")["metadata"], "spec": {"scaleTargetRef": target}}
    found = rival_of(hpa)
    assert found is not None
    assert (found.kind, str(found.key)) == ("HorizontalPodAutoscaler", "agents/python")
    other = hpa | {"spec": {"scaleTargetRef": target | {"apiVersion": "apps/v1", "kind": "Deployment"}}}
    assert rival_of(other) is None


KEYS = st.sampled_from(
    ["metadata", "spec", "status", "conditions", "ownerReferences", "managedFields", "annotations", "replicas", "env"]
)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=4),
    max_leaves=20,
)


@given(st.dictionaries(KEYS, JSON))
def test_no_object_is_so_odd_that_reading_it_fails(found: Object) -> None:
    """One broken object must not stop the feed of all others."""
    claim_of(found)
    sandbox_of(found)
    warm_pool_of(found)
    rival_of(found)


def test_the_test_writes_instants_as_the_server_does() -> None:
    """To the second, in UTC."""
    assert stamp(BORN) == "2027-01-15T08:00:00Z"
