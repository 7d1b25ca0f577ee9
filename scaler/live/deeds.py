"""What was done in the cluster, counted as it goes on: orders to single pods, and calls that write."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field


@dataclass(slots=True)
class Deeds:
    """Who acts counts; anybody may look.

    Attributes:
        orders: of the drain protocol, by verb and what became of each: ``done`` or ``refused`` (a policy said no).
        gates: calls to agents' gates, by what was asked and what became of it: ``done`` or ``failed``.
        writes: calls to the API server, by what was written and what became of it: ``done``, ``stale`` (it was for
            what no longer stands), ``refused`` or ``unanswered``.
        untold: Kubernetes Events that could not be written.
    """

    orders: Counter[tuple[str, str]] = field(default_factory=Counter)
    gates: Counter[tuple[str, str]] = field(default_factory=Counter)
    writes: Counter[tuple[str, str]] = field(default_factory=Counter)
    untold: int = 0
