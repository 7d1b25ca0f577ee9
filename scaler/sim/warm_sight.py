"""What sizes a warm pool is given and what it gives back: the seam between the world of claims and its policies."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from scaler.core.types import Instant, Seconds


@dataclass(frozen=True, slots=True, kw_only=True)
class Stock:
    """What a policy may see of a warm pool at an instant.

    Attributes:
        size: asked for, ``spec.replicas``; ``ready`` and ``starting`` sandboxes stand for it.
        claims: arrived since the run began, a counter; ``in_use`` are those whose sandbox is still theirs.
        cold, unready: of those, claims that started a sandbox of their own, and that took one that was not ready.
        leads: seconds from creation to ready, of each sandbox that became ready since the last look.
    """

    now: Instant
    size: int
    ready: int
    starting: int
    claims: int
    in_use: int
    cold: int
    unready: int
    leads: tuple[Seconds, ...]


class Sizer(Protocol):
    """What sizes a warm pool. It may remember; the world asks it every ``period`` seconds."""

    @property
    def period(self) -> Seconds:
        """Seconds between two looks."""
        ...

    def decide(self, stock: Stock) -> int:
        """The size from now on; ``stock.size`` again where it leaves it alone."""
        ...
