"""What whoever acts on pools works with: the pools, what was decided of each, the right, the time, and a count."""

from __future__ import annotations

from dataclasses import dataclass, field

from scaler.live.board import Board
from scaler.live.clock import Clock
from scaler.live.deeds import Deeds
from scaler.live.office import Office
from scaler.live.registry import Registry


@dataclass(frozen=True, slots=True)
class Charge:
    """The parts of one process that are in its charge."""

    registry: Registry
    board: Board
    office: Office
    clock: Clock
    deeds: Deeds = field(default_factory=Deeds)
