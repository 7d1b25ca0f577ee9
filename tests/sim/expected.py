"""What the scenarios in simulations/ come to: ``python -m tests.sim.expected`` writes it down anew.

A change of the decision may well move these figures. Then run that, and look at what has changed before it is kept.
"""

from __future__ import annotations

import json
from pathlib import Path

from scaler.sim.compare import jobs, rows, summary, work_out
from scaler.sim.scenario import Scenario, changed, read_scenario

FOLDER = Path(__file__).resolve().parents[2] / "simulations"
SCENARIOS = sorted(FOLDER.glob("*.yaml"))

Figures = dict[str, dict[str, float | None]]


def scenario(file: Path) -> Scenario:
    """The scenario, with one run of each policy: enough to see whether anything has changed."""
    return changed(read_scenario(file), {"seeds": 1})


def played(file: Path) -> Figures:
    """The figures of each policy."""
    asked = scenario(file)
    todo = jobs(asked, limits=False)
    told = summary(asked, rows(todo, work_out(todo, None, told=lambda: None)))["policies"]
    assert isinstance(told, dict)
    return told


def kept(file: Path) -> Path:
    """Where the figures of a scenario stand."""
    return FOLDER / "expected" / f"{file.stem}.json"


if __name__ == "__main__":
    for each in SCENARIOS:
        kept(each).write_text(f"{json.dumps(played(each), indent=2)}\n", encoding="utf-8")
