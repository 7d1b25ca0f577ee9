"""The journal of a demo: what the embedded world lived through is decided again, and otherwise under another policy."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from scaler.live.segments import segments
from tests.cli.conftest import Scaler, scaler

__all__ = ["scaler"]  # the fixture

POLICY = """\
pools:
  {pool}:
    max: {most}
    replicas: {{query: q, url: "http://prometheus.test"}}
    signals: {{queue: {{query: q, url: "http://prometheus.test"}}}}
"""


@pytest.fixture
def journal(scaler: Scaler, tmp_path: Path) -> Path:
    """Twenty minutes of the demo."""
    ran = scaler("demo", "--seconds", "1200", "--no-table", "--journal", tmp_path / "journal")
    assert ran.exit_code == 0, ran.output
    return tmp_path / "journal"


def test_every_outcome_of_a_demo_comes_again(scaler: Scaler, journal: Path) -> None:
    """With its drains and rises; and up to the last whole line where the file is cut short."""
    told = json.loads(scaler("replay", journal, "--json").stdout)
    assert told["same"]
    assert told["ticks"] >= 240
    (path,) = segments(journal)
    path.write_bytes(path.read_bytes()[:-7])
    cut = json.loads(scaler("replay", path, "--json").stdout)
    assert (cut["same"], cut["ticks"], cut["flaws"]["cut"]) == (True, told["ticks"] - 1, 1)


def test_another_policy_on_a_demo_decides_otherwise(scaler: Scaler, journal: Path, tmp_path: Path) -> None:
    """A maximum of 3 never reports more."""
    (pool,) = json.loads(scaler("replay", journal, "--json").stdout)["pools"]
    policy = tmp_path / "pools.yaml"
    policy.write_text(POLICY.format(pool=pool, most=3))
    told = json.loads(scaler("replay", journal, "--policy", policy, "--json").stdout)
    assert told["recorded"]["most"] > 3
    assert any(change["policy"]["reason"] == "maximum" for change in told["changes"])
