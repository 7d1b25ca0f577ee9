"""The words of agent-sandbox that we read or write: kinds, labels, annotations, conditions."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from typing import Final

from scaler.controller.names import DOMAIN

CORE: Final = "agents.x-k8s.io"
EXTENSIONS: Final = "extensions.agents.x-k8s.io"
VERSION: Final = "v1beta1"  # the only version whose fields are read: v1alpha1 has other ones by the same names

LAUNCH: Final = f"{CORE}/launch-type"
WARM: Final = "warm"
POOLED: Final = f"{CORE}/warm-pool-sandbox"  # on a sandbox and its pod for as long as a pool owns them
BOUND: Final = f"{CORE}/sandbox-name"  # a claim's sandbox, written before anything else of the binding
OBSERVED: Final = f"{CORE}/controller-first-observed-at"
FIRST_READY: Final = f"{CORE}/claim-first-ready-at"

ASKS: Final = (
    "sandbox.users.io/agent-scaler"  # label of pod templates and claims, of the domain that passes as installed
)
GUARD: Final = "guard"  # its value: a claimed sandbox stays until its agent is idle and its session over
WORKED: Final = f"{DOMAIN}/worked"  # annotation of a claimed sandbox's pod: its agent has been seen at work

READY: Final = "Ready"
SCHEDULED: Final = "PodScheduled"
FINISHED: Final = "Finished"
UNSCHEDULABLE: Final = "Unschedulable"
ADOPTION_CONFLICT: Final = "AdoptionConflict"


class Kind(enum.Enum):
    """What is watched; the value is the path of its list over all namespaces."""

    POOL = f"/apis/{EXTENSIONS}/{VERSION}/sandboxwarmpools"
    CLAIM = f"/apis/{EXTENSIONS}/{VERSION}/sandboxclaims"
    SANDBOX = f"/apis/{CORE}/{VERSION}/sandboxes"
    HPA = "/apis/autoscaling/v2/horizontalpodautoscalers"
    SCALED_OBJECT = "/apis/keda.sh/v1alpha1/scaledobjects"
    POD = "/api/v1/pods"  # those alone that ask to be guarded

    @property
    def query(self) -> Mapping[str, str]:
        """What is asked for, beside the path."""
        return {"labelSelector": f"{ASKS}={GUARD}"} if self is Kind.POD else {}

    @property
    def optional(self) -> bool:
        """Whether a cluster may do without it: agent-sandbox and KEDA may be installed later."""
        return self not in {Kind.HPA, Kind.POD}

    def of(self, namespace: str, name: str) -> str:
        """The path of one object."""
        base, _, plural = self.value.rpartition("/")
        return f"{base}/namespaces/{namespace}/{plural}/{name}"
