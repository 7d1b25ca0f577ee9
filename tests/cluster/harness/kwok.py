"""kwok, which plays kubelet: nodes in three zones, and pods that start, end and have addresses, without containers.

Addresses are real ones of this machine, where a test's agent can listen. What a pod does is told by annotations of the
pod (Go durations, as ``1500ms``):

- ``agent-scaler.test/ready-after``: it has an address at once and is Ready so much later. Without it, at once.
- ``agent-scaler.test/ready-within``: at a random time between that and this.
- ``agent-scaler.test/ready-lognormal``: instead of both, MU,SIGMA of the logarithm of its seconds, drawn anew for each.
- ``agent-scaler.test/complete-after``: a Job's pod succeeds so long after it was Ready. Without it, never.
- ``agent-scaler.test/gone-after``: deleted with grace, it is gone so much later. Without it, at once.

Only nodes annotated ``kwok.x-k8s.io/node: fake`` are its own, Karpenter's among them.
"""

from __future__ import annotations

import json
from ipaddress import IPv4Network
from pathlib import Path
from statistics import NormalDist

from tests.cluster.harness.assets import Assets
from tests.cluster.harness.ports import answers, free
from tests.cluster.harness.process import Program
from tests.cluster.harness.rest import Document, Json, condition

KWOK = "kwok"
ZONES = ("a", "b", "c")
FAKE = ("kwok.x-k8s.io/node", "fake")
READY_AFTER = "agent-scaler.test/ready-after"
READY_WITHIN = "agent-scaler.test/ready-within"
READY_LOGNORMAL = "agent-scaler.test/ready-lognormal"
COMPLETE_AFTER = "agent-scaler.test/complete-after"
GONE_AFTER = "agent-scaler.test/gone-after"

NODE_READY = """\
phase: Running
conditions:
- {type: Ready, status: "True", reason: KwokReady, lastTransitionTime: {{ Now | Quote }}}
addresses:
- {type: InternalIP, address: 127.0.0.1}
- {type: Hostname, address: {{ .metadata.name | Quote }}}
nodeInfo:
  {architecture: amd64, operatingSystem: linux, containerRuntimeVersion: kwok, kubeletVersion: "v1.36.3",
  bootID: "", kernelVersion: "", kubeProxyVersion: "", machineID: "", osImage: "", systemUUID: ""}
"""
HEARTBEAT = """\
conditions:
- {type: Ready, status: "True", reason: KwokReady, lastHeartbeatTime: {{ Now | Quote }}}
"""
ADDRESS = """\
{{ $address := PodIPWith .spec.nodeName ( or .spec.hostNetwork false )
   ( or .metadata.uid "" ) ( or .metadata.name "" ) ( or .metadata.namespace "" ) }}
hostIP: 127.0.0.1
hostIPs: [{ip: 127.0.0.1}]
podIP: {{ $address | Quote }}
podIPs: [{ip: {{ $address | Quote }}}]
startTime: {{ Now | Quote }}
"""
CREATED = (
    ADDRESS
    + """\
conditions:
- {type: Initialized, status: "True", lastTransitionTime: {{ Now | Quote }}}
- {type: Ready, status: "False", reason: ContainersNotReady, lastTransitionTime: {{ Now | Quote }}}
- {type: ContainersReady, status: "False", reason: ContainersNotReady, lastTransitionTime: {{ Now | Quote }}}
containerStatuses:
{{ range .spec.containers }}
- {name: {{ .name | Quote }}, image: {{ .image | Quote }}, imageID: "", ready: false, started: false, restartCount: 0,
   state: {waiting: {reason: ContainerCreating}}}
{{ end }}
"""
)
READY = """\
phase: Running
conditions:
- {type: Initialized, status: "True", lastTransitionTime: {{ Now | Quote }}}
- {type: Ready, status: "True", lastTransitionTime: {{ Now | Quote }}}
- {type: ContainersReady, status: "True", lastTransitionTime: {{ Now | Quote }}}
{{ range .spec.readinessGates }}
- {type: {{ .conditionType | Quote }}, status: "True", lastTransitionTime: {{ Now | Quote }}}
{{ end }}
containerStatuses:
{{ range .spec.containers }}
- {name: {{ .name | Quote }}, image: {{ .image | Quote }}, imageID: "", ready: true, started: true, restartCount: 0,
   state: {running: {startedAt: {{ Now | Quote }}}}}
{{ end }}
initContainerStatuses:
{{ range .spec.initContainers }}
{{ if eq ( or .restartPolicy "" ) "Always" }}
- {name: {{ .name | Quote }}, image: {{ .image | Quote }}, imageID: "", ready: true, started: true, restartCount: 0,
   state: {running: {startedAt: {{ Now | Quote }}}}}
{{ else }}
- {name: {{ .name | Quote }}, image: {{ .image | Quote }}, imageID: "", ready: true, started: false, restartCount: 0,
   state: {terminated: {exitCode: 0, reason: Completed, startedAt: {{ Now | Quote }}, finishedAt: {{ Now | Quote }}}}}
{{ end }}
{{ end }}
"""
COMPLETED = """\
phase: Succeeded
conditions:
- {type: Ready, status: "False", reason: PodCompleted, lastTransitionTime: {{ Now | Quote }}}
- {type: ContainersReady, status: "False", reason: PodCompleted, lastTransitionTime: {{ Now | Quote }}}
containerStatuses:
{{ range .spec.containers }}
- {name: {{ .name | Quote }}, image: {{ .image | Quote }}, imageID: "", ready: false, started: false, restartCount: 0,
   state: {terminated: {exitCode: 0, reason: Completed, startedAt: {{ Now | Quote }}, finishedAt: {{ Now | Quote }}}}}
{{ end }}
"""

