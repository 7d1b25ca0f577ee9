"""The words of agent-sandbox that we read or write: kinds, labels, annotations, conditions."""

from __future__ import annotations

import enum
from typing import Final

CORE: Final = "agents.x-k8s.io"
EXTENSIONS: Final = "extensions.agents.x-k8s.io"
VERSION: Final = "v1beta1"  # the only version whose fields are read: v1alpha1 has other ones by the same names

LAUNCH: Final = f"{CORE}/launch-type"
WARM: Final = "warm"
POOLED: Final = f"{CORE}/warm-pool-sandbox"  # on a sandbox and its pod for as long as a pool owns them
BOUND: Final = f"{CORE}/sandbox-name"  # a claim's sandbox, written before anything else of the binding
OBSERVED: Final = f"{CORE}/controller-first-observed-at"
FIRST_READY: Final = f"{CORE}/claim-first-ready-at"

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

    def of(self, namespace: str, name: str) -> str:
        """The path of one object."""
        base, _, plural = self.value.rpartition("/")
        return f"{base}/namespaces/{namespace}/{plural}/{name}"
