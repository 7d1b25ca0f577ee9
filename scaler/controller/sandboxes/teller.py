"""What befalls a warm pool, as Events of its SandboxWarmPool: where people look for it."""

from __future__ import annotations

from typing import Final, Protocol

from scaler.controller.events import Events, Told
from scaler.controller.sandboxes import kinds
from scaler.controller.sandboxes.digest import Digest
from scaler.controller.sandboxes.facts import WarmPool
from scaler.core.explain import reason, sentence
from scaler.core.reasons import RENDERINGS
from scaler.core.warmpool_types import WarmOutcome
from scaler.live.warm import Block, Blocked

BLOCKS: Final = {
    Block.RIVAL: "ScaledBySomebodyElse",
    Block.FOREIGN: "SizeSetBySomebodyElse",
}  # the others are not a pool's own trouble


class Teller(Protocol):
    """Who is told."""

    def sized(self, pool: WarmPool, outcome: WarmOutcome) -> None:
        """The pool was asked for the outcome's size."""

    def left_alone(self, pool: WarmPool, blocked: Blocked) -> None:
        """The pool's size is not written."""

    def summed_up(self, pool: WarmPool, digest: Digest) -> None:
        """What came of the pool's claims lately."""


class PoolEvents:
    """Tells by Events."""

    def __init__(self, events: Events) -> None:
        self._events = events

    def sized(self, pool: WarmPool, outcome: WarmOutcome) -> None:
        """The pool was asked for the outcome's size."""
        self._events.tell(_about(pool), RENDERINGS[reason(outcome)].event, sentence(outcome))

    def left_alone(self, pool: WarmPool, blocked: Blocked) -> None:
        """The pool's size is not written."""
        word = BLOCKS.get(blocked.block)
        if word is not None:
            self._events.tell(_about(pool), word, blocked.why, warning=True)

    def summed_up(self, pool: WarmPool, digest: Digest) -> None:
        """What came of the pool's claims lately."""
        word = "ClaimsMissed" if digest.missed else "ClaimsServed"
        self._events.tell(_about(pool), word, digest.said, warning=digest.missed)


def _about(pool: WarmPool) -> Told:
    return Told(
        version=f"{kinds.EXTENSIONS}/{kinds.VERSION}",
        kind="SandboxWarmPool",
        namespace=pool.id.namespace,
        name=pool.id.name,
        uid=pool.id.uid,
    )
