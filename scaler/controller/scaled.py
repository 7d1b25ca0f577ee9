"""What ScaledObjects and ScaledJobs say of pools: facts of those that name our address, and of nobody else's."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from scaler.config.metadata import TriggerMetadata, parse_metadata, pool_key
from scaler.config.pool import Found, JobStrategy, PoolKey
from scaler.controller.api import Json
from scaler.controller.dig import objects, strings, text, whole
from scaler.controller.names import LEAST

TYPES: Final = ("external", "external-push")
PLURALS: Final = {"Deployment": "deployments", "StatefulSet": "statefulsets"}
STRATEGIES: Final = {"": JobStrategy.DEFAULT, "default": JobStrategy.DEFAULT, "accurate": JobStrategy.ACCURATE}
MOST: Final = 100  # KEDA's own default
SUFFIXES: Final = (".svc.cluster.local", ".svc")


@dataclass(frozen=True, slots=True, kw_only=True)
class Scaled:
    """An object that asks for one of our pools.

    Attributes:
        kind: ScaledObject or ScaledJob.
        least: the minimum that stands in it, which we may hold higher than ``found.least`` for a while.
        held: whether we do.
    """

    uid: str
    kind: str
    namespace: str
    name: str
    key: PoolKey
    metadata: TriggerMetadata
    found: Found
    least: int
    held: bool


def scaled(body: Json, kind: str, address: str) -> Scaled | None:
    """What it says of the first of its triggers that asks for a pool of pods at our address; None where none does.

    Raises:
        ConfigError: the trigger's metadata cannot be used.
    """
    asking = (t for t in objects(body, "spec", "triggers") if is_ours(t, address) and not warm_pool(t))
    trigger = next(asking, None)
    if trigger is None:
        return None
    namespace, name = text(body, "metadata", "namespace"), text(body, "metadata", "name")
    metadata = parse_metadata(_without_environment(strings(trigger, "metadata")))
    found = _object(body) if kind == "ScaledObject" else _job(body)
    key = pool_key(metadata, namespace, name)
    return Scaled(
        uid=text(body, "metadata", "uid"),
        kind=kind,
        namespace=namespace,
        name=name,
        key=key,
        metadata=metadata,
        found=found,
        least=whole(body, "spec", "minReplicaCount", otherwise=0),
        held=LEAST in strings(body, "metadata", "annotations"),
    )


def own_least(body: Json) -> int:
    """The minimum of its own: what stands there, or stood there before we held it higher."""
    kept = strings(body, "metadata", "annotations").get(LEAST, "")
    stands = whole(body, "spec", "minReplicaCount", otherwise=0)
    return int(kept) if kept.isdecimal() and kept.isascii() else stands


def same(one: str, other: str) -> bool:
    """Whether two addresses are one Service's, however much of its name each spells."""
    return _short(one) == _short(other)


def is_ours(trigger: Mapping[str, Json], address: str) -> bool:
    """Whether a trigger asks at this address."""
    return text(trigger, "type") in TYPES and same(text(trigger, "metadata", "scalerAddress"), address)


def warm_pool(trigger: Mapping[str, Json]) -> str:
    """The warm pool for which a trigger asks a scaler of our kind, wherever; empty where it does not."""
    return text(trigger, "metadata", "warmPool") if text(trigger, "type") in TYPES else ""


def _short(address: str) -> str:
    host, colon, port = address.rpartition(":")
    host = host.rstrip(".").lower()
    for suffix in SUFFIXES:
        host = host.removesuffix(suffix)
    return host + colon + port


def _without_environment(metadata: Mapping[str, str]) -> dict[str, str]:
    """What is said here itself. What comes from the target's environment only KEDA knows, and tells us by asking."""
    return {key: value for key, value in metadata.items() if not key.endswith("FromEnv")}


def _object(body: Json) -> Found:
    """A ScaledObject's. The fewest replicas that it ever asks for are those of an idle one, where it names them."""
    version = text(body, "spec", "scaleTargetRef", "apiVersion") or "apps/v1"
    kind = text(body, "spec", "scaleTargetRef", "kind") or "Deployment"
    plural = PLURALS.get(kind) if version == "apps/v1" else None
    return Found(
        least=whole(body, "spec", "idleReplicaCount", otherwise=own_least(body)),
        most=whole(body, "spec", "maxReplicaCount", otherwise=MOST),
        workload=None if plural is None else (plural, text(body, "spec", "scaleTargetRef", "name")),
    )


def _job(body: Json) -> Found:
    return Found(
        least=whole(body, "spec", "minReplicaCount", otherwise=0),
        most=whole(body, "spec", "maxReplicaCount", otherwise=MOST),
        strategy=STRATEGIES.get(text(body, "spec", "scalingStrategy", "strategy")),
    )
