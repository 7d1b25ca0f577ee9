"""A process that is killed at any line of an order leaves a gate that the next one can trust."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any

import pytest

from scaler.agent.gate import Done
from tests.agent.material import Site
from tests.house.source import ROOT


@dataclass(frozen=True, slots=True)
class End:
    """How one process ended, and what the next one found."""

    killed: bool
    acked: bool
    open: bool
    epoch: int
    known: bool


def ends(folder: Path, act: str) -> list[End]:
    """Every line at which the order can be cut."""
    command = [sys.executable, "-m", "tests.agent.sweep", str(folder), act]
    ran = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    return [End(**json.loads(line)) for line in ran.stdout.splitlines()]


@pytest.mark.parametrize(
    ("act", "before", "after"), [("drain", (True, 0), (False, 1)), ("resume", (False, 1), (True, 2))]
)
def test_a_kill_at_any_line_loses_no_acknowledged_order(
    tmp_path: Path, act: str, before: tuple[bool, int], after: tuple[bool, int]
) -> None:
    """The next process finds the gate of before or of after, and that of after where it was acknowledged."""
    found = ends(tmp_path, act)
    states = [(end.open, end.epoch) for end in found]
    assert set(states) == {before, after}
    assert [end for end, state in zip(found, states, strict=True) if end.acked and state != after] == []
    assert all(end.known for end in found)
    assert [end.killed for end in found] == [True] * (len(found) - 1) + [False]
    assert found[-1].acked
    assert len(found) > 30, "the sweep has cut into nothing"


def test_nothing_is_acknowledged_before_the_disk_has_it(site: Site) -> None:
    """The file, then its name, then the folder: what a loss of power could take is not told to anybody."""
    gate, calls = site.gate(), list[str]()

    def note(_: FrameType, event: str, what: Any) -> None:  # noqa: ANN401 (as the interpreter has it)
        if event == "c_call" and what.__name__ in {"fsync", "rename", "replace"}:
            calls.append(what.__name__.replace("rename", "replace"))

    sys.setprofile(note)
    try:
        told = gate.drain(1)
    finally:
        sys.setprofile(None)
    assert isinstance(told, Done)
    assert told.activity.acked
    assert calls == ["fsync", "replace", "fsync"]
