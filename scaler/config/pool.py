"""A pool as the rest of the house sees it: its policy, where its signals and pods are read, and its schedule.

These are plain immutable values. The schema that people write is in ``settings``; ``resolve`` turns it into these.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import time
from typing import Final, NamedTuple, TypeAlias
from zoneinfo import ZoneInfo

from scaler.config.path import Step
from scaler.core.policy import Policy
from scaler.core.types import Seconds, Signal


class PoolKey(NamedTuple):
    """A pool's name in its namespace: the name of its ScaledObject or ScaledJob unless the trigger names the pool."""

    namespace: str
    name: str

    def __str__(self) -> str:
        return f"{self.namespace}/{self.name}"


class JobStrategy(enum.StrEnum):
    """How KEDA counts the Jobs of a ScaledJob, which decides what we must report to it.

    ``default`` subtracts running Jobs from our number, so it is told waiting and running work together; ``accurate``
    does not, so it is told only work that no Job has claimed.
    """

    DEFAULT = "default"
    ACCURATE = "accurate"


@dataclass(frozen=True, slots=True, kw_only=True)
class PrometheusQuery:
    """One PromQL expression that yields one number, and the base URL of the server that answers it."""

    query: str
    url: str

    @property
    def call(self) -> PrometheusQuery:
        """What is asked for it: itself, whoever else asks the same."""
        return self


@dataclass(frozen=True, slots=True)
class Page:
    """What a GET asks for: two that differ in the token, or in whom they trust, may be given different documents."""

    url: str
    token_file: str | None
    ca_file: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class JsonNumber:
    """One number of the JSON document that a GET of ``url`` answers; ``path`` leads to it (see ``config.path``).

    ``token_file`` holds the bearer token the page asks for, if it does; ``ca_file`` the authorities that may sign for
    the server, the system's where there is none.
    """

    url: str
    path: tuple[Step, ...]
    token_file: str | None = None
    ca_file: str | None = None

    @property
    def call(self) -> Page:
        """What is asked for it: the document, which may have other numbers too."""
        return Page(self.url, self.token_file, self.ca_file)


@dataclass(frozen=True, slots=True, kw_only=True)
class LiveScale:
    """A workload's replicas in its scale, as the API server has it at ``url``: the number itself, not a copy."""

    url: str
    token_file: str
    ca_file: str

    @property
    def call(self) -> Page:
        """What is asked for it."""
        return Page(self.url, self.token_file, self.ca_file)


@dataclass(frozen=True, slots=True, kw_only=True)
class ActivityEndpoints:
    """Base URLs, one for each pod of the pool; ``GET <url>/activity`` answers what runs there."""

    urls: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class WatchedPods:
    """The pods of a workload of ``apps/v1``, which the controller watches and whose agents it asks where they are.

    ``kind`` is ``deployments`` or ``statefulsets``; the workload is in the namespace of its pool.
    """

    pool: PoolKey
    kind: str
    name: str

    @property
    def path(self) -> str:
        """Where the API server has the workload."""
        return f"/apis/apps/v1/namespaces/{self.pool.namespace}/{self.kind}/{self.name}"


SignalSource: TypeAlias = PrometheusQuery | JsonNumber | LiveScale
Call: TypeAlias = PrometheusQuery | Page  # sources that share it are answered together
PodSource: TypeAlias = ActivityEndpoints | WatchedPods


class Guard(enum.StrEnum):
    """What the delete guard does with whoever deletes a pod that is not drained.

    ``deny`` refuses it; ``audit`` lets it pass, warns and counts: for a pool that is being moved under the guard.
    """

    DENY = "deny"
    AUDIT = "audit"


class Spread(enum.StrEnum):
    """What pods are spread over: a zone or a node with the fewest of them is tried first, and none is a must."""

    ZONE = "zone"
    NODE = "node"


@dataclass(frozen=True, slots=True, kw_only=True)
class Essentials:
    """What pods of a watched pool are given at their creation, where their template says nothing of it.

    Attributes:
        grace: whole seconds from SIGTERM to SIGKILL; None leaves them Kubernetes' 30.
        spread: over what they are spread.
    """

    grace: int | None = None
    spread: tuple[Spread, ...] = ()


NOTHING_MORE: Final = Essentials()


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """What the cluster says of a pool: the bounds in its ScaledObject or ScaledJob, and what this scales.

    Attributes:
        workload: plural and name of a workload of ``apps/v1``; None for Jobs, and for kinds whose pods nobody watches.
        strategy: of a ScaledJob.
    """

    least: int
    most: int
    workload: tuple[str, str] | None = None
    strategy: JobStrategy | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ScheduleRule:
    """At least ``replicas`` pods on these days between two wall-clock times.

    Attributes:
        days: weekdays on which a window begins, Monday is 0.
        start, end: wall-clock times in ``zone``; an ``end`` at or before ``start`` is on the next day.
    """

    name: str
    days: frozenset[int]
    start: time
    end: time
    zone: ZoneInfo
    replicas: int


@dataclass(frozen=True, slots=True, kw_only=True)
class PoolSpec:
    """One pool, resolved.

    Attributes:
        class_name: the class it takes its policy from, if any.
        signals: where each signal it is measured by is read.
        pods: where its pods are asked one by one; None where they cannot be.
        replicas: where the workload's live ``spec.replicas`` is read; None where the pods that answer are the count.
        replicas_behind: how long before it was read a number of replicas may have been true.
        job_strategy: set for a ScaledJob, None for a ScaledObject.
        guard: of watched pods under the drain protocol, what their delete guard does.
        essentials: what these are given beside it.
        schedule: windows in which a number of pods is asked for ahead of the work.
        origin: for each setting, by its key in the configuration, the layer that decided it: ``default``,
            ``config defaults``, ``class NAME``, ``pool``, ``trigger metadata``, ``sources`` or ``kill switch``.
    """

    key: PoolKey
    class_name: str | None
    policy: Policy
    signals: Mapping[Signal, SignalSource]
    pods: PodSource | None
    replicas: SignalSource | None
    replicas_behind: Seconds = 0.0
    job_strategy: JobStrategy | None
    guard: Guard = Guard.DENY
    essentials: Essentials = NOTHING_MORE
    schedule: tuple[ScheduleRule, ...]
    origin: Mapping[str, str]
