"""Claimed sandboxes that ask to be guarded, and what each needs next. Pure: who carries it out is the warden.

A sandbox is for one stretch of work. From its claim on it stays: the delete guard, the budget and the guard before
sandboxes and claims refuse whoever takes it away. It is released once its agent has been at work and is idle, with no
session held: then its gate is closed, its pod is labelled drained, and its sandbox and its claim are, in this order. So
whoever claimed it may delete the claim from then on, and nobody could before.

Whether it has worked is noted on the pod, because an agent that nobody has called yet is idle as well. One that nobody
calls for long is released all the same: whoever claimed it may have died, and a node would never drain of it. One that
is not heard is busy.
"""

from __future__ import annotations

import enum
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from scaler.config.warm import UNUSED
from scaler.controller.dig import stamp
from scaler.controller.facts import PodFacts
from scaler.controller.names import PHASES
from scaler.controller.sandboxes.facts import Claim, Pod, Sandbox
from scaler.controller.sandboxes.kinds import Kind
from scaler.controller.sandboxes.world import World
from scaler.core.pods import Phase
from scaler.core.types import Instant, Seconds
from scaler.sources.activity_answer import Report

SHUT: Final = (Phase.DRAINING, Phase.DRAINED)
BUSY, IDLE, UNHEARD = "busy", "idle", "unheard"
STATES: Final = (BUSY, IDLE, UNHEARD, PHASES[Phase.DRAINING], PHASES[Phase.DRAINED])
EARLY: Final = 0.5  # an expiry is pushed forward when half of the distance is left


class Need(enum.Enum):
    """What a ward needs next."""

    NOTHING = enum.auto()
    NOTE = enum.auto()  # that it has worked
    MARK = enum.auto()  # that it drains
    CLOSE = enum.auto()  # its gate, and the label drained once that is shut on an idle agent
    REOPEN = enum.auto()  # its gate: the drain was called back, and the agent has not been told
    FREE = enum.auto()  # its sandbox and its claim, as the pod is drained


@dataclass(frozen=True, slots=True)
class Terms:
    """What holds for the wards of a pool, in seconds.

    Attributes:
        ahead: how far ahead the expiry of a busy claim is kept; None where it is left alone.
        unused: how long one may be idle that never worked; None for ever.
    """

    ahead: Seconds | None = None
    unused: Seconds | None = UNUSED


@dataclass(frozen=True, slots=True)
class Ward:
    """A sandbox that asks to be guarded, its pod, and its claim; None where that is gone or it has none."""

    sandbox: Sandbox
    pod: Pod
    claim: Claim | None

    @property
    def facts(self) -> PodFacts:
        """The pod, as the drain protocol knows it."""
        return self.pod.facts

    @property
    def pool(self) -> str:
        """The warm pool that its claim named; empty where the claim is gone."""
        return "" if self.claim is None else self.claim.pool


def wards(world: World) -> Iterator[Ward]:
    """Every sandbox that asks to be guarded and has left its pool, as far as all of it can be seen."""
    if not {Kind.POD, Kind.SANDBOX, Kind.CLAIM}.isdisjoint(world.blind):
        return
    pods = {(pod.facts.namespace, pod.facts.name): pod for pod in world.pods.values()}
    for sandbox in world.sandboxes.values():
        pod = pods.get((sandbox.id.namespace, sandbox.id.name))
        if pod is not None and sandbox.guarded and sandbox.claim and pod.facts.owner == sandbox.id.uid:
            yield Ward(sandbox, pod, world.claims.get(sandbox.claim))


def is_idle(ward: Ward, heard: Report | None) -> bool:
    """Whether its agent says that it has nothing to do and no session."""
    return ward.facts.phase is Phase.ACTIVE and heard is not None and not (heard.inflight or heard.sessions)


def need(ward: Ward, heard: Report | None, *, unused: bool = False) -> Need:
    """What the ward needs next; ``heard`` is what its agent says, None where nobody hears it.

    ``unused`` says that it has been idle for so long that nobody will call it.
    """
    pod = ward.facts
    if pod.leaving:
        return Need.NOTHING
    match pod.phase:
        case Phase.DRAINED:
            freed = ward.sandbox.drained and (ward.claim is None or ward.claim.drained)
            return Need.NOTHING if freed else Need.FREE
        case Phase.DRAINING:
            return Need.CLOSE
        case Phase.ACTIVE:
            return _active(ward, heard, unused=unused)


def _active(ward: Ward, heard: Report | None, *, unused: bool) -> Need:
    if heard is None:
        return Need.NOTHING
    if heard.phase in SHUT and ward.facts.epoch is not None and heard.epoch <= ward.facts.epoch:
        return Need.REOPEN
    if heard.inflight or heard.sessions:
        return Need.NOTHING if ward.pod.worked else Need.NOTE
    return Need.MARK if ward.pod.worked or unused else Need.NOTHING


def extended(claim: Claim, heard: Report | None, ahead: Seconds, now: Instant) -> str | None:
    """The expiry to set on a claim whose agent is at work, so that it lies so far ahead; None to leave it alone."""
    if heard is None or not (heard.inflight or heard.sessions) or not claim.shutdown:
        return None
    try:
        left = datetime.fromisoformat(claim.shutdown).timestamp() - now
    except ValueError:
        return None
    return None if left > ahead * EARLY else stamp(now + ahead)
