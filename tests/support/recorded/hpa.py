"""What the real HPA decided, and what the simulator's decides on the same input."""

from __future__ import annotations

import enum
from collections.abc import Iterator
from dataclasses import dataclass

from scaler.core.types import Unknown
from scaler.sim.hpa import Hpa, HpaMemory, Metric, follow, propose
from scaler.sim.hpa_pods import Aim, Measured, Stand, by_pods, by_value

THOUSAND = 1000


class Kind(enum.Enum):
    """Of what kind a metric of an HPA is."""

    AVERAGE = "External AverageValue"
    VALUE = "External Value"
    PODS = "Pods AverageValue"


@dataclass(frozen=True, slots=True)
class Wanted:
    """A metric of an HPA, and its target in thousandths."""

    target: int = THOUSAND
    kind: Kind = Kind.AVERAGE


@dataclass(frozen=True, slots=True, kw_only=True)
class Sync:
    """One look of the controller.

    Attributes:
        at: seconds since the first.
        spec, status: the workload's replicas when it looked.
        said: what each metric said, in thousandths, None where it failed; of each pod for a metric of pods. Empty where
            the controller did not ask.
        after: ``spec.replicas`` when it was done.
    """

    at: float
    spec: int
    status: int
    said: tuple[int | tuple[int | None, ...] | None, ...] = ()
    after: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Story:
    """An HPA that was followed from its creation.

    Attributes:
        pods: the workload's pods, which stay as they are.
    """

    name: str
    hpa: Hpa
    metrics: tuple[Wanted, ...] = (Wanted(),)
    pods: tuple[Stand, ...] = ()
    syncs: tuple[Sync, ...] = ()


def disagreements(story: Story) -> Iterator[str]:
    """Where the model decides otherwise: each decision on what was really there, with the model's own memory."""
    memory = HpaMemory()
    for number, sync in enumerate(story.syncs):
        proposals = [
            _proposed(story, wanted, said, sync) for wanted, said in zip(story.metrics, sync.said, strict=False)
        ]
        after, memory = follow(story.hpa, memory, proposals, spec=sync.spec, now=sync.at)
        if after != sync.after:
            yield f"{story.name}, sync {number}: the HPA made it {sync.after} and the model {after} of {sync}"


def _proposed(story: Story, wanted: Wanted, said: int | tuple[int | None, ...] | None, sync: Sync) -> int | Unknown:
    if isinstance(said, tuple):
        measured = (Measured(use=use, stand=stand) for use, stand in zip(said, story.pods, strict=True))
        return by_pods(measured, Aim(target=wanted.target, of_requests=False), sync.status)
    if said is None:
        return Unknown("the metric failed")
    if wanted.kind is Kind.VALUE:
        return by_value(said, wanted.target, ready=story.pods.count(Stand.READY), replicas=sync.status)
    return propose(Metric(said / THOUSAND, wanted.target / THOUSAND), sync.status, story.hpa.behavior)
