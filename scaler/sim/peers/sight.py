"""What another autoscaler is given and what it gives back: the seam between the world and its peers."""

from __future__ import annotations

import enum
import math
from collections.abc import Sequence
from dataclasses import Field, dataclass
from typing import Any, ClassVar, Protocol

from scaler.core.types import Instant, Seconds


class Leaving(enum.Enum):
    """How a pod goes when an autoscaler asks for fewer, or of itself."""

    BY_RANK = "by rank"  # the ReplicaSet's victim, busy or not
    WHEN_IDLE = "when idle"  # only pods without a task; fewer are asked for than can go, the rest stay
    AFTER_TASK = "after task"  # each pod runs one task and ends; asking for fewer takes nobody away


@dataclass(frozen=True, slots=True, kw_only=True)
class Pool:
    """What the pool is, whoever scales it: tasks a pod runs at once, and the bounds of its replicas."""

    slots: int = 1
    low: int = 0
    high: int = 100


@dataclass(slots=True, kw_only=True)
class Sight:
    """What an autoscaler may see at an instant. One object may be filled anew for every decision.

    Attributes:
        replicas: asked for, ``spec.replicas``.
        ready, starting: pods that are not leaving.
        queued: tasks that wait; ``inflight`` tasks that run.
        arrivals, completions: tasks since the start of the run, counters.
        oldest: seconds that the task at the head of the queue has waited, 0 without one.
        loads: tasks in each ready pod, shape (ready,), for those who look at pods one by one.
    """

    now: Instant
    replicas: int
    ready: int
    starting: int
    queued: int
    inflight: int
    arrivals: int = 0
    completions: int = 0
    oldest: Seconds = 0.0
    loads: Sequence[int] = ()


class Scaler(Protocol):
    """An autoscaler at work on one pool. It may remember; the world calls it every ``period`` seconds."""

    @property
    def period(self) -> Seconds:
        """Seconds between two decisions."""
        ...

    def decide(self, sight: Sight) -> int:
        """Replicas asked for from now on; ``sight.replicas`` again where it leaves them alone."""
        ...


class Knobs(Protocol):
    """An autoscaler's configuration: a frozen dataclass whose fields are the knobs.

    A field that may be tuned says its range: ``Annotated[float, Range(low, high)]``.
    """

    __dataclass_fields__: ClassVar[dict[str, Field[Any]]]

    @property
    def leaving(self) -> Leaving:
        """How its pods go."""
        ...

    @property
    def grace(self) -> Seconds:
        """Seconds that a deleted pod may go on with its tasks."""
        ...

    def scaler(self, pool: Pool) -> Scaler:
        """One at work, without a past."""
        ...


@dataclass(frozen=True, slots=True)
class Range:
    """Where a knob may be looked for, both ends included; ``log`` where its order of magnitude is what matters."""

    low: float
    high: float
    log: bool = False

    def at(self, share: float) -> float:
        """The value at this share of the way, 0 to 1."""
        if self.log:
            return self.low * math.pow(self.high / self.low, share)
        return self.low + (self.high - self.low) * share