QUANTILES = [NormalDist().inv_cdf((i + 0.5) / 20) for i in range(20)]

ALIVE: Document = {"key": ".metadata.deletionTimestamp", "operator": "DoesNotExist"}
LEAVING: Document = {"key": ".metadata.deletionTimestamp", "operator": "Exists"}
PENDING: Document = {"key": ".status.phase", "operator": "In", "values": ["Pending"]}
RUNNING: Document = {"key": ".status.phase", "operator": "In", "values": ["Running"]}
ADDRESSED: Document = {"key": ".status.podIP", "operator": "Exists"}
HOMELESS: Document = {"key": ".status.podIP", "operator": "DoesNotExist"}


def nodes() -> list[Document]:
    """One big node in each zone."""
    return [node(f"node-{zone}", zone) for zone in ZONES]


def node(name: str, zone: str) -> Document:
    """A node with room for thousands of pods, which kwok keeps Ready."""
    room: Document = {"cpu": "10000", "memory": "64Ti", "pods": "10000"}
    labels: Document = {
        "kubernetes.io/hostname": name,
        "kubernetes.io/os": "linux",
        "kubernetes.io/arch": "amd64",
        "topology.kubernetes.io/zone": f"zone-{zone}",
        "topology.kubernetes.io/region": "here",
    }
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {"name": name, "labels": labels, "annotations": dict([FAKE])},
        "status": {"capacity": dict(room), "allocatable": dict(room)},
    }


def is_ready(document: Document) -> bool:
    """This node, or this pod, says that it is Ready."""
    return condition(document, "Ready") == "True"


def program(assets: Assets, folder: Path, kubeconfig: Path, addresses: IPv4Network) -> Program:
    """Kwok itself; its pods have these addresses."""
    stages, port = folder / "stages.yaml", free()
    stages.write_text("---\n".join(json.dumps(stage) + "\n" for stage in _stages()))
    command = (
        assets.binary(KWOK),
        f"--kubeconfig={kubeconfig}",
        f"--config={stages}",
        f"--manage-nodes-with-annotation-selector={'='.join(FAKE)}",
        "--node-lease-duration-seconds=5",  # another kwok waits for this one's leases to run out
        f"--cidr={addresses}",
        f"--server-address=127.0.0.1:{port}",
    )
    return Program(KWOK, command, ready=lambda: answers(f"http://127.0.0.1:{port}/healthz"), ports=[port])


