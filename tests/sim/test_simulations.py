"""The questions in simulations/: each is answered as it was when its figures were written down."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from scaler.sim.claims import claim
from tests.sim.expected import FOLDER, SCENARIOS, WARM, Figures, kept, played, scenario, warm_played, warm_scenario

NEAR = 0.1  # of a figure that may move without being looked at
LITTLE = 3.0  # in its own unit
FEW = 0.005  # of claims, where a figure is a share of them


def test_there_are_questions() -> None:
    """At least eight, each with what it is expected to show, in words and in figures; and no answer without one."""
    assert len(SCENARIOS) >= 8
    assert all(asked.question and asked.shows and asked.expect for asked in map(scenario, SCENARIOS))
    assert all(asked.question and asked.shows and asked.expect for asked in map(warm_scenario, WARM))
    for folder, files in ((FOLDER, SCENARIOS), (FOLDER / "warm", WARM)):
        assert sorted(path.stem for path in (folder / "expected").iterdir()) == [path.stem for path in files]


@pytest.mark.parametrize("file", SCENARIOS, ids=lambda file: file.stem)
def test_a_question_is_answered_as_expected(file: Path) -> None:
    """What it claims holds, and no figure has moved by a tenth; ``python -m tests.sim.expected`` keeps new ones."""
    found, expected = played(file), json.loads(kept(file).read_text())
    assert [text for text in scenario(file).expect if not claim(text).holds(found)] == []
    are_near(found, expected)


@pytest.mark.parametrize("file", WARM, ids=lambda file: file.stem)
def test_a_question_about_a_warm_pool_is_answered_as_expected(file: Path) -> None:
    """The same, of sandboxes."""
    found, expected = warm_played(file), json.loads(kept(file).read_text())
    assert [text for text in warm_scenario(file).expect if not claim(text).holds(found)] == []
    are_near(found, expected)


def are_near(found: Figures, expected: Figures) -> None:
    """No figure has moved by a tenth, and no share by more than a few claims."""
    assert {name: len(figures) for name, figures in found.items()} == {n: len(f) for n, f in expected.items()}
    for policy, figures in found.items():
        near = {
            name: value and pytest.approx(value, rel=NEAR, abs=FEW if name.endswith("_rate") else LITTLE)
            for name, value in expected[policy].items()
        }
        assert figures == near, policy
