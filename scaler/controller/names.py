"""The names by which pods, their owners and their guards are marked: every other part spells them from here."""

from __future__ import annotations

from typing import Final

from scaler.core.pods import Phase

DOMAIN: Final = "agent-scaler.io"
MANAGER: Final = "agent-scaler"  # the field manager of all that is applied
ACCOUNT: Final = f"system:serviceaccount:{MANAGER}:{MANAGER}"  # who the controller is, to policies and to RBAC

MANAGED: Final = f"{DOMAIN}/managed"  # label of pods: the guards stand before it; never removed
POOL: Final = f"{DOMAIN}/pool"  # label of pods: whose it is
PHASE: Final = f"{DOMAIN}/phase"  # label of pods: where it stands in the drain protocol; absent is active
GUARD: Final = f"{DOMAIN}/guard"  # label of pods: deny or audit; absent is deny
HOLDS: Final = f"{DOMAIN}/holds"  # label of owners and namespaces: pods of theirs are not drained
POOLS: Final = f"{DOMAIN}/pools"  # label of namespaces: annotations say what pods are given there
WORD: Final = f"pool.{DOMAIN}/"  # annotation of namespaces, with the pool's name: what its pods are given

EPOCH: Final = f"{DOMAIN}/drain-epoch"  # annotation of pods: rises with each mark and each call back
ASKED_BY: Final = f"{DOMAIN}/drain-asked-by"  # annotation of pods: who asked for the drain; see below
SINCE: Final = f"{DOMAIN}/drain-since"  # annotation of pods: when the drain began
FORCE: Final = f"{DOMAIN}/force-delete"  # annotation of pods and owners: the uid, set by a person who may
LEAST: Final = f"{DOMAIN}/min-replicas"  # annotation of ScaledObjects: their minimum while we hold it higher
GATE_PORT: Final = f"{DOMAIN}/gate-port"  # annotation of pods: where the gate listens at the pod's address

POOL_ASKED: Final = "pool"  # who asks for a drain: the pool does not need it;
OWNER_ASKED: Final = "owner"  # its owner is gone, or has another in its place;
NODE_ASKED: Final = "node/"  # with the node's name: the node asks its pods away

DELETION_COST: Final = "controller.kubernetes.io/pod-deletion-cost"
LOWEST_COST: Final = "-2147483648"
DO_NOT_DISRUPT: Final = "karpenter.sh/do-not-disrupt"
SAFE_TO_EVICT: Final = "cluster-autoscaler.kubernetes.io/safe-to-evict"
PINS: Final = (DO_NOT_DISRUPT, SAFE_TO_EVICT)  # left on a drained pod they pin its node for ever

DEFAULT_GATE_PORT: Final = 8476
TRUE: Final = "true"
SENTINEL: Final = 2_147_483_647  # pods that a budget asks for and nobody ever has: it allows no disruption
PHASES: Final = {Phase.ACTIVE: "active", Phase.DRAINING: "draining", Phase.DRAINED: "drained"}


def budget_name(pool: str) -> str:
    """The name of a pool's sentinel PodDisruptionBudget."""
    return f"{MANAGER}-{pool}"