def _stages() -> list[Document]:
    """What happens to nodes and pods, and when."""
    not_ready: Document = _condition_is_not_true()
    later: Document = {"key": _annotation(READY_AFTER), "operator": "Exists"}
    at_once: Document = {"key": _annotation(READY_AFTER), "operator": "DoesNotExist"}
    undrawn: Document = {"key": _annotation(READY_LOGNORMAL), "operator": "DoesNotExist"}
    drawn: Document = {"key": _annotation(READY_LOGNORMAL), "operator": "Exists"}
    completes: Document = {"key": _annotation(COMPLETE_AFTER), "operator": "Exists"}
    return [
        _stage("node-ready", "Node", [not_ready], NODE_READY),
        _stage("node-heartbeat", "Node", [RUNNING], HEARTBEAT, _after("", milliseconds=600_000)),
        _stage("pod-ready", "Pod", [ALIVE, PENDING, not_ready, at_once, undrawn], ADDRESS + READY),
        _stage("pod-created", "Pod", [ALIVE, PENDING, HOMELESS, later], CREATED),
        _stage("pod-ready-later", "Pod", [ALIVE, PENDING, ADDRESSED, later], READY, _after(READY_AFTER, READY_WITHIN)),
        _stage("pod-created-drawn", "Pod", [ALIVE, PENDING, HOMELESS, drawn], CREATED),
        *(
            _stage(f"pod-ready-drawn-{i}", "Pod", [ALIVE, PENDING, ADDRESSED, drawn], READY, _lognormal(z))
            for i, z in enumerate(QUANTILES)
        ),
        _stage("pod-completed", "Pod", [ALIVE, RUNNING, completes], COMPLETED, _after(COMPLETE_AFTER)),
        _stage("pod-gone", "Pod", [LEAVING], None, _after(GONE_AFTER)),
    ]


def _stage(name: str, kind: str, when: list[Document], status: str | None, delay: Document | None = None) -> Document:
    """What happens next to an object for which all of this holds: it gets this status, or without one it goes."""
    then: Document = {"delete": True} if status is None else {"statusTemplate": status}
    expressions: list[Json] = list(when)
    return {
        "apiVersion": "kwok.x-k8s.io/v1alpha1",
        "kind": "Stage",
        "metadata": {"name": name},
        "spec": {
            "resourceRef": {"apiGroup": "v1", "kind": kind},
            "selector": {"matchExpressions": expressions},
            "delay": delay or {"durationMilliseconds": 0},
            "next": then,
        },
    }


def _after(annotation: str, within: str = "", *, milliseconds: int = 0) -> Document:
    """A delay: what the annotation says, or so long where there is none; random up to what the other one says."""
    delay: Document = {"durationMilliseconds": milliseconds}
    if annotation:
        delay["durationFrom"] = {"expressionFrom": _annotation(annotation)}
    if within:
        delay["jitterDurationFrom"] = {"expressionFrom": _annotation(within)}
    return delay


def _lognormal(z: float) -> Document:
    """The delay of a lognormal distribution at this deviation; kwok picks at random among stages that all apply."""
    drawn = f'{_annotation(READY_LOGNORMAL)} | split(",") | map(tonumber)'
    return {"durationFrom": {"expressionFrom": f'{drawn} | (.[0] + ({z:.4f}) * .[1]) | exp | tostring + "s"'}}


def _annotation(key: str) -> str:
    return f'.metadata.annotations["{key}"]'


def _condition_is_not_true() -> Document:
    key = '.status.conditions.[] | select( .type == "Ready" ) | .status'
    return {"key": key, "operator": "NotIn", "values": ["True"]}
