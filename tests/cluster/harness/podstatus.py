"""A pod's status as a node reports it: its containers' states, and what follows from them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from scaler.controller.dig import objects, text, whole
from scaler.core.types import Instant
from tests.cluster.harness.api import Json
from tests.cluster.harness.container import Ended, Running
from tests.cluster.harness.podspec import Container, PodSpec

RUNTIME = "process"


@dataclass(slots=True)
class State:
    """How a container stands.

    Attributes:
        restarts: how often it was started again.
        running: its process, while it has one.
        last: how its last process ended.
        started: it runs, and its startup probe has succeeded.
        ready: it is started, and its readiness probe says so.
        waits_for: why it does not run, in Kubernetes' words; ``why`` is the message.
    """

    container: Container
    restarts: int
    running: Running | None = None
    last: Ended | None = None
    started: bool = False
    ready: bool = False
    waits_for: str = "ContainerCreating"
    why: str = ""


def restarts(pod: Mapping[str, Json], container: str) -> int:
    """How often a container had been started again when the pod was seen first, and once more if it had run.

    It had where its node's agent was killed: its process ended with that.
    """
    for found in objects(pod, "status", "containerStatuses"):
        if text(found, "name") == container:
            return whole(found, "restartCount", otherwise=0) + ("containerID" in found)
    return 0


def status(spec: PodSpec, states: Sequence[State], ip: str, since: Instant) -> Mapping[str, Json]:
    """The whole status. Instants are rounded down to seconds, as Kubernetes has them."""
    ready = all(state.ready for state in states)
    return {
        "phase": _phase(states),
        "hostIP": "127.0.0.1",
        "hostIPs": [{"ip": "127.0.0.1"}],
        "podIP": ip,
        "podIPs": [{"ip": ip}],
        "startTime": stamp(since),
        "conditions": [
            *({"type": kind, "status": "True"} for kind in ("PodReadyToStartContainers", "Initialized")),
            *({"type": kind, "status": str(ready)} for kind in ("ContainersReady", "Ready")),
        ],
        "containerStatuses": [_container(spec, state) for state in states],
    }


def stamp(at: Instant) -> str:
    """An instant as Kubernetes writes it."""
    return datetime.fromtimestamp(int(at), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _phase(states: Sequence[State]) -> str:
    if all(_over(state) for state in states):
        return "Succeeded" if all(state.last is not None and state.last.code == 0 for state in states) else "Failed"
    return "Running" if any(state.running or state.last for state in states) else "Pending"


def _over(state: State) -> bool:
    """It has ended, and is not started again."""
    return state.running is None and state.last is not None and not state.waits_for


def _container(spec: PodSpec, state: State) -> Mapping[str, Json]:
    container = state.container
    shown: dict[str, Json] = {
        "name": container.name,
        "image": container.image,
        "imageID": container.image,
        "ready": state.ready,
        "started": state.started,
        "restartCount": state.restarts,
        "state": _state(state),
    }
    if state.running is not None or state.last is not None:
        shown["containerID"] = f"{RUNTIME}://{spec.uid}/{container.name}/{state.restarts}"
    if state.last is not None and not _over(state):
        shown["lastState"] = {"terminated": _terminated(state.last)}
    return shown


def _state(state: State) -> Mapping[str, Json]:
    if state.running is not None:
        return {"running": {"startedAt": stamp(state.running.started_at)}}
    if state.last is not None and _over(state):
        return {"terminated": _terminated(state.last)}
    return {"waiting": {"reason": state.waits_for, "message": state.why}}


def _terminated(ended: Ended) -> Mapping[str, Json]:
    return {
        "exitCode": ended.code,
        "reason": "Completed" if ended.code == 0 else "Error",
        "startedAt": stamp(ended.started_at),
        "finishedAt": stamp(ended.finished_at),
    }
