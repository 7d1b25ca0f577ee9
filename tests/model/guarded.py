"""A pool in memory: the API server with its guards, and the agents with their gates. No leader is in it.

The server takes what leaders order through ``drain.carry``, holds every write against the label guard, and every
deletion against the delete guard, as ``manifests/guards`` would. One safeguard of these can be missing.
"""

from __future__ import annotations

import enum
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from scaler.core.drain import IllegalOrderError, carry
from scaler.core.pods import NO_ACK, Activity, Phase, Pod
from scaler.core.types import Instant, Order, PodUid, Verb


class Missing(enum.Enum):
    """A safeguard that is not there."""

    NOTHING = enum.auto()
    DELETE_GUARD = enum.auto()
    BUDGET = enum.auto()
    GATE = enum.auto()
    MEMORY_OF_THE_GATE = enum.auto()
    EPOCH_AT_THE_AGENT = enum.auto()
    EPOCH_AT_THE_COMMIT = enum.auto()
    ONE_WAY = enum.auto()


class RefusedError(Exception):
    """A guard said no. Nothing has changed."""


@dataclass
class Agent:
    """One agent. ``open``, ``heard`` and ``acked`` are in its file before it says anything of them."""

    open: bool = True
    heard: int = 0
    acked: int = NO_ACK
    running: int = 0
    missing: Missing = Missing.NOTHING

    def start(self) -> bool:
        """Begin a task, unless the gate is closed. Says whether it has begun."""
        self.running += self.open
        return self.open

    def finish(self) -> None:
        """End a task."""
        self.running -= 1

    def restart(self) -> None:
        """The process ends and begins again: its tasks are lost by themselves, its file is not."""
        self.running = 0
        self.open |= self.missing is Missing.MEMORY_OF_THE_GATE

    def told(self, verb: Verb, epoch: int) -> None:
        """Close the gate, or open it; nothing that is older than what was heard."""
        if epoch >= self.heard or self.missing is Missing.EPOCH_AT_THE_AGENT:
            closed = verb is not Verb.CANCEL
            self.heard, self.open = epoch, not closed or self.missing is Missing.GATE
            self.acked = epoch if closed and not self.running else NO_ACK


@dataclass
class Guarded:
    """The server's pods, by uid, and the agents in them.

    Attributes:
        replicas: what the workload asks for.
        allowed: evictions that were checked and allowed, and are not carried out yet.
        lost: pods that were deleted while they worked.
        ever: pods that have been drained at some time.
        refused: how often the guards said no, by what was wanted.
    """

    pods: dict[PodUid, Pod] = field(default_factory=dict)
    agents: dict[PodUid, Agent] = field(default_factory=dict)
    replicas: int = 0
    allowed: set[PodUid] = field(default_factory=set)
    lost: list[PodUid] = field(default_factory=list)
    ever: set[PodUid] = field(default_factory=set)
    refused: int = 0
    made: int = 0
    missing: Missing = Missing.NOTHING

    def fill(self, now: Instant) -> None:
        """The ReplicaSet starts what is missing; every pod is born active."""
        while len(self.pods) < self.replicas:
            self.made += 1
            uid = f"pod-{self.made}"
            self.agents[uid] = Agent(missing=self.missing)
            self.pods[uid] = Pod(uid=uid, created_at=now, since=now, activity=Activity(inflight=0, at=now))

    def seen(self, now: Instant) -> tuple[Pod, ...]:
        """Every pod, with what its agent says at this instant."""
        told = ((pod, self.agents[uid]) for uid, pod in self.pods.items())
        return tuple(
            replace(pod, activity=Activity(inflight=agent.running, at=now), acked=agent.acked) for pod, agent in told
        )

    def order(self, order: Order, believed: Pod) -> None:
        """Carry out an order of a leader that believes this of the pod.

        Raises:
            RefusedError: by a guard, or because the pod is not what the order was for.
        """
        live = self.pods.get(order.uid)
        if live is None:
            raise RefusedError("there is no such pod")
        if self.missing is Missing.EPOCH_AT_THE_COMMIT and order.verb is Verb.COMMIT:
            order, believed = replace(order, epoch=live.epoch), replace(believed, acked=live.epoch)
        try:  # the commit tests uid, phase and epoch of the pod as it is; the word of its agent is the leader's belief
            after = carry(replace(live, acked=believed.acked), order)
        except IllegalOrderError as error:
            raise RefusedError(str(error)) from error
        if after is None:
            self.delete(order.uid)
            return
        self._label(live, replace(after, acked=NO_ACK))
        if order.verb in {Verb.CLOSE, Verb.CANCEL}:
            self.agents[order.uid].told(order.verb, order.epoch)

    def _label(self, before: Pod, after: Pod) -> None:
        """Write phase and epoch, as far as the label guard lets a leader."""
        if (wrong := _tampered(before, after)) is not None:
            raise AssertionError(f"the label guard would refuse what the core allows: {wrong}")
        self.pods[after.uid] = after
        self.ever |= {after.uid} if after.phase is Phase.DRAINED else set()

    def delete(self, uid: PodUid) -> None:
        """Somebody deletes a pod.

        Raises:
            RefusedError: it is not drained.
        """
        self._released(uid, Missing.DELETE_GUARD)
        self._go(uid)

    def check_eviction(self, uid: PodUid) -> None:
        """The first half of an eviction: it is held against the budget.

        Raises:
            RefusedError: the budget selects the pod.
        """
        self._released(uid, Missing.BUDGET)
        self.allowed.add(uid)

    def evict(self, uid: PodUid) -> None:
        """Its second half, whatever has happened since."""
        self.allowed.discard(uid)
        self._go(uid)

    def revert(self, uid: PodUid) -> None:
        """Somebody calls a drained pod back, and opens its gate.

        Raises:
            RefusedError: drained never reverts.
        """
        if self.missing is not Missing.ONE_WAY:
            raise RefusedError("drained never reverts")
        self.pods[uid] = replace(self.pods[uid], phase=Phase.ACTIVE, epoch=self.pods[uid].epoch + 1)
        self.agents[uid].told(Verb.CANCEL, self.pods[uid].epoch)
        self.ever.discard(uid)

    def _released(self, uid: PodUid, guard: Missing) -> None:
        if self.pods[uid].phase is not Phase.DRAINED and self.missing is not guard:
            self.refused += 1
            raise RefusedError("the pod is not drained")

    def _go(self, uid: PodUid) -> None:
        if self.agents[uid].running:
            self.lost.append(uid)
        self.allowed.discard(uid)
        del self.pods[uid], self.agents[uid]


def _tampered(before: Pod, after: Pod) -> str | None:
    """Why the label guard refuses this write of a leader; None where it lets it pass."""
    changed = before.phase is not after.phase
    rules: Sequence[tuple[bool, str]] = (
        (changed and before.phase is Phase.DRAINED, "drained never reverts"),
        (
            changed and after.phase is Phase.DRAINED and (before.phase, before.epoch) != (Phase.DRAINING, after.epoch),
            "drained is reached from draining, in its epoch",
        ),
        (after.epoch < before.epoch, "an epoch only rises"),
        (changed and after.phase is not Phase.DRAINED and after.epoch == before.epoch, "a change opens a new epoch"),
    )
    return next((why for broken, why in rules if broken), None)
