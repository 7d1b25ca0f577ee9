"""What the scenarios in simulations/ come to: ``python -m tests.sim.expected`` writes it down anew.

A change of the decision may well move these figures. Then run that, and look at what has changed before it is kept.
"""

from __future__ import annotations

import json
from pathlib import Path

from scaler.sim import warm_match
from scaler.sim.compare import jobs, rows, summary, work_out
from scaler.sim.scenario import Scenario, changed, read_scenario
from scaler.sim.warm_scenario import WarmScenario, question, read_warm

FOLDER = Path(__file__).resolve().parents[2] / "simulations"
SCENARIOS = sorted(FOLDER.glob("*.yaml"))
WARM = sorted((FOLDER / "warm").glob("*.yaml"))

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


def warm_scenario(file: Path) -> WarmScenario:
    """The scenario of a warm pool, with one run of each policy."""
    return read_warm(file).model_copy(update={"seeds": 1})


def warm_played(file: Path) -> Figures:
    """The figures of each policy."""
    asked = question(warm_scenario(file), equal=False)
    found = warm_match.work_out(warm_match.matches(asked), None, told=lambda: None)
    told = warm_match.summary(asked, found)["policies"]
    assert isinstance(told, dict)
    return told


def kept(file: Path) -> Path:
    """Where the figures of a scenario stand."""
    return file.parent / "expected" / f"{file.stem}.json"


def write(file: Path, figures: Figures) -> None:
    """Keep these."""
    kept(file).parent.mkdir(exist_ok=True)
    kept(file).write_text(f"{json.dumps(figures, indent=2)}\n", encoding="utf-8")


if __name__ == "__main__":
    for each in SCENARIOS:
        write(each, played(each))
    for each in WARM:
        write(each, warm_played(each))
