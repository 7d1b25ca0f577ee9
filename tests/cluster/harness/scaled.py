"""Workloads and the ScaledObjects that scale them, as the shipped examples have them."""

from __future__ import annotations

from dataclasses import dataclass

from tests.cluster.harness.rest import Document

EXACT: Document = {
    "scaleUp": {
        "tolerance": "0",
        "stabilizationWindowSeconds": 0,
        "policies": [{"type": "Pods", "value": 10000, "periodSeconds": 15}],
    },
    "scaleDown": {
        "tolerance": "0",
        "stabilizationWindowSeconds": 0,
        "policies": [{"type": "Percent", "value": 100, "periodSeconds": 15}],
    },
}


BANDED: Document = {
    way: {key: value for key, value in said.items() if key != "tolerance"}
    for way, said in EXACT.items()
    if isinstance(said, dict)
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Scaled:
    """A workload, and the ScaledObject that scales it by our scaler.

    Attributes:
        name: of both.
        address: where the scaler answers.
        kind: Deployment or StatefulSet.
        push: whether KEDA is woken over a stream.
        most: the HPA's bound.
        poll: seconds between two of KEDA's own questions.
        cooldown: seconds without activity before KEDA goes to zero.
        metadata: more of the trigger's metadata.
        replicas: what the workload starts with.
        starts: how a StatefulSet starts its pods: Parallel or OrderedReady.
        first: its first ordinal.
        exact: whether the HPA has a tolerance of nought; otherwise it has its own, a tenth.
        annotations: of its pods, as kwok reads them.
        nodes: labels of the nodes that its pods run on; any where there are none.
    """

    name: str
    address: str = ""
    kind: str = "Deployment"
    push: bool = False
    most: int = 500
    poll: int = 1
    cooldown: int = 1
    metadata: tuple[tuple[str, str], ...] = ()
    replicas: int = 0
    starts: str = "Parallel"
    first: int = 0
    exact: bool = True
    annotations: tuple[tuple[str, str], ...] = ()
    nodes: tuple[tuple[str, str], ...] = ()

    def documents(self) -> list[Document]:
        """The two objects, to be applied in this order."""
        return [self.workload(), self.scaled_object()]

    def workload(self) -> Document:
        """A workload of pods that need nothing, so that thousands fit on the nodes."""
        labels: Document = {"app": self.name}
        container: Document = {"name": "agent", "image": "registry.example/agent:1"}
        spec: Document = {
            "replicas": self.replicas,
            "selector": {"matchLabels": labels},
            "template": {
                "metadata": {"labels": labels, "annotations": {**dict(self.annotations)}},
                "spec": {"containers": [container], "nodeSelector": {**dict(self.nodes)}},
            },
        }
        if self.kind == "StatefulSet":
            spec |= {"serviceName": self.name, "podManagementPolicy": self.starts}
            spec |= {"ordinals": {"start": self.first}}
        return {"apiVersion": "apps/v1", "kind": self.kind, "metadata": {"name": self.name}, "spec": spec}

    def scaled_object(self) -> Document:
        """As keda/scaledobject-pull.yaml or -push.yaml, with shorter times."""
        trigger: Document = {
            "type": "external-push" if self.push else "external",
            "metadata": {"scalerAddress": self.address, **dict(self.metadata)},
        }
        spec: Document = {
            "scaleTargetRef": {"kind": self.kind, "name": self.name},
            "minReplicaCount": 0,
            "maxReplicaCount": self.most,
            "pollingInterval": self.poll,
            "cooldownPeriod": self.cooldown,
            "advanced": {"horizontalPodAutoscalerConfig": {"behavior": EXACT if self.exact else BANDED}},
            "triggers": [trigger],
        }
        return {
            "apiVersion": "keda.sh/v1alpha1",
            "kind": "ScaledObject",
            "metadata": {"name": self.name},
            "spec": spec,
        }
