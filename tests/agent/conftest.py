"""A pod's folder and keys for each test."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.agent.material import Site


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    """An empty folder, and keys."""
    site = Site(tmp_path / "pod")
    yield site
    for gate in site.gates:
        gate.close()
