"""What counts as a guard that holds: a refusal by ours, and by nobody else's."""

from __future__ import annotations

import json

import pytest

from scaler.controller.api import Answer
from scaler.controller.names import MANAGED, POOL
from scaler.controller.trial import denied, kept
from tests.controller.objects import a_pod

POD = a_pod(labels={MANAGED: "true", POOL: "coder"})
OURS = "pods is forbidden: ValidatingAdmissionPolicy 'agent-scaler-delete' with binding 'agent-scaler-delete' denied"
BUDGET = "The disruption budget agent-scaler-coder needs 2147483647 healthy pods and has 8 currently"


def answer(status: int, message: str = "", cause: str = "") -> Answer:
    """What the API server says."""
    details = {"causes": [{"reason": "DisruptionBudget", "message": cause}]} if cause else {}
    return Answer(status, json.dumps({"kind": "Status", "message": message, "details": details}).encode())


@pytest.mark.parametrize(
    ("said", "why"),
    [
        (answer(403, OURS), None),
        (answer(200), "could be deleted"),
        (answer(403, OURS.replace("agent-scaler-", "corp-")), "another policy"),
        (answer(403, 'pods "x" is forbidden: User "y" cannot delete'), "cannot be tried"),
        (answer(409, "the uid in the precondition"), "cannot be tried"),
        (answer(500, "etcd is away"), "cannot be tried"),
    ],
)
def test_a_deletion_must_be_refused_by_our_policy(said: Answer, why: str | None) -> None:
    """A right that we lack refuses as well, and protects nobody from anybody else."""
    found = denied(said)
    assert found is None if why is None else found is not None and why in found.why


@pytest.mark.parametrize(
    ("said", "why"),
    [
        (answer(429, "Cannot evict", BUDGET), None),
        (answer(201), "could be evicted"),
        (answer(429, "Cannot evict", BUDGET.replace("agent-scaler-coder", "web")), "not by agent-scaler-coder"),
        (answer(429, "too many requests"), "not by agent-scaler-coder"),
        (answer(500, "This pod has more than one PodDisruptionBudget"), "another PodDisruptionBudget"),
        (answer(403, "cannot create pods/eviction"), "cannot be tried"),
    ],
)
def test_an_eviction_must_be_refused_by_the_pools_budget(said: Answer, why: str | None) -> None:
    """Another's budget may be gone tomorrow, and a busy API server says 429, too."""
    found = kept(said, POD)
    assert found is None if why is None else found is not None and why in found.why
