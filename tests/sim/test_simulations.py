"""The questions in simulations/: each is answered as it was when its figures were written down."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from scaler.sim.claims import claim
from tests.sim.expected import FOLDER, SCENARIOS, kept, played, scenario

NEAR = 0.1  # of a figure that may move without being looked at
LITTLE = 3.0  # in its own unit


def test_there_are_questions() -> None:
    """At least eight, each with what it is expected to show, in words and in figures; and no answer without one."""
    assert len(SCENARIOS) >= 8
    assert all(asked.question and asked.shows and asked.expect for asked in map(scenario, SCENARIOS))
    assert sorted(path.stem for path in (FOLDER / "expected").iterdir()) == [path.stem for path in SCENARIOS]


@pytest.mark.parametrize("file", SCENARIOS, ids=lambda file: file.stem)
def test_a_question_is_answered_as_expected(file: Path) -> None:
    """What it claims holds, and no figure has moved by a tenth; ``python -m tests.sim.expected`` keeps new ones."""
    found, expected = played(file), json.loads(kept(file).read_text())
    assert [text for text in scenario(file).expect if not claim(text).holds(found)] == []
    assert {name: len(figures) for name, figures in found.items()} == {n: len(f) for n, f in expected.items()}
    for policy, figures in found.items():
        near = {name: value and pytest.approx(value, rel=NEAR, abs=LITTLE) for name, value in expected[policy].items()}
        assert figures == near, policy
