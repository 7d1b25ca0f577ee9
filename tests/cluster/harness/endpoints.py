"""Where a Service leads: the pods that a new connection may go to."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from scaler.controller.dig import at, holds, objects, strings, text, whole
from tests.cluster.harness.api import Json


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A pod that the Service leads to."""

    pod: str
    host: str
    port: int
    leaving: bool


def endpoints(service: Json, pods: Sequence[Mapping[str, Json]]) -> tuple[Endpoint, ...]:
    """Where new connections may go: the first port of the Service at each of its ready pods, or else at those leaving.

    A target port with a name is looked up in each pod.
    """
    wanted = strings(service, "spec", "selector")
    port = next(iter(objects(service, "spec", "ports")), {})
    found = [
        Endpoint(text(pod, "metadata", "name"), text(pod, "status", "podIP"), number, leaving)
        for pod in pods
        if wanted and wanted.items() <= strings(pod, "metadata", "labels").items()
        if holds(pod, "Ready") and (number := _number(port, pod))
        for leaving in (at(pod, "metadata", "deletionTimestamp") is not None,)
    ]
    return tuple(e for e in found if not e.leaving) or tuple(found)


def _number(port: Mapping[str, Json], pod: Json) -> int:
    """The port's number at this pod; 0 where the pod has no port of that name."""
    target = port.get("targetPort", port.get("port"))
    if isinstance(target, int):
        return target
    containers = objects(pod, "spec", "containers")
    named = (p for container in containers for p in objects(container, "ports") if p.get("name") == target)
    return next((whole(p, "containerPort", otherwise=0) for p in named), 0)
