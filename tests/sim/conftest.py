"""Worlds whose laws are checked when the test is over."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import TypeAlias

import pytest

from scaler.core.types import Seconds
from scaler.sim.pool import Setting
from scaler.sim.workload import Lognormal, Tasks
from scaler.sim.world import World
from tests.sim.laws import broken

T0 = 1_767_600_000.0  # 2026-01-05 08:00 UTC
TEN_SECONDS = Lognormal(math.log(10.0), 0.0, "every pod starts in ten seconds")

MakeWorld: TypeAlias = Callable[[Setting, Tasks], World]


def tasks(*rows: tuple[Seconds, Seconds]) -> Tasks:
    """Tasks from (seconds after T0, seconds it takes), each streaming ten tokens a second."""
    return Tasks.of([T0 + at for at, _ in rows], [length for _, length in rows], tokens=10.0)


@pytest.fixture
def make_world() -> Iterator[MakeWorld]:
    """Make worlds that must keep their laws up to the end of the test."""
    made: list[World] = []

    def make(setting: Setting, work: Tasks) -> World:
        made.append(World(setting, work, start=T0, seed=7))
        return made[-1]

    yield make
    assert [broken(world) for world in made] == [[] for _ in made]
