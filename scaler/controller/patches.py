"""Orders as patches: what is written for each step of the drain protocol, and what must still hold for it.

Each is one JSON patch that tests the pod's uid, its phase and its epoch before it changes anything, so one that comes
late, or from somebody who leads no more, changes nothing. The version is not tested: a kubelet raises it all the time.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, TypeAlias

from scaler.controller.api import Json
from scaler.controller.dig import stamp
from scaler.controller.facts import PodFacts
from scaler.controller.names import (
    ASKED_BY,
    DELETION_COST,
    EPOCH,
    GUARD,
    LOWEST_COST,
    MANAGED,
    PHASE,
    PHASES,
    POOL,
    SINCE,
    TRUE,
)
from scaler.core.pods import Phase
from scaler.core.types import Instant, Order, Verb

Patch: TypeAlias = list[dict[str, Json]]
LABELS: Final = "/metadata/labels"
ANNOTATIONS: Final = "/metadata/annotations"


class UnfitError(Exception):
    """The pod is not in the state that the order is for: there is nothing to write."""


@dataclass(frozen=True, slots=True)
class Asked:
    """Who asks for a drain, as ``names`` spells it, and when: for people, and for whoever leads next."""

    by: str
    at: Instant


def patch(pod: PodFacts, order: Order, asked: Asked) -> Patch:
    """What an order writes to the pod; a mark says who asked for it.

    Raises:
        UnfitError: the order is not for this phase or epoch; it was carried out before, or has been overtaken.
    """
    match order.verb:
        case Verb.MARK:
            return [*_moved(pod, Phase.ACTIVE, Phase.DRAINING, order.epoch), *_notes(asked)]
        case Verb.CANCEL:
            return [*_moved(pod, Phase.DRAINING, Phase.ACTIVE, order.epoch), *_forgotten(pod)]
        case Verb.COMMIT:
            return _committed(pod, order.epoch)
        case _:
            raise UnfitError(f"{order.verb} writes nothing to a pod")


def adopted(pod: PodFacts, pool: str, guard: str) -> Json:
    """What makes a pod one of the pool's, as a merge patch; None where it is already."""
    wanted: dict[str, Json] = {MANAGED: TRUE, POOL: pool, GUARD: guard}
    missing = {key: value for key, value in wanted.items() if pod.labels.get(key) != value}
    if GUARD in missing and guard == pod.guard:
        del missing[GUARD]
    return {"metadata": {"uid": pod.uid, "labels": missing}} if missing else None


def _moved(pod: PodFacts, before: Phase, after: Phase, epoch: int) -> Patch:
    """Into another phase under the next epoch."""
    if pod.phase is not before or epoch != (pod.epoch or 0) + 1:
        raise UnfitError(f"pod {pod.name} is {PHASES[pod.phase]} in epoch {pod.epoch or 0}")
    return [
        *_tests(pod),
        _op("add", f"{LABELS}/{_escaped(PHASE)}", PHASES[after]),
        _op("add", f"{ANNOTATIONS}/{_escaped(EPOCH)}", str(epoch)),
    ]


def _notes(asked: Asked) -> Patch:
    said = {ASKED_BY: asked.by, SINCE: stamp(asked.at)}
    return [_op("add", f"{ANNOTATIONS}/{_escaped(key)}", word) for key, word in said.items()]


def _forgotten(pod: PodFacts) -> Patch:
    """Nobody asks for it any more."""
    noted = {ASKED_BY: pod.asked_by is not None, SINCE: pod.asked_at is not None}
    return [_removal(f"{ANNOTATIONS}/{_escaped(key)}") for key, there in noted.items() if there]


def _committed(pod: PodFacts, epoch: int) -> Patch:
    """Drained, which never reverts: the guards let it go from now on, and it pins its node no more."""
    if pod.phase is not Phase.DRAINING or epoch != pod.epoch:
        raise UnfitError(f"pod {pod.name} is {PHASES[pod.phase]} in epoch {pod.epoch or 0}")
    return [
        *_tests(pod),
        _op("replace", f"{LABELS}/{_escaped(PHASE)}", PHASES[Phase.DRAINED]),
        _op("add", f"{ANNOTATIONS}/{_escaped(DELETION_COST)}", LOWEST_COST),
        *(_removal(f"{ANNOTATIONS}/{_escaped(key)}") for key in pod.pins),
    ]


def _tests(pod: PodFacts) -> Patch:
    """That this very pod is still in the phase and the epoch that we know; null is for what must not be there."""
    epoch = None if pod.epoch is None else str(pod.epoch)
    tests = [
        _op("test", "/metadata/uid", pod.uid),
        _op("test", f"{LABELS}/{_escaped(PHASE)}", pod.labels.get(PHASE)),
    ]
    if not pod.annotated:
        return [*tests, _op("test", ANNOTATIONS, None), _op("add", ANNOTATIONS, {})]
    return [*tests, _op("test", f"{ANNOTATIONS}/{_escaped(EPOCH)}", epoch)]


def _op(op: str, path: str, value: Json) -> dict[str, Json]:
    return {"op": op, "path": path, "value": value}


def _removal(path: str) -> dict[str, Json]:
    return {"op": "remove", "path": path}


def _escaped(key: str) -> str:
    """A key as JSON Pointer spells it."""
    return key.replace("~", "~0").replace("/", "~1")
