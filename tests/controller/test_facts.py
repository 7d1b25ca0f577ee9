"""What is kept of objects, and that what nobody of ours wrote is never a release."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scaler.controller.facts import pod, version, workload
from scaler.controller.names import DO_NOT_DISRUPT, EPOCH, GATE_PORT, MANAGED, PHASE, POOL
from scaler.core.pods import NO_ORDINAL, Phase
from tests.controller.objects import Object, a_pod, a_workload, pod_object

READY_AT = 1_795_262_409.0  # 2026-11-21 12:00:09 UTC
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


def test_a_pod_in_a_few_facts() -> None:
    """Who it is, whose it is, where its gate is, and where it stands in a drain."""
    found = a_pod(
        labels={"app": "coder", MANAGED: "true", POOL: "coder", PHASE: "draining"},
        annotations={EPOCH: "4", DO_NOT_DISRUPT: "true", GATE_PORT: "9000"},
        owner="set-1",
    )
    assert (found.uid, found.namespace, found.name, found.pool) == ("uid-coder-1", "agents", "coder-1", "coder")
    assert (found.phase, found.epoch, found.pins) == (Phase.DRAINING, 4, (DO_NOT_DISRUPT,))
    assert (found.gate, found.owner, found.ready) == ("http://10.0.0.1:9000", "set-1", READY_AT)
    assert (found.managed, a_pod().managed) == (True, False)
    assert not found.leaving


@pytest.mark.parametrize("word", ["", "Drained", "drained ", "done", "active"])
def test_no_other_word_than_ours_is_a_release(word: str) -> None:
    """A pod whose phase cannot be read is at work."""
    assert a_pod(labels={PHASE: word}).phase is Phase.ACTIVE


@pytest.mark.parametrize("word", ["", "x", "-1", "1.5", "\u0661"])
def test_an_epoch_that_is_no_number_is_none(word: str) -> None:
    """So the first drain writes one that is."""
    assert a_pod(annotations={EPOCH: word}).epoch is None


@pytest.mark.parametrize(("word", "port"), [("", 8476), ("0", 8476), ("65536", 8476), ("nine", 8476), ("80", 80)])
def test_a_port_that_is_none_is_the_usual_one(word: str, port: int) -> None:
    """A slip in a template must not send orders to port 0."""
    assert a_pod(annotations={GATE_PORT: word}).gate == f"http://10.0.0.1:{port}"


def test_an_address_of_the_sixth_version_is_written_as_urls_have_it() -> None:
    """And a pod without an address has no gate yet."""
    assert a_pod(ip="fd00::7").gate == "http://[fd00::7]:8476"
    assert a_pod(ip="").gate == ""


def test_only_pods_of_a_stateful_set_have_ordinals() -> None:
    """A ReplicaSet's random names may end in digits, too."""
    assert a_pod("coder-7", owner="set", owner_kind="StatefulSet").ordinal == 7
    assert a_pod("coder-5d9f-77", owner="set").ordinal == NO_ORDINAL


@pytest.mark.parametrize("more", [{"leaving": True}, {"phase": "Failed"}, {"phase": "Succeeded"}], ids=str)
def test_who_is_being_deleted_or_has_ended_is_leaving(more: Object) -> None:
    """They are no pods of the pool any more, and nobody is asked what runs in them."""
    assert a_pod(**more).leaving


def test_a_pod_that_is_not_ready_was_never_ready_for_all_we_know() -> None:
    """Whoever watches it remembers whether it was."""
    assert a_pod(ready="False").ready is None


def test_a_selector_by_expressions_selects_nobody_here() -> None:
    """Better no pod than somebody else's."""
    by_labels = a_workload("set", spec={})
    assert by_labels.selects({"app": "coder", "more": "x"})
    assert not by_labels.selects({"app": "other"})
    expression = {"key": "app", "operator": "In", "values": ["coder"]}
    by_expression = a_workload("set", spec={"selector": {"matchLabels": {}, "matchExpressions": [expression]}})
    assert not by_expression.selects({"app": "coder"})


def test_who_wrote_the_replicas_last_is_known_where_the_server_says_it() -> None:
    """Of all who own the field now or did, the latest."""

    def entry(manager: str, at: str, *fields: str) -> Object:
        return {"manager": manager, "time": at, "fieldsV1": {"f:spec": {f"f:{field}": {} for field in fields}}}

    entries = [
        entry("kube-controller-manager", "2026-11-21T12:00:00Z", "replicas"),
        entry("argocd", "2026-11-21T12:05:00Z", "replicas", "template"),
        entry("kubectl", "2026-11-21T12:09:00Z", "template"),
    ]
    assert workload({"metadata": {"managedFields": entries}}).writer == "argocd"
    assert workload({}).writer == ""


def test_a_later_version_is_higher() -> None:
    """Of what is no number nothing is known, so it is taken as it comes."""
    assert version(pod_object(version="9")) < version(pod_object(version="10")) < version(pod_object(version="v1"))


@given(metadata=JSON, spec=JSON, status=JSON)
def test_no_object_is_too_strange_to_read(metadata: Any, spec: Any, status: Any) -> None:  # noqa: ANN401 (any JSON)
    """Whatever a newer server sends, a pod of it is at work and a workload selects nobody else's pods."""
    found = {"metadata": metadata, "spec": spec, "status": status}
    assert pod(found).phase is Phase.ACTIVE
    assert workload(found).replicas is not None
