"""The guards tried on a pod that they protect: a deletion and an eviction that are never made, and must be refused.

A refusal counts only if it is by a guard of ours. The deletion has no preconditions: those are checked before the
guards, and would say nothing about them.
"""

from __future__ import annotations

import json
from http import HTTPStatus
from typing import Final

from scaler.controller.api import Answer, Json, Request
from scaler.controller.dig import parsed
from scaler.controller.facts import PodFacts
from scaler.controller.facts import pod as read
from scaler.controller.names import MANAGER, budget_name
from scaler.controller.pen import Pen
from scaler.core.pods import Phase
from scaler.core.types import Seconds, Unknown

PATIENCE: Final[Seconds] = 15.0  # a write given up is made all the same, and its connection is lost
DRY: Final = {"dryRun": "All"}
AUDIT: Final = "audit"


async def tried(pen: Pen, pod: PodFacts) -> Unknown | None:
    """Why the guards before this pod, which is not drained, do not hold; None where they do.

    Raises:
        ApiError, NotLeadingError: they could not be tried.
    """
    if pod.guard == AUDIT:
        return None  # whoever deletes it is only warned, and no budget audits
    deletion = await pen.write("trial", Request(method="DELETE", path=pod.path, query=DRY, within=PATIENCE))
    if deletion.status == HTTPStatus.NOT_FOUND:
        return Unknown("the pod that was to try them is gone")
    if (why := denied(deletion)) is not None:
        return why
    return kept(await pen.write("trial", eviction(pod)), pod)


def eviction(pod: PodFacts) -> Request:
    """An eviction of the pod that is never made."""
    body: Json = {
        "apiVersion": "policy/v1",
        "kind": "Eviction",
        "metadata": {"name": pod.name, "namespace": pod.namespace},
        "deleteOptions": {"dryRun": ["All"]},
    }
    return Request(method="POST", path=f"{pod.path}/eviction", query=DRY, body=body, within=PATIENCE)


async def released(pen: Pen, pod: PodFacts) -> bool:
    """Whether the pod is drained by now, or gone: then nothing was to be refused.

    Raises:
        ApiError: it cannot be read.
    """
    answer = await pen.read(Request(method="GET", path=pod.path, within=PATIENCE))
    return answer.status != HTTPStatus.OK or read(parsed(answer.body)).phase is Phase.DRAINED


def denied(answer: Answer) -> Unknown | None:
    """Why this answer to the deletion is no refusal by our delete guard; None where it is one."""
    if answer.status == HTTPStatus.FORBIDDEN and "ValidatingAdmissionPolicy" in answer.message:
        return None if MANAGER in answer.message else Unknown(f"another policy refuses a deletion: {answer.message}")
    if answer.status < HTTPStatus.MULTIPLE_CHOICES:
        return Unknown("a pod that is not drained could be deleted: the delete guard is missing or only audits")
    return Unknown(f"the delete guard cannot be tried: HTTP {answer.status} {answer.message}")


def kept(answer: Answer, pod: PodFacts) -> Unknown | None:
    """Why this answer to the eviction is no refusal by the pool's sentinel budget; None where it is one."""
    budget = budget_name(pod.pool)
    if answer.status == HTTPStatus.TOO_MANY_REQUESTS:
        causes = _causes(answer)
        return None if budget in causes else Unknown(f"an eviction is refused, and not by {budget}: {causes}")
    if answer.status < HTTPStatus.MULTIPLE_CHOICES:
        return Unknown(f"a pod that is not drained could be evicted: {budget} is missing or does not select it")
    if answer.status == HTTPStatus.INTERNAL_SERVER_ERROR:
        return Unknown(f"another PodDisruptionBudget selects the pool's pods too: {answer.message}")
    return Unknown(f"{budget} cannot be tried: HTTP {answer.status} {answer.message}")


def _causes(answer: Answer) -> str:
    """What the refusal names as its causes."""
    try:
        said = json.loads(answer.body)
        return "; ".join(str(cause.get("message", "")) for cause in said["details"]["causes"])
    except (ValueError, KeyError, TypeError, AttributeError):
        return answer.message
